//! Wallets, statements, exports and reconciling, through the admin service.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use weighbridge_access::{MemoryKeyStore, Pepper};
use weighbridge_admin::{
    Actor, AdminError, AdminService, ExportFormat, FundingKind, NewFunding, ReconciliationView, Verdict,
};
use weighbridge_ledger::{
    Billing, Book, EndFacts, Fund, Funding, Ledger, LedgerStore, MemoryLedger, Refusal, Reserve,
};
use weighbridge_records::{AuditLog, MemoryAuditLog};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

struct World {
    service: AdminService,
    ledger: Ledger,
    audit: Arc<MemoryAuditLog>,
}

fn world() -> World {
    let store = Arc::new(MemoryLedger::new());
    let audit = Arc::new(MemoryAuditLog::new(100));
    let service = AdminService::new(
        Arc::new(MemoryKeyStore::new()),
        Arc::clone(&store) as Arc<dyn LedgerStore>,
        Arc::clone(&audit) as Arc<dyn AuditLog>,
        Pepper::new(&[1; 32]).unwrap(),
    );
    World { service, ledger: Ledger::new(store, 1_000), audit }
}

fn noon(day: u32) -> Timestamp {
    Timestamp::from_date(2026, 11, day).unwrap() + Duration::from_secs(12 * 3_600)
}

/// One attempt, as it ended.
struct Call {
    number: u128,
    day: u32,
    model: &'static str,
    billing: Billing,
    outcome: AttemptOutcome,
    provenance: Provenance,
    usage: Usage,
    cost: i64,
}

impl Call {
    fn new(number: u128, day: u32, model: &'static str, cost: i64) -> Self {
        Self {
            number,
            day,
            model,
            billing: Billing::Platform,
            outcome: AttemptOutcome::Success,
            provenance: Provenance::Reported,
            usage: Usage::new().with(Bucket::Input, 80).with(Bucket::CacheRead, 20).with(Bucket::Output, 10),
            cost,
        }
    }
}

impl World {
    async fn call(&self, call: Call) {
        let at = noon(call.day);
        let reserve = Reserve {
            attempt: AttemptId::from_u128(call.number),
            at,
            expires: at + Duration::from_secs(600),
            key: KeyId::from_bits(7),
            tenant: "acme".into(),
            provider: "openai".into(),
            model: call.model.into(),
            price_version: "v1".into(),
            billing: call.billing,
            amount: NanoUsd::new(1_000),
            tokens: 1_000,
            credit_limit: None,
            claim: None,
            holds: Vec::new(),
            estimate: NanoUsd::new(1_000),
        };
        self.ledger.reserve(reserve).await.unwrap().end(EndFacts {
            at,
            outcome: call.outcome,
            usage: call.usage,
            provenance: call.provenance,
            price: NanoUsd::new(call.cost + 30),
            cost: NanoUsd::new(call.cost),
            exact: Usd::from(NanoUsd::new(call.cost)),
            reason: "cut".into(),
        });
        self.ledger.flush();
    }

    async fn reconcile(&self, format: ExportFormat, export: &str) -> ReconciliationView {
        self.service.reconcile("openai", format, export).await.unwrap()
    }
}

fn funding(kind: FundingKind, amount_usd: &str, id: u128) -> NewFunding {
    NewFunding {
        tenant: "acme".into(),
        kind,
        amount_usd: amount_usd.into(),
        reason: "invoice 17".into(),
        of: None,
        id: Some(AttemptId::from_u128(id).to_string()),
        book: None,
    }
}

fn finance() -> Actor {
    Actor::installation("finance")
}

#[tokio::test]
async fn l4_a_wallet_is_topped_up_once_and_every_act_is_written_down_first() {
    let world = world();
    let top_up = funding(FundingKind::TopUp, "10.00", 1);
    for _ in 0..2 {
        let done = world.service.fund(&finance(), &top_up).await.unwrap();
        assert_eq!((done.kind, &*done.wallet.owed_usd), ("top-up", "-10.000000000"));
    }
    let other = world.service.fund(&finance(), &funding(FundingKind::Credit, "10.00", 1)).await;
    assert!(matches!(other, Err(AdminError::Refused(Refusal::Conflict))));
    let of = Some(AttemptId::from_u128(1).to_string());
    let refund = NewFunding { of, ..funding(FundingKind::Refund, "10.01", 2) };
    let refused = world.service.fund(&finance(), &refund).await;
    assert!(matches!(refused, Err(AdminError::Refused(Refusal::RefundTooLarge { .. }))));
    let wallets = world.service.wallet("acme").await.unwrap();
    assert_eq!((wallets[0].book, &*wallets[0].owed_usd), ("platform", "-10.000000000"));
    assert_eq!((wallets[1].book, &*wallets[1].owed_usd), ("surcharge", "0.000000000"));
    let acts = world.audit.recent(10).await.unwrap();
    let acts: Vec<_> = acts.iter().rev().map(|act| (&*act.action, &*act.object)).collect();
    assert_eq!(
        acts,
        [
            ("wallet.top-up", "acme"),
            ("wallet.top-up", "acme"),
            ("wallet.credit", "acme"),
            ("wallet.refund", "acme")
        ]
    );
}

