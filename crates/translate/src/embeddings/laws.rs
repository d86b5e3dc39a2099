//! The laws of embeddings, over generated requests and answers: what was not reported comes back, and
//! what was reported does not.

use std::borrow::Cow;

use proptest::prelude::*;
use weighbridge_protocol::bedrock_embeddings::Maker;
use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_protocol::{Dialect, EmbeddingsProtocol};
use weighbridge_units::{Bucket, LossKind, Usage};

use super::*;
use crate::place::Placed;

fn formats() -> impl Strategy<Value = EmbeddingsProtocol> {
    let google = [
        EmbeddingsProtocol::OpenAi,
        EmbeddingsProtocol::GeminiEmbed,
        EmbeddingsProtocol::GeminiBatchEmbed,
        EmbeddingsProtocol::VertexPredict,
    ];
    let all: Vec<_> = google.into_iter().chain(Maker::ALL.map(EmbeddingsProtocol::Bedrock)).collect();
    prop::sample::select(all)
}

fn raw(text: &'static str) -> Raw<'static> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

fn content() -> impl Strategy<Value = InputContent<'static>> {
    let text = || "\\PC{0,6}".prop_map(Cow::Owned);
    prop_oneof![
        6 => text().prop_map(InputContent::Text),
        1 => prop::collection::vec(text(), 2..4).prop_map(InputContent::Texts),
        1 => prop::sample::select(vec!["[1]", "[8134,0]"]).prop_map(|tokens| InputContent::Tokens(raw(tokens))),
    ]
}

fn placed<T: std::fmt::Debug + Clone + 'static>(
    values: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Placed<'static, T>>> {
    prop::option::of(values.prop_map(Placed::nowhere)).boxed()
}

/// A request whose inputs wish the same, but for their titles.
fn request() -> impl Strategy<Value = EmbeddingsRequest<'static>> {
    let truncation = prop::sample::select(vec![Truncation::Never, Truncation::Start, Truncation::End]);
    let wishes = (
        placed(1_u64..4_000),
        placed(prop::sample::select(Task::ALL.to_vec())),
        placed(truncation),
        placed(prop::sample::select(vec![Encoding::Float, Encoding::Base64])),
        placed("[a-z]{1,4}".prop_map(Cow::Owned)),
    );
    let input = (content(), placed("[a-z]{1,4}".prop_map(Cow::Owned)));
    (wishes, prop::collection::vec(input, 1..4)).prop_map(|(wishes, inputs)| {
        let (dimensions, task, truncation, encoding, end_user) = wishes;
        let input = |(content, title)| Input {
            content,
            wishes: Wishes { dimensions, task, title, truncation },
            wishes_bag: Bag::EMPTY,
            bag: Bag::EMPTY,
            place: Place::NOWHERE,
        };
        let inputs = inputs.into_iter().map(input).collect();
        EmbeddingsRequest { inputs, encoding, end_user, ..EmbeddingsRequest::default() }
    })
}

/// As much of a request as all of some formats take.
fn fitted(mut request: EmbeddingsRequest<'static>, to: &[EmbeddingsProtocol]) -> EmbeddingsRequest<'static> {
    let most = to.iter().map(|format| format.inputs_max()).min().unwrap_or(1);
    request.inputs.truncate(most);
    for input in &mut request.inputs {
        if to.iter().any(|format| *format != EmbeddingsProtocol::OpenAi)
            && matches!(input.content, InputContent::Tokens(_))
        {
            input.content = InputContent::Text(Cow::Borrowed("a"));
        }
    }
    request
}

fn answer_of() -> impl Strategy<Value = EmbeddingsAnswer<'static>> {
    let numbers = vec!["[]", "[0.5,-2.0e-3]", "[1,-0.020942502]", "[5.233287811279297e-05]"];
    let base64 = vec!["\"AAAAPwAAAMA=\"", "\"wDYBvZfm9rw=\"", "\"\""];
    let vector = prop_oneof![
        prop::sample::select(numbers).prop_map(|text| Vector::Numbers(raw(text))),
        prop::sample::select(base64).prop_map(|text| Vector::Base64(raw(text))),
    ];
    let tokens = prop::option::of(0_u64..1_000);
    (prop::collection::vec(vector, 1..4), tokens).prop_map(|(vectors, tokens)| EmbeddingsAnswer {
        embeddings: vectors.into_iter().map(Embedding::new).collect(),
        usage: tokens.map_or_else(Usage::new, |tokens| Usage::new().with(Bucket::Input, tokens)),
        ..EmbeddingsAnswer::default()
    })
}

