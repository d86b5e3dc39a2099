//! Budgets of installation, provider, model, organisation, team, key, user and tag: what each counts, and what
//! it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use weighbridge_access::{Budget, KeyStore, MemoryKeyStore};
use weighbridge_ledger::{AccountId, AccountKind, Book, EntityId, Fund, Funding, LedgerStore, MAX_HOLDS};
use weighbridge_pipeline::settings::Settings;
use weighbridge_pipeline::{Jobs, PipelineError, check};
use weighbridge_simulator::Fault;
use weighbridge_units::{NanoUsd, Timestamp};
use world::{Answer, CHAT, World, post};

/// Room for the worst cost of [`hello`], and for no other one once it has cost what it does.
const ONE: &str = "usd=0.000044";

fn budgets(texts: &[&str]) -> Vec<Budget> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn hello(model: &str) -> serde_json::Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "echo:Hi" }] })
}

async fn ask(world: &World, key: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = post(CHAT, key, &hello("only-gpt"));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    world.send(request).await
}

fn kind(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-gateway-limit-kind"))
}

/// What all budgets together have counted, account by account.
async fn counted(world: &World) -> Vec<i64> {
    let balances = world.store.balances().await.unwrap();
    let budgets = balances.into_iter().filter(|(account, _)| account.kind() == AccountKind::Budget);
    let mut posted: Vec<i64> = budgets
        .map(|(_, balance)| {
            assert_eq!(balance.pending.get(), 0, "nothing runs (rule R6)");
            balance.posted.get()
        })
        .collect();
    posted.sort_unstable();
    posted
}

fn invoiced(world: &World) -> i64 {
    world.openai.invoice().iter().map(|line| line.nano_usd).sum()
}

#[tokio::test(start_paused = true)]
async fn r3_a_budget_of_a_team_and_of_its_organisation_holds_under_concurrency_for_all_keys() {
    let mut world = World::new();
    let keys: Vec<_> = ["acme", "acme/search", "acme/search", "acme/ads"]
        .map(|tenant| world.add_key(|key| key.tenant = tenant.parse().unwrap()))
        .into();
    world.add_tenant("acme", |acme| acme.budgets = budgets(&["usd=0.0008 period=day zone=Europe/Berlin"]));
    world.add_tenant("acme/search", |team| team.budgets = budgets(&["usd=0.0003 period=week"]));
    let calls = (0..100).map(|at| ask(&world, &keys[at % keys.len()], &[]));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| matches!(kind(answer), (200, None) | (429, Some("budget")))));
    let of_team: Vec<i64> = counted(&world).await;
    let [team, all] = of_team[..] else { panic!("{of_team:?}") };
    assert_eq!(all, invoiced(&world), "every request of the organisation is counted, none of others");
    assert!(team > 0 && team < all && team <= 300_000 && all <= 800_000, "{team} {all}");
    // The team is full, its organisation is too; a stranger is neither.
    let stranger = world.add_key(|key| key.tenant = "acme2".parse().unwrap());
    assert_eq!(ask(&world, &stranger, &[]).await.status, 200);
}

/// What a tenant owes.
async fn owed(world: &World, tenant: &str) -> i64 {
    let account = AccountId::new(Book::Platform, AccountKind::Receivable, EntityId::of(tenant));
    let balance = world.store.balance(account).await.unwrap();
    assert_eq!(balance.pending.get(), 0, "nothing runs (rule R6)");
    balance.posted.get()
}

#[tokio::test(start_paused = true)]
async fn r3_a_wallet_is_never_overdrawn_and_pays_for_teams_that_have_none() {
    let mut world = World::new();
    let [of_acme, of_search, of_ads] = ["acme", "acme/search", "acme/ads"]
        .map(|tenant| world.add_key(|key| key.tenant = tenant.parse().unwrap()));
    world.add_tenant("acme", |acme| acme.credit_limit = Some(NanoUsd::ZERO));
    world.add_tenant("acme/ads", |ads| ads.credit_limit = Some(NanoUsd::new(60_000)));
    let empty = ask(&world, &of_search, &[]).await;
    assert_eq!((kind(&empty), empty.header("x-should-retry")), ((402, Some("wallet")), Some("false")));
    assert_eq!(empty.header("retry-after"), None);

    world.store.fund(top_up("acme", 100_000)).await.unwrap();
    let keys = [&of_acme, &of_search, &of_ads];
    let calls = (0..90).map(|at| ask(&world, keys[at % 3], &[]));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| matches!(kind(answer), (200, None) | (402, Some("wallet")))));
    assert!(answers.iter().any(|answer| answer.status == 402));
    let (acme, ads) = (owed(&world, "acme").await, owed(&world, "acme/ads").await);
    assert!(acme <= 0 && 0 < ads && ads <= 60_000, "{acme} {ads}");
    assert_eq!(acme + 100_000 + ads, invoiced(&world), "all that was answered is owed by one of the two");
    assert_eq!(owed(&world, "acme/search").await, 0);
}

