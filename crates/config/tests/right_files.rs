//! What right files mean.

#![expect(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod fixed;

use std::path::Path;
use std::time::Duration;

use fixed::{Fixed, NOTHING, read};
use secrecy::ExposeSecret;
use weighbridge_access::{Budget, Limits, LossPolicy, MasterKey};
use weighbridge_config::{
    Config, Durability, KeptIn, LogFormat, LogLevel, ResponsesConfig, StorageConfig, load,
};
use weighbridge_pipeline::settings::{
    AffinityBy, AnswerKeeping, CountAlarm, CredentialProof, DrainLimits, FailoverSettings, HedgeAfter,
    HedgeSettings, IdempotencySettings, LatencyOf, Markup, OnDisconnect, ProbeSettings, ProviderCredential,
    ProviderSettings, RouteSettings, Settings, ShadowSettings, StrategyKind, StrategySettings, UnknownModel,
};
use weighbridge_pricing::ServiceTier;
use weighbridge_routing::{FallbackRules, HealthPolicy, Rule, Task, Then, When};
use weighbridge_units::{Bucket, Feature, Features, Protocol, Timestamp};
use weighbridge_upstream::{HttpVersion, Tls};

const KEYS: Fixed = Fixed {
    variables: &[
        ("OPENAI_API_KEY", "sk-openai"),
        ("ANTHROPIC_API_KEY", " sk-anthropic\n"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9000/"),
    ],
    files: &[],
};

/// A credentials file of a user of Google Cloud.
const USER: &str = r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;
/// A certificate with its key, made for tests.
const ENTRA: &str = concat!(
    include_str!("../../upstream/tests/loopback/credentials/keys/rsa.pem"),
    include_str!("../../upstream/tests/loopback/credentials/keys/rsa.key")
);

fn right(text: &str, surroundings: &Fixed) -> Config {
    read(text, surroundings).unwrap_or_else(|error| panic!("{error}"))
}

fn provider<'a>(config: &'a Config, name: &str) -> &'a ProviderSettings {
    config
        .settings
        .providers
        .iter()
        .find(|provider| &*provider.name == name)
        .expect("a provider of that name")
}

fn route<'a>(config: &'a Config, name: &str) -> &'a RouteSettings {
    config.settings.routes.iter().find(|route| &*route.name == name).expect("a model of that name")
}

fn keys(provider: &ProviderSettings) -> Vec<&str> {
    fn bare(credential: &ProviderCredential) -> &str {
        match &credential.proof {
            CredentialProof::Key(key) => key.expose_secret(),
            CredentialProof::Signature { .. } => "signed",
            CredentialProof::Issued { .. } => "issued",
        }
    }
    provider.credentials.iter().map(bare).collect()
}

