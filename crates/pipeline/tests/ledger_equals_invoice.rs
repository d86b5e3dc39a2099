//! The ledger equals the invoice, attempt by attempt, under random faults, in virtual time.
//!
//! A seed decides the requests, the faults and who leaves when; it is printed and can be given back
//! with `WEIGHBRIDGE_SEED`. `WEIGHBRIDGE_ATTEMPTS` says how many attempts there are to be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::HashMap;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_ledger::{AccountId, AccountKind, Book, EntityId, Extent, Fact, LedgerStore, Quantity, Used};
use weighbridge_pipeline::settings::{HedgeAfter, HedgeSettings, Settings, ShadowSettings};
use weighbridge_records::Scope;
use weighbridge_simulator::{AnswerEnd, Fault, FaultMix};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Provenance};
use world::{CHAT, MESSAGES, World, open_key, post};

const ATTEMPTS: u64 = 10_000;

/// Routes, and a model at each other provider.
const NAMES: [&str; 14] = [
    "gpt",
    "claude",
    "only-gpt",
    "only-claude",
    "either",
    "openai-responses/gpt-4o-mini",
    "azure/gpt-4o-mini",
    "azure/gpt-5-mini",
    "azure-dated/gpt-4o-mini",
    "gemini/gemini-2.5-flash",
    "vertex/gemini-2.5-flash",
    "vertex/claude-haiku-4-5@20251001",
    "bedrock/amazon.nova-lite-v1:0",
    "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// SplitMix64, so that a seed is all that a run depends on.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn faults(seed: u64) -> FaultMix {
    let mid = |after_frames| {
        [
            Fault::CutMidStream { after_frames },
            Fault::ResetMidStream { after_frames },
            Fault::ErrorMidStream { after_frames },
            Fault::MalformedMidStream { after_frames },
            Fault::StallMidStream { after_frames },
        ]
    };
    let once = [
        Fault::RefuseConnection,
        Fault::Reset,
        Fault::Status { code: 500, retry_after: None },
        Fault::Status { code: 503, retry_after: None },
        Fault::Status { code: 429, retry_after: None },
        Fault::Status { code: 400, retry_after: None },
        Fault::ErrorUnder200,
        Fault::Html { code: 200 },
        Fault::Html { code: 502 },
        Fault::Empty,
        Fault::CutBody,
        Fault::StallBeforeHead,
        Fault::NoUsage,
        Fault::RunningUsage,
        Fault::TwoEnds,
        Fault::ContextTooLong,
        Fault::SlowHead(Duration::from_secs(3)),
    ];
    let all = once.into_iter().chain(mid(0)).chain(mid(1)).chain(mid(2)).chain(mid(7)).chain(mid(20));
    FaultMix { seed, per_ten_thousand: all.map(|fault| (120, fault)).collect() }
}

fn request(dice: &mut Dice) -> (String, Value) {
    let text = match dice.roll(4) {
        0 => "echo:Grüße".to_owned(),
        1 => format!("words:{}", dice.roll(120)),
        2 => format!("pace:{} words:{}", dice.roll(40), dice.roll(60)),
        _ => "use the tool in parallel".to_owned(),
    };
    let model = NAMES[dice.roll(NAMES.len() as u64) as usize];
    let (most, stream, has_tool) = (1 + dice.roll(300), dice.roll(2) == 0, dice.roll(3) == 0);
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let mut body = json!({ "model": model, "stream": stream });
    let (path, tool) = match dice.roll(4) {
        0 => {
            body["messages"] = json!([{ "role": "user", "content": text }]);
            body["max_tokens"] = json!(most);
            if dice.roll(3) == 0 && stream {
                body["stream_options"] = json!({ "include_usage": true });
            }
            // A model that reasons takes another name for the limit.
            if model.contains("gpt-5") {
                let limit = body.as_object_mut().unwrap().remove("max_tokens").unwrap();
                body["max_completion_tokens"] = limit;
            }
            let function = json!({ "name": "weather", "parameters": schema });
            (CHAT.to_owned(), json!({ "type": "function", "function": function }))
        }
        1 => {
            body["messages"] = json!([{ "role": "user", "content": text }]);
            body["max_tokens"] = json!(most);
            (MESSAGES.to_owned(), json!({ "name": "weather", "input_schema": schema }))
        }
        2 => {
            body["input"] = json!(text);
            // At least as many as the API demands.
            body["max_output_tokens"] = json!(16 + most);
            let tool =
                json!({ "type": "function", "name": "weather", "parameters": schema, "strict": false });
            ("/v1/responses".to_owned(), tool)
        }
        _ => {
            let call = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            body = json!({
                "contents": [{ "role": "user", "parts": [{ "text": text }] }],
                "generationConfig": { "maxOutputTokens": most },
            });
            let function = json!({ "name": "weather", "parametersJsonSchema": schema });
            (format!("/v1beta/models/{model}:{call}"), json!({ "functionDeclarations": [function] }))
        }
    };
    if has_tool {
        body["tools"] = json!([tool]);
    }
    (path, body)
}

