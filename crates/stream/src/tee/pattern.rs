//! The chunks of an answer are alike: from one to the next a few texts and numbers change.

use memchr::{memchr, memmem};
use weighbridge_protocol::json::string_inside;
use weighbridge_units::Protocol;

use super::skim::{self, CONTENT};

/// Larger frames are not remembered.
const FRAME_MAX: usize = 1024;
/// More places that may change are not remembered.
const GAPS_MAX: usize = 16;

/// What the last frame that told nothing looked like, and in which places another one may differ from it so
/// that it certainly tells nothing either, and is as certainly JSON.
///
/// Such a place is the inside of a text that the model wrote, of padding, or an integer. Whatever else is in
/// a frame is compared, not read, which takes a tenth of the time.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    /// The frame; empty as long as there is none.
    frame: Vec<u8>,
    gaps: Vec<Gap>,
    /// The bytes of content that stand in no gap.
    fixed_content: u64,
}

/// A place where frames differ.
#[derive(Debug, Clone, Copy)]
struct Gap {
    kind: GapKind,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GapKind {
    Content,
    Padding,
    Integer,
}

impl Pattern {
    /// How many bytes of content are in a frame that follows the pattern; `None` for one that does not.
    pub(super) fn content_of(&self, frame: &[u8]) -> Option<u64> {
        if self.frame.is_empty() {
            return None;
        }
        let (mut mine, mut rest, mut content) = (0, frame, self.fixed_content);
        for gap in &self.gaps {
            rest = rest.strip_prefix(self.frame.get(mine..gap.start)?)?;
            let length = match gap.kind {
                GapKind::Integer => integer(rest)?,
                GapKind::Content | GapKind::Padding => text(rest)?,
            };
            if gap.kind == GapKind::Content {
                content += length as u64;
            }
            (mine, rest) = (gap.end, rest.get(length..)?);
        }
        (self.frame.get(mine..)? == rest).then_some(content)
    }

    /// Takes a frame for the pattern: one that tells nothing, and whose data is JSON.
    pub(super) fn learn(&mut self, protocol: Protocol, frame: &[u8], data: &[u8]) {
        self.frame.clear();
        self.gaps.clear();
        // Data in several lines stands nowhere in the frame, and what a comment quotes would be taken for JSON.
        let place = memmem::find(frame, data).filter(|at| {
            let quotes = |part: Option<&[u8]>| part.is_some_and(|part| memchr(b'"', part).is_some());
            !quotes(frame.get(..*at)) && !quotes(frame.get(at + data.len()..))
        });
        let (Some(start), Some(content_start)) = (place, skim::content_start(protocol, frame)) else {
            return;
        };
        if frame.len() > FRAME_MAX {
            return;
        }
        self.find_gaps(frame, start, content_start);
        if self.gaps.len() > GAPS_MAX {
            self.gaps.clear();
            return;
        }
        let in_gaps = self.gaps.iter().filter(|gap| gap.kind == GapKind::Content);
        let in_gaps: usize = in_gaps.map(|gap| gap.end - gap.start).sum();
        self.fixed_content = skim::content_bytes(protocol, frame).saturating_sub(in_gaps as u64);
        self.frame.extend_from_slice(frame);
    }

    fn find_gaps(&mut self, frame: &[u8], start: usize, content_start: usize) {
        let mut rest = frame.get(start..).unwrap_or_default();
        let mut key: &[u8] = b"";
        while let Some((string, after)) = skim::next_string(rest) {
            rest = after;
            if let Some(value) = after.trim_ascii_start().strip_prefix(b":") {
                key = string;
                let value = value.trim_ascii_start();
                let start = frame.len() - value.len();
                if let Some(length) = integer(value)
                    && matches!(value.get(length), Some(b',' | b'}' | b' '))
                {
                    self.gaps.push(Gap { kind: GapKind::Integer, start, end: start + length });
                }
                continue;
            }
            let end = frame.len() - after.len() - 1;
            let start = end - string.len();
            let kind = match key {
                _ if start < content_start => continue,
                b"obfuscation" => GapKind::Padding,
                key if CONTENT.contains(&key) => GapKind::Content,
                _ => continue,
            };
            self.gaps.push(Gap { kind, start, end });
        }
    }
}

/// The length of the inside of a string in front of its end, if it is one.
fn text(bytes: &[u8]) -> Option<usize> {
    let length = string_inside(bytes)?;
    std::str::from_utf8(bytes.get(..length)?).ok()?;
    Some(length)
}

/// The length of an integer without a sign, if one is there.
fn integer(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (length == 1 || length > 1 && bytes.first() != Some(&b'0')).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sse::Block;

    const CHAT: &str = r#"data: {"id":"x","created":17,"choices":[{"index":0,"delta":{"content":"Hi","reasoning":"a"},"finish_reason":null}],"usage":null,"obfuscation":"zz"}"#;
    const MESSAGES: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}";
    const RESPONSES: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"content_index\":0,\"delta\":\"Hi\",\"item_id\":\"m\",\"logprobs\":[],\"sequence_number\":9}";
    const ALL: [(Protocol, &str); 3] = [
        (Protocol::OpenAiChat, CHAT),
        (Protocol::AnthropicMessages, MESSAGES),
        (Protocol::OpenAiResponses, RESPONSES),
    ];

