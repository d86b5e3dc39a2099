use std::borrow::Cow;

use crate::place::Placed;

/// The model's reasoning, as far as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reasoning<'a> {
    /// The provider's id of it, which belongs to a later request that sends it back.
    pub id: Option<Cow<'a, str>>,
    /// The text; may be empty while the proof is not.
    pub text: Cow<'a, str>,
    /// What a provider gives in place of the text, in pieces, where it tells the two apart.
    pub summary: Vec<Cow<'a, str>>,
    /// What lets the provider accept or resume it in the next turn.
    pub proof: Option<Proof<'a>>,
}

impl<'a> Reasoning<'a> {
    /// A text that nothing proves.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// All that can be read of it: the text, else the pieces of the summary.
    pub fn visible(&self) -> Cow<'_, str> {
        if self.text.is_empty() { Cow::Owned(self.summary.join("\n\n")) } else { Cow::Borrowed(&self.text) }
    }
}

/// Opaque data that only the provider which made it understands, and which the next turn must bring
/// back unchanged.
///
/// A protocol whose client shall bring back another provider's proof carries it as a [`token`](Self::token):
/// nothing has to be remembered between the turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof<'a> {
    /// Who understands it, such as [`Proof::ANTHROPIC`]. The names are those of OpenRouter's
    /// `reasoning_details`: <https://openrouter.ai/docs/use-cases/reasoning-tokens>.
    pub format: Cow<'a, str>,
    /// What it proves.
    pub kind: ProofKind,
    /// The data.
    pub data: Cow<'a, str>,
}

/// What a proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofKind {
    /// A signature of the text beside it, or of the part that follows it.
    Signature,
    /// The reasoning itself, encrypted: redacted, or kept from view.
    Sealed,
}

impl<'a> Proof<'a> {
    /// Anthropic's, also through Bedrock and Vertex, which accept each other's.
    pub const ANTHROPIC: &'static str = "anthropic-claude-v1";
    /// OpenAI's.
    pub const OPENAI: &'static str = "openai-responses-v1";
    /// Google's.
    pub const GEMINI: &'static str = "google-gemini-v1";

    /// How a token of a foreign proof begins.
    pub(crate) const MARK: &'static str = "wb.proof";

    /// A signature.
    pub fn signature(format: &'static str, data: impl Into<Cow<'a, str>>) -> Self {
        Self { format: Cow::Borrowed(format), kind: ProofKind::Signature, data: data.into() }
    }

    /// Encrypted reasoning.
    pub fn sealed(format: &'static str, data: impl Into<Cow<'a, str>>) -> Self {
        Self { format: Cow::Borrowed(format), kind: ProofKind::Sealed, data: data.into() }
    }

    /// Whether a provider of the format `own` understands it.
    pub fn is(&self, own: &str) -> bool {
        self.format == own
    }

    /// The proof as one opaque text for a client whose protocol has room for proofs of the format
    /// `own` and kind `kind`: the data alone where it is of that format and kind, and marked with
    /// format, kind and the reasoning's `id` otherwise. [`Self::from_token`] reads it.
    pub fn token(&self, own: &str, kind: ProofKind, id: Option<&str>) -> Cow<'_, str> {
        let is_plain = self.format == own && self.kind == kind && !self.data.starts_with(Self::MARK);
        if is_plain && id.is_none() {
            return Cow::Borrowed(&self.data);
        }
        let letter = match self.kind {
            ProofKind::Signature => 's',
            ProofKind::Sealed => 'e',
        };
        let plain = |text: &str| text.replace([':', '\\'], "_");
        let (format, id) = (plain(&self.format), id.map(plain).unwrap_or_default());
        Cow::Owned(format!("{}:{letter}:{format}:{id}:{}", Self::MARK, self.data))
    }

    /// A token for reasoning that nothing proves: what comes back with it is told from what the
    /// provider of the client's own protocol has made.
    pub fn unproven(id: Option<&str>) -> String {
        let nothing =
            Self { format: Cow::Borrowed("unknown"), kind: ProofKind::Signature, data: Cow::Borrowed("") };
        nothing.token("", ProofKind::Signature, id).into_owned()
    }

    /// The proof, and the reasoning's id, that a client of a protocol brings back whose own proofs are
    /// of the format `own` and kind `kind`.
    pub fn from_token(
        token: Cow<'a, str>,
        own: &'static str,
        kind: ProofKind,
    ) -> (Self, Option<Cow<'a, str>>) {
        match Self::unmark(&token) {
            Some((kind, format, id, data)) => {
                let proof =
                    Self { format: Cow::Owned(format.to_owned()), kind, data: Cow::Owned(data.to_owned()) };
                (proof, Some(id).filter(|id| !id.is_empty()).map(|id| Cow::Owned(id.to_owned())))
            }
            None => (Self { format: Cow::Borrowed(own), kind, data: token }, None),
        }
    }

    fn unmark(token: &str) -> Option<(ProofKind, &str, &str, &str)> {
        let mut fields = token.strip_prefix(Self::MARK)?.strip_prefix(':')?.splitn(4, ':');
        let kind = match fields.next()? {
            "s" => ProofKind::Signature,
            "e" => ProofKind::Sealed,
            _ => return None,
        };
        Some((kind, fields.next()?, fields.next()?, fields.next()?))
    }
}

