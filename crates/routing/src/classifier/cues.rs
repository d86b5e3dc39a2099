//! Words that tell what is to be done, and whether it takes thought.
//!
//! English first, then what German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, Chinese and
//! Japanese say for the most common ones. They are stems; a `=` at the end makes one a whole word. A stem may
//! be in several groups; of several stems of a word the longest counts.

use std::sync::LazyLock;

use super::Task;

/// What a word says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cue {
    pub(super) stem: &'static str,
    whole: bool,
    /// The task that it speaks for, and how strongly.
    pub(super) task: Option<(Task, u8)>,
    /// Points for being difficult, or against it.
    pub(super) hardness: i16,
    /// Whether it binds the answer.
    pub(super) demand: bool,
}

enum Says {
    Task(Task, u8),
    Hard(i16),
    Demand,
}

const GROUPS: &[(Says, &str)] = &[
    (
        Says::Task(Task::Summary, 3),
        "summar condens gist= recap= shorten digest= abstract= zusammenfass zusammenfassung fasse= zusammen= \
         résum resum riassu samenvat vat= кратко перескаж synthesi synthès synthét síntesis tl= dr=",
    ),
    (Says::Task(Task::Summary, 2), "sum= brief= short= kurz= kort= corto= breve="),
    (
        Says::Task(Task::Translation, 3),
        "translat übersetz übertrag traduc tradui traduz vertaal przetłumacz перевед render= переведи=",
    ),
    (
        Says::Task(Task::Translation, 2),
        "english= englisch french= französisch german= deutsch= spanish= spanisch italian= japanese= korean= \
         polish= dutch= portuguese= inglés= inglese= inglês= anglais= allemand= japonés= engels= angielski \
         английский= say= dit= heißt= dice=",
    ),
    (
        Says::Task(Task::Classification, 3),
        "classif categor klassifi clasif ordne= sentiment sentimento sentimiento spam= label= labels= \
         toxicity= тональност catégorie= kategorie= einzuordnen= einzustufen= einstufung=",
    ),
    (
        Says::Task(Task::Classification, 2),
        "positive= negative= neutral= positiv positief= negativ negatief= tag= assign= priority= rude= \
         detect=  bewerte= rate= определи= classe= sort=",
    ),
    (
        Says::Task(Task::Extraction, 3),
        "extract extrah extrai extrac extrais= estrai parse= pull= извлеки= haal= saca= fields= mentioned= \
         entities= obligations=",
    ),
    (
        Says::Task(Task::Extraction, 2),
        "list= identify= find= get= nenne= gib= donne= phone= telefon téléphone= email= emails= names= \
         hashtags= date= dates= datum= json=",
    ),
    (
        Says::Task(Task::Code, 3),
        "python= java= javascript= js= rust= go= golang= react= typescript= c++ sql= regex= css= html= git= \
         bash= chmod= postgres postgresql= django= node= numpy= cuda= function= funktion función= fonction= \
         code= compil mutex= deadlock refactor debug parser= interpreter= algorithm brainfuck= paxos= raft= \
         mysql= datenbank database docstring= variable= snippet= unit= test= tests= queue= lock= kernel= \
         implement implément query= queries= cache= caché= async asynchron server= bug= leak= thread \
         concurrent nebenläufig pull= jit= garbage= api= schema= loop=",
    ),
    (
        Says::Task(Task::Reasoning, 3),
        "prove= proof= proofs= beweis démontr demuestr dimostr докаж theorem derive= integral probabilit \
         expected= equation integer solve= résou minimis minimiz inducción= espérance optimal strategy= \
         argument= differentialgleichung calcul prime= primzahl paradox reason= logic",
    ),
    (
        Says::Task(Task::Reasoning, 2),
        "larger= older= younger= youngest= percent= times= geteilt= fois= plan= weigh= coins= estimate= \
         envelopes= fair= auction= schedule= analiza= combien= show= many= build= apples=",
    ),
    (
        Says::Task(Task::Chat, 3),
        "hi= hello= hey= thanks= thank= hallo= danke= merci= salut= hola= gracias= ciao= oi= привет= cześć= \
         hoi= bye= morning= lol= joke= witz= blague= birthday= haiku= slogan villanelle= geburtstag recommend \
         bored= fun= story= role-play= speech= discours= friendlier= grammar= monólogo= draft= feedback= \
         suggest= ok= yes= wish= evening= friends= reply= sentence=",
    ),
    (Says::Task(Task::Chat, 2), "my= we= dog= let's= tell= me= movie= cat= i'm= i= schreib="),
    (
        Says::Task(Task::Question, 2),
        "what= what's= who= when= where= which= why= how= is= can= does= under= wer= wie= wann= warum= \
         welche= was= wo= quelle= quel= quoi= pourquoi= comment= qué= quién= cuánt cuál= por= quanti= quale= \
         qual= quem= сколько= кто= что= где= wat= hoeveel= ile=",
    ),
    (
        Says::Hard(150),
        "prove= proof= proofs= beweis démontr demuestr dimostr докаж theorem deadlock linearizab paxos= raft= \
         lock-free= jit= race= soundness=",
    ),
    (
        Says::Hard(100),
        "derive= justif justify= begründ analys analyz analiz evaluat évalu evalú bewertest= erläuter argue= \
         argumen reconcil contradict widersprüch contradic invariant trade-off trade-offs= optimal optimis \
         optimiz minimis minimiz differential integral= concurren nebenläufig asynchron distribu consensus \
         architect design= entwirf= diseñ= diseña= projete= migrat refactor implement implément vulnerab \
         exploit unreliable= strategy= strategi hypothes paradox probabilit expected= induct inducción= satz= \
         equilibri elasticity= confounder implicit implicit= implícit infer= inferenc deduce= deduct reverse= \
         anticipat critique= critically= crítica= weigh= abzuwäg hierarchis conceptual= overparamet quantum= \
         cuda= kernel= migraci compiler= garbage= solve= exactly= determinis",
    ),
    (
        Says::Hard(70),
        "why= warum= pourquoi= compar contrast evidence= assumption annahme assumptions= consequen conséquen \
         implication imply= implies= causal= causally= conditions= failure= partition snapshot algorithm \
         parser= interpreter= debug leak= memory= thread metre= meter= pentameter= hexameter rhyme= rhymes= \
         reim= versmaß= rime= métrica= métrique= ambig pun= puns= nuance doppeldeutig obligation clause \
         clauses= liabilit legal= rechtsfolg patent= vertrag contract= covenant jurisprud tax= steuer règle= \
         regulator= synthesi synthès synthét síntesis elabor elabora= reason= reasoning= reasons= step= \
         schritt= paso= étape= passo= security= securit memo= literature= scenario szenari uncertain \
         underlying root= cause= causes= contributing= constraints= restricc solutions= negotiat converg \
         interpret interplay interact threshold= violat distinguish= distingu rank= plan= schedule estimate= \
         portmanteau= anhang= ifrs= differenzialgleichung differentialgleichung gleichung equation formul \
         preserv preserving= erhalt= erhalten= conserv",
    ),
    (
        Says::Hard(40),
        "explain= erkläre= explique= explica= explain while= each= every= because= despite= whether= between= \
         depend develop produce= resolve= structure= consider= discuss= review= reports= studies= several= \
         over= without= under= themselves= logic stating= given= system= large= service= services= data= \
         model= detect= equity= investors= policy= risk= risks= effects=",
    ),
    (
        Says::Hard(-120),
        "hi= hello= hey= thanks= thank= hallo= danke= merci= salut= hola= gracias= ciao= oi= привет= cześć= \
         hoi= bye= lol= joke= witz= blague= birthday= geburtstag capital= hauptstadt= capitale= haiku= ok= \
         yes= slogan grammar= friendlier= morning=",
    ),
    (
        Says::Hard(-80),
        "spam= positive= positiv positivo= negativ negative= plural= translat= translate= traduc traduce= \
         traduis= übersetze= vertaal= przetłumacz переведи= extract= extrahiere= extrais= extrae= extraia= \
         estrai= one= satz_= sentence= sentences= word= words= short= kurz= brief= small= list= bullet= name= \
         named= label= classify= reverse_= hello-world fun= recommend tell= say= mean= means= tl= dr= \
         summarize= summarise= sum= shorten condens gist= résume= resume= resuma= riassumi= fasse= samenvat \
         vat= phone= email= emails= kategorie= category= catégorie= categorize= tag= rude= rename= docstring= \
         convert= center= centre= format= regex= count= counts= git= css= hashtags= date= table=",
    ),
    (
        Says::Hard(-50),
        "what= what's= who= when= where= wer= wann= was= wo= wie= quelle= quel= qué= cuántos= quem= qual= \
         wat= сколько= где= кто= ile= is= can= how= get= pull= find= please= bitte= write= a= this= my= \
         which= function= funktion= función= fonction=",
    ),
    (
        Says::Demand,
        "must= exactly= at-most= most= least= only= never= always= cannot= keep= ensure= avoid= every= each= \
         both= all= any= across= jede= jeden= jeder= alle= sodass= ohne= zwei= nie= tout= toute= toutes= \
         chaque= sans= todas= todos= cada= sin= cualquier= plus= including= then= while= whose= such= mais= \
         afterwards= still= identical= respect= allen= deren= unless= three= four= five= respectively= \
         consistent= stay=",
    ),
];