#[tokio::test]
async fn l5_a_statement_opens_moves_and_closes_and_adds_up() {
    let world = world();
    world.call(Call::new(1, 1, "gpt-4o-mini", 100)).await;
    for number in 2..4 {
        world.call(Call::new(number, 2, "gpt-4o-mini", 200)).await;
    }
    let failed = AttemptOutcome::FailedMidStream;
    world.call(Call { outcome: failed, ..Call::new(4, 2, "gpt-4o-mini", 50) }).await;
    world.call(Call::new(5, 4, "gpt-4o", 700)).await;
    let store = world.ledger.store();
    let adjust = weighbridge_ledger::Adjust {
        id: 9,
        attempt: AttemptId::from_u128(2),
        at: noon(3),
        refund: NanoUsd::new(30),
        reason: "complaint".into(),
    };
    store.adjust(adjust).await.unwrap();
    // The service's clock is today's, beyond the period.
    world.service.fund(&finance(), &funding(FundingKind::TopUp, "10.00", 1)).await.unwrap();

    let statement = world.service.statement("acme", "2026-11-02", "2026-11-04").await.unwrap();
    assert_eq!(statement.books.len(), 1, "nothing moved in the surcharge book");
    let book = &statement.books[0];
    assert_eq!((&*book.opening_usd, &*book.closing_usd), ("0.000000130", "0.000000560"));
    let lines: Vec<_> = book
        .lines
        .iter()
        .map(|line| (&*line.date, line.kind, &*line.text, line.attempts, line.tokens, &*line.amount_usd))
        .collect();
    assert_eq!(
        lines,
        [
            ("2026-11-02", "charge", "openai/gpt-4o-mini", 2, 220, "0.000000460"),
            ("2026-11-03", "charge-refund", "complaint", 0, 0, "-0.000000030"),
        ]
    );
    let none = world.service.statement("other", "2026-11-02", "2026-11-04").await.unwrap();
    assert!(none.books.is_empty());
    for (from, to) in
        [("2026-11-02", "2026-11-02"), ("2026-11-02", "soon"), ("2026-11-02T00:00:00Z", "2026-11-03")]
    {
        assert!(matches!(world.service.statement("acme", from, to).await, Err(AdminError::Invalid { .. })));
    }
}

#[tokio::test]
async fn the_journal_is_exported_decoded() {
    let world = world();
    world.call(Call::new(1, 1, "gpt-4o-mini", 100)).await;
    world.service.fund(&finance(), &funding(FundingKind::TopUp, "10.00", 1)).await.unwrap();
    let rows = world.service.journal(0, 100).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.fact).collect::<Vec<_>>(), ["reserved", "ended", "used", "funded"]);
    assert_eq!(world.service.journal(2, 1).await.unwrap()[0].seq, 3);
    let row = serde_json::to_value(&rows[3]).unwrap();
    assert_eq!(
        (&row["tenant"], &row["actor"], &row["kind"]),
        (&"acme".into(), &"finance".into(), &"top-up".into())
    );
    assert_eq!(row["transfers"][0]["debit"], "platform/cash");
    assert_eq!(row["transfers"][0]["amount"], "10.000000000");
    assert_eq!(serde_json::to_value(&rows[2]).unwrap()["usage"]["input"], 80);
}

/// OpenAI's page of usage, for two days: two attempts on the first, and none on the second.
fn openai_usage(input: u64, second_day: &str) -> String {
    let day = Timestamp::from_date(2026, 11, 1).unwrap().as_secs();
    format!(
        r#"{{"object":"page","data":[
        {{"object":"bucket","start_time":{day},"end_time":{},"results":[{{"object":"organization.usage.completions.result",
          "input_tokens":{input},"output_tokens":20,"input_cached_tokens":40,"num_model_requests":2,"project_id":null,
          "model":"gpt-4o-mini-2024-07-18","batch":null,"unknown":{{}}}}]}},
        {{"object":"bucket","start_time":{},"end_time":{},"results":[{second_day}]}}],"has_more":false,"next_page":null}}"#,
        day + 86_400,
        day + 86_400,
        day + 2 * 86_400
    )
}