fn names(targets: &[weighbridge_pipeline::settings::TargetSettings]) -> Vec<String> {
    targets.iter().map(|target| format!("{}/{}", target.provider, target.model)).collect()
}

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
fn every_key_has_its_effect() {
    let surroundings = Fixed {
        variables: &[("TOKEN", "0123456789abcdef"), ("NAME", "two")],
        files: &[
            ("/run/pepper", "0123456789abcdef0123456789abcdef\n"),
            ("/etc/wb/keys/one", "sk-one\n"),
            ("/etc/wb/keys/admin", "fedcba9876543210\n"),
            ("/etc/wb/keys/vault", "fedcba9876543210fedcba9876543210\n"),
            ("/etc/wb/own.toml", include_str!("own_prices.toml")),
            ("/etc/wb/keys/ca.pem", include_str!("../../upstream/tests/loopback/tls/ca.pem")),
            ("/etc/wb/keys/client.pem", include_str!("../../upstream/tests/loopback/tls/server.pem")),
            ("/etc/wb/keys/client.key", include_str!("../../upstream/tests/loopback/tls/server.key")),
            ("/etc/wb/keys/user.json", USER),
            ("/etc/wb/keys/entra.pem", ENTRA),
        ],
    };
    let config = right(include_str!("every_key.toml"), &surroundings);
    let server = &config.server;
    assert_eq!(server.listen.to_string(), "[::]:9000");
    let admin = server.admin.as_ref().unwrap();
    assert_eq!(
        (admin.listen.to_string().as_str(), admin.token.expose_secret()),
        ("[::1]:9001", "0123456789abcdef")
    );
    let vault = config.vault.as_ref().unwrap();
    assert_eq!(vault.current(), MasterKey::new(b"fedcba9876543210fedcba9876543210").unwrap().id());
    let own = &admin.tenants[0];
    assert_eq!(
        (own.name.as_str(), own.tenant.as_str(), own.token.expose_secret()),
        ("own", "acme/search", "fedcba9876543210")
    );
    assert_eq!(server.key_pepper.as_ref().unwrap().expose_secret().len(), 32);
    assert_eq!(server.drain_timeout, Duration::from_secs(90));
    assert_eq!(server.workers.unwrap().get(), 3);
    let Settings { limits, trusted_proxies, loss_policy, unknown_model, .. } = &config.settings;
    assert_eq!(
        (limits.body_bytes, limits.answer_bytes, limits.open_requests, limits.attempts),
        (2_048, 4_096, 7, 5)
    );
    assert_eq!((limits.body_time, limits.write_time), (Duration::from_secs(11), Duration::from_secs(12)));
    let Settings { keep_alive, on_disconnect, drain, .. } = &config.settings;
    assert_eq!(*keep_alive, Some(Duration::from_secs(13)));
    assert_eq!(*on_disconnect, OnDisconnect::Drain);
    assert_eq!(*drain, DrainLimits { time: Duration::from_secs(14), most: 8 });
    assert_eq!(
        trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "::1/128"]
    );
    assert_eq!((*loss_policy, *unknown_model), (LossPolicy::Reject, UnknownModel::ZeroAndFlag));
    assert_eq!(
        config.storage,
        StorageConfig::Sqlite { path: Path::new("/etc/wb/data/wb.db").into(), durability: Durability::Fsync }
    );
    assert_eq!(
        (config.log.level, config.log.format, config.log.requests),
        (LogLevel::Debug, LogFormat::Text, false)
    );
    assert_eq!(config.prices.models(), [("own", "m")]);
    assert_eq!(config.settings.count_alarm, Some(CountAlarm { ratio: 6, minimum: 700 }));
    let baseline = route(&config, "main").baseline.as_ref().unwrap();
    assert_eq!((&*baseline.provider, &*baseline.model), ("own", "p"));
    let told = |markups: &[Markup]| -> Vec<(String, String, String)> {
        let text = |text: Option<String>| text.unwrap_or_default();
        let one = |markup: &Markup| {
            let (tenant, model) = (markup.tenant.as_ref(), markup.model.as_ref());
            (
                text(tenant.map(ToString::to_string)),
                text(model.map(ToString::to_string)),
                markup.charges.to_string(),
            )
        };
        markups.iter().map(one).collect()
    };
    let expected = [
        ("", "", "20% + 0.001/request + 0.1/Mprompt + 0.2/Manswer"),
        ("acme/search", "own/*", "-2.5% + 0.002/request + 0.3/Mprompt + 0.4/Manswer"),
    ];
    let owned =
        |list: [(&str, &str, &str); 2]| list.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(told(&config.settings.markups), owned(expected));
    let expected = [
        ("", "", "5% + 0.003/request + 0.01/Mprompt + 0.02/Manswer"),
        ("acme", "own/*", "0% + 0.004/request + 0.03/Mprompt + 0.04/Manswer"),
    ];
    assert_eq!(told(&config.settings.surcharges), owned(expected));
    let updates = &config.price_updates;
    assert_eq!(updates.kept, KeptIn::File("/etc/wb/updates.prices.toml".into()));
    let refresh = updates.refresh.as_ref().unwrap();
    assert_eq!(refresh.url, "https://prices.example/map.json");
    assert_eq!(refresh.every, Duration::from_secs(6 * 3_600));
    assert_eq!(updates.max_jump, "1.5".parse().unwrap());
    assert_eq!(updates.allowed_networks, ["10.0.0.0/8".parse().unwrap()]);
    let before = Timestamp::from_date(2026, 11, 30).unwrap();
    let after = Timestamp::from_date(2026, 12, 1).unwrap();
    let card = |at| config.prices.find("own", "m", ServiceTier::Standard, at).unwrap();
    assert_ne!(card(before).source(), "contract");
    assert_eq!(card(after).source(), "contract");
    assert_eq!(card(after).rate(Bucket::Output, 200_001).unwrap().to_string(), "4");
    assert_eq!(card(after).variants().collect::<Vec<_>>(), ["big"]);
    assert!(!config.media.fetch);
    assert_eq!(config.media.allowed_networks, ["10.20.0.0/16".parse().unwrap()]);
    assert_eq!(config.settings.answer_keeping, AnswerKeeping::Never);
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(config.responses, ResponsesConfig { ttl: week, max_bytes: 1 << 20 });
    let idempotency =
        IdempotencySettings { enabled: false, window: Duration::from_secs(7_200), max_body: 65_536 };
    assert_eq!(config.settings.idempotency, idempotency);
    assert_eq!(config.alerts.as_ref().unwrap().webhooks, ["https://hooks.example/budgets"]);

    let amounts = |budgets: &[Budget]| budgets.iter().map(|b| b.limit.amount()).collect::<Vec<_>>();
    let limits = |limits: &Limits| {
        let usd = limits.usd_per_minute.unwrap().get();
        (limits.rpm.unwrap(), limits.tpm.unwrap(), usd, limits.concurrency.unwrap())
    };
    assert_eq!(amounts(&config.settings.budgets), [100_000_000_000]);
    let main = route(&config, "main");
    assert_eq!((amounts(&main.budgets), limits(&main.limits)), (vec![3], (4, 5, 250_000_000, 6)));

    let own = provider(&config, "own");
    assert_eq!(
        (amounts(&own.budgets), limits(&own.limits)),
        (vec![1_000_000_000, 2], (1, 2, 500_000_000, 3))
    );
    assert_eq!(
        (own.spoken[0].protocol, own.base_url.as_str()),
        (Protocol::OpenAiChat, "https://llm.example.com/two/v2")
    );
    assert_eq!(
        (own.spoken[0].path.as_str(), own.auth.as_str(), &*own.price_as),
        ("/chat", "x-api-key", "own")
    );
    assert_eq!(own.spoken[0].stream_path.as_str(), "/chat/streamed");
    assert_eq!(keys(own), ["sk-one", "literal${x}", "issued", "issued", "issued"]);
    assert_eq!(own.credentials.iter().map(|one| one.weight).collect::<Vec<_>>(), [1, 3, 1, 1, 1]);
    for (name, count) in [("pod", 1), ("machine", 3), ("cluster", 1), ("certified", 1)] {
        assert_eq!(keys(provider(&config, name)), vec!["issued"; count], "{name}");
    }
    let headers: Vec<_> =
        own.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("x-team", "two")]);
    let millis = [own.timeouts.connect, own.timeouts.first_byte, own.timeouts.idle, own.timeouts.total];
    assert_eq!(millis.map(|time| time.as_millis()), [250, 2_000, 3_000, 4_000]);
    assert_eq!(own.timeouts.first_token, Some(Duration::from_millis(2_500)));

    let (url, connected) = &config.origins[0];
    assert_eq!((url, connected.http), (&own.base_url, HttpVersion::Http2));
    let proxy = connected.proxy.as_ref().unwrap();
    assert_eq!(
        (proxy.to_string().as_str(), proxy),
        ("proxy.example.com:3128", &"user:two@proxy.example.com:3128".parse().unwrap())
    );
    let (ca, client) = (
        include_bytes!("../../upstream/tests/loopback/tls/ca.pem"),
        include_bytes!("../../upstream/tests/loopback/tls/server.pem"),
    );
    let key = include_bytes!("../../upstream/tests/loopback/tls/server.key");
    let tls = Tls::with_extra_roots(ca).unwrap().with_identity(client, key).unwrap();
    assert_eq!(connected.tls.as_ref(), Some(&tls));

    let main = route(&config, "main");
    assert_eq!(names(&main.targets), ["own/m", "own/n"]);
    assert_eq!(main.targets.iter().map(|target| target.weight).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(names(&main.fallbacks), ["own/o", "own/p"]);
    let rules = FallbackRules { on_error: false, on_rate_limit: false, on_context: true, on_content: true };
    assert_eq!(
        main.failover,
        FailoverSettings {
            rules,
            outliers_percent: 25,
            hedge: Some(HedgeSettings { after: HedgeAfter::Percentile(90), most: 2 }),
            shadow: Some(ShadowSettings { to: "spare".into(), permille: 25, most: 3 }),
            resume: true,
        }
    );
    assert_eq!(route(&config, "spare").failover, FailoverSettings::default());
    assert_eq!(
        own.health.policy,
        HealthPolicy {
            consecutive_failures: 6,
            minimum_volume: 30,
            failure_percent: 60,
            window: Duration::from_secs(20),
            cool_down: Duration::from_secs(2),
            cool_down_cap: Duration::from_secs(120),
            jitter_percent: 20,
            retry_after_cap: Duration::from_secs(1_800),
            limit_per_key: true,
        }
    );
    let probe = ProbeSettings { path: "/health".into(), every: Duration::from_secs(5) };
    assert_eq!(own.health.probe, Some(probe));
    assert_eq!(config.settings.limits.retry_wait, Duration::ZERO);
    assert_eq!(main.on_disconnect, Some(OnDisconnect::Cancel));
    assert_eq!(route(&config, "spare").on_disconnect, None);

    assert_eq!(own.labels.to_string(), "law=gdpr,region=eu,region=eu-west");
    assert_eq!((&*main.aliases[0], main.require.to_string().as_str()), ("main-2024", "region=eu"));
    let [everything, second] = main.rules.as_slice() else { panic!("two rules") };
    let mut when = When::default();
    when.keys = vec!["00000000000a".into()];
    when.tenants = vec!["acme/search".into()];
    when.tags = vec![("env".into(), "test".into())];
    when.headers = vec![("x-app".into(), "*".into())];
    (when.prompt_tokens, when.context_tokens, when.difficulty) = (Some(1..2), Some(3..4), Some(5..6));
    when.needs = Features::of(&[Feature::Tools, Feature::Documents, Feature::JsonSchema]);
    when.needs_not = Features::of(&[Feature::Images, Feature::Audio]);
    when.tasks = vec![Task::Summary, Task::Code];
    assert_eq!(*everything, Rule { name: "everything".into(), when, then: Then::Model("spare".into()) });
    assert_eq!((&*second.name, &second.then), ("2", &Then::Refuse("Too long.".into())));
    assert_eq!(second.when.prompt_tokens, Some(1_000..u64::MAX));
    let [rule] = config.settings.residency.as_slice() else { panic!("one rule") };
    assert_eq!((&*rule.keys[0], &*rule.tenants[0]), ("00000000000b", "acme"));
    assert_eq!(rule.require.to_string(), "law=gdpr");
}

