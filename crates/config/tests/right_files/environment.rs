//! What is taken from the environment where no file says it.

use std::time::Duration;

use secrecy::ExposeSecret;
use weighbridge_config::{Durability, StorageConfig, load};
use weighbridge_units::Protocol;

use crate::fixed::{Fixed, NOTHING};
use crate::support::*;

#[test]
fn without_a_file_providers_come_from_the_environment() {
    let config = load(None, &KEYS).unwrap();
    let openai = provider(&config, "openai");
    assert_eq!((openai.base_url.as_str(), keys(openai)), ("https://api.openai.com/v1", vec!["sk-openai"]));
    let anthropic = provider(&config, "anthropic");
    assert_eq!(anthropic.base_url, "http://127.0.0.1:9000");
    assert_eq!(
        (anthropic.spoken[0].protocol, keys(anthropic)),
        (Protocol::AnthropicMessages, vec!["sk-anthropic"])
    );
    assert_eq!(anthropic.headers.len(), 1);
    assert_eq!(config.settings.providers.len(), 2);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(config.server.admin.is_none());
    let database = StorageConfig::Sqlite { path: "weighbridge.db".into(), durability: Durability::Process };
    assert_eq!(config.storage, database);
}

#[test]
fn without_a_file_and_without_keys_there_is_nothing_to_do() {
    let error = load(None, &NOTHING).err().unwrap();
    assert!(error.to_string().contains("set OPENAI_API_KEY or ANTHROPIC_API_KEY"), "{error}");
    let wrong = Fixed { variables: &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://x")], files: &[] };
    let error = load(None, &wrong).err().unwrap();
    assert!(error.to_string().contains("OPENAI_BASE_URL: it must begin with https://"), "{error}");
}

#[test]
fn a_token_in_the_environment_is_no_address() {
    let around = Fixed { variables: &[("HF_TOKEN", "hf_token")], files: &[] };
    let config = load(None, &around).unwrap();
    assert_eq!(provider(&config, "huggingface").base_url, "https://router.huggingface.co/v1");
}

#[test]
fn servers_of_ones_own_need_neither_address_nor_key() {
    let config =
        right("[providers.ollama]\n[providers.vllm]\nbase_url = \"http://gpu.internal:9000/v1\"", &NOTHING);
    let ollama = provider(&config, "ollama");
    assert_eq!((ollama.base_url.as_str(), keys(ollama).len()), ("http://127.0.0.1:11434/v1", 0));
    assert_eq!(provider(&config, "vllm").base_url, "http://gpu.internal:9000/v1");
}

#[test]
fn a_file_without_providers_takes_them_from_the_environment() {
    let config = right("[server]\nlisten = \"0.0.0.0:80\"", &KEYS);
    assert_eq!(config.settings.providers.len(), 2);
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:80");
}

#[test]
fn the_two_secrets_may_come_from_the_environment() {
    let surroundings = Fixed {
        variables: &[
            ("OPENAI_API_KEY", "k"),
            ("WEIGHBRIDGE_ADMIN_TOKEN", "0123456789abcdef"),
            ("WEIGHBRIDGE_KEY_PEPPER", "fedcba9876543210"),
        ],
        files: &[],
    };
    let config = load(None, &surroundings).unwrap();
    let admin = config.server.admin.unwrap();
    assert_eq!(
        (admin.token.expose_secret(), admin.listen.to_string()),
        ("0123456789abcdef", "127.0.0.1:8081".into())
    );
    assert_eq!(config.server.key_pepper.unwrap().expose_secret(), "fedcba9876543210");
}

#[test]
fn a_declared_preset_takes_its_key_from_the_environment() {
    let config = right("[providers.openai.timeouts]\ntotal = \"1s\"", &KEYS);
    let openai = provider(&config, "openai");
    assert_eq!(keys(openai), ["sk-openai"]);
    assert_eq!(openai.timeouts.connect, Duration::from_secs(1), "no default is longer than the total");
}