/// The same of scripts without spaces between words: these are looked for anywhere in a text.
const UNSPACED_GROUPS: &[(Says, &str)] = &[
    (Says::Task(Task::Summary, 3), "总结 概括 综合 要約 まとめ"),
    (Says::Task(Task::Translation, 4), "翻译 翻訳 英訳 译成"),
    (Says::Task(Task::Classification, 3), "分类 分類 正面 负面 情感"),
    (Says::Task(Task::Extraction, 3), "提取 抽出 抽取"),
    (Says::Task(Task::Code, 3), "函数 代码 実装 实现 并发 跳表 データベースを設計 Python"),
    (Says::Task(Task::Reasoning, 3), "证明 証明せよ 推导 确率 確率 打折 八折 多少元"),
    (Says::Task(Task::Question, 2), "什么 为什么 多长 何です なぜ どこ 吗"),
    (Says::Task(Task::Chat, 3), "你好 こんにちは 谢谢 ありがとう"),
    (
        Says::Hard(150),
        "证明 証明 推导 分析 评估 论证 理由 分布式 分散 并发 为什么 なぜ 逐一 逐句 差异 違い 保留 双重 二重 正确性 说明 説明 隐含 推理 条件 \
         并推广 場合分け 论述 論じ",
    ),
    (Says::Hard(-80), "一句话 一文で 翻译 翻訳 提取 抽出 情感 多长 何メートル 你好 こんにちは 元気 简短"),
    (Says::Demand, "必须 每个 任意 以及 并 保つ 必ず"),
];

