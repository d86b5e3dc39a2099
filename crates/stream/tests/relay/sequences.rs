//! Any sequence of canonical events, written for any client: what is told in whatever order and pieces is
//! the whole answer, and nothing lags behind but what the client's grammar forbids to send yet.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Folder, Framing, StreamForm, fold_stream};
use weighbridge_translate::conversation::{CallKind, MediaSource, Proof};
use weighbridge_translate::{
    Answer, Candidate, Content, Delta, Event, FinishReason, Part, PartKind, StreamTarget, adapter,
};
use weighbridge_units::{Bucket, Protocol, Usage};

use crate::replayed::{answer, says_the_whole};
use crate::support::*;

/// How an answer is told.
#[derive(Debug, Clone)]
struct Telling {
    /// How long pieces are, in characters.
    piece: usize,
    /// Which of what may come next does, again and again.
    choices: Vec<usize>,
    /// What comes beside the answer, and where.
    asides: Vec<(prop::sample::Index, Aside)>,
}

/// What a stream may tell at any place.
#[derive(Debug, Clone, Copy)]
enum Aside {
    Ping,
    /// An event of the provider's own.
    Raw,
    /// A field that nothing expresses.
    Extra,
    /// A field that nothing expresses, of a part.
    PartExtra,
    /// Usage that is not the last word.
    RunningUsage,
    /// A reason that is not the last word.
    FirstFinish,
    /// Another id, which counts for nothing.
    OtherId,
}

fn telling() -> impl Strategy<Value = Telling> {
    let aside = prop::sample::select(vec![
        Aside::Ping,
        Aside::Raw,
        Aside::Extra,
        Aside::PartExtra,
        Aside::RunningUsage,
        Aside::FirstFinish,
        Aside::OtherId,
    ]);
    (1_usize..5, vec(0_usize..6, 1..12), vec((any::<prop::sample::Index>(), aside), 0..5))
        .prop_map(|(piece, choices, asides)| Telling { piece, choices, asides })
}

fn pieces(text: &str, size: usize) -> Vec<Cow<'_, str>> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(size).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| Cow::Borrowed(&text[*start..end])).collect()
}

/// The events of one part, in order.
fn track<'a>(part: &'a Part<'_>, number: u32, candidate: u32, size: usize) -> Vec<Event<'a>> {
    let borrowed = |text: &'a Option<Cow<'_, str>>| text.as_deref().map(Cow::Borrowed);
    let media = |source: &'a MediaSource<'_>| match source {
        MediaSource::Base64 { media_type, data } => (Cow::Borrowed(&**media_type), &**data),
        other => panic!("{other:?}"),
    };
    let mut deltas: Vec<Delta<'a>> = Vec::new();
    let kind = match &part.content {
        Content::Text(text) => {
            let mut told = pieces(&text.text, size).into_iter().map(Delta::Text);
            // A source of a stretch may come right behind it: here they are of the first character.
            deltas.extend(told.next());
            let early = text.citations.iter().take_while(|citation| citation.span.is_some()).count();
            let (early, late) = text.citations.split_at(if size.is_multiple_of(2) { early } else { 0 });
            deltas.extend(early.iter().cloned().map(Delta::Citation));
            deltas.extend(told);
            deltas.extend(late.iter().cloned().map(Delta::Citation));
            PartKind::Text
        }
        Content::Refusal(text) => {
            deltas.extend(pieces(text, size).into_iter().map(Delta::Text));
            PartKind::Refusal
        }
        Content::Reasoning(reasoning) => {
            for (piece, text) in (0_u32..).zip(&reasoning.summary) {
                let told = pieces(text, size).into_iter();
                deltas.extend(told.map(|text| Delta::Summary { piece, text }));
            }
            deltas.extend(pieces(&reasoning.text, size).into_iter().map(Delta::Text));
            if let Some(Proof { format, kind, data }) = &reasoning.proof {
                let told = pieces(data, 4 * size).into_iter();
                deltas.extend(
                    told.map(|data| Delta::Proof(Proof { format: Cow::Borrowed(format), kind: *kind, data })),
                );
            }
            // An id may come with the part, or be told last.
            if size.is_multiple_of(2)
                && let Some(id) = &reasoning.id
            {
                deltas.push(Delta::Id(Cow::Borrowed(id)));
                PartKind::Reasoning { id: None }
            } else {
                PartKind::Reasoning { id: borrowed(&reasoning.id) }
            }
        }
        Content::ToolCall(call) => {
            deltas.extend(pieces(&call.arguments, size).into_iter().map(Delta::Arguments));
            PartKind::ToolCall {
                id: Cow::Borrowed(&call.id),
                name: Cow::Borrowed(&call.name),
                kind: call.kind,
            }
        }
        Content::Image(image) => {
            let (media_type, data) = media(&image.source);
            deltas.extend(pieces(data, 4).into_iter().map(Delta::Data));
            PartKind::Image { media_type }
        }
        Content::Audio(audio) => {
            let (media_type, data) = media(&audio.source);
            let words = audio.transcript.as_deref().unwrap_or_default();
            deltas.extend(pieces(words, size).into_iter().map(Delta::Text));
            deltas.extend(pieces(data, 4).into_iter().map(Delta::Data));
            PartKind::Audio { id: borrowed(&audio.id), media_type }
        }
        Content::Unknown { name, raw } => PartKind::Unknown { name: Cow::Borrowed(name), text: raw.text() },
        other => panic!("{other:?}"),
    };
    let open = Event::Open { part: number, group: candidate, candidate, kind };
    let deltas = deltas.into_iter().map(|delta| Event::Delta { part: number, delta });
    [open].into_iter().chain(deltas).chain([Event::Close { part: number }]).collect()
}