    fn pattern(protocol: Protocol, frame: &str) -> Pattern {
        let frame = format!("{frame}\n\n");
        let mut pattern = Pattern::default();
        let data = Block::read(frame.as_bytes()).data.unwrap();
        pattern.learn(protocol, frame.as_bytes(), &data);
        pattern
    }

    #[test]
    fn what_chunks_differ_in_is_found() {
        let kinds = |(protocol, frame)| -> Vec<GapKind> {
            pattern(protocol, frame).gaps.iter().map(|gap| gap.kind).collect()
        };
        use GapKind::{Content, Integer, Padding};
        assert_eq!(kinds(ALL[0]), [Integer, Integer, Content, Content, Padding]);
        assert_eq!(kinds(ALL[1]), [Integer, Content]);
        assert_eq!(kinds(ALL[2]), [Integer, Content, Integer]);
    }

    #[test]
    fn another_text_follows_the_pattern_and_another_fact_does_not() {
        let learned = pattern(Protocol::OpenAiChat, CHAT);
        let content =
            |from: &str, to: &str| learned.content_of(format!("{}\n\n", CHAT.replace(from, to)).as_bytes());
        assert_eq!(content("", ""), Some(3));
        assert_eq!(content("Hi", r#"say \"usage\": 1"#), Some(17));
        assert_eq!(content("17", "1795000000"), Some(3));
        for (from, to) in [
            ("null}", "\"stop\"}"),
            ("\"usage\":null", "\"usage\":{}"),
            ("Hi", "a\nb"),
            ("Hi", r"\x"),
            ("Hi", "H\"i"),
            ("17", "017"),
            ("17", "1.5"),
            ("17", "\"\""),
            ("\"x\"", "\"y\""),
        ] {
            assert_eq!(content(from, to), None, "{from} → {to}");
        }
        assert_eq!(learned.content_of(&CHAT.replace("Hi", "\u{e9}").into_bytes()), None, "it has no end");
        assert_eq!(Pattern::default().content_of(b""), None);
    }

    #[test]
    fn what_a_comment_quotes_is_no_pattern() {
        let frame = format!(": \"\n{CHAT}\n\n");
        let mut pattern = Pattern::default();
        pattern.learn(
            Protocol::OpenAiChat,
            frame.as_bytes(),
            CHAT.strip_prefix("data: ").unwrap().as_bytes(),
        );
        assert_eq!(pattern.content_of(frame.as_bytes()), None);
    }

    proptest! {
        /// Whatever follows a pattern is what skimming says of it.
        #[test]
        fn a_frame_that_follows_is_sound_and_tells_nothing(
            which in 0..ALL.len(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, prop_oneof![
                "[ -~]{0,6}", Just("\\".to_owned()), Just("\"".to_owned()), Just("\"usage\":1".to_owned()), "\\PC{0,3}",
            ]), 1..3),
        ) {
            let (protocol, frame) = ALL[which];
            let learned = pattern(protocol, frame);
            let mut other = format!("{frame}\n\n").into_bytes();
            for (at, remove, insert) in edits {
                let places: Vec<usize> = learned.gaps.iter().flat_map(|gap| [gap.start, gap.end]).collect();
                let at = (*at.get(&places)).min(other.len());
                let end = (at + remove).min(other.len());
                other.splice(at..end, insert.bytes());
            }
            if let Some(content) = learned.content_of(&other) {
                let data = Block::read(&other).data.unwrap();
                prop_assert!(skim::is_sound(&data));
                prop_assert!(!skim::is_telling(protocol, &other));
                prop_assert_eq!(content, skim::content_bytes(protocol, &other));
            }
        }
    }
}