/// Whether, how much and how visibly the model is to reason. `None` leaves it to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReasoningWish<'a> {
    /// Whether, and up to how many tokens.
    pub extent: Option<Placed<'a, ReasoningExtent>>,
    /// How hard, in words.
    pub effort: Option<Placed<'a, Effort>>,
    /// How much of it the client wants to see.
    pub shown: Option<Placed<'a, Shown>>,
}

impl ReasoningWish<'_> {
    /// Nothing is asked for.
    pub const NONE: Self = Self { extent: None, effort: None, shown: None };
}

/// Whether, and up to how many tokens, the model is to reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningExtent {
    /// Not at all.
    Off,
    /// As the model sees fit.
    Dynamic,
    /// Up to so many tokens.
    Budget(u64),
}

/// How hard the model is to think, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Neither little nor much.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as possible.
    Max,
}

impl Effort {
    /// Every effort, from the least.
    pub const ALL: [Self; 6] = [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The word that OpenAI and Anthropic have for it; not every model knows every word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }

    /// Among the efforts that a model knows, the nearest; of two, the lesser. `None` where `words` have
    /// no effort, as for a model that does not reason.
    ///
    /// ```
    /// use weighbridge_translate::conversation::Effort;
    ///
    /// assert_eq!(Effort::Minimal.nearest(&["none", "low", "high"]), Some(Effort::Low));
    /// assert_eq!(Effort::Max.nearest(&["low", "medium", "high"]), Some(Effort::High));
    /// ```
    pub fn nearest(self, words: &[&str]) -> Option<Self> {
        let known = words.iter().filter_map(|word| Self::from_name(word));
        known.min_by_key(|known| ((*known as u8).abs_diff(self as u8), *known as u8))
    }

    /// A budget in tokens that stands for the effort where only budgets are understood. Using it is
    /// reported as approximated.
    ///
    /// | effort | tokens | why |
    /// |---|---|---|
    /// | minimal | 1,024 | the least that Anthropic accepts |
    /// | low | 2,048 | |
    /// | medium | 8,192 | as in Google's compatible route |
    /// | high | 24,576 | as in Google's compatible route |
    /// | xhigh | 32,768 | the most that Gemini accepts |
    /// | max | 63,999 | one less than the output cap of models that have it |
    pub const fn budget(self) -> u64 {
        match self {
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 24_576,
            Self::XHigh => 32_768,
            Self::Max => 63_999,
        }
    }

    /// The effort that stands for a budget where only words are understood: the one whose own budget is
    /// nearest, in proportion. Using it is reported as approximated.
    pub fn of_budget(tokens: u64) -> Self {
        let tokens = u128::from(tokens);
        let is_nearer = |pair: &&[Self]| match pair {
            [less, more] => tokens * tokens <= u128::from(less.budget()) * u128::from(more.budget()),
            _ => false,
        };
        Self::ALL.windows(2).find(is_nearer).and_then(|pair| pair.first()).copied().unwrap_or(Self::Max)
    }
}

/// How much of the reasoning the client wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Hidden,
    /// What the provider has to show.
    Auto,
    /// A short summary.
    Concise,
    /// A long summary.
    Detailed,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_effort_is_what_its_budget_stands_for() {
        for effort in Effort::ALL {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
            assert_eq!(Effort::from_name(effort.as_str()), Some(effort));
        }
        assert_eq!(Effort::of_budget(0), Effort::Minimal);
        assert_eq!(Effort::of_budget(2_000), Effort::Low);
        assert_eq!(Effort::of_budget(16_000), Effort::High);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
    }

    proptest! {
        #[test]
        fn a_proof_comes_back_from_any_client(
            format in prop::sample::select(vec![Proof::ANTHROPIC, Proof::OPENAI, Proof::GEMINI]),
            own in prop::sample::select(vec![Proof::ANTHROPIC, Proof::OPENAI, Proof::GEMINI]),
            is_sealed in any::<bool>(), own_sealed in any::<bool>(), data in "(wb\\.proof)?[ -~]{0,12}",
            id in proptest::option::of("[a-z]{1,3}_[0-9]{1,3}"),
        ) {
            let kind = |sealed| if sealed { ProofKind::Sealed } else { ProofKind::Signature };
            let proof = Proof { format: format.into(), kind: kind(is_sealed), data: data.into() };
            let token = proof.token(own, kind(own_sealed), id.as_deref());
            let (back, id_back) = Proof::from_token(token, own, kind(own_sealed));
            prop_assert_eq!(&back, &proof);
            prop_assert_eq!(id_back.as_deref(), id.as_deref());
        }
    }
}