/// Whether a part may go on while others of its candidate do: calls may. Of text, reasoning and the like
/// the order of the pieces is the order of reading.
fn interleaves(part: &Part<'_>) -> bool {
    matches!(part.content, Content::ToolCall(_))
}

/// Whether it must be alone while it goes on: Chat's sources are those of the text that is being written,
/// and its proofs of the reasoning before them.
fn is_alone(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(text) => !text.citations.is_empty(),
        Content::Reasoning(_) => true,
        _ => false,
    }
}

/// The parts of one candidate, interleaved as `choices` say: they begin in their order.
fn candidate_events<'a>(
    candidate: &'a Candidate<'_>,
    index: u32,
    first: u32,
    telling: &Telling,
) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let mut running: Vec<std::vec::IntoIter<Event<'a>>> = Vec::new();
    // What is not a call, and still goes on: what comes next waits for it unless it is one.
    let mut reading: Option<&Part<'_>> = None;
    let mut tracks = (first..).zip(&candidate.parts).peekable();
    let mut choices = telling.choices.iter().cycle();
    while tracks.peek().is_some() || !running.is_empty() {
        let may_begin = tracks.peek().is_some_and(|(_, part)| match reading {
            _ if is_alone(part) => running.is_empty(),
            Some(open) => interleaves(part) && !is_alone(open),
            None => true,
        });
        let count = running.len() + usize::from(may_begin);
        let choice = choices.next().unwrap() % count;
        if choice == running.len() {
            let (number, part) = tracks.next().unwrap();
            reading = reading.or((!interleaves(part)).then_some(part));
            running.push(track(part, number, index, telling.piece).into_iter());
        }
        match running[choice].next() {
            Some(event) => events.push(event),
            None => drop(running.remove(choice)),
        }
        if let Some(Event::Close { part }) = events.last() {
            let closed = &candidate.parts[(*part - first) as usize];
            reading = reading.filter(|open| !std::ptr::eq(*open, closed));
        }
    }
    // With the text that they spell: some protocols have no place for them behind it.
    let spelled = events.iter().position(|event| {
        let kind = match event {
            Event::Open { kind, .. } => kind,
            _ => return false,
        };
        matches!(kind, PartKind::Text)
    });
    for (place, token) in candidate.logprobs.iter().enumerate() {
        let tokens = Event::Logprobs { candidate: index, tokens: vec![token.clone()] };
        events.insert(spelled.map_or(0, |at| at + 1) + place, tokens);
    }
    events.extend(
        candidate.finish.iter().map(|reason| Event::Finish { candidate: index, reason: reason.clone() }),
    );
    events.extend(
        candidate
            .stop_details
            .iter()
            .map(|details| Event::StopDetails { candidate: index, details: details.clone() }),
    );
    events
}

/// An answer as a sequence of events: candidates and calls interleave, facts come early, late and often.
fn sequence<'a>(answer: &'a Answer<'_>, telling: &Telling) -> Vec<Event<'a>> {
    let borrowed = |text: &'a Option<Cow<'_, str>>| text.as_deref().map(Cow::Borrowed);
    let mut first = 0;
    let mut candidates: Vec<std::collections::VecDeque<Event<'a>>> = Vec::new();
    for (index, candidate) in (0_u32..).zip(&answer.candidates) {
        candidates.push(candidate_events(candidate, index, first, telling).into());
        first += candidate.parts.len() as u32;
    }
    let start =
        Event::Start { id: borrowed(&answer.id), model: borrowed(&answer.model), created: answer.created };
    let mut events = vec![start];
    let mut choices = telling.choices.iter().rev().cycle();
    while candidates.iter().any(|events| !events.is_empty()) {
        let open: Vec<usize> = (0..candidates.len()).filter(|at| !candidates[*at].is_empty()).collect();
        let chosen = open[choices.next().unwrap() % open.len()];
        events.extend(candidates[chosen].pop_front());
    }
    // The last word on usage comes anywhere, also first and behind every finish.
    if let Some(usage) = answer.usage {
        let at = 1 + telling.choices[0] * events.len() / 6;
        events.insert(at.min(events.len()), Event::Usage(usage));
    }
    for (place, aside) in &telling.asides {
        put_aside(&mut events, place, *aside, answer);
    }
    events
}