#[test]
fn prices_can_be_ones_own() {
    let config = right(
        "[prices]\nunknown_model = { input = \"5\", output = \"20\" }\n\
         [[prices.overrides]]\nprovider = \"openai\"\nmodel = \"gpt-4o-mini\"\nrates = { input = \"0.12\", output = \"0.48\" }\n\
         [providers.openai]\napi_keys = []\n\
         [providers.vertex]\nregion = \"europe-west1\"\nproject = \"p\"\napi_keys = []\n\
         [providers.worldwide]\npreset = \"vertex\"\nregion = \"global\"\nproject = \"p\"\napi_keys = []\n\
         [storage]\nurl = \"sqlite:data/wb.db\"",
        &Fixed { variables: &[], files: &[] },
    );
    let at = Timestamp::from_secs(1_795_226_938);
    assert_eq!(config.settings.unknown_model, UnknownModel::DefaultRate);
    let default = config.prices.find_default(at).unwrap();
    assert_eq!(default.rate(Bucket::Output, 1).unwrap().to_string(), "20");
    let input = |tier| {
        let card = config.prices.find("openai", "gpt-4o-mini-2024-07-18", tier, at).unwrap();
        card.rate(Bucket::Input, 1).unwrap().to_string()
    };
    assert_eq!((input(ServiceTier::Standard), input(ServiceTier::Batch)), ("0.12".into(), "0.075".into()));
    assert_eq!(&*provider(&config, "vertex").price_as, "vertex@regional");
    assert_eq!(&*provider(&config, "worldwide").price_as, "vertex");
    assert_eq!(config.price_updates.kept, KeptIn::File("/etc/wb/data/wb.prices.toml".into()));
    assert_eq!(config.price_updates.refresh, None);
    // Every reading gives the same version, whichever day it is.
    let listed = config.price_updates.sources.listed_book().unwrap();
    assert_eq!(listed.version(), weighbridge_pricing::PriceBook::builtin().unwrap().version());
    assert_eq!(config.price_updates.sources.book().unwrap().version(), config.prices.version());
}