/// Sends one request; the client may leave before the head or in mid-stream.
async fn play(world: &World, keys: &[String], dice: &mut Dice) {
    let (path, body) = request(dice);
    let key = &keys[dice.roll(keys.len() as u64) as usize];
    let request = post(&path, key, &body);
    let leaves = dice.roll(12);
    if leaves == 0 {
        let patience = Duration::from_millis(dice.roll(2_000));
        let Ok(response) = tokio::time::timeout(patience, world.open(request)).await else { return };
        let _unread = response;
        return;
    }
    let mut stream = world.open(request).await.into_body();
    let most = if leaves == 1 { dice.roll(10) } else { u64::MAX };
    let mut frames = 0;
    while frames < most {
        match stream.frame().await {
            Some(_) => frames += 1,
            None => return,
        }
    }
}

/// Slow attempts get another beside them, some requests are copied, and streams that break off are continued.
fn with_all_attempts(settings: &mut Settings) {
    for route in &mut settings.routes {
        let after = HedgeAfter::Time(Duration::from_millis(700));
        route.failover.hedge = Some(HedgeSettings { after, most: 1 });
        route.failover.shadow = Some(ShadowSettings { to: "either".into(), permille: 200, most: 16 });
        route.failover.resume = true;
    }
}

#[tokio::test(start_paused = true)]
async fn a1_ledger_equals_invoice_under_random_faults() {
    let (seed, attempts) = (number("WEIGHBRIDGE_SEED", 20_261_121), number("WEIGHBRIDGE_ATTEMPTS", ATTEMPTS));
    println!("seed {seed}, {attempts} attempts");
    let mut world = World::with_settings(seed, with_all_attempts);
    let keys = tenants(&mut world);
    for (place, simulator) in world.simulators().into_iter().enumerate() {
        simulator.set_fault_mix(faults(seed ^ (0xff * place as u64)));
    }
    let (mut dice, mut resumed) = (Dice(seed), 0);
    while world.simulators().iter().map(|simulator| simulator.request_count()).sum::<u64>() < attempts {
        play(&world, &keys, &mut dice).await;
        resumed += world.log.latest(&Scope::All, 1).iter().filter(|record| record.resumed).count();
        // Targets that asked to be left alone come back.
        tokio::time::advance(Duration::from_millis(dice.roll(3_000))).await;
    }
    // Longer than a copy may be silent.
    tokio::time::sleep(Duration::from_secs(200)).await;

    assert_eq!(world.pipeline.ledger().outstanding(), 0, "every attempt has ended (R2)");
    assert_eq!(world.pipeline.open_requests(), 0, "every place was given back (R8)");
    let entries = used(&world).await;
    prices_follow_the_terms(&world, &entries).await;
    let entries: HashMap<AttemptId, Used> = entries.into_iter().map(|(id, (_, used))| (id, used)).collect();
    let mut lines: HashMap<AttemptId, _> = HashMap::new();
    for line in world.invoice() {
        let attempt = line.attempt.expect("every attempt is sent with its id");
        assert!(lines.insert(attempt, line).is_none(), "an attempt is invoiced once");
    }
    let mut exact = 0;
    for (attempt, line) in &lines {
        let entry = entries.get(attempt).unwrap_or_else(|| panic!("{attempt} is invoiced without an entry"));
        let posted = entry.cost;
        match entry.provenance {
            Provenance::Reported => {
                assert_eq!(posted, NanoUsd::new(line.nano_usd), "{attempt}: {entry:?} {line:?}");
                exact += 1;
            }
            _ => assert!(!line.told || line.end != AnswerEnd::Complete, "{attempt}: {entry:?} {line:?}"),
        }
    }
    for (attempt, entry) in &entries {
        if !lines.contains_key(attempt) && entry.provenance == Provenance::Reported {
            assert_eq!(entry.cost, NanoUsd::ZERO, "{attempt} is not invoiced: {entry:?}");
        }
        if !matches!(entry.outcome, AttemptOutcome::Success | AttemptOutcome::ClientLeft) {
            assert_eq!(entry.charged, NanoUsd::ZERO, "{attempt}: a failure is free (A2): {entry:?}");
        }
    }
    for (outcome, least) in [(AttemptOutcome::LostHedge, 20), (AttemptOutcome::Shadow, 200)] {
        let count = entries.values().filter(|entry| entry.outcome == outcome).count();
        assert!(count as u64 * ATTEMPTS >= least * attempts, "{count} of outcome {outcome}");
    }
    assert!(resumed as u64 * ATTEMPTS >= 5 * attempts, "{resumed} streams were continued");
    println!("{} attempts, {} invoice lines, {exact} exact to the nano-dollar", entries.len(), lines.len());
    assert!(exact * 2 > lines.len(), "most lines are exact: {exact} of {}", lines.len());

    let mut sums: HashMap<Book, (i64, i64)> = HashMap::new();
    for (account, balance) in world.store.balances().await.unwrap() {
        let sum = sums.entry(account.book()).or_default();
        sum.0 += balance.posted.get();
        sum.1 += balance.pending.get();
        assert_eq!(balance.pending, Quantity::ZERO, "{account}: nothing is in flight (R6)");
    }
    assert!(sums.values().all(|sum| *sum == (0, 0)), "L1: {sums:?}");
    assert!(world.store.verify(Extent::All).await.unwrap().is_sound());
}

