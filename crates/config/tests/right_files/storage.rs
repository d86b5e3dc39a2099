//! Where things are kept, and that no explanation shows a secret.

use std::time::Duration;

use secrecy::ExposeSecret;
use weighbridge_config::{KeptIn, StorageConfig};

use crate::fixed::Fixed;
use crate::support::*;

#[test]
fn memory_is_a_store() {
    assert_eq!(right("[storage]\nurl = \"memory:\"", &KEYS).storage, StorageConfig::Memory);
}

#[test]
fn postgres_is_a_store_and_its_password_is_nowhere_to_be_seen() {
    const URL: &str = "postgres://me:geheim%40?x@db.example:5433/books?sslmode=require";
    let surroundings = Fixed {
        variables: &[("OPENAI_API_KEY", "k"), ("WEIGHBRIDGE_KEY_PEPPER", "0123456789abcdef"), ("URL", URL)],
        files: &[],
    };
    let config = right("[storage]\nurl = \"${URL}\"", &surroundings);
    let StorageConfig::Postgres { url: read } = &config.storage else { panic!("{:?}", config.storage) };
    assert_eq!(read.expose(), URL);
    assert_eq!(read.to_string(), "postgres://db.example:5433/books");
    let shown = format!("{:?} {}", config.storage, config.explain());
    assert!(
        shown.contains("storage    postgres://db.example:5433/books") && !shown.contains("geheim"),
        "{shown}"
    );
    // All instances share the updates of prices, unless a file of this one is named.
    assert_eq!(config.price_updates.kept, KeptIn::Database);
    assert!(shown.contains("kept in the database"), "{shown}");
    let fetched = "[storage]\nurl = \"${URL}\"\n[prices.refresh]\nurl = \"https://prices.example/map.json\"";
    assert!(right(fetched, &surroundings).price_updates.refresh.is_some());
    let named = right("[storage]\nurl = \"${URL}\"\n[prices]\nupdates = \"p.toml\"", &surroundings);
    assert_eq!(named.price_updates.kept, KeptIn::File("/etc/wb/p.toml".into()));
}

#[test]
fn redis_counts_limits_and_its_password_is_nowhere_to_be_seen() {
    assert!(right("", &KEYS).redis.is_none());
    const URL: &str = "rediss://me:geheim@x@cache.example:6380/2";
    let surroundings = Fixed { variables: &[("OPENAI_API_KEY", "k"), ("URL", URL)], files: &[] };
    let config = right("[storage]\nredis = \"${URL}\"", &surroundings);
    let redis = config.redis.as_ref().unwrap();
    assert_eq!(redis.url.expose_secret(), URL);
    assert_eq!((redis.timeout, redis.sync_every), (Duration::from_millis(100), Duration::from_secs(60)));
    let shown = format!("{redis:?} {}", config.explain());
    let expected = "limits     counted by all instances in rediss://cache.example:6380/2";
    assert!(shown.contains(expected) && !shown.contains("geheim"), "{shown}");
    let text = "[storage]\nredis = \"rediss://h\"\nredis_ca = \"ca.pem\"\nredis_timeout = \"1s\"\nredis_sync = \"5m\"";
    let redis = right(text, &KEYS).redis.unwrap();
    assert!(redis.certificates.unwrap().ends_with("ca.pem"));
    assert_eq!((redis.timeout, redis.sync_every), (Duration::from_secs(1), Duration::from_secs(300)));
}

#[test]
fn the_explanation_shows_no_secret() {
    let surroundings = Fixed {
        variables: &[("OPENAI_API_KEY", "geheim-geheim-geheim"), ("T", "geheim-token-geheim")],
        files: &[],
    };
    let text = "[server]\nadmin_token = \"${T}\"\n[storage]\nurl = \"memory:\"\n[models.m]\ntargets = [\"openai/gpt\"]\nfallbacks = [\"openai/other\"]";
    let config = right(text, &surroundings);
    let explained = config.explain();
    let version = config.prices.version().to_string();
    insta::assert_snapshot!(explained.replace(&version, "VERSION"), @r"
    listen     127.0.0.1:8080
    admin      127.0.0.1:8081
    storage    memory, gone at the end
    prices     version VERSION
    provider   openai: openai-chat, openai-responses at https://api.openai.com/v1, 1 key, at most 10m per attempt
    model      m: openai/gpt ×1, else openai/other
    ");
}