/// What a vector's numbers are worth in 32 bits.
fn bits(vector: Vector<'_>) -> Vec<u32> {
    let mut out = Vec::new();
    vector.write(Encoding::Float, weighbridge_protocol::json::Writer::new(&mut out)).unwrap();
    let text = String::from_utf8(out).unwrap();
    let numbers = Raw::parse(&text, &ScanLimits::default()).unwrap().items().unwrap();
    numbers.map(|number| number.text().parse::<f32>().unwrap().to_bits()).collect()
}

/// Of the first input: each wish by name, and what it is.
fn said(request: &EmbeddingsRequest<'_>) -> Vec<(&'static str, Option<String>)> {
    let shown = |found: Option<String>| found.filter(|text| !text.is_empty());
    let first = &request.inputs[0].wishes;
    let titles: Vec<_> = request
        .inputs
        .iter()
        .map(|input| input.wishes.title.as_ref().map_or("", |title| title.value.as_ref()))
        .collect();
    vec![
        ("the number of dimensions", first.dimensions.map(|wish| wish.value.to_string())),
        ("a task", first.task.map(|wish| wish.value.google_name().to_owned())),
        ("how to shorten a text", first.truncation.map(|wish| format!("{:?}", wish.value))),
        ("a title", shown(Some(titles.join("|")).filter(|text| text.len() >= titles.len()))),
        ("the end user", request.end_user.as_ref().map(|user| user.value.clone().into_owned())),
    ]
}

