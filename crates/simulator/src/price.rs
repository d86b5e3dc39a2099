//! The simulated vendors' price list and their arithmetic, in integers.
//!
//! The figures are written down a second time on purpose, in another unit and another form than the
//! price book's: this is the side that the ledger is compared with.

use crate::{BilledUsage, Vendor};

/// A model that a simulated vendor serves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) vendor: Vendor,
    /// The name without a date.
    pub(crate) family: &'static str,
    /// The name that answers carry.
    pub(crate) snapshot: &'static str,
    pub(crate) context_window: u64,
    pub(crate) max_output: u64,
    /// Whether it thinks before it answers; OpenAI's then refuse sampling parameters.
    pub(crate) reasons: bool,
    /// Numbers of an embedding, if the model makes those and no texts.
    pub(crate) dimensions: Option<usize>,
    rates: Rates,
    /// Rates of the whole request once its prompt has more tokens than this.
    long: Option<(u64, Rates)>,
}

/// Pico-dollars per token. 1 µ$ per million tokens is 1 p$ per token, so "$0.15 per million" is
/// 150,000 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    input: i128,
    cache_read: i128,
    cache_write_5m: i128,
    cache_write_1h: i128,
    output: i128,
}

const fn openai(input: i128, cache_read: i128, output: i128) -> Rates {
    Rates { input, cache_read, cache_write_5m: input, cache_write_1h: input, output }
}

/// Anthropic prices its cache in proportion: a read is a tenth of the input, a write is five
/// quarters (five minutes) or twice (one hour) of it.
const fn anthropic(input: i128, output: i128) -> Rates {
    Rates { input, cache_read: input / 10, cache_write_5m: input / 4 * 5, cache_write_1h: input * 2, output }
}

const fn chat(family: &'static str, snapshot: &'static str, rates: Rates) -> Model {
    Model {
        vendor: Vendor::OpenAi,
        family,
        snapshot,
        context_window: 128_000,
        max_output: 16_384,
        reasons: false,
        dimensions: None,
        rates,
        long: None,
    }
}

const fn claude(family: &'static str, snapshot: &'static str, rates: Rates) -> Model {
    Model {
        vendor: Vendor::Anthropic,
        family,
        snapshot,
        context_window: 200_000,
        max_output: 64_000,
        reasons: false,
        dimensions: None,
        rates,
        long: None,
    }
}

const fn gemini(family: &'static str, rates: Rates) -> Model {
    Model {
        vendor: Vendor::Google,
        family,
        snapshot: family,
        context_window: 1_048_576,
        max_output: 65_536,
        reasons: true,
        dimensions: None,
        rates,
        long: None,
    }
}

const fn nova(family: &'static str, window: u64, rates: Rates) -> Model {
    Model {
        vendor: Vendor::Aws,
        family,
        snapshot: family,
        context_window: window,
        max_output: 10_000,
        reasons: false,
        dimensions: None,
        rates,
        long: None,
    }
}

/// A model of Anthropic's behind an inference profile.
const fn profile(family: &'static str, rates: Rates) -> Model {
    Model { vendor: Vendor::Aws, snapshot: family, ..claude(family, family, rates) }
}

/// A model that turns texts into numbers, for a price per token of the text.
const fn embedding(
    vendor: Vendor,
    family: &'static str,
    window: u64,
    dimensions: usize,
    input: i128,
) -> Model {
    Model {
        vendor,
        family,
        snapshot: family,
        context_window: window,
        max_output: 0,
        reasons: false,
        dimensions: Some(dimensions),
        rates: openai(input, input, 0),
        long: None,
    }
}