#[tokio::test]
async fn a1_openai_usage_is_compared_by_day_and_model() {
    let world = world();
    world.call(Call::new(1, 1, "gpt-4o-mini", 100)).await;
    world.call(Call::new(2, 1, "gpt-4o-mini", 100)).await;
    world.call(Call { billing: Billing::OwnKey, ..Call::new(3, 1, "gpt-4o-mini", 100) }).await;
    world.call(Call::new(4, 3, "gpt-4o", 100)).await; // On a day that the export does not cover.
    let equal = world.reconcile(ExportFormat::OpenAi, &openai_usage(200, "")).await;
    assert!(equal.balanced && equal.count(Verdict::Equal) == 3, "{equal:?}");
    let more = world.reconcile(ExportFormat::OpenAi, &openai_usage(201, "")).await;
    assert!(!more.balanced);
    let different: Vec<_> = more.lines.iter().filter(|line| line.verdict == Verdict::Different).collect();
    assert_eq!(different.len(), 1);
    assert_eq!(
        (&*different[0].subject, different[0].figure, &*different[0].export, &*different[0].ledger),
        ("2026-11-01 gpt-4o-mini", "input tokens", "201", "200")
    );
    // The second day: something at the provider that the ledger does not know, and the other way round.
    let unknown = r#"{"input_tokens":5,"output_tokens":1,"model":"o3"}"#;
    let found = world.reconcile(ExportFormat::OpenAi, &openai_usage(200, unknown)).await;
    assert!(!found.balanced && found.count(Verdict::MissingInLedger) == 2, "{found:?}");
    world.call(Call::new(5, 2, "gpt-4o", 100)).await;
    let found = world.reconcile(ExportFormat::OpenAi, &openai_usage(200, "")).await;
    assert!(!found.balanced && found.count(Verdict::MissingInExport) == 3, "{found:?}");
    // Embeddings come from an endpoint of their own, with fewer figures: beside the others they are compared too.
    let embedding = Usage::new().with(Bucket::Input, 100);
    world.call(Call { usage: embedding, ..Call::new(6, 1, "text-embedding-3-small", 2) }).await;
    let day = Timestamp::from_date(2026, 11, 1).unwrap().as_secs();
    let embeddings = format!(
        r#"{{"data":[{{"start_time":{day},"end_time":{},"results":[{{"object":"organization.usage.embeddings.result",
          "input_tokens":100,"num_model_requests":1,"model":"text-embedding-3-small"}}]}}],"has_more":false}}"#,
        day + 86_400
    );
    let both = format!(
        "{}{embeddings}",
        openai_usage(200, r#"{"input_tokens":100,"output_tokens":10,"model":"gpt-4o"}"#)
    );
    let found = world.reconcile(ExportFormat::OpenAi, &both).await;
    assert!(found.balanced && found.count(Verdict::Equal) == 6, "{found:?}");
    // A page that says that more follow is no whole export.
    let cut = openai_usage(200, "").replace("\"has_more\":false", "\"has_more\":true");
    assert!(!world.reconcile(ExportFormat::OpenAi, &cut).await.complete);
}

