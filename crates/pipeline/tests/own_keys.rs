//! Tenants' own keys at providers: used for their owner and nobody else, named where the provider refuses them,
//! exchanged while requests run; and the installation's keys from the vault.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_access::{
    KeySecret, KeyStore, MasterKey, MasterKeys, MemoryKeyStore, OpenKey, OwnKeys, ProviderKey,
    ProviderKeyStore, TenantName, VaultError,
};
use weighbridge_ledger::{AccountId, AccountKind, Book, EntityId, LedgerStore};
use weighbridge_pipeline::{Jobs, KeyVault, LoadKeysError};
use weighbridge_simulator::{AnswerEnd, Fault, ReceivedRequest, Simulator};
use weighbridge_units::{NanoUsd, Timestamp};
use world::{CHAT, MESSAGES, World, monthly, open_key, post};

/// The credential of a request, wherever its provider wants it.
fn credential(request: &ReceivedRequest) -> String {
    let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let found: Vec<&str> = names
        .iter()
        .filter_map(|name| request.headers.get(*name))
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(found.len(), 1, "one credential goes with a request: {:?}", request.headers);
    found[0].trim_start_matches("Bearer ").to_owned()
}

fn credentials(simulator: &Simulator) -> Vec<String> {
    simulator.requests().iter().map(credential).collect()
}

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "echo:hi" }], "max_tokens": 100 })
}

fn key_of(world: &mut World, tenant: &str) -> String {
    let tenant = TenantName::new(tenant).unwrap();
    world.add_key(|key| key.tenant = tenant)
}

