//! Providers and models as data: what is known before anybody configures anything.
//!
//! - [`preset`]: where a provider is, what it speaks, how it wants its key.
//! - [`model`]: how much a model takes in and gives out. Prices are in the price book
//!   (`weighbridge-pricing`), under the same names.
//! - [`traits`]: what a model takes and does, what it does not, and when it is shut down.
//! - [`prompt_cache`]: from which length a model caches a prompt that is marked for it.
//! - [`continues`]: whether a model goes on from the beginning of an answer.
//! - [`known_names`]: what its vendor calls it, and what else.
//! - [`near`]: the names that somebody probably meant.
//!
//! Nothing here is a limit on what may be configured: a provider without a preset names its own
//! address, and a model that is not listed is simply one whose limits are unknown.
//!
//! ```
//! use weighbridge_catalogue::{AuthStyle, model, preset};
//!
//! let anthropic = preset("anthropic").expect("it is built in");
//! assert_eq!(anthropic.auth, AuthStyle::XApiKey);
//! assert_eq!(anthropic.spoken[0].path.as_str(), "/v1/messages");
//!
//! // A dated snapshot has the limits of its family.
//! let haiku = model("anthropic", "claude-haiku-4-5-20251001").expect("it is listed");
//! assert_eq!((haiku.context_window, haiku.max_output), (200_000, 64_000));
//! ```

mod continues;
mod hosts;
mod limits;
mod model;
mod near;
mod preset;
mod prompt_cache;
mod spoken;
mod traits;
mod vendors;

pub use continues::{Continues, continues};
pub use model::{ModelInfo, known_names, model, models};
pub use near::near;
pub use preset::{AuthStyle, Preset, preset, presets};
pub use prompt_cache::{PromptCacheInfo, prompt_cache};
pub use spoken::{ModelFilter, PathTemplate, Spoken};
pub use traits::{Traits, traits};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use weighbridge_units::Protocol;

    use super::*;

    #[test]
    fn every_model_is_listed_once_and_makes_sense() {
        for preset in presets() {
            let mut seen = HashSet::new();
            for info in models(preset.name) {
                assert!(seen.insert(info.id), "{} is listed twice", info.id);
                assert_eq!(info.provider, preset.name);
                assert_eq!(model(preset.name, info.id), Some(info));
                assert!((1_024..=info.context_window).contains(&info.max_output), "{info:?}");
                assert!(info.context_window <= 2_000_000, "{info:?}");
            }
        }
        assert!(models("openai").count() > 60);
        assert!(models("anthropic").count() > 25);
        assert_eq!(models("openai-compatible").count(), 0);
        // Neither source says how much Perplexity's models take in; hosts serve what they like.
        for name in
            ["openai", "anthropic", "gemini", "vertex", "bedrock", "azure", "mistral", "groq", "together"]
        {
            assert!(models(name).next().is_some(), "{name}");
        }
    }

    #[test]
    fn snapshots_have_the_limits_of_their_family_unless_listed() {
        assert_eq!(model("openai", "gpt-4o-2024-08-06").map(|m| m.max_output), Some(16_384));
        assert_eq!(model("openai", "gpt-4o-2024-05-13").map(|m| m.max_output), Some(4_096));
        assert_eq!(model("anthropic", "claude-3-5-haiku-20241022").map(|m| m.id), Some("claude-3-5-haiku"));
        let profile = model("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0");
        assert_eq!(profile.map(|m| m.max_output), Some(64_000));
        assert_eq!(model("gemini", "gemini-2.5-pro").map(|m| m.context_window), Some(1_048_576));
        assert_eq!(model("mistral", "codestral-2508").map(|m| m.context_window), Some(256_000));
        assert_eq!(model("groq", "openai/gpt-oss-120b").map(|m| m.max_output), Some(65_536));
        assert_eq!(model("xai", "grok-4.7-latest"), model("xai", "grok-4.7"));
        assert!(model("xai", "grok-4.7-latest").is_some());
        assert_eq!(model("openai", "grok-4.7-latest"), None);
        assert_eq!(model("vertex@regional", "gemini-2.5-pro"), model("vertex", "gemini-2.5-pro"));
        assert_eq!(models("vertex@regional").count(), models("vertex").count());
        assert_eq!(model("openai", "claude-haiku-4-5"), None);
        assert_eq!(model("openai", "gpt-4o-typo"), None);
    }

    #[test]
    fn presets_are_whole() {
        for wanted in presets() {
            assert_eq!(preset(wanted.name), Some(wanted));
            assert!(!wanted.spoken.is_empty());
            for spoken in wanted.spoken {
                assert!(spoken.path.as_str().starts_with('/'));
                assert!(spoken.stream_path.as_str().starts_with('/'));
            }
            let is_local = |url: &str| url.starts_with("http://127.0.0.1:") && wanted.env_vars.is_empty();
            let fits = |url: &str| (url.starts_with("https://") || is_local(url)) && !url.ends_with('/');
            assert!(wanted.base_url.is_none_or(fits), "{wanted:?}");
            let mut pages = wanted.docs.iter().chain(wanted.unread);
            assert!(pages.clone().next().is_some() && pages.all(|page| page.starts_with("https://")));
            assert_eq!(wanted.unread.is_empty(), wanted.instead.is_empty(), "{wanted:?}");
            assert_eq!(presets().iter().filter(|other| other.name == wanted.name).count(), 1);
            for quirks in wanted.spoken.iter().map(|spoken| spoken.quirks) {
                let is_renamed =
                    |name: &str| quirks.renamed.iter().any(|(ours, theirs)| [*ours, *theirs].contains(&name));
                assert!(!quirks.refused.iter().any(|name| is_renamed(name)), "{wanted:?}");
            }
            for (name, value) in wanted.headers {
                assert_eq!(*name, name.to_lowercase());
                assert!(!value.is_empty());
            }
        }
        assert_eq!(preset("OpenAI"), None);
        assert_eq!(preset("groq").unwrap().protocol(), Protocol::OpenAiChat);
        let unasked = presets().iter().filter(|preset| preset.spoken[0].usage_unasked);
        assert_eq!(unasked.map(|preset| preset.name).collect::<Vec<_>>(), ["mistral", "cohere"]);
        assert_eq!(preset("perplexity").unwrap().protocol(), Protocol::OpenAiResponses);
        let vertex = preset("vertex").unwrap();
        assert_eq!(vertex.places().collect::<Vec<_>>(), ["region", "project"]);
        assert_eq!(vertex.base_url_in(Some("eu"), None), None);
        let global = vertex.base_url_in(Some("global"), Some("p")).unwrap();
        assert_eq!(global, "https://aiplatform.googleapis.com/v1/projects/p/locations/global");
    }
}
