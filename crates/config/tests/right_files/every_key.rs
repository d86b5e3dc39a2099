//! A file that says everything that can be said.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use weighbridge_access::{Budget, Limits, LossPolicy, MasterKey};
use weighbridge_config::{Durability, KeptIn, LogFormat, LogLevel, ResponsesConfig, StorageConfig};
use weighbridge_pipeline::settings::{
    AnswerKeeping, CountAlarm, DrainLimits, FailoverSettings, HedgeAfter, HedgeSettings, IdempotencySettings,
    Markup, OnDisconnect, ProbeSettings, Settings, ShadowSettings, UnknownModel,
};
use weighbridge_pricing::ServiceTier;
use weighbridge_routing::{FallbackRules, HealthPolicy, Rule, Task, Then, When};
use weighbridge_units::{Bucket, Feature, Features, Protocol, Timestamp};
use weighbridge_upstream::{HttpVersion, Tls};

use crate::fixed::Fixed;
use crate::support::*;

#[test]
fn every_key_has_its_effect() {
    let surroundings = Fixed {
        variables: &[("TOKEN", "0123456789abcdef"), ("NAME", "two")],
        files: &[
            ("/run/pepper", "0123456789abcdef0123456789abcdef\n"),
            ("/etc/wb/keys/one", "sk-one\n"),
            ("/etc/wb/keys/admin", "fedcba9876543210\n"),
            ("/etc/wb/keys/vault", "fedcba9876543210fedcba9876543210\n"),
            ("/etc/wb/own.toml", include_str!("../own_prices.toml")),
            ("/etc/wb/keys/ca.pem", include_str!("../../../upstream/tests/loopback/tls/ca.pem")),
            ("/etc/wb/keys/client.pem", include_str!("../../../upstream/tests/loopback/tls/server.pem")),
            ("/etc/wb/keys/client.key", include_str!("../../../upstream/tests/loopback/tls/server.key")),
            ("/etc/wb/keys/user.json", USER),
            ("/etc/wb/keys/entra.pem", ENTRA),
        ],
    };
    let config = right(include_str!("../every_key.toml"), &surroundings);
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
        include_bytes!("../../../upstream/tests/loopback/tls/ca.pem"),
        include_bytes!("../../../upstream/tests/loopback/tls/server.pem"),
    );
    let key = include_bytes!("../../../upstream/tests/loopback/tls/server.key");
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