#[tokio::test]
async fn a1_costs_are_compared_to_the_nano_dollar_and_estimates_are_named() {
    let world = world();
    world.call(Call::new(1, 1, "gpt-4o-mini", 60_000)).await;
    let day = Timestamp::from_date(2026, 11, 1).unwrap().as_secs();
    let page = |value: &str| {
        format!(
            r#"[{{"data":[{{"start_time":{day},"end_time":{},"results":[
            {{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},"line_item":null}}]}}]}}]"#,
            day + 86_400
        )
    };
    for (value, verdict) in [
        ("6.0000000000000002e-05", Verdict::Equal),
        ("\"0.00006\"", Verdict::Equal),
        ("0.000060002", Verdict::Different),
    ] {
        let view = world.reconcile(ExportFormat::OpenAi, &page(value)).await;
        assert_eq!((view.lines.len(), view.lines[0].verdict), (1, verdict), "{view:?}");
        assert_eq!(view.lines[0].subject, "2026-11-01 all models");
    }
    world.call(Call { provenance: Provenance::Estimated, ..Call::new(2, 1, "gpt-4o-mini", 5_000) }).await;
    let view = world.reconcile(ExportFormat::OpenAi, &page("0.00006")).await;
    assert!(view.balanced && view.count(Verdict::Estimated) == 1, "{view:?}");
    for wrong in
        ["", "{", "[]", r#"{"data":[{"start_time":0,"end_time":172800,"results":[]}]}"#, &page("\"NaN\"")]
    {
        let read = world.service.reconcile("openai", ExportFormat::OpenAi, wrong).await;
        assert!(matches!(read, Err(AdminError::Export(_))), "{wrong}");
    }
    let euros = page("1").replace("usd", "eur");
    assert!(world.service.reconcile("openai", ExportFormat::OpenAi, &euros).await.is_err());
    let negative = openai_usage(200, r#"{"input_tokens":-5,"output_tokens":1,"model":"o3"}"#);
    assert!(world.service.reconcile("openai", ExportFormat::OpenAi, &negative).await.is_err());
}

#[tokio::test]
async fn a1_anthropic_reports_are_compared_usage_by_bucket_and_costs_in_cents() {
    let world = world();
    let usage = Usage::new()
        .with(Bucket::Input, 100)
        .with(Bucket::CacheRead, 7)
        .with(Bucket::CacheWrite5m, 50)
        .with(Bucket::CacheWrite1h, 5)
        .with(Bucket::Output, 9)
        .with(Bucket::WebSearch, 1);
    world.call(Call { usage, ..Call::new(1, 1, "claude-haiku-4-5", 1_234_500_000) }).await;
    let bucket = r#""starting_at":"2026-11-01T00:00:00Z","ending_at":"2026-11-02T00:00:00Z""#;
    let usage = format!(
        r#"{{"data":[{{{bucket},"results":[{{"uncached_input_tokens":100,"cache_read_input_tokens":7,"output_tokens":9,
        "cache_creation":{{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":5}},
        "server_tool_use":{{"web_search_requests":1}},"model":"claude-haiku-4-5-20251001","service_tier":"standard"}}]}}],
        "has_more":false,"next_page":null}}"#
    );
    let costs = format!(
        r#"{{"data":[{{{bucket},"results":[
        {{"amount":"23.45","currency":"USD","cost_type":"tokens","model":"claude-haiku-4-5-20251001"}},
        {{"amount":"100","currency":"USD","cost_type":"web_search","model":null}}]}}],"has_more":false,"next_page":null}}"#
    );
    let both = world.reconcile(ExportFormat::Anthropic, &format!("{usage}\n{costs}")).await;
    assert!(both.balanced && both.count(Verdict::Equal) == 7, "{both:?}");
}

#[tokio::test]
async fn a1_lines_with_attempts_are_compared_one_by_one() {
    let world = world();
    for number in 1..4 {
        world.call(Call::new(number, 1, "gpt-4o-mini", 100)).await;
    }
    let line = |number: u128, cost: &str| {
        let attempt = AttemptId::from_u128(number);
        format!(r#"{{"attempt":"{attempt}","input_tokens":100,"output_tokens":10,"cost_usd":"{cost}"}}"#)
    };
    let whole = [line(1, "0.0000001"), line(2, "0.0000001"), line(3, "0.0000001")].join("\n");
    assert!(world.reconcile(ExportFormat::OpenAi, &whole).await.balanced);
    let other = [line(1, "0.0000001"), line(2, "0.0000003"), line(9, "0.0000001")].join("\n");
    let found = world.reconcile(ExportFormat::OpenAi, &other).await;
    let counts = [Verdict::Equal, Verdict::Different, Verdict::MissingInLedger, Verdict::MissingInExport];
    assert_eq!(counts.map(|verdict| found.count(verdict)), [5, 1, 3, 3], "{found:?}");
}

#[tokio::test]
async fn l4_a_clock_that_steps_back_breaks_neither_order_nor_sums() {
    let world = world();
    world.call(Call::new(1, 9, "gpt-4o-mini", 100)).await;
    world.call(Call::new(2, 2, "gpt-4o-mini", 100)).await;
    for (id, micros) in [(1, i64::MAX), (2, i64::MIN)] {
        let (reason, actor) = ("r".into(), "a".into());
        let (at, funding) = (Timestamp::from_micros(micros), Funding::Credit(NanoUsd::new(1)));
        let fund = Fund { id, at, book: Book::Platform, tenant: "acme".into(), funding, reason, actor };
        world.ledger.store().fund(fund).await.unwrap();
    }
    let rows = world.service.journal(0, 100).await.unwrap();
    assert!(rows.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    let verified = world.service.verify_ledger(weighbridge_ledger::Extent::All).await.unwrap();
    assert!(verified.sound);
    let statement = world.service.statement("acme", "2026-11-02", "2026-11-03").await.unwrap();
    assert_eq!(statement.books[0].lines.len(), 1);
    assert_eq!(statement.books[0].opening_usd, "-0.000000001", "what was entered as of long ago");
    assert_eq!(statement.books[0].closing_usd, "0.000000129");
}