fn put_aside<'a>(
    events: &mut Vec<Event<'a>>,
    place: &prop::sample::Index,
    aside: Aside,
    answer: &Answer<'_>,
) {
    let at = 1 + place.index(events.len());
    let before = |wanted: fn(&Event<'_>) -> bool| events.iter().skip(at).any(wanted);
    let event = match aside {
        Aside::Ping => Event::Ping,
        Aside::Raw => Event::Raw { name: "brand.new".into(), text: r#"{"type":"brand.new","odd":[1]}"# },
        Aside::Extra => Event::Extra { under: "", name: "odd".into(), text: "[1]" },
        Aside::PartExtra => {
            let opened = events.iter().take(at).rev().find_map(|event| match event {
                Event::Open { part, .. } => Some(*part),
                _ => None,
            });
            let Some(part) = opened else { return };
            Event::Delta { part, delta: Delta::Raw { name: "odd".into(), text: "[1]" } }
        }
        Aside::RunningUsage if before(|event| matches!(event, Event::Usage(_))) => {
            Event::Usage(Usage::new().with(Bucket::Output, 1).with(Bucket::Input, 1))
        }
        Aside::FirstFinish if before(|event| matches!(event, Event::Finish { candidate: 0, .. })) => {
            Event::Finish { candidate: 0, reason: FinishReason::Length }
        }
        Aside::OtherId if answer.id.is_some() && answer.model.is_some() => {
            Event::Start { id: Some("other".into()), model: Some("other".into()), created: Some(1) }
        }
        Aside::RunningUsage | Aside::FirstFinish | Aside::OtherId => return,
    };
    events.insert(at.min(events.len()), event);
}

/// How much of what the model wrote a client has: characters of text, refusals and reasoning, and of the
/// arguments of calls.
fn told(answer: &Answer<'_>) -> usize {
    let length = |part: &Part<'_>| match &part.content {
        Content::Text(text) => text.text.chars().count(),
        Content::Refusal(text) => text.chars().count(),
        Content::Reasoning(reasoning) => {
            let summary = reasoning.summary.iter().map(|piece| piece.chars().count()).sum::<usize>();
            reasoning.text.chars().count() + summary
        }
        Content::ToolCall(call) => call.arguments.chars().count(),
        _ => 0,
    };
    answer.candidates.iter().flat_map(|candidate| &candidate.parts).map(length).sum()
}

/// How much of what these events tell the client can have at all, and how much of that its grammar allows
/// to have been said by now.
fn allowed(client: Protocol, events: &[Event<'_>]) -> (usize, usize) {
    let mut parts: Vec<(u32, u32, &PartKind<'_>, usize, bool)> = Vec::new();
    for event in events {
        let part = match event {
            Event::Open { part, candidate, kind, .. } => {
                parts.push((*part, *candidate, kind, 0, false));
                continue;
            }
            Event::Delta { part, .. } | Event::Close { part } => part,
            _ => continue,
        };
        let told = parts.iter_mut().find(|(number, ..)| number == part).unwrap();
        match event {
            Event::Delta {
                delta: Delta::Text(text) | Delta::Summary { text, .. } | Delta::Arguments(text),
                ..
            } => {
                told.3 += text.chars().count();
            }
            Event::Close { .. } => told.4 = true,
            _ => {}
        }
    }
    let mut waits = [false; 2];
    let (mut all, mut allowed) = (0, 0);
    for (_, candidate, kind, length, closed) in parts {
        let has_one_answer = !matches!(client, OpenAiChat | GeminiGenerateContent);
        let counts = match kind {
            // Sound has words of its own in some protocols, and none in others.
            PartKind::Audio { .. } | PartKind::Image { .. } | PartKind::Unknown { .. } => false,
            _ => candidate == 0 || !has_one_answer,
        };
        let behind = &mut waits[candidate as usize];
        let is_whole_only = match kind {
            // An object is one thing, and what a free text stands as, its end decides.
            // Messages' is read back whole.
            PartKind::ToolCall { kind: CallKind::Custom, .. } => {
                matches!(client, AnthropicMessages | BedrockConverse | GeminiGenerateContent)
            }
            PartKind::ToolCall { .. } => client == GeminiGenerateContent,
            _ => false,
        };
        if counts {
            all += length;
            allowed += if *behind || (is_whole_only && !closed) { 0 } else { length };
        }
        // One block is open at a time; of Gemini's parts the order is all there is. Elsewhere what comes
        // says where it belongs.
        *behind |= !closed && matches!(client, AnthropicMessages | BedrockConverse | GeminiGenerateContent);
    }
    (all, allowed)
}

fn target() -> StreamTarget<'static> {
    StreamTarget {
        id_fallback: "fallback-1",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        show_usage: true,
        form: StreamForm::Events,
        legacy_functions: false,
    }
}

/// The answer as that client can have it at all.
fn for_client(answer: &Answer<'static>, client: Protocol) -> Answer<'static> {
    let mut answer = answer.clone();
    for candidate in answer.candidates.iter_mut().skip(1) {
        // In a stream, a candidate that says nothing at all is not there.
        candidate.finish.get_or_insert(FinishReason::Stop);
    }
    if client == Protocol::BedrockConverse {
        // Of another protocol than the client's, whose streams have no sound.
        answer.source = Protocol::OpenAiChat;
        for candidate in &mut answer.candidates {
            candidate.parts.retain(|part| !matches!(part.content, Content::Audio(_)));
        }
    }
    answer
}

fn assert_any_telling_is_the_whole(answer: &Answer<'static>, telling: &Telling) {
    for client in Protocol::ALL {
        let answer = for_client(answer, client);
        let events = sequence(&answer, telling);
        let mut writer = adapter(client).stream_writer(&target());
        let (mut out, mut losses) = (Vec::new(), Vec::new());
        for event in &events {
            writer.write(event, &mut out, &mut losses).unwrap();
        }
        writer.complete(&mut out, &mut losses);
        let text = String::from_utf8_lossy(&out);
        assert_eq!(check(client, &out), Ok(Verdict::EndedWell), "{text}\n{events:#?}");
        let (folder, end) = fold_stream(client, Framing::Sse, &out, 1 << 20);
        assert_eq!(end, Ok(()), "{text}");
        says_the_whole(&folder.answer(), &answer, client)
            .unwrap_or_else(|error| panic!("{error}\n{text}\n{events:#?}"));
    }
}

/// Nothing that the client's grammar allows to say waits, not even for the next event; what it does not
/// allow to say yet is counted.
fn assert_nothing_lags(answer: &Answer<'static>, telling: &Telling, client: Protocol, stop: usize) {
    let answer = for_client(answer, client);
    let events = sequence(&answer, telling);
    let events = &events[..=stop % events.len()];
    let mut writer = adapter(client).stream_writer(&target());
    let (mut out, mut losses) = (Vec::new(), Vec::new());
    for event in events {
        writer.write(event, &mut out, &mut losses).unwrap();
    }
    let (folder, _) = fold_stream(client, Framing::Sse, &out, 1 << 20);
    let (has, (all, allowed)) = (told(&folder.answer()), allowed(client, events));
    let text = String::from_utf8_lossy(&out);
    assert!(has >= allowed, "{client} has {has} of {allowed} characters\n{text}\n{events:#?}");
    let is_read_back_whole = client == AnthropicMessages
        && events.iter().any(|event| {
            matches!(event, Event::Open { kind: PartKind::ToolCall { kind: CallKind::Custom, .. }, .. })
        });
    assert!(is_read_back_whole || has >= all || writer.held_events() > 0, "{client}\n{text}\n{events:#?}");
}

proptest! {
    #[test]
    fn nothing_lags_but_what_the_clients_grammar_forbids_to_say_yet(
        answer in answer(),
        telling in telling(),
        stops in vec(any::<usize>(), 3),
    ) {
        for client in Protocol::ALL {
            for stop in &stops {
                assert_nothing_lags(&answer, &telling, client, *stop);
            }
        }
    }

    #[test]
    fn a_sequence_folds_to_the_answer_that_it_tells(answer in answer(), telling in telling()) {
        let mut answer = answer;
        for candidate in &mut answer.candidates {
            // A candidate that says nothing at all is not there.
            candidate.finish.get_or_insert(FinishReason::Stop);
        }
        let mut folder = Folder::new(answer.source, 1 << 20);
        for event in sequence(&answer, &telling) {
            folder.push(&event).unwrap();
        }
        prop_assert_eq!(folder.answer(), answer);
    }

    #[test]
    fn a_sequence_becomes_every_clients_whole_answer(answer in answer(), telling in telling()) {
        assert_any_telling_is_the_whole(&answer, &telling);
    }
}
