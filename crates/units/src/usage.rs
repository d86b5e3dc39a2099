use std::fmt;

/// What is counted, each kind apart from all others (rule M5: the buckets are disjoint).
///
/// A bucket's number stands in journals: a new one goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Bucket {
    /// Prompt tokens that were neither read from nor written to a cache.
    Input,
    /// Prompt tokens read from a provider's prompt cache.
    CacheRead,
    /// Prompt tokens written to a cache that lives five minutes, or for the shorter or only lifetime
    /// that a provider offers (OpenAI: 30 minutes).
    CacheWrite5m,
    /// Prompt tokens written to a cache that lives one hour, or for the longer of a provider's two
    /// lifetimes (OpenAI: 12 hours).
    CacheWrite1h,
    /// Audio tokens of the prompt.
    InputAudio,
    /// Visible answer tokens, tool calls included.
    Output,
    /// Tokens spent on reasoning, visible or not.
    Reasoning,
    /// Audio tokens of the answer.
    OutputAudio,
    /// Searches that the provider ran on the model's behalf, in calls.
    WebSearch,
    /// Prompt tokens that a provider's own tools added, where it tells them apart (Gemini).
    ToolPrompt,
    /// Image tokens of the answer.
    OutputImage,
    /// Image tokens of the prompt, where a provider bills them apart from text.
    InputImage,
    /// Images that were made, by the piece: what one costs may hang on its size and quality.
    Images,
    /// Images that were given, by the piece.
    ImagesGiven,
    /// Characters that were given, such as those to be spoken.
    Characters,
    /// Seconds of sound or video that were given, such as those to be written down.
    Seconds,
    /// Seconds of sound or video that were made: what one costs may hang on its size.
    SecondsMade,
    /// Pages that were read.
    Pages,
    /// The call itself, where it costs something beside what it moves.
    Calls,
    /// Searches in files that the provider keeps, in calls.
    FileSearch,
    /// Look-ups in maps, in calls.
    MapSearch,
    /// Sessions in which the provider ran code.
    CodeSessions,
}

impl Bucket {
    /// Every bucket, in the order of reports.
    pub const ALL: [Self; 22] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::InputAudio,
        Self::Output,
        Self::Reasoning,
        Self::OutputAudio,
        Self::WebSearch,
        Self::ToolPrompt,
        Self::OutputImage,
        Self::InputImage,
        Self::Images,
        Self::ImagesGiven,
        Self::Characters,
        Self::Seconds,
        Self::SecondsMade,
        Self::Pages,
        Self::Calls,
        Self::FileSearch,
        Self::MapSearch,
        Self::CodeSessions,
    ];

    /// The name in price files, records, metrics and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::InputAudio => "input_audio",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::OutputAudio => "output_audio",
            Self::WebSearch => "web_search",
            Self::ToolPrompt => "tool_prompt",
            Self::OutputImage => "output_image",
            Self::InputImage => "input_image",
            Self::Images => "images",
            Self::ImagesGiven => "images_given",
            Self::Characters => "characters",
            Self::Seconds => "seconds",
            Self::SecondsMade => "seconds_made",
            Self::Pages => "pages",
            Self::Calls => "calls",
            Self::FileSearch => "file_search",
            Self::MapSearch => "map_search",
            Self::CodeSessions => "code_sessions",
        }
    }

    /// The bucket of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.as_str() == name)
    }

    /// Whether the bucket counts tokens of the prompt.
    pub const fn is_prompt(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::CacheRead
                | Self::CacheWrite5m
                | Self::CacheWrite1h
                | Self::InputAudio
                | Self::ToolPrompt
                | Self::InputImage
        )
    }

    /// Whether the bucket counts tokens of the answer.
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::Output | Self::Reasoning | Self::OutputAudio | Self::OutputImage)
    }

    /// Whether the bucket counts tokens. The others count pieces: images, seconds, calls and the like.
    pub const fn is_token(self) -> bool {
        self.is_prompt() || self.is_answer()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much was used, per disjoint [`Bucket`].
///
/// A bucket that was never told reads as 0 and can be told apart ([`Usage::told`]): streams give
/// fields piecemeal, and the last value of each field wins ([`Usage::update`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Usage {
    counts: [u64; Bucket::ALL.len()],
    told: u32,
    contradictory: bool,
}