/// What is served. Figures: PyPI `genai-prices` 0.2.3 (November 2026).
static MODELS: [Model; 32] = [
    chat("gpt-4o-mini", "gpt-4o-mini-2024-07-18", openai(150_000, 75_000, 600_000)),
    chat("gpt-4o", "gpt-4o-2024-08-06", openai(2_500_000, 1_250_000, 10_000_000)),
    Model {
        context_window: 1_047_576,
        max_output: 32_768,
        ..chat("gpt-4.1", "gpt-4.1-2025-04-14", openai(2_000_000, 500_000, 8_000_000))
    },
    Model {
        context_window: 1_047_576,
        max_output: 32_768,
        ..chat("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", openai(400_000, 100_000, 1_600_000))
    },
    Model {
        context_window: 1_047_576,
        max_output: 32_768,
        ..chat("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14", openai(100_000, 25_000, 400_000))
    },
    Model {
        context_window: 400_000,
        max_output: 128_000,
        reasons: true,
        ..chat("gpt-5-mini", "gpt-5-mini-2025-08-07", openai(250_000, 25_000, 2_000_000))
    },
    Model {
        context_window: 400_000,
        max_output: 128_000,
        reasons: true,
        ..chat("gpt-5", "gpt-5-2025-08-07", openai(1_250_000, 125_000, 10_000_000))
    },
    claude("claude-haiku-4-5", "claude-haiku-4-5-20251001", anthropic(1_000_000, 5_000_000)),
    Model {
        context_window: 1_000_000,
        long: Some((200_000, anthropic(6_000_000, 22_500_000))),
        ..claude("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", anthropic(3_000_000, 15_000_000))
    },
    claude("claude-opus-4-5", "claude-opus-4-5-20251101", anthropic(5_000_000, 25_000_000)),
    Model {
        max_output: 32_000,
        ..claude("claude-opus-4-1", "claude-opus-4-1-20250805", anthropic(15_000_000, 75_000_000))
    },
    gemini("gemini-2.5-flash", openai(300_000, 30_000, 2_500_000)),
    Model { reasons: false, ..gemini("gemini-2.5-flash-lite", openai(100_000, 10_000, 400_000)) },
    Model {
        long: Some((200_000, openai(2_500_000, 250_000, 15_000_000))),
        ..gemini("gemini-2.5-pro", openai(1_250_000, 125_000, 10_000_000))
    },
    gemini("gemini-3.5-flash", openai(1_500_000, 150_000, 9_000_000)),
    Model {
        vendor: Vendor::Google,
        ..claude("claude-haiku-4-5", "claude-haiku-4-5@20251001", anthropic(1_000_000, 5_000_000))
    },
    Model {
        vendor: Vendor::Google,
        long: Some((200_000, anthropic(6_000_000, 22_500_000))),
        ..claude("claude-sonnet-4-5", "claude-sonnet-4-5@20250929", anthropic(3_000_000, 15_000_000))
    },
    embedding(Vendor::Google, "gemini-embedding-001", 2_048, 3_072, 150_000),
    embedding(Vendor::Google, "gemini-embedding-2", 8_192, 3_072, 200_000),
    nova("amazon.nova-lite-v1:0", 300_000, openai(60_000, 15_000, 240_000)),
    nova("amazon.nova-micro-v1:0", 128_000, openai(35_000, 8_750, 140_000)),
    profile("global.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic(1_000_000, 5_000_000)),
    profile("us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic(1_100_000, 5_500_000)),
    profile("global.anthropic.claude-sonnet-4-5-20250929-v1:0", anthropic(3_000_000, 15_000_000)),
    embedding(Vendor::OpenAi, "text-embedding-3-small", 8_192, 1_536, 20_000),
    embedding(Vendor::OpenAi, "text-embedding-3-large", 8_192, 3_072, 130_000),
    // Google bills characters; this is litellm's figure for tokens.
    embedding(Vendor::Google, "text-embedding-005", 2_048, 768, 100_000),
    embedding(Vendor::Aws, "amazon.titan-embed-text-v2:0", 8_192, 1_024, 20_000),
    embedding(Vendor::Aws, "amazon.titan-embed-text-v1", 8_192, 1_536, 100_000),
    embedding(Vendor::Aws, "cohere.embed-multilingual-v3", 512, 1_024, 100_000),
    embedding(Vendor::Aws, "cohere.embed-v4:0", 128_000, 1_536, 120_000),
    embedding(Vendor::Aws, "us.cohere.embed-v4:0", 128_000, 1_536, 120_000),
];

/// The model of that name, dated or not, if the vendor serves it.
pub(crate) fn model(vendor: Vendor, name: &str) -> Option<&'static Model> {
    models(vendor).find(|model| model.family == name || model.snapshot == name)
}

/// What a vendor serves. Azure has OpenAI's models, for OpenAI's prices.
pub(crate) fn models(vendor: Vendor) -> impl Iterator<Item = &'static Model> {
    let vendor = if vendor == Vendor::Azure { Vendor::OpenAi } else { vendor };
    MODELS.iter().filter(move |model| model.vendor == vendor)
}

impl Model {
    /// The price in whole nano-dollars, rounded once, half to even.
    pub(crate) fn price(&self, usage: &BilledUsage) -> i64 {
        let rates = match self.long {
            Some((threshold, rates)) if usage.prompt() > threshold => rates,
            _ => self.rates,
        };
        let pico_usd = i128::from(usage.input) * rates.input
            + i128::from(usage.cache_read) * rates.cache_read
            + i128::from(usage.cache_write_5m) * rates.cache_write_5m
            + i128::from(usage.cache_write_1h) * rates.cache_write_1h
            + i128::from(usage.answer()) * rates.output;
        i64::try_from(half_even(pico_usd)).unwrap_or(i64::MAX)
    }
}

/// Pico-dollars to nano-dollars.
fn half_even(pico_usd: i128) -> i128 {
    let (whole, rest) = (pico_usd.div_euclid(1_000), pico_usd.rem_euclid(1_000));
    match rest.cmp(&500) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole.rem_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_out_as_published() {
        let usage = BilledUsage { input: 1_000_000, output: 1_000_000, ..BilledUsage::default() };
        let price = |vendor, name| model(vendor, name).map(|model| model.price(&usage));
        assert_eq!(price(Vendor::OpenAi, "gpt-4o-mini"), Some(750_000_000));
        assert_eq!(price(Vendor::Anthropic, "claude-haiku-4-5-20251001"), Some(6_000_000_000));
        assert_eq!(price(Vendor::OpenAi, "claude-haiku-4-5"), None);

        let cached =
            BilledUsage { cache_read: 10, cache_write_5m: 10, cache_write_1h: 10, ..BilledUsage::default() };
        let haiku = model(Vendor::Anthropic, "claude-haiku-4-5").expect("served");
        assert_eq!(haiku.price(&cached), 1_000 + 12_500 + 20_000);
    }

    #[test]
    fn m6_a_long_prompt_is_dearer_from_the_first_token_above_the_threshold() {
        let sonnet = model(Vendor::Anthropic, "claude-sonnet-4-5").expect("served");
        let prompt = |input| sonnet.price(&BilledUsage { input, ..BilledUsage::default() });
        assert_eq!(prompt(200_000), 600_000_000);
        assert_eq!(prompt(200_001), 1_200_006_000);
    }

    #[test]
    fn m3_rounding_is_half_to_even() {
        let rounded = [499, 500, 501, 1_499, 1_500, 2_500].map(half_even);
        assert_eq!(rounded, [0, 0, 1, 1, 2, 2]);
    }
}