proptest! {
    #[test]
    fn what_is_not_reported_comes_back(
        request in request(),
        to in formats(),
        dialect in prop::sample::select(vec![Dialect::Native, Dialect::Vertex]),
    ) {
        let mut losses = Losses::to_other(to.as_str(), false);
        let target = RequestTarget { dialect, ..RequestTarget::new("m") };
        let request = fitted(request, &[to]);
        let body = encode_request(to, &request, &target, &mut losses).unwrap();
        let body = String::from_utf8(body).unwrap();
        let back = decode_request(to, Raw::parse(&body, &ScanLimits::default()).unwrap()).unwrap();
        let losses = losses.into_list("null");
        let kind = |needed: &str| losses.iter().find(|loss| loss.needed == needed).map(|loss| loss.kind);

        prop_assert_eq!(back.inputs.len(), request.inputs.len());
        let joined = losses.iter().filter(|loss| loss.needed == "several texts for one vector").count();
        let mut differ = 0;
        for (input, again) in request.inputs.iter().zip(&back.inputs) {
            match (&input.content, &again.content) {
                (InputContent::Texts(texts), InputContent::Text(text)) => {
                    differ += 1;
                    prop_assert_eq!(&texts.join("\n"), text);
                }
                (content, same) => prop_assert_eq!(content, same),
            }
        }
        prop_assert_eq!(joined, differ);

        for ((needed, before), (_, after)) in said(&request).into_iter().zip(said(&back)) {
            match kind(needed) {
                Some(LossKind::Dropped) => prop_assert!(before.is_some() && after.is_none(), "{}", needed),
                _ if needed == "a task" && before.is_none() => {
                    // A purpose that is demanded is made up, and said to be.
                    prop_assert_eq!(after.is_some(), kind("what the vectors are for").is_some());
                }
                _ if needed == "a task" && kind("a purpose of that kind").is_some() => {
                    prop_assert_ne!(after, before);
                }
                _ if needed == "how to shorten a text" && kind("cutting a text's beginning").is_some() => {
                    prop_assert_eq!((before.as_deref(), after.as_deref()), (Some("Start"), Some("End")));
                }
                // A format that fails anyway has no word for it; one that demands a word is given that one.
                _ if needed == "how to shorten a text" => {
                    let or_never = |wish: Option<String>| wish.unwrap_or_else(|| "Never".to_owned());
                    prop_assert_eq!(or_never(after), or_never(before));
                }
                _ => prop_assert_eq!(after, before, "{}", needed),
            }
        }
        if to == EmbeddingsProtocol::OpenAi {
            prop_assert_eq!(back.encoding, request.encoding);
        }
    }

    #[test]
    fn there_and_back_leaves_the_texts(request in request(), from in formats(), to in formats()) {
        let request = fitted(request, &[from, to]);
        let target = RequestTarget::new("m");
        let mut losses = Losses::to_other(from.as_str(), true);
        let body = encode_request(from, &request, &target, &mut losses).unwrap();
        let body = String::from_utf8(body).unwrap();
        let there = super::request(from, to, &body, &target).unwrap();
        let there_text = String::from_utf8(there.value).unwrap();
        let back = super::request(to, from, &there_text, &target).unwrap();
        let back_text = String::from_utf8(back.value).unwrap();
        let decode = |text| decode_request(from, Raw::parse(text, &ScanLimits::default()).unwrap());
        let (before, after) = (decode(&body).unwrap(), decode(&back_text).unwrap());
        if there.losses.is_empty() && back.losses.is_empty() {
            let shown = |request: &EmbeddingsRequest<'_>| {
                let mut said = said(request);
                // To refuse what is too long need not be said.
                said.iter_mut().for_each(|(_, wish)| *wish = wish.take().filter(|wish| wish != "Never"));
                said
            };
            prop_assert_eq!(shown(&after), shown(&before));
            for (input, again) in before.inputs.iter().zip(&after.inputs) {
                prop_assert_eq!(&input.content, &again.content);
            }
        }
        prop_assert_eq!(asked(from, &body).unwrap().inputs, asked(from, &back_text).unwrap().inputs);
    }

    #[test]
    fn numbers_and_tokens_survive_every_pair(
        answer in answer_of(),
        provider in formats(),
        client in formats(),
        encoding in prop::sample::select(vec![Encoding::Float, Encoding::Base64]),
    ) {
        let mut answer = answer;
        answer.embeddings.truncate(provider.inputs_max().min(client.inputs_max()));
        let target = AnswerTarget { encoding, tokens_estimate: 5, ..AnswerTarget::new("m") };
        let mut losses = Losses::to_other(provider.as_str(), false);
        let body = encode_answer(provider, &answer, &target, &mut losses).unwrap();
        let body = String::from_utf8(body).unwrap();
        let translated = super::answer(provider, client, &body, &target).unwrap();
        let (value, facts) = translated.value;
        prop_assert_eq!(facts.vectors, answer.embeddings.len());
        let text = String::from_utf8(value).unwrap();
        let told = decode_answer(client, Raw::parse(&text, &ScanLimits::default()).unwrap()).unwrap();
        prop_assert_eq!(told.embeddings.len(), answer.embeddings.len());
        for (one, again) in answer.embeddings.iter().zip(&told.embeddings) {
            prop_assert_eq!(bits(one.vector), bits(again.vector));
        }
        let is_made_up = translated.losses.iter().any(|loss| loss.kind == LossKind::Defaulted);
        prop_assert_eq!(is_made_up, client == EmbeddingsProtocol::OpenAi && facts.usage.is_untold());
        if told.usage.is_untold() {
            // Cohere's body has no place for tokens: a header tells them.
            let is_cohere = matches!(client, EmbeddingsProtocol::Bedrock(Maker::CohereV3 | Maker::CohereV4));
            prop_assert!(is_cohere || facts.usage.is_untold());
        } else if !is_made_up {
            prop_assert_eq!(told.usage, facts.usage);
        }
    }

    #[test]
    fn base64_of_any_numbers_comes_back(numbers in prop::collection::vec(any::<f32>(), 0..20)) {
        let numbers: Vec<f32> = numbers.into_iter().filter(|number| number.is_finite()).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let text = format!("\"{}\"", crate::gemini::base64::encode(&bytes));
        let base64 = Vector::Base64(Raw::parse(&text, &ScanLimits::default()).unwrap());
        let mut out = Vec::new();
        base64.write(Encoding::Float, weighbridge_protocol::json::Writer::new(&mut out)).unwrap();
        let decimals = String::from_utf8(out).unwrap();
        let vector = Vector::Numbers(Raw::parse(&decimals, &ScanLimits::default()).unwrap());
        let mut out = Vec::new();
        vector.write(Encoding::Base64, weighbridge_protocol::json::Writer::new(&mut out)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn any_document_is_read_or_refused(
        text in "[\\[\\]{}\":,a-z0-9 ]{0,40}",
        format in formats(),
        to in formats(),
    ) {
        let _asked = asked(format, &text);
        let _sent = super::request(format, to, &text, &RequestTarget::new("m"));
        let _answered = super::answer(format, to, &text, &AnswerTarget::new("m"));
    }
}
