//! Usage, savings and explanations, through the admin service.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use weighbridge_access::{KeyHash, KeyStore, MemoryKeyStore, Pepper, VirtualKey};
use weighbridge_admin::{Actor, AdminError, AdminService, Clock, UsageQuestion, UsageView};
use weighbridge_ledger::{Billing, EndFacts, Ledger, LedgerStore, MemoryLedger, Reserve};
use weighbridge_pricing::{PriceBook, ServiceTier};
use weighbridge_records::{
    AttemptRecord, AuditLog, BaselineCost, Caller, ExcludedTarget, MemoryAuditLog, MemoryRequestLog,
    PricedBy, RequestLog, RequestRecord,
};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Protocol, Provenance, RequestId, Timestamp, Usage,
};

/// Evening of the 27th.
struct Evening;

impl Clock for Evening {
    fn now(&self) -> Timestamp {
        noon(27) + Duration::from_secs(8 * 3_600)
    }
}

fn noon(day: u32) -> Timestamp {
    Timestamp::from_date(2026, 11, day).unwrap() + Duration::from_secs(12 * 3_600)
}

struct World {
    service: AdminService,
    ledger: Ledger,
    log: Arc<MemoryRequestLog>,
    book: Arc<PriceBook>,
}

const KEYS: [(u64, &str, &str); 4] =
    [(1, "bot", "acme"), (2, "search", "acme/search"), (3, "ads", "acme/ads"), (4, "other", "rival")];

async fn world() -> World {
    let (store, keys) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryKeyStore::new()));
    for (id, name, tenant) in KEYS {
        let tenant = tenant.parse().unwrap();
        let hash = KeyHash::from_bytes([0; 32]);
        keys.create(VirtualKey::new(KeyId::from_bits(id), name, tenant, hash, noon(1))).await.unwrap();
    }
    let log = Arc::new(MemoryRequestLog::new(100));
    let book = Arc::new(PriceBook::builtin().unwrap());
    let audit = Arc::new(MemoryAuditLog::new(100)) as Arc<dyn AuditLog>;
    let ledger = Arc::clone(&store) as Arc<dyn LedgerStore>;
    let prices = Arc::clone(&book);
    let service = AdminService::new(keys, ledger, audit, Pepper::new(&[1; 32]).unwrap())
        .with_log(Arc::clone(&log) as Arc<dyn RequestLog>)
        .with_prices(move || Arc::clone(&prices))
        .with_clock(Evening);
    World { service, ledger: Ledger::new(store, 1_000), log, book }
}

impl World {
    /// A request of one attempt that used 1,000 and 100 tokens, with a mark-up of 20 %; in ledger and log.
    async fn call(&self, number: u128, day: u32, key: u64, model: &str) {
        let at = noon(day);
        let (_, _, tenant) = KEYS.into_iter().find(|(id, ..)| *id == key).unwrap();
        let attempt = AttemptId::from_u128(number);
        let usage = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Output, 100);
        let card = self.book.find("openai", model, ServiceTier::Standard, at).unwrap();
        let cost = card.cost(&usage).unwrap();
        let price = NanoUsd::new(cost.posted.get() * 6 / 5);
        let reserve = Reserve {
            attempt,
            at,
            expires: at + Duration::from_secs(600),
            key: KeyId::from_bits(key),
            tenant: tenant.into(),
            provider: "openai".into(),
            model: model.into(),
            price_version: "v1".into(),
            billing: Billing::Platform,
            amount: NanoUsd::new(100_000_000),
            tokens: 1_000,
            claim: None,
            credit_limit: None,
            holds: Vec::new(),
            estimate: NanoUsd::new(100_000_000),
        };
        self.ledger.reserve(reserve).await.unwrap().end(EndFacts {
            at,
            outcome: AttemptOutcome::Success,
            usage,
            provenance: Provenance::Reported,
            price,
            cost: cost.posted,
            exact: cost.exact,
            reason: "".into(),
        });
        self.ledger.flush();

