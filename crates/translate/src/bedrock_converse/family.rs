//! Whose model it is, as far as requests for it differ.

/// Whose model it is. The format is one, but some wishes stand in fields of the model's own, and some
/// rules are the model's.
///
/// | what | Claude | Nova | GPT | Mistral | others, and ids that do not tell |
/// |---|---|---|---|---|---|
/// | reasoning | `thinking`, `outputConfig.effort` | `reasoningConfig` (from Nova 2) | `reasoning_effort` | – | – |
/// | `top_k` | `top_k` | `inferenceConfig.topK` | – | `top_k` | – |
/// | one call per turn | `tool_choice` | – | – | – | – |
/// | instructions between turns | from 4.8 | – | – | – | – |
/// | may begin with the model's turn | yes | – | – | – | – |
///
/// All names but `outputConfig` stand in `additionalModelRequestFields`.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic, with the version.
    Claude(Version),
    /// Amazon Nova, of the first generation.
    Nova,
    /// Amazon Nova, which reasons.
    Nova2,
    /// OpenAI's own models.
    Gpt,
    /// OpenAI's models with open weights, which know fewer efforts.
    GptOss,
    /// Mistral AI.
    Mistral,
    /// Somebody else, or an id that does not tell: an application's inference profile.
    Other,
}

/// A version of Claude, such as 4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u16, pub(super) u16);

impl Family {
    /// The family of a model's id, a profile's id or an ARN.
    pub(super) fn of(model: &str) -> Self {
        if let Some((_, name)) = model.split_once("claude-") {
            Self::Claude(version(name))
        } else if model.contains("amazon.nova-2") {
            Self::Nova2
        } else if model.contains("amazon.nova") {
            Self::Nova
        } else if model.contains("openai.gpt-oss") {
            Self::GptOss
        } else if model.contains("openai.") {
            Self::Gpt
        } else if model.contains("mistral.") {
            Self::Mistral
        } else {
            Self::Other
        }
    }

    /// Whether instructions may stand between the turns of a conversation.
    pub(super) fn takes_late_instructions(self) -> bool {
        matches!(self, Self::Claude(version) if version >= Version(4, 8))
    }

    /// Whether a temperature and `topP` may stand in one request.
    pub(super) fn takes_both_samplings(self) -> bool {
        !matches!(self, Self::Claude(version) if version >= Version(4, 1))
    }

    /// Whether a conversation may begin with a turn of the model.
    pub(super) const fn may_begin_with_the_model(self) -> bool {
        matches!(self, Self::Claude(_))
    }

    /// Whether the model may be the one that signed or sealed reasoning as Anthropic does.
    pub(super) const fn may_know_anthropic_proofs(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Other)
    }
}

/// The first two numbers of a name such as `sonnet-4-5-20250929-v1:0` or `3-haiku-20240307-v1:0`. Dates
/// are no part of a version, and names without numbers are older than those with.
fn version(name: &str) -> Version {
    let number = |piece: &str| piece.parse::<u16>().ok().filter(|number| *number < 100);
    let mut pieces = name.split('-').skip_while(|piece| number(piece).is_none());
    let major = pieces.next().and_then(number).unwrap_or(2);
    Version(major, pieces.next().and_then(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_versions_are_read_off_the_id() {
        let claude = |major, minor| Family::Claude(Version(major, minor));
        for (model, family) in [
            ("anthropic.claude-v2:1", claude(2, 0)),
            ("anthropic.claude-3-haiku-20240307-v1:0", claude(3, 0)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", claude(3, 7)),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", claude(4, 0)),
            ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", claude(4, 5)),
            ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-8", claude(4, 8)),
            ("us.anthropic.claude-sonnet-5", claude(5, 0)),
            ("us.amazon.nova-micro-v1:0", Family::Nova),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("us.openai.gpt-5.6-v1", Family::Gpt),
            ("us.mistral.pixtral-large-2502-v1:0", Family::Mistral),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", Family::Other),
            ("minimax.minimax-m2", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
        assert!(!Family::of("anthropic.claude-sonnet-4-5").takes_late_instructions());
        assert!(Family::of("anthropic.claude-opus-4-8").takes_late_instructions());
    }
}
