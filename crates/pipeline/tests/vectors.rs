//! Vectors: every client's format against every provider that makes them, and their costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use weighbridge_pipeline::settings::UnknownModel;
use weighbridge_simulator::Fault;
use world::{Answer, World};

/// A model at each provider, how many texts it takes at once, and whether it takes a number of dimensions.
const MODELS: [(&str, usize, bool); 11] = [
    ("openai/text-embedding-3-small", 2_048, true),
    ("openai-responses/text-embedding-3-small", 2_048, true),
    ("azure/text-embedding-3-small", 2_048, true),
    ("azure-dated/text-embedding-3-small", 2_048, true),
    ("gemini/gemini-embedding-2", 100, true),
    ("vertex/gemini-embedding-001", 100, true),
    ("vertex/gemini-embedding-2", 100, true),
    ("bedrock/amazon.titan-embed-text-v1", 1, false),
    ("bedrock/amazon.titan-embed-text-v2:0", 1, true),
    ("bedrock/cohere.embed-multilingual-v3", 96, false),
    ("bedrock/us.cohere.embed-v4:0", 96, true),
];

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Floats,
    Base64,
    Embed,
    BatchEmbed,
}

const FORMATS: [Format; 4] = [Format::Floats, Format::Base64, Format::Embed, Format::BatchEmbed];

impl Format {
    /// Path and body of a request.
    fn ask(self, model: &str, texts: &[&str], size: Option<u64>) -> (String, Value) {
        let content = |text: &str| {
            let mut one = json!({ "content": { "parts": [{ "text": text }] } });
            size.into_iter().for_each(|size| one["outputDimensionality"] = json!(size));
            one
        };
        match self {
            Self::Floats | Self::Base64 => {
                let encoding = if self == Self::Floats { "float" } else { "base64" };
                let mut body = json!({ "model": model, "input": texts, "encoding_format": encoding });
                size.into_iter().for_each(|size| body["dimensions"] = json!(size));
                ("/v1/embeddings".to_owned(), body)
            }
            Self::Embed => (format!("/v1beta/models/{model}:embedContent"), content(texts[0])),
            Self::BatchEmbed => {
                let request = |text: &&str| {
                    let mut one = content(text);
                    one["model"] = json!(format!("models/{model}"));
                    one
                };
                let requests: Vec<Value> = texts.iter().map(request).collect();
                (format!("/v1beta/models/{model}:batchEmbedContents"), json!({ "requests": requests }))
            }
        }
    }

    /// The vectors of an answer.
    fn vectors(self, answer: &Answer) -> Vec<Vec<f32>> {
        let body = answer.json();
        let list = |values: &Value| -> Vec<f32> {
            let numbers = values.as_array().unwrap_or_else(|| panic!("{body}"));
            numbers.iter().map(|number| number.as_f64().unwrap() as f32).collect()
        };
        let data = |read: &dyn Fn(&Value) -> Vec<f32>| {
            let data = body["data"].as_array().unwrap_or_else(|| panic!("{body}"));
            data.iter().map(|one| read(&one["embedding"])).collect()
        };
        match self {
            Self::Floats => data(&list),
            Self::Base64 => data(&|text| decoded(text.as_str().unwrap_or_else(|| panic!("{body}")))),
            Self::Embed => vec![list(&body["embedding"]["values"])],
            Self::BatchEmbed => {
                let all = body["embeddings"].as_array().unwrap_or_else(|| panic!("{body}"));
                all.iter().map(|one| list(&one["values"])).collect()
            }
        }
    }
}