        let id = RequestId::new(&format!("req_{number}")).unwrap();
        let mut request = RequestRecord::new(id, at, Protocol::OpenAiChat);
        request.caller = Some(Caller { key: KeyId::from_bits(key), tenant: tenant.into() });
        (request.model, request.status, request.strategy) = ("support".into(), 200, "weighted-round-robin");
        request.tags = vec![("env".into(), if key == 1 { "test" } else { "prod" }.into())];
        request.excluded.push(ExcludedTarget { target: "claude/x".into(), reason: "benched" });
        let mut record = AttemptRecord::new(attempt, "openai".into(), model.into(), Protocol::OpenAiChat, 5);
        (record.outcome, record.provenance) = (AttemptOutcome::Success, Provenance::Reported);
        (record.usage, record.cost, record.charged) = (usage, cost.posted, price);
        record.price_version = self.book.version().shared();
        record.terms = Some("cost + 20%".into());
        record.priced =
            Some(PricedBy { provider: "openai".into(), model: model.into(), tier: "standard", at });
        record.baseline =
            Some(BaselineCost { model: "openai/dear".into(), cost: NanoUsd::new(cost.posted.get() * 10) });
        request.attempts.push(record);
        self.log.append(Arc::new(request));
    }

    async fn filled() -> Self {
        let world = world().await;
        world.call(1, 3, 1, "gpt-4o-mini").await;
        world.call(2, 3, 2, "gpt-4o-mini").await;
        world.call(3, 4, 2, "gpt-4o").await;
        world.call(4, 27, 3, "gpt-4o-mini").await;
        world.call(5, 27, 4, "gpt-4o").await;
        world
    }

    async fn usage(&self, actor: &Actor, by: &str) -> UsageView {
        let question = UsageQuestion { by: Some(by.to_owned()), ..UsageQuestion::default() };
        self.service.usage(actor, &question).await.unwrap()
    }
}

fn groups(view: &UsageView) -> Vec<(&str, u64)> {
    let mut groups: Vec<_> = view.lines.iter().map(|line| (line.group.as_str(), line.attempts)).collect();
    groups.sort_unstable();
    groups
}

fn root() -> Actor {
    Actor::installation("root")
}