fn top_up(tenant: &str, nanos: i64) -> Fund {
    Fund {
        id: 1,
        at: Timestamp::default(),
        book: Book::Platform,
        tenant: tenant.into(),
        funding: Funding::TopUp(NanoUsd::new(nanos)),
        reason: "test".into(),
        actor: "test".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn c7_a_day_ends_where_its_zone_says() {
    // It is midnight of 21 November in UTC: 1:00 in Berlin, 19:00 of the day before in New York.
    for (zone, hours) in [("UTC", 24), ("Europe/Berlin", 23), ("America/New_York", 5)] {
        let mut world = World::new();
        let key = world.add_key(|key| key.budgets = budgets(&[&format!("{ONE} period=day zone={zone}")]));
        assert_eq!(ask(&world, &key, &[]).await.status, 200, "{zone}");
        let answer = ask(&world, &key, &[]).await;
        assert_eq!(kind(&answer), (429, Some("budget")), "{zone}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((hours * 3_600 - 60..=hours * 3_600).contains(&wait), "{zone}: {wait}");
        tokio::time::advance(Duration::from_secs(wait)).await;
        assert_eq!(ask(&world, &key, &[]).await.status, 200, "{zone}: a new day");
        assert_eq!(counted(&world).await.len(), 2, "{zone}: each day is an account of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_budget_asks_for_payment_and_names_no_time() {
    let mut world = World::new();
    let key = world.add_key(|key| key.budgets = budgets(&[&format!("{ONE} period=total")]));
    assert_eq!(ask(&world, &key, &[]).await.status, 200);
    tokio::time::advance(Duration::from_secs(400 * 86_400)).await;
    let answer = ask(&world, &key, &[]).await;
    assert_eq!(kind(&answer), (402, Some("budget-total")), "{}", answer.text());
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, Some("false")));
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_each_user_is_one_for_each_and_one_for_the_nameless() {
    let mut world = World::new();
    let key = world.add_key(|_| {});
    world.add_tenant("acme", |acme| acme.budgets = budgets(&[&format!("{ONE} for=user")]));
    for headers in [&[("x-gateway-user", "ada")][..], &[("x-gateway-user", "bob")], &[]] {
        assert_eq!(ask(&world, &key, headers).await.status, 200, "{headers:?}");
        assert_eq!(ask(&world, &key, headers).await.status, 429, "{headers:?}");
    }
    // The protocol's own field names the same user.
    let mut body = hello("only-gpt");
    body["user"] = "ada".into();
    assert_eq!(world.send(post(CHAT, &key, &body)).await.status, 429);
    assert_eq!(counted(&world).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_a_model_or_a_tag_counts_those_requests_only() {
    let mut world = World::new();
    let texts = [&format!("{ONE} for=tag:env=test"), &format!("{ONE} for=model:only-g*")];
    let tagged = world.add_key(|key| key.budgets = budgets(&[texts[0]]));
    for _ in 0..2 {
        assert_eq!(ask(&world, &tagged, &[("x-gateway-tags", "env=prod")]).await.status, 200);
    }
    assert_eq!(ask(&world, &tagged, &[("x-gateway-tags", "a=b,env=test")]).await.status, 200);
    assert_eq!(ask(&world, &tagged, &[("x-gateway-tags", "env=test")]).await.status, 429);
    let model = world.add_key(|key| key.budgets = budgets(&[texts[1]]));
    assert_eq!(ask(&world, &model, &[]).await.status, 200);
    assert_eq!(ask(&world, &model, &[]).await.status, 429);
    assert_eq!(world.send(post(CHAT, &model, &hello("gpt"))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn installation_provider_and_model_have_budgets_for_everybody() {
    type Give = fn(&mut Settings, Vec<Budget>);
    let places: [(&str, Give); 3] = [
        ("installation", |settings, budgets| settings.budgets = budgets),
        ("provider", |settings, budgets| settings.providers[0].budgets = budgets),
        ("model", |settings, budgets| {
            let route = settings.routes.iter_mut().find(|route| &*route.name == "only-gpt").unwrap();
            route.budgets = budgets;
        }),
    ];
    for (place, give) in places {
        let world = World::with_settings(1, |settings| give(settings, budgets(&[ONE])));
        assert_eq!(ask(&world, &world.key, &[]).await.status, 200, "{place}");
        assert_eq!(kind(&ask(&world, &world.key, &[]).await), (429, Some("budget")), "{place}");
        let other = world.send(post(CHAT, &world.key, &hello("only-claude"))).await.status;
        assert_eq!(other, if place == "installation" { 429 } else { 200 }, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn budgets_of_tokens_and_of_requests_hold_under_concurrency() {
    for (budget, most) in [("tokens=250 period=day", 250), ("requests=3 period=day", 3)] {
        let mut world = World::new();
        let key = world.add_key(|key| key.tenant = "acme/search".parse().unwrap());
        world.add_tenant("acme/search", |team| team.budgets = budgets(&[budget]));
        let answers = futures::future::join_all((0..20).map(|_| ask(&world, &key, &[]))).await;
        assert!(answers.iter().all(|answer| matches!(kind(answer), (200, None) | (429, Some("budget")))));
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        let lines = world.openai.invoice();
        assert!(served > 0 && served < 20 && served == lines.len(), "{budget}: {served}");
        let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
        assert!(refused.text().contains(budget.split('=').next().unwrap()), "{}", refused.text());
        let balances = world.store.balances().await.unwrap();
        let counted = balances.iter().find(|(account, _)| account.kind().is_budget()).unwrap().1;
        let unit = if most == 3 { served as i64 } else { tokens(&answers) };
        assert_eq!((counted.posted.get(), counted.pending.get()), (unit, 0), "{budget}");
        assert!(unit <= most, "{budget}: {unit}");
    }
}

/// What the answers say was used.
fn tokens(answers: &[Answer]) -> i64 {
    let served = answers.iter().filter(|answer| answer.status == 200);
    served.map(|answer| answer.json()["usage"]["total_tokens"].as_i64().unwrap()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_tokens_caps_the_output_and_one_of_requests_does_not() {
    let mut world = World::new();
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let some = world.add_key(|key| key.budgets = budgets(&["tokens=500"]));
    assert_eq!(world.send(post(CHAT, &some, &body)).await.status, 200);
    let sent: serde_json::Value = serde_json::from_slice(&world.openai.requests()[0].body).unwrap();
    assert!((64..500).contains(&sent["max_completion_tokens"].as_u64().unwrap()), "{sent}");
    let none = world.add_key(|key| key.budgets = budgets(&["requests=0"]));
    assert_eq!(kind(&world.send(post(CHAT, &none, &body)).await), (429, Some("budget")));
}

#[tokio::test(start_paused = true)]
async fn r4_a_wallet_caps_the_output_where_the_request_does_not() {
    let mut world = World::new();
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let key = world.add_key(|_| {});
    // The model's maximum of 16,384 tokens costs 0.0098 at worst, which is more than is left.
    world.add_tenant("acme", |acme| acme.credit_limit = Some(NanoUsd::new(500_000)));
    let answer = world.send(post(CHAT, &key, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cap = |world: &World, at: usize| {
        let sent: serde_json::Value = serde_json::from_slice(&world.openai.requests()[at].body).unwrap();
        sent["max_completion_tokens"].as_u64().unwrap()
    };
    let of_wallet = cap(&world, 0);
    assert!((700..834).contains(&of_wallet), "0.0005 at 0.60 per million tokens: {of_wallet}");
    assert!(answer.header("x-gateway-loss").is_some(), "the cap is reported");
    // What is asked beside the cost leaves room for less, and a budget beside the wallet for less still.
    world.add_tenant("acme", |acme| {
        acme.credit_limit = Some(NanoUsd::new(500_000));
        acme.markup = Some("100%".parse().unwrap());
    });
    assert_eq!(world.send(post(CHAT, &key, &body)).await.status, 200);
    let of_price = cap(&world, 1);
    assert!((300..of_wallet / 2 + 1).contains(&of_price), "{of_price}");
    let bounded = world.add_key(|key| key.budgets = budgets(&["tokens=400"]));
    assert_eq!(world.send(post(CHAT, &bounded, &body)).await.status, 200);
    assert!((64..of_price).contains(&cap(&world, 2)), "{}", cap(&world, 2));
    // A limit of the request's own is not changed: it is refused where it has no room.
    let mut limited = body.clone();
    limited["max_tokens"] = json!(16_000);
    assert_eq!(kind(&world.send(post(CHAT, &key, &limited)).await), (402, Some("wallet")));
    world.add_tenant("acme", |acme| acme.credit_limit = Some(NanoUsd::ZERO));
    assert_eq!(kind(&world.send(post(CHAT, &key, &body)).await), (402, Some("wallet")));
    assert_eq!(world.openai.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_clients_and_budgets_see_is_what_the_tenant_pays() {
    let mut world = World::new();
    world.add_tenant("acme", |acme| acme.markup = Some("50% + 0.00001/request".parse().unwrap()));
    let key = world.add_key(|key| key.budgets = budgets(&["usd=1"]));
    let answer = ask(&world, &key, &[]).await;
    let cost = invoiced(&world);
    let price = (cost * 3 + 1) / 2 + 10_000;
    let shown: NanoUsd = answer.header("x-gateway-cost-usd").unwrap().parse().unwrap();
    assert!((shown.get() - price).abs() <= 1, "{shown} {price}");
    let counted = counted(&world).await;
    assert!((counted[0] - price).abs() <= 1, "{counted:?} {price}");
    assert_eq!(owed(&world, "acme").await, counted[0]);
    let ask = format!("/v1/requests/{}", answer.header("x-request-id").unwrap());
    let record = world.ask(http::Method::GET, &ask, &key).await.json();
    let attempt = &record["attempts"][0];
    assert_eq!(
        attempt["cost_usd"], attempt["charged_usd"],
        "the provider's cost is not the tenant's business"
    );
    assert_eq!(attempt.get("terms"), None);
}

#[tokio::test(start_paused = true)]
async fn a_soft_budget_counts_everything_and_refuses_nothing() {
    let mut world = World::new();
    let key = world.add_key(|key| key.budgets = budgets(&["usd=0.000001 on_exceed=alert"]));
    for _ in 0..3 {
        assert_eq!(ask(&world, &key, &[]).await.status, 200);
    }
    assert_eq!(counted(&world).await, [invoiced(&world)]);
}

#[tokio::test(start_paused = true)]
async fn a_soft_budget_tells_once_in_its_window_and_gives_other_models_beyond() {
    let mut world = World::new();
    let soft = "usd=0.000004 period=day for=model:only-gpt thresholds=40 on_exceed=downgrade:only-claude";
    let key = world.add_key(|key| key.budgets = budgets(&[soft]));
    let store = MemoryKeyStore::new();
    for key in &world.keys {
        store.create(key.clone()).await.unwrap();
    }
    let jobs = Jobs::start(&world.pipeline, Arc::new(store));
    let mut alerts = Vec::new();
    let mut providers = Vec::new();
    for _ in 0..5 {
        let answer = ask(&world, &key, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        providers.push(answer.header("x-gateway-provider").unwrap().to_owned());
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        alerts.push(world.pipeline.budget_alerts());
    }
    // 1800 nano-dollars each: 45 % after the first request, 90 % after the second, 135 % after the third.
    assert_eq!(alerts, [1, 1, 2, 2, 2]);
    assert_eq!(providers, ["openai", "openai", "openai", "anthropic", "anthropic"]);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&world, &key, &[]).await.header("x-gateway-provider"), Some("openai"), "a new day");
    jobs.stop().await;
}

/// However many budgets are defined, a reservation has room for them.
#[tokio::test(start_paused = true)]
async fn as_many_budgets_as_can_be_defined_hold_at_once() {
    let three = budgets(&["usd=1 period=day", "usd=2 period=week", "usd=3"]);
    let two = budgets(&["usd=4 period=day", "usd=5 period=total"]);
    let mut world = World::with_settings(1, |settings| {
        settings.budgets = three.clone();
        settings.providers[0].budgets = two.clone();
        let route = settings.routes.iter_mut().find(|route| &*route.name == "only-gpt").unwrap();
        route.budgets = two.clone();
    });
    world.add_tenant("acme", |acme| acme.budgets = three.clone());
    world.add_tenant("acme/search", |team| team.budgets = three.clone());
    let key = world.add_key(|key| {
        key.tenant = "acme/search".parse().unwrap();
        key.budgets = three.clone();
    });
    assert_eq!(ask(&world, &key, &[]).await.status, 200);
    assert_eq!(counted(&world).await, [invoiced(&world); MAX_HOLDS]);

    let mut settings = Settings { budgets: [three, two].concat(), ..Settings::default() };
    assert!(matches!(check(&settings), Err(PipelineError::Budget { .. })), "more are refused when defined");
    settings.budgets = budgets(&["usd=1", "usd=2"]);
    assert!(matches!(check(&settings), Err(PipelineError::Budget { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_team_is_told_so_and_moves_no_money() {
    let mut world = World::new();
    let key = world.add_key(|key| key.tenant = "acme/search".parse().unwrap());
    world.add_tenant("acme/search", |team| team.blocked = true);
    let answer = ask(&world, &key, &[]).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(world.openai.request_count(), 0);
    world.add_tenant("acme/search", |_| {});
    assert_eq!(ask(&world, &key, &[]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn r4_searches_that_the_provider_may_make_are_reserved() {
    let mut world = World::new();
    let ask = |tools: serde_json::Value| {
        let messages = json!([{ "role": "user", "content": "echo:Hi" }]);
        json!({ "model": "only-claude", "max_tokens": 50, "messages": messages, "tools": tools })
    };
    let search =
        |uses: u64| json!([{ "type": "web_search_20250305", "name": "web_search", "max_uses": uses }]);
    // A prompt of unknown length, up to the model's window, and sixteen searches for a cent each.
    for (usd, uses, status) in [("0.5", 16, 429), ("0.6", 16, 200), ("0.6", 30, 429), ("0.8", 30, 200)] {
        let key = world.add_key(|key| key.budgets = budgets(&[&format!("usd={usd}")]));
        let answer = world.send(post("/v1/messages", &key, &ask(search(uses)))).await;
        assert_eq!(answer.status, status, "{usd} {uses}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn r3_what_is_refused_without_the_ledger_is_what_it_would_refuse() {
    let mut world = World::new();
    let free = world.add_key(|_| {});
    ask(&world, &free, &[]).await;
    let cost = invoiced(&world);
    // Room for one that runs, and for another once that has ended.
    let room = NanoUsd::new(44_000 + cost);
    let key = world.add_key(|key| key.budgets = budgets(&[&format!("usd={room}")]));
    world.openai.push_fault(Fault::SlowHead(Duration::from_millis(100)));
    let (first, second) = tokio::join!(ask(&world, &key, &[]), ask(&world, &key, &[]));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    // What was only reserved has come back: at once, whatever is remembered of the refusal.
    assert_eq!(ask(&world, &key, &[]).await.status, 200);
    // Now it is used up, and refused again and again; what is said of it stays the same.
    let refused = ask(&world, &key, &[]).await;
    assert_eq!(kind(&refused), (429, Some("budget")));
    let again = ask(&world, &key, &[]).await;
    assert_eq!((again.status, again.text()), (429, refused.text().replace(id(&refused), id(&again))));
    // A budget of nothing is used up by nothing.
    let other = world.add_key(|key| key.budgets = budgets(&["usd=0"]));
    for _ in 0..2 {
        assert_eq!(kind(&ask(&world, &other, &[]).await), (429, Some("budget")));
    }
    assert_eq!(world.openai.requests().len(), 3);
}

fn id(answer: &Answer) -> &str {
    answer.header("x-request-id").unwrap()
}