impl Usage {
    /// Nothing told yet.
    pub const fn new() -> Self {
        Self { counts: [0; Bucket::ALL.len()], told: 0, contradictory: false }
    }

    /// The same usage with one bucket told.
    #[must_use]
    pub fn with(mut self, bucket: Bucket, count: u64) -> Self {
        self.set(bucket, count);
        self
    }

    /// Tells one bucket.
    pub fn set(&mut self, bucket: Bucket, count: u64) {
        self.counts[bucket as usize] = count;
        self.told |= 1 << bucket as u32;
    }

    /// The count of a bucket; 0 if it was never told.
    pub const fn get(&self, bucket: Bucket) -> u64 {
        self.counts[bucket as usize]
    }

    /// Whether the bucket was told, be it as 0.
    pub const fn told(&self, bucket: Bucket) -> bool {
        self.told & (1 << bucket as u32) != 0
    }

    /// Whether nothing was told at all, which is not the same as zero (rule M7).
    pub const fn is_untold(&self) -> bool {
        self.told == 0
    }

    /// Marks figures that contradict each other, such as a part larger than its whole.
    pub fn flag_contradiction(&mut self) {
        self.contradictory = true;
    }

    /// Whether the provider's figures contradicted each other.
    pub const fn is_contradictory(&self) -> bool {
        self.contradictory
    }

    /// The last value wins, field by field; what `later` does not tell is kept.
    pub fn update(&mut self, later: &Self) {
        for (bucket, count) in later.iter() {
            self.set(bucket, count);
        }
        self.contradictory |= later.contradictory;
    }

    /// The buckets that were told, in the order of [`Bucket::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, u64)> + '_ {
        Bucket::ALL.into_iter().filter(|b| self.told(*b)).map(|b| (b, self.get(b)))
    }

    /// Tokens of the prompt; saturates.
    pub fn prompt(&self) -> u64 {
        self.sum(Bucket::is_prompt)
    }

    /// Tokens of the answer, reasoning included; saturates.
    pub fn answer(&self) -> u64 {
        self.sum(Bucket::is_answer)
    }

    /// All tokens; saturates.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.answer())
    }

    fn sum(&self, of: impl Fn(Bucket) -> bool) -> u64 {
        self.iter().filter(|(b, _)| of(*b)).fold(0, |sum: u64, (_, count)| sum.saturating_add(count))
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        map.entries(self.iter().map(|(bucket, count)| (bucket.as_str(), count)));
        if self.contradictory {
            map.entry(&"contradictory", &true);
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m7_missing_is_not_zero() {
        assert!(Usage::new().is_untold());
        assert!(!Usage::new().with(Bucket::Input, 0).is_untold());
        assert_ne!(Usage::new(), Usage::new().with(Bucket::Input, 0));
    }

    #[test]
    fn the_last_value_wins_per_field() {
        let mut usage = Usage::new().with(Bucket::Input, 10).with(Bucket::Output, 1);
        usage.update(&Usage::new().with(Bucket::Output, 7));
        assert_eq!(usage, Usage::new().with(Bucket::Input, 10).with(Bucket::Output, 7));
    }

    #[test]
    fn names_are_unique_and_found() {
        for bucket in Bucket::ALL {
            assert_eq!(Bucket::from_name(bucket.as_str()), Some(bucket));
        }
    }

    #[test]
    fn sums_saturate() {
        let usage = Usage::new().with(Bucket::Input, u64::MAX).with(Bucket::Output, 2);
        assert_eq!(usage.total(), u64::MAX);
        assert_eq!(usage.answer(), 2);
    }
}