#[tokio::test]
async fn q1_usage_is_told_apart_as_asked_for_and_adds_up() {
    let world = World::filled().await;
    for (by, expected) in [
        ("team", &[("acme", 1), ("acme/ads", 1), ("acme/search", 2), ("rival", 1)][..]),
        ("organisation", &[("acme", 4), ("rival", 1)]),
        ("provider", &[("openai", 5)]),
        ("model", &[("openai/gpt-4o", 2), ("openai/gpt-4o-mini", 3)]),
        ("day", &[("2026-11-03", 2), ("2026-11-04", 1), ("2026-11-27", 2)]),
        ("alias", &[("support", 5)]),
        ("tag:env", &[("prod", 4), ("test", 1)]),
        ("tag:none", &[("-", 5)]),
        ("end-user", &[("-", 5)]),
    ] {
        let view = world.usage(&root(), by).await;
        assert_eq!(groups(&view), expected, "{by}");
        assert_eq!(
            (view.total.attempts, view.total.prompt_tokens, view.total.answer_tokens),
            (5, 5_000, 500)
        );
        let margin: NanoUsd = view.total.margin_usd.unwrap().parse().unwrap();
        let cost: NanoUsd = view.total.cost_usd.unwrap().parse().unwrap();
        assert_eq!(margin.get() * 5, cost.get(), "{by}: a fifth of the cost");
    }
    let by_key = world.usage(&root(), "key").await;
    assert_eq!(by_key.lines[0].name.as_deref(), Some("search"), "dearest first, then by name");
    let key = Some(KeyId::from_bits(2).to_string());
    let question = UsageQuestion { key, to: Some("2026-11-04".into()), ..UsageQuestion::default() };
    let view = world.service.usage(&root(), &question).await.unwrap();
    assert_eq!(groups(&view), [(KeyId::from_bits(2).to_string().as_str(), 1)], "before the fourth");
    for wrong in [
        UsageQuestion { by: Some("colour".into()), ..UsageQuestion::default() },
        UsageQuestion { from: Some("yesterday".into()), ..UsageQuestion::default() },
        UsageQuestion { to: Some("2026-10-01".into()), ..UsageQuestion::default() },
    ] {
        let refused = world.service.usage(&root(), &wrong).await;
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn administrators_of_tenants_see_their_own_and_no_costs() {
    let world = World::filled().await;
    let of = |tenant: &str| Actor::of_tenant("ada", tenant.parse().unwrap());
    for by in ["key", "team", "model", "day", "alias", "tag:env"] {
        let view = world.usage(&of("acme"), by).await;
        assert_eq!(view.total.attempts, 4, "{by}");
        assert!(view.lines.iter().all(|line| line.cost_usd.is_none() && line.margin_usd.is_none()), "{by}");
        assert_eq!(world.usage(&of("acme/search"), by).await.total.attempts, 2, "{by}");
        assert_eq!(world.usage(&of("nobody"), by).await.total.attempts, 0, "{by}");
    }
    let key = Some(KeyId::from_bits(4).to_string());
    let refused = world.service.usage(&of("acme"), &UsageQuestion { key, ..UsageQuestion::default() }).await;
    assert!(matches!(refused, Err(AdminError::NotFound(_))), "{refused:?}");
    assert!(matches!(
        world.service.savings(&of("acme"), &UsageQuestion::default()).await,
        Err(AdminError::Forbidden(_))
    ));
    assert!(matches!(world.service.explain(&of("acme"), "req_1").await, Err(AdminError::Forbidden(_))));
}

#[tokio::test]
async fn savings_are_the_difference_to_the_baseline() {
    let world = World::filled().await;
    let savings = world.service.savings(&root(), &UsageQuestion::default()).await.unwrap();
    assert_eq!((savings.by.as_str(), savings.lines.len(), savings.total.requests), ("alias", 1, 5));
    let read = |text: &str| text.parse::<NanoUsd>().unwrap().get();
    let total = &savings.total;
    assert_eq!(read(&total.baseline_usd), read(&total.real_usd) * 10);
    assert_eq!(read(&total.saved_usd), read(&total.real_usd) * 9);
    let by = Some("organisation".to_owned());
    let savings =
        world.service.savings(&root(), &UsageQuestion { by, ..UsageQuestion::default() }).await.unwrap();
    let told: Vec<_> = savings.lines.iter().map(|line| (line.group.as_str(), line.requests)).collect();
    assert_eq!(told, [("acme", 4), ("rival", 1)]);
}

#[tokio::test]
async fn a_request_is_explained_to_the_last_nano_dollar() {
    let world = World::filled().await;
    let explained = world.service.explain(&root(), "req_2").await.unwrap();
    assert_eq!((explained.tenant.as_deref(), explained.model.as_str()), (Some("acme/search"), "support"));
    assert_eq!(explained.routing.strategy, "weighted-round-robin");
    assert_eq!(explained.routing.passed_over[0].reason, "benched");
    let [attempt] = &explained.attempts[..] else { panic!("one attempt") };
    assert_eq!((attempt.notes.len(), attempt.outcome.as_str()), (0, "success"), "{:?}", attempt.notes);
    let price = attempt.price.as_ref().unwrap();
    assert_eq!((price.provider.as_str(), price.model.as_str()), ("openai", "gpt-4o-mini"));
    // Lines and rounding add up to what was posted (M3).
    let read = |text: &str| text.parse::<weighbridge_units::Usd>().unwrap();
    let lines = attempt.cost_lines.iter().map(|line| read(&line.amount_usd));
    let sum = lines.fold(read(attempt.rounding_usd.as_ref().unwrap()), |sum, line| sum.plus(line).unwrap());
    assert_eq!(sum, read(&attempt.cost_usd));
    let lines = attempt.price_lines.iter().map(|line| read(&line.amount_usd));
    let sum = lines.fold(read("0"), |sum, line| sum.plus(line).unwrap());
    assert_eq!(sum, read(&attempt.charged_usd));
    assert_eq!(attempt.terms, "cost + 20%");
    let facts: Vec<_> = attempt.postings.iter().map(|row| row.fact).collect();
    assert_eq!(facts, ["reserved", "ended", "used"]);
    let moved: Vec<_> = attempt.postings[1]
        .transfers
        .iter()
        .map(|t| (t.phase, t.debit.as_str(), t.credit.as_str()))
        .collect();
    assert!(moved.contains(&("post", "receivable (acme/search)", "sales")), "{moved:?}");
    assert!(moved.contains(&("post", "cost_of_sales", "payable (openai)")), "{moved:?}");

    for unknown in ["req_99", "", "a\nb"] {
        let refused = world.service.explain(&root(), unknown).await;
        assert!(matches!(refused, Err(AdminError::NoRequest(_))), "{refused:?}");
    }
}
