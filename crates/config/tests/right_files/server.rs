//! The server, what it keeps for clients, and whom it alerts.

use std::time::Duration;

use weighbridge_config::ResponsesConfig;
use weighbridge_pipeline::settings::{AnswerKeeping, IdempotencySettings};

use crate::fixed::read;
use crate::support::*;

#[test]
fn signs_of_life_can_be_switched_off() {
    let silent = right("[server]\nstream_keep_alive = \"off\"", &KEYS);
    assert_eq!(silent.settings.keep_alive, None);
    assert_eq!(right("", &KEYS).settings.keep_alive, Some(Duration::from_secs(15)));
}

#[test]
fn answers_are_kept_as_told() {
    let config = right("[providers.openai]", &KEYS);
    assert_eq!(config.settings.answer_keeping, AnswerKeeping::AsAsked);
    assert_eq!(config.responses, ResponsesConfig::default());
    let text = "[providers.openai]\n[responses]\nstore = false\nttl = \"1d12h\"\nmax_bytes = 1048576\n";
    let config = right(text, &KEYS);
    assert_eq!(config.settings.answer_keeping, AnswerKeeping::Never);
    assert_eq!(config.responses, ResponsesConfig { ttl: Duration::from_secs(129_600), max_bytes: 1 << 20 });
    for wrong in
        ["store = 1", "ttl = \"367d\"", "ttl = \"0d\"", "ttl = 30", "max_bytes = 1000", "keep = true"]
    {
        assert!(read(&format!("[providers.openai]\n[responses]\n{wrong}\n"), &KEYS).is_err(), "{wrong}");
    }
}

#[test]
fn idempotency_keys_are_remembered_as_told() {
    let config = right("[providers.openai]", &KEYS);
    assert_eq!(config.settings.idempotency, IdempotencySettings::default());
    let text = "[providers.openai]\n[idempotency]\nenabled = false\nwindow = \"7d\"\nmax_body = 4096\n";
    let told = IdempotencySettings { enabled: false, window: Duration::from_secs(604_800), max_body: 4_096 };
    assert_eq!(right(text, &KEYS).settings.idempotency, told);
    for wrong in ["enabled = 1", "window = \"31d\"", "window = \"0s\"", "max_body = 100", "keep = true"] {
        assert!(read(&format!("[providers.openai]\n[idempotency]\n{wrong}\n"), &KEYS).is_err(), "{wrong}");
    }
}

#[test]
fn alerts_are_delivered_as_told() {
    assert!(right("[providers.openai]\n[alerts]\n", &KEYS).alerts.is_none());
    let text = "[providers.openai]\n[alerts]\nwebhooks = [\"https://one.test/a\", \"http://two.test:8080/b\"]\n\
                secret = \"sixteen letters!\"\nallowed_networks = [\"10.0.0.0/8\"]\n";
    let alerts = right(text, &KEYS).alerts.unwrap();
    assert_eq!(alerts.webhooks, ["https://one.test/a", "http://two.test:8080/b"]);
    assert_eq!(alerts.allowed_networks.len(), 1);
    for wrong in [
        "webhooks = [\"https://one.test\"]",
        "webhooks = [\"https://one.test\"]\nsecret = \"too short\"",
        "webhooks = [\"ftp://one.test\"]\nsecret = \"sixteen letters!\"",
        "webhooks = \"https://one.test\"\nsecret = \"sixteen letters!\"",
        "allowed_networks = [\"10\"]",
    ] {
        let error = read(&format!("[providers.openai]\n[alerts]\n{wrong}\n"), &KEYS).err();
        let error = error.unwrap_or_else(|| panic!("{wrong}")).to_string();
        assert!(!error.contains("\"too short\"") && !error.contains("one.test"), "{error}");
    }
}
