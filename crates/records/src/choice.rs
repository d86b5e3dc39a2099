use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use crate::redaction::redact;

/// How a request's first target was chosen among several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceRecord {
    /// The random number that the strategies were given, in 16 hexadecimal digits.
    #[serde(serialize_with = "hexadecimal")]
    pub seed: u64,
    /// How many targets there were to choose from.
    pub candidates: usize,
    /// The chosen one, then those that came furthest: few, however many there were.
    pub scores: CandidateScores,
}

/// Candidates and how they fared, each as `target`, `score` and `by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateScores {
    /// The names of all targets of the route: shared, so that a record copies none.
    pub names: Arc<[Arc<str>]>,
    /// By the position of their names.
    pub scores: Vec<CandidateScore>,
}

/// How a candidate fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateScore {
    /// Where its name stands.
    pub position: usize,
    /// Its score, least being best; what it counts is the strategy's own.
    pub score: i64,
    /// The last strategy that looked at it.
    pub by: &'static str,
}

fn hexadecimal<S: Serializer>(seed: &u64, to: S) -> Result<S::Ok, S::Error> {
    // Beyond 2^53, readers of JSON may round a number.
    to.collect_str(&format_args!("{seed:016x}"))
}

impl Serialize for CandidateScores {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Written<'a>(&'a str, &'a CandidateScore);
        impl Serialize for Written<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut score = to.serialize_struct("CandidateScore", 3)?;
                score.serialize_field("target", &redact(self.0))?;
                score.serialize_field("score", &self.1.score)?;
                score.serialize_field("by", self.1.by)?;
                score.end()
            }
        }
        let mut seq = to.serialize_seq(None)?;
        for score in &self.scores {
            if let Some(name) = self.names.get(score.position) {
                seq.serialize_element(&Written(name, score))?;
            }
        }
        seq.end()
    }
}