/// What the usage book says of each attempt, and whose it was.
async fn used(world: &World) -> HashMap<AttemptId, (KeyId, Used)> {
    let mut entries = HashMap::new();
    let mut after = 0;
    loop {
        let rows = world.store.journal(after, 10_000).await.unwrap();
        let Some(last) = rows.last() else { return entries };
        after = last.seq;
        for row in rows {
            if let Fact::Used { attempt, used, rollup, .. } = row.entry.fact {
                assert!(entries.insert(attempt, (rollup.key, used)).is_none(), "{attempt} is entered once");
            }
        }
    }
}

/// Tenants, and what each pays: thousandths of the cost, then nano-dollars per request, per million
/// tokens of prompts, per million of answers.
///
/// Those in the surcharge book have keys of their own at every provider.
const TERMS: [(&str, Book, &str, [i128; 4]); 6] = [
    ("acme", Book::Platform, "", [1_000, 0, 0, 0]),
    (
        "reseller",
        Book::Platform,
        "20% + 0.000001/request + 0.5/Mprompt + 1.5/Manswer",
        [1_200, 1_000, 500_000_000, 1_500_000_000],
    ),
    ("reseller/vip", Book::Platform, "-7.5%", [925, 0, 0, 0]),
    ("guest", Book::Platform, "-100%", [0, 0, 0, 0]),
    (
        "own",
        Book::Surcharge,
        "5% + 0.000002/request + 0.1/Mprompt + 0.2/Manswer",
        [50, 2_000, 100_000_000, 200_000_000],
    ),
    ("flat", Book::Surcharge, "", [0, 0, 0, 0]),
];

/// A key of each tenant.
fn tenants(world: &mut World) -> Vec<String> {
    let own = TERMS.iter().filter(|(_, book, ..)| *book == Book::Surcharge);
    let at_all = |(name, ..): &(&str, Book, &str, [i128; 4])| {
        let providers = world.settings.providers.iter().map(|provider| provider.name.to_string());
        let key =
            |provider: String| open_key(0, name, &provider, &format!("sk-{name}-{provider}-0123456789"));
        providers.map(key).collect::<Vec<_>>()
    };
    world.pipeline.put_provider_keys(own.flat_map(at_all).collect()).unwrap();
    let key = |(name, book, charges, _): (&str, Book, &str, _)| {
        world.add_tenant(name, |tenant| {
            let charges = (!charges.is_empty()).then(|| charges.parse().unwrap());
            match book {
                Book::Platform => tenant.markup = charges,
                _ => tenant.surcharge = charges,
            }
        });
        world.add_key(|key| key.tenant = name.parse().unwrap())
    };
    TERMS.map(key).to_vec()
}

/// What tenants were charged is what their terms make of what providers charge, and all of it is owed.
async fn prices_follow_the_terms(world: &World, entries: &HashMap<AttemptId, (KeyId, Used)>) {
    let mut owed: HashMap<(&str, Book), i64> = HashMap::new();
    let (mut marked_up, mut surcharged) = (0, 0);
    for (attempt, (key, used)) in entries {
        let tenant = world.keys.iter().find(|other| other.id == *key).unwrap().tenant.as_str();
        let (name, book, _, [share, request, prompt, answer]) =
            TERMS.into_iter().find(|(name, ..)| *name == tenant).unwrap();
        *owed.entry((name, book)).or_default() += used.charged.get();
        if used.charged == NanoUsd::ZERO {
            continue;
        }
        // In thousandths of 10⁻¹⁸ dollars; the exact cost has at most fifteen decimals.
        let exact = used.exact.get();
        let cost = exact.mantissa() * 10_i128.pow(18 - exact.scale());
        let tokens = prompt * i128::from(used.usage.prompt()) + answer * i128::from(used.usage.answer());
        let expected = cost * share + request * 1_000_000_000_000 + tokens * 1_000_000;
        let off = expected - i128::from(used.charged.get()) * 1_000_000_000_000;
        assert!(off.abs() * 2 <= 1_000_000_000_000, "{attempt} of {tenant}: off by {off}: {used:?}");
        assert!(
            matches!(used.outcome, AttemptOutcome::Success | AttemptOutcome::ClientLeft),
            "A2, A4: {used:?}"
        );
        marked_up += usize::from(used.charged > used.cost);
        surcharged += usize::from(book == Book::Surcharge);
    }
    assert!(marked_up > 100, "{marked_up} of {} attempts have a margin", entries.len());
    assert!(surcharged > 100, "{surcharged} of {} attempts have a surcharge", entries.len());
    for ((tenant, own), charged) in owed {
        for book in [Book::Platform, Book::Surcharge] {
            let account = AccountId::new(book, AccountKind::Receivable, EntityId::of(tenant));
            let balance = world.store.balance(account).await.unwrap();
            assert_eq!(balance.posted.get(), if book == own { charged } else { 0 }, "{tenant}, {book}");
        }
    }
}