/// Base64 of numbers of 32 bits, least significant byte first.
fn decoded(text: &str) -> Vec<f32> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').bytes();
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (place, digit) in digits.enumerate() {
        bits = bits << 6 | ALPHABET.iter().position(|known| *known == digit).unwrap() as u32;
        if place % 4 != 0 {
            bytes.push((bits >> (6 - 2 * (place % 4))) as u8);
        }
    }
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_format_gets_the_same_vectors_and_is_billed_as_invoiced() {
    for (model, most, sized) in MODELS {
        let mut seen: Option<Vec<f32>> = None;
        for format in FORMATS {
            let world = World::new();
            let many = most > 1 && format != Format::Embed;
            let texts =
                if many { &["Grüße, \"world\"", "another text"][..] } else { &["Grüße, \"world\""] };
            let size = sized.then_some(256);
            let (path, body) = format.ask(model, texts, size);
            let answer = world.post(&path, &body).await;
            let case = format!("{model} {format:?}: {}", answer.text());
            assert_eq!(answer.status, 200, "{case}");
            let vectors = format.vectors(&answer);
            assert_eq!(vectors.len(), texts.len(), "{case}");
            assert!(size.is_none_or(|size| vectors.iter().all(|one| one.len() as u64 == size)), "{case}");
            let first = seen.get_or_insert_with(|| vectors[0].clone());
            assert!(*first == vectors[0], "{case}");

            let lines = world.invoice();
            assert_eq!(lines.len(), 1, "{case}");
            if let Format::Floats | Format::Base64 = format {
                assert_eq!(answer.json()["usage"]["prompt_tokens"], lines[0].usage.input, "{case}");
            }
            let record = world.record(&answer).await;
            let attempt = &record["attempts"][0];
            assert_eq!(attempt["provenance"], "reported", "{case}: {record}");
            let cost = format!("0.{:09}", lines[0].nano_usd);
            assert_eq!(attempt["cost_usd"], cost.as_str(), "{case}: {record}");
            assert_eq!(attempt["attempt"], lines[0].attempt.unwrap().to_string(), "{case}");
            assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_texts_than_a_provider_takes_are_refused_before_they_are_sent() {
    for (model, most, _) in MODELS {
        let world = World::new();
        let texts = vec!["a text"; most + 1];
        let (path, body) = Format::Floats.ask(model, &texts, None);
        let answer = world.post(&path, &body).await;
        assert_eq!(answer.status, 400, "{model}: {}", answer.text());
        assert!(world.invoice().is_empty(), "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn googles_older_models_are_asked_by_predict_and_have_no_price_by_tokens() {
    let model = "vertex/text-embedding-005";
    for format in FORMATS {
        let world = World::with_settings(1, |settings| settings.unknown_model = UnknownModel::ZeroAndFlag);
        let (path, body) = format.ask(model, &["a text"], Some(64));
        let answer = world.post(&path, &body).await;
        assert_eq!(answer.status, 200, "{format:?}: {}", answer.text());
        assert_eq!(format.vectors(&answer)[0].len(), 64, "{format:?}");
        assert!(world.google.requests()[0].target.ends_with("/models/text-embedding-005:predict"));
        let strict = World::new();
        assert_eq!(strict.post(&path, &body).await.status, 404, "{format:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_nobody_tells_are_estimated() {
    let mut models: Vec<&str> = MODELS.iter().map(|(model, ..)| *model).collect();
    models.push("gemini/gemini-embedding-001");
    for model in models.into_iter().filter(|model| !model.starts_with("vertex")) {
        for format in FORMATS {
            let world = World::new();
            world.simulators().iter().for_each(|simulator| simulator.push_fault(Fault::NoUsage));
            let (path, body) = format.ask(model, &["a text"], None);
            let answer = world.post(&path, &body).await;
            let case = format!("{model} {format:?}: {}", answer.text());
            assert_eq!(answer.status, 200, "{case}");
            let record = world.record(&answer).await;
            assert_eq!(record["attempts"][0]["provenance"], "estimated", "{case}: {record}");
            assert_ne!(record["attempts"][0]["cost_usd"], "0.000000000", "{case}: {record}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_told_and_classed_as_those_of_conversations() {
    for (model, ..) in MODELS {
        for format in FORMATS {
            for (code, status, class) in
                [(429, 429, "rate-limit"), (503, 503, "overloaded"), (403, 502, "permission")]
            {
                let world = World::new();
                let fault = Fault::Status { code, retry_after: Some(5) };
                for _ in 0..2 {
                    world.simulators().iter().for_each(|simulator| simulator.push_fault(fault.clone()));
                }
                let (path, body) = format.ask(model, &["a text"], None);
                let answer = world.post(&path, &body).await;
                let case = format!("{model} {format:?} {code}: {}", answer.text());
                assert_eq!(answer.status, status, "{case}");
                assert!(answer.json()["error"]["message"].is_string(), "{case}");
                let record = world.record(&answer).await;
                assert_eq!(record["attempts"][0]["error"], class, "{case}: {record}");
                if code == 429 {
                    assert_eq!(answer.header("retry-after"), Some("5"), "{case}");
                }
            }
        }
    }
}
