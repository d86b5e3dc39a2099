//! The admin API over a loopback connection, as a client sees it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weighbridge_access::{ClientOrigin, Directory, KeyStore, MemoryKeyStore, Pepper, mint_key};
use weighbridge_admin::{AdminCredential, AdminService, Clock, router, serve};
use weighbridge_ledger::{Billing, LedgerStore, MemoryLedger, Reserve};
use weighbridge_records::{AuditLog, AuditRecord, LogError, MemoryAuditLog};
use weighbridge_units::{AttemptId, KeyId, NanoUsd, Timestamp};

const TOKEN: &str = "the-admin-token-0123456789";
const NOW: Timestamp = Timestamp::from_secs(1_795_226_938);

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

fn pepper() -> Pepper {
    Pepper::new(&[1; 32]).unwrap()
}

/// The API on a port of its own, and what stands behind it.
struct Running {
    address: std::net::SocketAddr,
    directory: Arc<Directory>,
    audit: Arc<dyn AuditLog>,
    ledger: Arc<MemoryLedger>,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

async fn start() -> Running {
    start_with(Arc::new(MemoryAuditLog::new(100))).await
}

async fn start_with(audit: Arc<dyn AuditLog>) -> Running {
    let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::new());
    let ledger = Arc::new(MemoryLedger::new());
    let directory = Arc::new(Directory::new(pepper()));
    let service =
        AdminService::new(keys, Arc::clone(&ledger) as Arc<dyn LedgerStore>, Arc::clone(&audit), pepper())
            .with_directory(Arc::clone(&directory))
            .with_clock(Fixed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = router(Arc::new(service), AdminCredential::new(TOKEN));
    tokio::spawn(serve(listener, api, std::future::pending()));
    Running { address, directory, audit, ledger }
}

impl Running {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        // The server may answer and close before it has read a body that is too large.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status, head: head.to_ascii_lowercase(), body }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("authorization", &format!("Bearer {TOKEN}"))], &text).await
    }

    async fn create(&self, body: Value) -> (String, String) {
        let answer = self.ask("POST", "/admin/v1/keys", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer.body["key"]["id"]), text(&answer.body["secret"]))
    }

    fn opens(&self, secret: &str, at: Timestamp) -> bool {
        let origin = ClientOrigin { ip: [127, 0, 0, 1].into(), referrer: None };
        self.directory.authenticate(secret, &origin, at).is_ok()
    }

    async fn acts(&self) -> Vec<String> {
        let records = self.audit.recent(100).await.unwrap();
        records.iter().rev().map(|record| format!("{} {}", record.actor, record.action)).collect()
    }
}

#[tokio::test]
async fn a_key_lives_from_creation_to_revocation() {
    let api = start().await;
    let (id, secret) = api
        .create(json!({
            "name": "search", "tenant": "acme", "models": ["openai/*"], "rpm": 60, "budget_usd": "25.50",
            "ip_allow": ["127.0.0.0/8"], "tags": "env=prod", "expires": "2027-01-31"
        }))
        .await;
    assert!(secret.starts_with(&format!("wb-{id}-")));
    assert!(api.opens(&secret, NOW), "the gateway of this process knows it at once");

    let listed = api.ask("GET", "/admin/v1/keys", &Value::Null).await;
    assert_eq!(listed.status, 200);
    let expected = json!({"data": [{
        "id": id, "name": "search", "tenant": "acme", "state": "active", "models": ["openai/*"], "rpm": 60, "tpm": null,
        "usd_per_minute": null, "concurrency": null,
        "budgets": [{
            "unit": "usd", "limit": "25.500000000", "period": "month", "zone": "UTC", "for": "all", "on_exceed": "block",
            "thresholds": []
        }],
        "ip_allow": ["127.0.0.0/8"], "referrers": [],
        "tags": "env=prod", "require": "", "loss_policy": null, "allow_store": true, "native": false, "prompt_cache": null, "created": "2026-11-21T02:08:58.000Z",
        "expires": "2027-01-31T00:00:00.000Z", "revoked": null
    }]});
    assert_eq!(listed.body, expected);

    for _ in 0..2 {
        let revoked = api.ask("DELETE", &format!("/admin/v1/keys/{id}"), &Value::Null).await;
        assert_eq!((revoked.status, revoked.body["state"].as_str()), (200, Some("revoked")));
    }
    assert!(!api.opens(&secret, NOW));
    assert_eq!(api.acts().await, ["admin-api key.create", "admin-api key.revoke", "admin-api key.revoke"]);
}