#[tokio::test(start_paused = true)]
async fn an_own_key_serves_its_owner_and_nobody_else() {
    let mut world = World::new();
    let keys = vec![
        open_key(1, "acme", "openai", "sk-acme-0123456789abcdef"),
        open_key(2, "globex", "openai", "sk-globex-0123456789abcdef"),
        open_key(3, "acme/search", "openai", "sk-search-0123456789abcdef"),
        open_key(4, "globex", "anthropic", "sk-ant-globex-0123456789abcdef"),
    ];
    world.pipeline.put_provider_keys(keys).unwrap();
    for (tenant, expected) in [
        ("acme", "sk-acme-0123456789abcdef"),
        ("globex", "sk-globex-0123456789abcdef"),
        ("acme/search", "sk-search-0123456789abcdef"),
        // A team without a key of its own has its organisation's.
        ("acme/other", "sk-acme-0123456789abcdef"),
        ("globex/a", "sk-globex-0123456789abcdef"),
        // Names that begin alike are others.
        ("acme2", "sk-openai-one"),
        ("ac", "sk-openai-two"),
    ] {
        let key = key_of(&mut world, tenant);
        world.afresh(None);
        let answer = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
        assert_eq!(
            (answer.status, &credentials(&world.openai)[..]),
            (200, &[expected.to_owned()][..]),
            "{tenant}"
        );
    }
    // Failover to another vendor takes the key for that vendor, or the installation's; never the first one's.
    for (tenant, expected) in [("globex", "sk-ant-globex-0123456789abcdef"), ("acme", "sk-anthropic-one")] {
        let key = key_of(&mut world, tenant);
        world.afresh(None);
        world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
        let answer = world.send(post(CHAT, &key, &chat("gpt"))).await;
        assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")), "{tenant}");
        assert_eq!(credentials(&world.anthropic), [expected], "{tenant}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_own_key_says_whose_it_is_in_every_protocol() {
    let mut world = World::new();
    let secret = "sk-acme-invalid-0123456789ab";
    let ours: Vec<_> = ["openai", "anthropic", "gemini", "bedrock", "azure"]
        .iter()
        .enumerate()
        .map(|(id, provider)| open_key(id as u64, "globex", provider, secret))
        .collect();
    world.pipeline.put_provider_keys(ours).unwrap();
    let key = key_of(&mut world, "globex");
    for (path, model) in [
        (CHAT, "only-gpt"),
        (CHAT, "only-claude"),
        (MESSAGES, "only-claude"),
        (MESSAGES, "only-gpt"),
        (CHAT, "gemini/gemini-2.5-flash"),
        (CHAT, "bedrock/amazon.nova-lite-v1:0"),
        (MESSAGES, "azure/gpt-4o-mini"),
    ] {
        for stream in [false, true] {
            let mut body = chat(model);
            body["stream"] = json!(stream);
            let answer = world.send(post(path, &key, &body)).await;
            let text = answer.text();
            assert_eq!(answer.status, 403, "{model}: {text}");
            assert!(text.contains("…89ab") && text.contains("key ") && text.contains("globex"), "{text}");
            assert!(!text.contains(secret) && !text.contains("0123456789"), "{text}");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            assert_eq!(
                answer.json()["error"]["type"],
                if path == CHAT { "invalid_request_error" } else { "permission_error" },
                "{text}"
            );
        }
        // The key is benched, not the target: others are served there, on the installation's keys.
        let other = world.post(path, &chat(model)).await;
        assert_eq!(other.status, 200, "{model}: {}", other.text());
    }
    // No credit is said as such.
    world
        .pipeline
        .put_provider_keys(vec![open_key(9, "globex", "openai", "sk-poor-0123456789abcdef")])
        .unwrap();
    world.openai.push_fault(Fault::NoCredit);
    let answer = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert!(answer.text().contains("out of credit"), "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn a_second_own_key_takes_over_from_a_refused_one() {
    let mut world = World::new();
    let keys = vec![
        open_key(1, "globex", "openai", "sk-first-invalid-0123456789"),
        open_key(2, "globex", "openai", "sk-second-0123456789abcdef"),
    ];
    world.pipeline.put_provider_keys(keys).unwrap();
    let key = key_of(&mut world, "globex");
    let first = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
    assert_eq!((first.status, first.header("x-gateway-attempts")), (200, Some("2")));
    for _ in 0..4 {
        let next = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
        assert_eq!(next.header("x-gateway-attempts"), Some("1"), "the refused key is benched");
    }
    // A new secret under the same id is tried at once.
    let keys = vec![
        open_key(1, "globex", "openai", "sk-anew-0123456789abcdef"),
        open_key(2, "globex", "openai", "sk-second-0123456789abcdef"),
    ];
    world.pipeline.put_provider_keys(keys).unwrap();
    world.afresh(None);
    for _ in 0..4 {
        assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    }
    let (first, second) = ("sk-anew-0123456789abcdef", "sk-second-0123456789abcdef");
    assert_eq!(credentials(&world.openai), [first, second, first, second]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_requires_own_keys_or_lets_them_rest() {
    let mut world = World::new();
    let own = "sk-globex-0123456789abcdef";
    world.pipeline.put_provider_keys(vec![open_key(1, "globex", "openai", own)]).unwrap();
    let key = key_of(&mut world, "globex");

    world.add_tenant("globex", |tenant| tenant.own_keys = Some(OwnKeys::Require));
    let refused = world.send(post(CHAT, &key, &chat("only-claude"))).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("none at `anthropic`"), "{}", refused.text());
    assert_eq!(world.anthropic.request_count(), 0);
    // A target without one is passed over, and no fallback goes around it.
    world.afresh(None);
    let served = world.send(post(CHAT, &key, &chat("claude"))).await;
    assert_eq!((served.status, &credentials(&world.openai)[..]), (200, &[own.to_owned()][..]));
    world.afresh(None);
    world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
    let failed = world.send(post(CHAT, &key, &chat("gpt"))).await;
    assert_eq!((failed.status, world.anthropic.request_count()), (502, 0), "{}", failed.text());
    // Counts of tokens are asked for with it too, or not at all.
    world.afresh(None);
    let count = world.send(post("/v1/messages/count_tokens", &key, &chat("claude/claude-haiku-4-5"))).await;
    assert_eq!((count.status, world.anthropic.request_count()), (404, 0), "{}", count.text());
    let count = world.send(post("/v1/messages/count_tokens", &key, &chat("only-claude"))).await;
    assert_eq!((count.status, count.header("x-gateway-token-count")), (200, Some("estimated")));
    assert_eq!(world.anthropic.request_count(), 0);

    world.add_tenant("globex", |tenant| tenant.own_keys = Some(OwnKeys::Off));
    world.afresh(None);
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    assert!(credentials(&world.openai)[0].starts_with("sk-openai-"), "{:?}", credentials(&world.openai));
}

#[tokio::test(start_paused = true)]
async fn k1_k3_rotating_disturbs_nothing_that_runs_and_changes_no_byte() {
    let mut world = World::new();
    let key = key_of(&mut world, "globex");
    let (old, new) = ("sk-old-0123456789abcdef", "sk-new-0123456789abcdef");
    world.pipeline.put_provider_keys(vec![open_key(1, "globex", "openai", old)]).unwrap();
    let mut body = chat("only-gpt");
    body["stream"] = json!(true);
    body["messages"][0]["content"] = json!("pace:5 words:40");

    let mut running = Vec::new();
    for _ in 0..50 {
        let mut stream = world.open(post(CHAT, &key, &body)).await.into_body();
        assert!(stream.frame().await.is_some());
        running.push(stream);
    }
    world.pipeline.put_provider_keys(vec![open_key(1, "globex", "openai", new)]).unwrap();
    let after = world.send(post(CHAT, &key, &body)).await;
    assert!(after.text().ends_with("data: [DONE]\n\n"));
    for stream in running {
        let rest = stream.collect().await.unwrap().to_bytes();
        assert!(rest.ends_with(b"data: [DONE]\n\n"), "a running stream ends as it would have");
    }
    let requests = world.openai.requests();
    let (last, others) = requests.split_last().unwrap();
    assert_eq!(credential(last), new);
    assert!(others.iter().all(|request| credential(request) == old && request.body == last.body));
    let names = |request: &ReceivedRequest| -> Vec<String> {
        request
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-client-request-id" && *name != "authorization")
            .map(|header| format!("{header:?}"))
            .collect()
    };
    assert!(others.iter().all(|request| names(request) == names(last)), "nothing but the credential differs");
}

/// What the tenant `globex` owes in a book, and what is reserved of it.
async fn owes(world: &World, book: Book) -> (i64, i64) {
    let account = AccountId::new(book, AccountKind::Receivable, EntityId::of("globex"));
    let balance = world.store.balance(account).await.unwrap();
    (balance.posted.get(), balance.pending.get())
}

#[tokio::test(start_paused = true)]
async fn a4_a_surcharge_is_due_where_an_own_attempt_succeeded_or_its_client_left() {
    let mut world = World::new();
    world.add_tenant("globex", |tenant| {
        tenant.budgets = monthly(1_000_000_000);
        tenant.surcharge = "10% + 0.001/request".parse().ok();
        tenant.markup = "500%".parse().ok();
    });
    let key = key_of(&mut world, "globex");
    world
        .pipeline
        .put_provider_keys(vec![open_key(1, "globex", "openai", "sk-globex-0123456789abcdef")])
        .unwrap();
    // Half to even, of a tenth of the cost and a thousandth of a dollar.
    let surcharge = |cost: i64| {
        let (whole, tenths) = (cost / 10, cost % 10);
        1_000_000 + whole + i64::from(tenths > 5 || (tenths == 5 && whole % 2 == 1))
    };
    let billed = |world: &World| world.invoice().iter().map(|line| line.nano_usd).collect::<Vec<_>>();

    let answer = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
    let mut owed: i64 = billed(&world).iter().map(|cost| surcharge(*cost)).sum();
    assert_eq!((answer.status, owes(&world, Book::Surcharge).await), (200, (owed, 0)));
    let attempt = &world.record_by(&key, &answer).await["attempts"][0];
    let said = |name: &str| attempt[name].as_str().unwrap().to_owned();
    assert_eq!(said("own_key"), "pk-000000000001");
    assert_eq!(said("cost_usd"), NanoUsd::new(billed(&world)[0]).to_string());
    assert_eq!(
        (said("charged_usd"), said("terms")),
        (NanoUsd::new(owed).to_string(), "10% + 0.001/request of the cost".into())
    );
    let told: NanoUsd = answer.header("x-gateway-cost-usd").unwrap().parse().unwrap();
    assert_eq!(told.get(), owed, "the client is told what is asked for, not what the provider charges");

    // Failures of every kind, streamed and whole, are free.
    for fault in [
        Fault::Status { code: 500, retry_after: None },
        Fault::Status { code: 401, retry_after: None },
        Fault::Status { code: 400, retry_after: None },
        Fault::Reset,
        Fault::CutBody,
        Fault::ErrorUnder200,
        Fault::CutMidStream { after_frames: 3 },
        Fault::ErrorMidStream { after_frames: 3 },
        Fault::StallMidStream { after_frames: 3 },
    ] {
        for stream in [false, true] {
            world.openai.clear_faults();
            world.openai.push_fault(fault.clone());
            let mut body = chat("only-gpt");
            body["stream"] = json!(stream);
            let before = world.openai.invoice().len();
            world.send(post(CHAT, &key, &body)).await;
            // A fault of streams leaves a whole answer whole.
            let lines = world.openai.invoice();
            let whole = lines[before..].iter().filter(|line| line.end == AnswerEnd::Complete);
            owed += whole.map(|line| surcharge(line.nano_usd)).sum::<i64>();
            assert_eq!(owes(&world, Book::Surcharge).await, (owed, 0), "{fault:?} {stream}");
            tokio::time::advance(std::time::Duration::from_secs(400)).await;
        }
    }

    // Who leaves in mid-stream owes it for what was used so far.
    world.openai.clear_faults();
    let mut body = chat("only-gpt");
    body["stream"] = json!(true);
    body["messages"][0]["content"] = json!("pace:50 words:40");
    let mut stream = world.open(post(CHAT, &key, &body)).await.into_body();
    for _ in 0..5 {
        assert!(stream.frame().await.is_some());
    }
    drop(stream);
    let (after, pending) = owes(&world, Book::Surcharge).await;
    assert!(after > owed + 1_000_000 && pending == 0, "{after} after {owed}");

    // Nothing of it is in the platform's book; budgets count it where it is; and the usage book has the cost.
    for (account, balance) in world.store.balances().await.unwrap() {
        assert_ne!(account.book(), Book::Platform, "{account}: {balance:?}");
        if account.kind() == AccountKind::Budget {
            assert_eq!(balance.posted.get(), after, "{account}");
        }
    }
    // The same tenant on the installation's key pays for it as everybody does.
    world.pipeline.put_provider_keys(Vec::new()).unwrap();
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    assert_eq!(owes(&world, Book::Surcharge).await, (after, 0));
    assert!(owes(&world, Book::Platform).await.0 > 0);
}

#[tokio::test(start_paused = true)]
async fn r3_a_surcharge_is_bounded_by_budgets_and_wallets_of_its_own_book() {
    let mut world = World::new();
    world.add_tenant("globex", |tenant| {
        tenant.credit_limit = Some(NanoUsd::ZERO);
    });
    let key = key_of(&mut world, "globex");
    world
        .pipeline
        .put_provider_keys(vec![open_key(1, "globex", "openai", "sk-globex-0123456789abcdef")])
        .unwrap();
    // The wallet is empty: who owes nothing needs none.
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    let refused = world.send(post(CHAT, &key, &chat("only-claude"))).await;
    assert_eq!(
        refused.status,
        402,
        "on the installation's key it is the platform's wallet: {}",
        refused.text()
    );
    world.add_tenant("globex", |tenant| {
        tenant.credit_limit = Some(NanoUsd::ZERO);
        tenant.surcharge = "0.001/request".parse().ok();
    });
    let refused = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
    assert_eq!((refused.status, refused.header("x-gateway-limit-kind")), (402, Some("wallet")));
    // A budget of a thousandth of a dollar has room for one attempt, whatever the provider charges.
    world.add_tenant("globex", |tenant| {
        tenant.budgets = monthly(1_000_000);
        tenant.surcharge = "0.001/request".parse().ok();
    });
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    let refused = world.send(post(CHAT, &key, &chat("only-gpt"))).await;
    assert_eq!((refused.status, refused.header("x-gateway-limit-kind")), (429, Some("budget")));
    assert_eq!(owes(&world, Book::Surcharge).await, (1_000_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_soft_budget_gives_another_model_by_what_it_counts_in_the_book_of_whose_key_serves() {
    let mut world = World::new();
    world.add_tenant("globex", |tenant| tenant.surcharge = "0.001/request".parse().ok());
    let soft = "usd=0.0025 period=day on_exceed=downgrade:only-claude";
    let key = world.add_key(|key| {
        key.tenant = TenantName::new("globex").unwrap();
        key.budgets = vec![soft.parse().unwrap()];
    });
    let store = MemoryKeyStore::new();
    for key in &world.keys {
        store.create(key.clone()).await.unwrap();
    }
    for tenant in &world.tenants {
        store.put_tenant(None, tenant.clone()).await.unwrap();
    }
    let jobs = Jobs::start(&world.pipeline, Arc::new(store));
    let own = vec![open_key(1, "globex", "openai", "sk-globex-0123456789abcdef")];
    world.pipeline.put_provider_keys(own.clone()).unwrap();
    let ask = async |model: &str| {
        let answer = world.send(post(CHAT, &key, &chat(model))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        tokio::time::sleep(Duration::from_secs(2)).await;
        answer.header("x-gateway-provider").unwrap().to_owned()
    };
    // A thousandth of a dollar each, in the surcharge book. Whoever may be served on the own key gets another model
    // from then on, be it one of several that may serve it.
    for (model, provider) in [
        ("only-gpt", "openai"),
        ("only-gpt", "openai"),
        ("only-gpt", "openai"),
        ("only-gpt", "anthropic"),
        ("gpt", "anthropic"),
    ] {
        assert_eq!(ask(model).await, provider);
    }
    assert_eq!(owes(&world, Book::Surcharge).await, (3_000_000, 0));
    // What counts in the platform's book is far from its limit.
    world.pipeline.put_provider_keys(Vec::new()).unwrap();
    assert_eq!(ask("only-gpt").await, "openai");
    world.pipeline.put_provider_keys(own).unwrap();
    assert_eq!(ask("only-gpt").await, "anthropic");
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn installation_keys_of_the_vault_join_those_of_the_configuration() {
    let mut world = World::new();
    let vault = "sk-vault-0123456789abcdef";
    world.pipeline.put_provider_keys(vec![open_key(1, "", "openai", vault)]).unwrap();
    for _ in 0..6 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    let mut seen = credentials(&world.openai);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["sk-openai-one", "sk-openai-two", vault]);
    // A reload keeps them; when the key is revoked, it is used no more.
    let settings = world.settings.clone();
    world.pipeline.reload(&settings).unwrap();
    world.afresh(None);
    for _ in 0..6 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    assert!(credentials(&world.openai).contains(&vault.to_owned()));
    world.pipeline.put_provider_keys(Vec::new()).unwrap();
    world.afresh(None);
    for _ in 0..6 {
        assert_eq!(world.post(CHAT, &chat("only-gpt")).await.status, 200);
    }
    assert!(!credentials(&world.openai).contains(&vault.to_owned()));
    // Somebody's own key is not an installation's.
    let own = "sk-globex-0123456789abcdef";
    world.pipeline.put_provider_keys(vec![open_key(1, "globex", "openai", own)]).unwrap();
    let key = key_of(&mut world, "globex");
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
}

#[tokio::test]
async fn k2_a_vault_is_followed_and_says_what_it_cannot_open() {
    let mut world = World::new();
    let key = key_of(&mut world, "globex");
    let store = Arc::new(MemoryKeyStore::new());
    let master = MasterKey::new(&[1; 32]).unwrap();
    let masters = MasterKeys::new(master.clone(), Vec::new());
    let vault = KeyVault::new(Arc::clone(&store) as Arc<dyn ProviderKeyStore>, Some(masters.clone()));
    assert!(vault.sync(&world.pipeline).await.unwrap());
    let OpenKey { key: mut kept, secret } = open_key(1, "globex", "openai", "sk-globex-0123456789abcdef");
    kept.secret = KeySecret::Sealed(masters.seal(&kept.place(), &secret, &[5; 24]).unwrap());
    store.add(kept.clone()).await.unwrap();
    assert!(vault.sync(&world.pipeline).await.unwrap());
    assert!(!vault.sync(&world.pipeline).await.unwrap(), "nothing has changed");
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    assert_eq!(credentials(&world.openai), ["sk-globex-0123456789abcdef"]);

    // Without its master key, or without any, it says which one is missing.
    let other = MasterKeys::new(MasterKey::new(&[2; 32]).unwrap(), Vec::new());
    for masters in [None, Some(other)] {
        let vault = KeyVault::new(Arc::clone(&store) as Arc<dyn ProviderKeyStore>, masters);
        let error = vault.sync(&world.pipeline).await.unwrap_err();
        let expected = VaultError::NoMasterKey { id: kept.id, master: master.id() };
        assert!(matches!(&error, LoadKeysError::Vault(why) if *why == expected), "{error}");
        assert!(error.to_string().contains(&master.id().to_string()));
    }
    let revoked = ProviderKey { secret: KeySecret::Revoked(Timestamp::default()), ..kept.clone() };
    store.replace(&kept, revoked).await.unwrap();
    vault.sync(&world.pipeline).await.unwrap();
    world.afresh(None);
    assert_eq!(world.send(post(CHAT, &key, &chat("only-gpt"))).await.status, 200);
    assert!(credentials(&world.openai)[0].starts_with("sk-openai-"));
}

const TENANTS: [&str; 5] = ["acme", "acme/search", "acme/other", "globex", "globex/a"];
const HOUSES: [(&str, &str); 5] = [
    ("openai", "gpt"),
    ("anthropic", "claude"),
    ("gemini", "gemini/gemini-2.5-flash"),
    ("bedrock", "bedrock/amazon.nova-lite-v1:0"),
    ("azure", "azure/gpt-4o-mini"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(10), ..ProptestConfig::default() })]

    /// Whoever asks, whatever fails, and however keys come and go: what a provider sees is a key for it, of the
    /// tenant that asks or of a tenant that it belongs to, the nearest first; or the installation's.
    #[test]
    fn k3_no_key_ever_serves_another_tenant_or_another_vendor(
        keys in prop::collection::vec((0..TENANTS.len(), 0..HOUSES.len()), 0..12),
        asks in prop::collection::vec((0..TENANTS.len(), 0..HOUSES.len(), 0..6_u8, any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let secret = |tenant: usize, house: usize| format!("sk-{tenant}-{house}-0123456789abcdef");
            let all: Vec<_> = keys.iter().enumerate().map(|(id, (tenant, house))| {
                open_key(id as u64, TENANTS[*tenant], HOUSES[*house].0, &secret(*tenant, *house))
            }).collect();
            world.pipeline.put_provider_keys(all).unwrap();
            let virtual_keys: Vec<_> = TENANTS.iter().map(|tenant| key_of(&mut world, tenant)).collect();
            for (tenant, house, fault, stream) in asks {
                let fault = [
                    None,
                    Some(Fault::Status { code: 500, retry_after: None }),
                    Some(Fault::Status { code: 401, retry_after: None }),
                    Some(Fault::Status { code: 429, retry_after: Some(1) }),
                    Some(Fault::Reset),
                    Some(Fault::CutMidStream { after_frames: 0 }),
                ][usize::from(fault)].clone();
                world.afresh(fault.as_ref());
                let mut body = chat(HOUSES[house].1);
                body["stream"] = json!(stream);
                world.send(post(CHAT, &virtual_keys[tenant], &body)).await;
                let organisation = usize::from(tenant > 2) * 3;
                for (simulator, at) in
                    [(&world.openai, 0), (&world.anthropic, 1), (&world.google, 2), (&world.aws, 3), (&world.azure, 4)]
                {
                    for seen in credentials(simulator) {
                        let has = |owner: usize| keys.contains(&(owner, at));
                        let expected = if has(tenant) {
                            secret(tenant, at)
                        } else if has(organisation) {
                            secret(organisation, at)
                        } else {
                            format!("sk-{}-", HOUSES[at].0)
                        };
                        assert!(seen.starts_with(&expected), "{}: {seen}, not {expected}", TENANTS[tenant]);
                    }
                }
                tokio::time::advance(std::time::Duration::from_secs(20)).await;
            }
        });
    }
}
