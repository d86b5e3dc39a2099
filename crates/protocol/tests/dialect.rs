//! What houses want changed in requests that pass as they came.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use bytes::Bytes;
use weighbridge_protocol::json::ScanLimits;
use weighbridge_protocol::{Body, Dialect};
use weighbridge_units::Protocol;

/// The body as the house gets it, and the losses.
fn edited(dialect: Dialect, protocol: Protocol, betas: &[&str], body: &str) -> (String, Vec<String>) {
    let body = Body::scan(Bytes::copy_from_slice(body.as_bytes()), &ScanLimits::default()).unwrap();
    let mut edits = body.edit();
    edits.set("model", "\"theirs\"");
    let losses = dialect.edit(protocol, betas.iter().copied(), &mut edits);
    (
        String::from_utf8(edits.rope().concat()).unwrap(),
        losses.iter().map(|loss| format!("{loss} (needed: {})", loss.needed)).collect(),
    )
}

/// As [`edited`], for Anthropic's format where nothing is lost.
fn sent(dialect: Dialect, betas: &[&str], body: &str) -> String {
    let (sent, losses) = edited(dialect, Protocol::AnthropicMessages, betas, body);
    assert_eq!(losses, <[&str; 0]>::default());
    sent
}

const BODY: &str = r#"{"model": "ours", "max_tokens": 10, "stream": true, "messages": []}"#;

#[test]
fn vertex_has_the_model_in_the_path_and_the_version_in_the_body() {
    assert_eq!(
        sent(Dialect::Vertex, &["a-1"], BODY),
        r#"{"max_tokens": 10, "stream": true, "messages": [],"anthropic_version":"vertex-2023-10-16"}"#,
    );
}

#[test]
fn bedrock_has_neither_model_nor_stream_and_betas_in_the_body() {
    assert_eq!(
        sent(Dialect::Bedrock, &[], BODY),
        r#"{"max_tokens": 10, "messages": [],"anthropic_version":"bedrock-2023-05-31"}"#,
    );
    assert_eq!(
        sent(Dialect::Bedrock, &["a-1, b-2", "", "a-1,c-3"], r#"{"model":"m"}"#),
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2","c-3"]}"#,
    );
}

#[test]
fn betas_that_the_body_names_stay_first() {
    let named = r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":[ "b-2" ]}"#;
    assert_eq!(sent(Dialect::Bedrock, &["b-2"], named), named);
    assert_eq!(
        sent(Dialect::Bedrock, &["a-1,b-2"], named),
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b-2","a-1"]}"#,
    );
}

#[test]
fn the_version_of_the_house_itself_is_the_clients_choice() {
    let own = r#"{"anthropic_version":"vertex-2030-01-01"}"#;
    assert_eq!(sent(Dialect::Vertex, &[], own), own);
    assert_eq!(sent(Dialect::Bedrock, &[], own), r#"{"anthropic_version":"bedrock-2023-05-31"}"#);
    for wrong in ["null", "7", r#""2023-06-01""#] {
        let body = format!(r#"{{"anthropic_version":{wrong}}}"#);
        assert_eq!(sent(Dialect::Vertex, &[], &body), r#"{"anthropic_version":"vertex-2023-10-16"}"#);
    }
}

#[test]
fn bedrock_gets_no_service_tier_and_a_tier_that_matters_is_reported() {
    let body = |tier: &str| format!(r#"{{"anthropic_version":"bedrock-2023-05-31","service_tier":{tier}}}"#);
    let without = r#"{"anthropic_version":"bedrock-2023-05-31"}"#;
    assert_eq!(sent(Dialect::Bedrock, &[], &body(r#""auto""#)), without);
    assert_eq!(sent(Dialect::Bedrock, &[], &body(r#""standard_only""#)), without);
    let (sent, losses) = edited(Dialect::Bedrock, Protocol::AnthropicMessages, &[], &body(r#""priority""#));
    assert_eq!(sent, without);
    assert_eq!(
        losses,
        [
            "dropped /service_tier: the provider refuses a service tier in the body (needed: a service tier in the body)"
        ]
    );
}

#[test]
fn nothing_else_is_changed() {
    let untouched = r#"{"model": "theirs", "max_tokens": 10, "stream": true, "messages": []}"#;
    let anthropic = Protocol::AnthropicMessages;
    for dialect in [Dialect::Native, Dialect::Compatible, Dialect::Azure] {
        assert_eq!(edited(dialect, anthropic, &["a-1"], BODY), (untouched.to_owned(), vec![]));
    }
    for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol != anthropic) {
        for dialect in Dialect::ALL {
            assert_eq!(edited(dialect, protocol, &["a-1"], BODY), (untouched.to_owned(), vec![]));
        }
    }
}