#[tokio::test]
async fn k1_a_rotated_key_has_two_secrets_for_a_while() {
    let api = start().await;
    let (id, old) = api.create(json!({"name": "n", "tenant": "t"})).await;
    let path = format!("/admin/v1/keys/{id}/rotate");
    let rotated = api.ask("POST", &path, &json!({"grace_secs": 60})).await;
    assert_eq!(rotated.status, 200);
    let new = rotated.body["secret"].as_str().unwrap();
    let later = NOW + Duration::from_secs(60);
    assert_eq!((api.opens(&old, NOW), api.opens(new, NOW)), (true, true));
    assert_eq!((api.opens(&old, later), api.opens(new, later)), (false, true));

    let too_long = api.ask("POST", &path, &json!({"grace_secs": u64::MAX})).await;
    assert_eq!((too_long.status, too_long.body["error"]["field"].as_str()), (400, Some("grace_secs")));
    api.ask("DELETE", &format!("/admin/v1/keys/{id}"), &Value::Null).await;
    assert_eq!(api.ask("POST", &path, &json!({"grace_secs": 60})).await.status, 409);
    assert_eq!(api.acts().await, ["admin-api key.create", "admin-api key.rotate", "admin-api key.revoke"]);
}

#[tokio::test]
async fn without_the_credential_nothing_is_told() {
    let api = start().await;
    let virtual_key = mint_key(&[9; 40], &pepper());
    let virtual_key = format!("Bearer {}", virtual_key.expose());
    let token = format!("Bearer {TOKEN}");
    let basic = format!("Basic {TOKEN}");
    let longer = format!("{token}x");
    let shorter = &token[..token.len() - 1];
    for path in [
        "/admin/v1/keys",
        "/admin/v1/ledger/balances",
        "/admin/v1/nothing",
        "/",
        "http://other/admin/v1/keys",
    ] {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            for wrong in ["", "Bearer", "Bearer ", TOKEN, &basic, &longer, shorter] {
                let answer = api.send(method, path, &[("authorization", wrong)], "").await;
                assert_eq!(answer.status, 401, "{method} {path} {wrong}");
                assert_eq!(answer.body["error"]["type"], "unauthenticated");
                assert!(answer.head.contains("www-authenticate: bearer"));
            }
            assert_eq!(api.send(method, path, &[], "").await.status, 401);
            let doubled = [("authorization", token.as_str()), ("authorization", token.as_str())];
            assert_eq!(api.send(method, path, &doubled, "").await.status, 401);
            let keyed = api.send(method, path, &[("authorization", &virtual_key)], "").await;
            assert_eq!(
                (keyed.status, keyed.body["error"]["type"].as_str()),
                (403, Some("permission_denied"))
            );
        }
    }
    assert!(api.acts().await.is_empty());
}

