//! What Gemini's models accept, as far as a request depends on it and their names tell.
//!
//! <https://ai.google.dev/gemini-api/docs/thinking>

/// Whether a model is told how hard to think in words (`thinkingLevel`), as those of Gemini 3 and later
/// are, or in tokens (`thinkingBudget`), as those before are, which refuse words.
///
/// ```
/// use weighbridge_protocol::gemini::models::thinks_in_levels;
///
/// assert!(thinks_in_levels("gemini-3-flash-preview"));
/// assert!(!thinks_in_levels("models/gemini-2.5-flash-lite"));
/// assert!(thinks_in_levels("some-model-of-tomorrow"));
/// ```
pub fn thinks_in_levels(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    !["gemini-1.", "gemini-2.", "gemini-robotics-er-1."].iter().any(|old| name.starts_with(old))
}