#[test]
fn a_map_of_prices_takes_the_place_of_what_the_files_say() {
    const MAP: &str = r#"{"gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.4e-07,
        "output_cost_per_token": 6e-07, "output_cost_per_pixel": 1}}"#;
    let config = right(
        "[prices]\nfiles = [\"map.json\"]\n[providers.openai]\napi_keys = []\n",
        &Fixed { variables: &[], files: &[("/etc/wb/map.json", MAP)] },
    );
    let at = Timestamp::from_secs(1_795_226_938);
    let card = config.prices.find("openai", "gpt-4o-mini", ServiceTier::Standard, at).unwrap();
    assert_eq!(card.rate(Bucket::Input, 1).unwrap().to_string(), "0.14");
    assert_eq!((card.source(), card.checked()), ("map.json", "unknown"));
    assert_eq!(config.price_updates.left_out.len(), 1);
    assert!(config.explain().contains("1 of what maps of prices say was not understood"));
}

#[test]
fn signs_of_life_can_be_switched_off() {
    let silent = right("[server]\nstream_keep_alive = \"off\"", &KEYS);
    assert_eq!(silent.settings.keep_alive, None);
    assert_eq!(right("", &KEYS).settings.keep_alive, Some(Duration::from_secs(15)));
}

#[test]
fn presets_fill_in_what_is_not_said() {
    let text = r#"
        [providers.claude]
        preset = "anthropic"
        api_keys = ["k"]
        headers = { "Anthropic-Version" = "2099-01-01" }
        [providers.local]
        preset = "openai-compatible"
        base_url = "http://localhost:11434/v1/"
        [providers.plain]
        protocol = "anthropic-messages"
        base_url = "https://example.com"
        api_keys = []
        [providers.openai]
        base_url = "https://proxy.example.com/v1"
    "#;
    let config = right(text, &KEYS);
    let claude = provider(&config, "claude");
    assert_eq!((claude.spoken[0].path.as_str(), &*claude.price_as), ("/v1/messages", "anthropic"));
    assert_eq!(claude.headers.len(), 1);
    assert_eq!(claude.headers[0].1, "2099-01-01");
    let local = provider(&config, "local");
    assert_eq!((local.base_url.as_str(), &*local.price_as), ("http://localhost:11434/v1", "local"));
    assert!(local.credentials.is_empty());
    let plain = provider(&config, "plain");
    assert_eq!(
        (plain.spoken[0].path.as_str(), plain.headers.len(), &*plain.price_as),
        ("/v1/messages", 1, "plain")
    );
    // A vendor's key from the environment does not follow to another address.
    assert!(provider(&config, "openai").credentials.is_empty());
}

