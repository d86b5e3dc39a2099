//! The translator alone: a request on a JSON file (or the one below) from one protocol to another,
//! with everything that could not be carried over.
//!
//! ```console
//! $ cargo run -p weighbridge-examples --example translate_file -- request.json
//! ```

use std::error::Error;

use weighbridge_translate::{RequestTarget, request};
use weighbridge_units::Protocol;

const SAMPLE: &str = r#"{
    "model": "support",
    "seed": 7,
    "messages": [
        { "role": "system", "content": "Answer in one word." },
        { "role": "user", "content": "What is the capital of France?" }
    ],
    "tools": [{ "type": "function", "function": { "name": "atlas", "parameters": { "type": "object" } } }]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => SAMPLE.to_owned(),
    };
    let target = RequestTarget { max_output_default: 1024, ..RequestTarget::new("claude-haiku-4-5") };
    let translated = request(Protocol::OpenAiChat, Protocol::AnthropicMessages, &text, &target)?;
    println!("{}", String::from_utf8(translated.value)?);
    for loss in &translated.losses {
        eprintln!("{loss} (needed: {})", loss.needed);
    }
    Ok(())
}