#[tokio::test]
async fn wrong_requests_are_refused_with_their_field() {
    let api = start().await;
    let token = format!("Bearer {TOKEN}");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\u{0}",
        r#"{"name":"n"}"#,
        r#"{"name":"n","tenant":"t","x":1}"#,
        r#"{"name":"n","name":"n","tenant":"t"}"#,
        r#"{"name":"n","tenant":"t","budget_usd":1}"#,
    ] {
        let answer = api.send("POST", "/admin/v1/keys", &[("authorization", &token)], body).await;
        assert_eq!(
            (answer.status, answer.body["error"]["type"].as_str()),
            (400, Some("invalid_request")),
            "{body}"
        );
    }
    let wrong = api
        .ask("POST", "/admin/v1/keys", &json!({"name": "n", "tenant": "t", "ip_allow": ["10.1.1.1/8"]}))
        .await;
    assert_eq!((wrong.status, wrong.body["error"]["field"].as_str()), (400, Some("ip_allow")));
    assert!(wrong.body["error"]["message"].as_str().unwrap().contains("10.0.0.0/8"));

    let large = json!({"name": "n".repeat(70_000), "tenant": "t"});
    assert_eq!(api.ask("POST", "/admin/v1/keys", &large).await.status, 413);
    let extent = api.ask("GET", "/admin/v1/ledger/verify?extent=half", &Value::Null).await;
    assert_eq!((extent.status, extent.body["error"]["field"].as_str()), (400, Some("extent")));
    assert_eq!(api.ask("GET", "/admin/v1/ledger/verify?depth=1", &Value::Null).await.status, 400);
    assert!(api.acts().await.is_empty(), "what is refused is not an act");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_405() {
    let api = start().await;
    for (method, path, status) in [
        ("DELETE", "/admin/v1/keys/000000000000", 404),
        ("DELETE", "/admin/v1/keys/not-an-id", 404),
        ("DELETE", "/admin/v1/keys/%00", 404),
        ("GET", "/admin/v1", 404),
        ("GET", "/v1/models", 404),
        ("PUT", "/admin/v1/keys", 405),
        ("DELETE", "/admin/v1/ledger/verify", 405),
    ] {
        let answer = api.ask(method, path, &Value::Null).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.body["error"]["message"].is_string(), "{method} {path}");
    }
    let rotate = api.ask("POST", "/admin/v1/keys/000000000000/rotate", &json!({"grace_secs": 0})).await;
    assert_eq!(rotate.status, 404);
    assert!(api.acts().await.is_empty());
}

#[tokio::test]
async fn the_ledger_is_verified_and_shown() {
    let api = start().await;
    let attempt = AttemptId::new(NOW, 1);
    let reserve = Reserve {
        attempt,
        at: NOW,
        expires: NOW + Duration::from_secs(600),
        key: KeyId::from_bits(7),
        tenant: "acme".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        price_version: "v1".into(),
        billing: Billing::Platform,
        amount: NanoUsd::new(5_000),
        tokens: 1_000,
        credit_limit: None,
        claim: None,
        holds: Vec::new(),
        estimate: NanoUsd::new(5_000),
    };
    api.ledger.reserve(reserve).await.unwrap();
    let verified = api.ask("GET", "/admin/v1/ledger/verify", &Value::Null).await;
    assert_eq!((verified.status, verified.body["sound"].as_bool()), (200, Some(true)));
    assert_eq!(verified.body["faults"], json!([]));
    let tail = api.ask("GET", "/admin/v1/ledger/verify?extent=since-seal", &Value::Null).await;
    assert_eq!(tail.status, 200);
    let balances = api.ask("GET", "/admin/v1/ledger/balances", &Value::Null).await;
    assert_eq!(balances.status, 200);
    let accounts = balances.body["data"].as_array().unwrap();
    let receivable = accounts.iter().find(|account| account["kind"] == "receivable").unwrap();
    assert_eq!(receivable["name"], "acme");
    assert_eq!((&receivable["book"], &receivable["measure"]), (&json!("platform"), &json!("usd")));
    assert_eq!(
        (&receivable["posted"], &receivable["pending"]),
        (&json!("0.000000000"), &json!("0.000005000"))
    );
}

