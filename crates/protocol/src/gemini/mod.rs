//! Gemini generateContent: <https://ai.google.dev/api/generate-content>.

pub mod envelope;
