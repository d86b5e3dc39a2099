//! Embeddings: numbers that are a function of a text.

use serde_json::Value;

use crate::price::Model;
use crate::scatter::Scatter;

/// An answer of an embedding API, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embedding {
    pub(crate) model: &'static Model,
    /// Of the texts.
    pub(crate) tokens: u64,
    pub(crate) answer: Value,
    /// Whether the answer says how many they are.
    pub(crate) told: bool,
}

impl Embedding {
    /// Leaves out what the answer says of the usage.
    pub(crate) fn hide_usage(&mut self) {
        self.told = false;
        if let Some(fields) = self.answer.as_object_mut() {
            fields.retain(|name, _| !name.starts_with("usage") && name != "inputTextTokenCount");
        }
    }
}

/// A vector of length one for a text; as many numbers as wanted, or as the model gives.
pub(crate) fn vector(model: &Model, text: &str, wanted: Option<usize>) -> Vec<f32> {
    let mut scatter = Scatter::of_bytes(format!("{}\n{text}", model.family).as_bytes());
    let size = wanted.or(model.dimensions).unwrap_or(1);
    // Steps of 2^-16 from -1 to 1.
    let raw: Vec<f64> = (0..size).map(|_| (scatter.below(1 << 17) as f64 - 65_535.5) / 65_536.0).collect();
    let length = raw.iter().map(|number| number * number).sum::<f64>().sqrt();
    raw.iter().map(|number| (number / length) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vendor;

    #[test]
    fn vectors_have_length_one_and_depend_on_the_text() {
        let model = crate::price::model(Vendor::Google, "gemini-embedding-001").expect("served");
        let one = vector(model, "a", None);
        assert_eq!((one.len(), vector(model, "a", Some(7)).len()), (3_072, 7));
        let length = one.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        assert_eq!(one, vector(model, "a", None));
        assert_ne!(one, vector(model, "b", None));
    }
}