#[tokio::test]
async fn l4_wallets_are_moved_once_per_id_and_shown() {
    let api = start().await;
    let id = "019a0000-0000-7000-8000-000000000001";
    let top_up =
        json!({"tenant": "acme", "kind": "top-up", "amount_usd": "25.00", "reason": "invoice 17", "id": id});
    for _ in 0..2 {
        let done = api.ask("POST", "/admin/v1/ledger/fundings", &top_up).await;
        assert_eq!((done.status, &done.body["id"]), (200, &json!(id)), "{}", done.body);
        assert_eq!(done.body["wallet"]["owed_usd"], "-25.000000000");
    }
    let change = |field: &str, value: &str| {
        let mut other = top_up.clone();
        other[field] = json!(value);
        other
    };
    let refund = json!({"tenant": "acme", "kind": "refund", "amount_usd": "1", "reason": "r",
        "of": "019a0000-0000-7000-8000-000000000009"});
    for (body, status) in [
        (change("amount_usd", "26.00"), 409),
        (change("amount_usd", "-1"), 409),
        (change("amount_usd", "a lot"), 400),
        (change("id", "17"), 400),
        (change("kind", "gift"), 400),
        (change("colour", "red"), 400),
        (refund, 404),
    ] {
        let answer = api.ask("POST", "/admin/v1/ledger/fundings", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body["error"]["message"].is_string());
    }
    let wallet = api.ask("GET", "/admin/v1/ledger/wallet?tenant=acme", &Value::Null).await;
    assert_eq!(wallet.body["data"][0]["owed_usd"], "-25.000000000");
    let path = "/admin/v1/ledger/statement?tenant=acme&from=2026-11-01&to=2026-12-01";
    let statement = api.ask("GET", path, &Value::Null).await;
    assert_eq!(statement.body["books"][0]["lines"][0]["text"], "invoice 17", "{}", statement.body);
    assert_eq!(api.ask("GET", "/admin/v1/ledger/statement?tenant=acme", &Value::Null).await.status, 400);
    let journal = api.ask("GET", "/admin/v1/ledger/journal?after=0&limit=5", &Value::Null).await;
    assert_eq!(journal.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(journal.body["data"][0]["actor"], "admin-api");
    // Before they took effect, or were refused by the ledger.
    assert_eq!(api.acts().await.len(), 5);
}

#[tokio::test]
async fn answers_are_not_kept_and_bear_an_id() {
    let api = start().await;
    let answer = api.send("GET", "/admin/v1/keys", &[("x-request-id", "mine-1")], "").await;
    assert!(answer.head.contains("x-request-id: mine-1") && answer.head.contains("cache-control: no-store"));
    let answer = api.ask("GET", "/admin/v1/keys", &Value::Null).await;
    assert!(answer.head.contains("x-request-id: req_") && answer.head.contains("cache-control: no-store"));
}

/// A log that cannot be written.
struct Full;

#[async_trait::async_trait]
impl AuditLog for Full {
    async fn append(&self, _: AuditRecord) -> Result<(), LogError> {
        Err(LogError::Store("disk full at /very/secret/path".into()))
    }

    async fn recent(&self, _: usize) -> Result<Vec<AuditRecord>, LogError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn an_act_that_cannot_be_written_down_is_not_done() {
    let api = start_with(Arc::new(Full)).await;
    let answer = api.ask("POST", "/admin/v1/keys", &json!({"name": "n", "tenant": "t"})).await;
    assert_eq!((answer.status, answer.body["error"]["type"].as_str()), (503, Some("unavailable")));
    assert!(!answer.body.to_string().contains("secret"), "causes stay inside");
    assert_eq!(api.ask("GET", "/admin/v1/keys", &Value::Null).await.body, json!({"data": []}));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_never_printed() {
    let api = start().await;
    let (_, secret) = api.create(json!({"name": "n", "tenant": "t"})).await;
    let part = &secret[16..];
    let listed = api.ask("GET", "/admin/v1/keys", &Value::Null).await;
    assert!(!listed.body.to_string().contains(part));
    let records = api.audit.recent(100).await.unwrap();
    assert!(!format!("{records:?}").contains(part));

    let service = AdminService::new(
        Arc::new(MemoryKeyStore::new()),
        Arc::new(MemoryLedger::new()),
        Arc::new(MemoryAuditLog::new(10)),
        pepper(),
    );
    let created = service
        .create_key(
            &weighbridge_admin::Actor::installation("cli"),
            weighbridge_admin::NewKey::named("n", "t"),
        )
        .await
        .unwrap();
    let printed = format!("{created:?} {service:?}");
    assert!(!printed.contains(&created.expose()[16..]), "{printed}");
}

#[tokio::test]
async fn a_route_is_asked_for_with_a_body_of_its_own_size() {
    let api = start().await;
    let path = "/admin/v1/route/explain";
    let question = |length: usize| {
        let text = "a".repeat(length);
        json!({ "request": { "model": "m", "messages": [{ "role": "user", "content": text }] } })
    };
    assert_eq!(api.send("POST", path, &[], &question(10).to_string()).await.status, 401);
    // No gateway runs behind this API: what matters is how far each body comes.
    for (length, status) in [(10, 503), (1 << 20, 503), (9 << 20, 413)] {
        assert_eq!(api.ask("POST", path, &question(length)).await.status, status, "{length}");
    }
    let unknown = json!({ "request": {}, "body": {} });
    assert_eq!(api.ask("POST", path, &unknown).await.status, 400);
    assert_eq!(api.ask("GET", path, &Value::Null).await.status, 405);
}