#[test]
fn a_declared_preset_takes_its_key_from_the_environment() {
    let config = right("[providers.openai.timeouts]\ntotal = \"1s\"", &KEYS);
    let openai = provider(&config, "openai");
    assert_eq!(keys(openai), ["sk-openai"]);
    assert_eq!(openai.timeouts.connect, Duration::from_secs(1), "no default is longer than the total");
}

#[test]
fn fallbacks_through_models_are_followed_in_order_and_once() {
    let text = r#"
        [providers.openai]
        [models.a]
        targets = ["openai/1"]
        fallbacks = ["b", "openai/5", "c"]
        [models.b]
        targets = ["openai/2", { model = "openai/off", weight = 0 }]
        fallbacks = ["c", "openai/1"]
        [models.c]
        targets = ["openai/3"]
        fallbacks = ["openai/4"]
    "#;
    let config = right(text, &KEYS);
    assert_eq!(names(&route(&config, "a").fallbacks), ["openai/2", "openai/3", "openai/4", "openai/5"]);
    assert_eq!(names(&route(&config, "b").fallbacks), ["openai/3", "openai/4", "openai/1"]);
}

#[test]
fn strategies_have_what_they_need_where_nothing_is_said() {
    let config = right(
        r#"
[providers.openai]
[models.plain]
targets = ["openai/a"]
[models.kept]
targets = ["openai/a", "openai/b"]
strategy = ["headroom", "sticky"]
[models.trial]
targets = ["openai/a", "openai/b"]
strategy = "split"
[models.own]
targets = ["openai/a", "openai/b"]
strategy = ["sticky", "least-latency"]
affinity = "user"
sticky_ttl = "off"
sticky_load_percent = 200
"#,
        &KEYS,
    );
    let strategy = |name| route(&config, name).strategy.clone();
    let settings = |order: &[StrategyKind], affinity| StrategySettings { order: order.to_vec(), affinity };
    let five_minutes = Some(Duration::from_secs(300));
    let sticky = StrategyKind::Sticky { ttl: five_minutes, load_percent: 125 };
    assert_eq!(strategy("plain"), settings(&[], AffinityBy::Prefix));
    assert_eq!(strategy("kept"), settings(&[StrategyKind::Headroom, sticky], AffinityBy::Prefix));
    assert_eq!(strategy("trial"), settings(&[StrategyKind::Split], AffinityBy::Key));
    let sticky = StrategyKind::Sticky { ttl: None, load_percent: 200 };
    let latency = StrategyKind::LeastLatency(LatencyOf::Answer);
    assert_eq!(strategy("own"), settings(&[sticky, latency], AffinityBy::User));
}

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