/// All cues, by stem.
static CUES: LazyLock<Vec<Cue>> = LazyLock::new(|| gathered(GROUPS));

/// Those of scripts without spaces.
pub(super) static UNSPACED: LazyLock<Vec<Cue>> = LazyLock::new(|| gathered(UNSPACED_GROUPS));

fn gathered(groups: &'static [(Says, &'static str)]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::new();
    for (says, words) in groups {
        for word in words.split_whitespace() {
            let (stem, whole) = word.strip_suffix('=').map_or((word, false), |stem| (stem, true));
            let at =
                cues.iter().position(|cue| cue.stem == stem && cue.whole == whole).unwrap_or_else(|| {
                    cues.push(Cue { stem, whole, ..Cue::default() });
                    cues.len() - 1
                });
            let Some(cue) = cues.get_mut(at) else { continue };
            match says {
                Says::Task(task, points) => cue.task = cue.task.or(Some((*task, *points))),
                Says::Hard(points) => cue.hardness += points,
                Says::Demand => cue.demand = true,
            }
        }
    }
    // Of one stem the whole word stands behind, where it is found first.
    cues.sort_unstable_by_key(|cue| (cue.stem, cue.whole));
    // What a longer one does not say of a word, the shorter one does.
    for at in 0..cues.len() {
        let Some(&longer) = cues.get(at) else { continue };
        let shorter = |cue: &&Cue| !cue.whole && longer.stem.starts_with(cue.stem);
        let said = cues.iter().take(at).rev().filter(shorter).fold(longer, |said, cue| Cue {
            task: said.task.or(cue.task),
            hardness: if said.hardness == 0 { cue.hardness } else { said.hardness },
            demand: said.demand || cue.demand,
            ..said
        });
        if let Some(cue) = cues.get_mut(at) {
            *cue = said;
        }
    }
    cues
}

/// The cue of a word in lower case: the longest that it begins with.
pub(super) fn cue(word: &str) -> Option<&'static Cue> {
    let cues = CUES.as_slice();
    let behind = cues.partition_point(|cue| cue.stem <= word);
    let before = cues.get(..behind)?.iter().rev();
    let begins_alike = |cue: &&Cue| cue.stem.as_bytes().first_chunk::<2>() == word.as_bytes().first_chunk();
    let mut near = before.take_while(begins_alike);
    near.find(|cue| if cue.whole { cue.stem == word } else { word.starts_with(cue.stem) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stem_of_a_word_counts() {
        assert_eq!(cue("summarizes").map(|cue| cue.stem), Some("summar"));
        assert_eq!(cue("summarize").map(|cue| cue.stem), Some("summarize"));
        assert_eq!(cue("translation").map(|cue| cue.stem), Some("translat"));
        assert_eq!(cue("hint").map(|cue| cue.stem), None);
        assert!(cue("").is_none());
    }

    #[test]
    fn no_stem_is_hidden_by_one_that_reads_like_it() {
        for each in CUES.iter() {
            let found = cue(each.stem).map(|found| found.stem);
            assert_eq!(found, Some(each.stem), "{each:?}");
        }
    }
}