#[test]
fn clouds_are_found_by_region_and_project() {
    let aws = Fixed {
        variables: &[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "geheim"),
            ("AWS_DEFAULT_REGION", "us-west-2"),
        ],
        files: &[],
    };
    let text = r#"
        [providers.bedrock]
        [providers.google]
        preset = "vertex"
        region = "global"
        project = "p-1"
        api_keys = ["token"]
        [providers.azure]
        base_url = "https://mine.openai.azure.com"
        api_keys = ["key"]
        protocol = "openai-responses"
        path = "/openai/v1/responses?api-version=preview"
    "#;
    let config = right(text, &aws);
    let bedrock = provider(&config, "bedrock");
    assert_eq!(bedrock.base_url, "https://bedrock-runtime.us-west-2.amazonaws.com");
    assert_eq!(keys(bedrock), ["signed"]);
    let google = provider(&config, "google");
    assert_eq!(google.base_url, "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global");
    assert_eq!((keys(google), &*google.price_as), (vec!["token"], "vertex"));
    let azure = provider(&config, "azure");
    assert_eq!((azure.spoken.len(), azure.auth.header(), &*azure.price_as), (1, Some("api-key"), "azure"));
    assert_eq!(azure.spoken[0].stream_path.as_str(), "/openai/v1/responses?api-version=preview");
}

#[test]
fn clouds_find_credentials_where_their_own_tools_do() {
    const VERTEX: &str = "[providers.vertex]\nregion = \"global\"\nproject = \"p\"";
    const BEDROCK: &str = "[providers.bedrock]\nregion = \"eu-central-1\"";
    const AZURE: &str =
        "[providers.azure]\nbase_url = \"https://a.test\"\nazure = { from = \"environment\" }";
    const ARN: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    const APPLICATION: [(&str, &str); 2] = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
    const FILES: &[(&str, &str)] = &[("/run/user.json", USER)];
    let cases: [(&str, Fixed); 9] = [
        (BEDROCK, Fixed { variables: &[ARN, ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")], files: &[] }),
        (
            BEDROCK,
            Fixed {
                variables: &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1")],
                files: &[],
            },
        ),
        (
            BEDROCK,
            Fixed {
                variables: &[
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
                    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token"),
                ],
                files: &[],
            },
        ),
        (
            "[providers.bedrock]\nregion = \"eu-central-1\"\naws = { from = \"environment\", role_arn = \"arn:aws:iam::1:role/s\" }",
            Fixed { variables: &[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s")], files: &[] },
        ),
        (VERTEX, Fixed { variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/run/user.json")], files: FILES }),
        (
            "[providers.vertex]\nregion = \"global\"\nproject = \"p\"\ngcp = { from = \"environment\" }",
            Fixed { variables: &[("GOOGLE_APPLICATION_CREDENTIALS", "/run/user.json")], files: FILES },
        ),
        (
            AZURE,
            Fixed {
                variables: &[APPLICATION[0], APPLICATION[1], ("AZURE_FEDERATED_TOKEN_FILE", "/run/token")],
                files: &[],
            },
        ),
        (
            AZURE,
            Fixed { variables: &[APPLICATION[0], APPLICATION[1], ("AZURE_CLIENT_SECRET", "s")], files: &[] },
        ),
        ("[providers.vertex]\nregion = \"global\"\nproject = \"p\"\ngcp = { from = \"metadata\" }", NOTHING),
    ];
    for (text, surroundings) in cases {
        assert_eq!(keys(&right(text, &surroundings).settings.providers[0]), ["issued"], "{text}");
    }
    // A key goes before all of that.
    let key = Fixed {
        variables: &[("CLOUDSDK_AUTH_ACCESS_TOKEN", "t"), ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")],
        files: &[],
    };
    assert_eq!(keys(&right(VERTEX, &key).settings.providers[0]), ["t"]);
}

#[test]
fn a_key_may_go_into_the_query() {
    let config =
        right("[providers.gemini]\nauth = \"query\"\napi_keys = [{ key = \"k\", weight = 0 }]", &NOTHING);
    let gemini = provider(&config, "gemini");
    assert_eq!((gemini.auth.header(), keys(gemini), gemini.credentials[0].weight), (None, vec!["k"], 0));
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
