//! Questions about routes: who may ask, what is refused before anybody is asked, and what reaches the gateway.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use serde_json::json;
use weighbridge_access::{Directory, MemoryKeyStore, Pepper};
use weighbridge_admin::{Actor, AdminError, AdminService, NewKey, RouteAsked};
use weighbridge_ledger::MemoryLedger;
use weighbridge_pipeline::explain_route;
use weighbridge_pipeline::settings::Settings;
use weighbridge_pricing::PriceBook;
use weighbridge_records::{AuditLog, MemoryAuditLog};
use weighbridge_units::Timestamp;

/// Bodies and models of the questions that reached the gateway.
type Reached = Arc<Mutex<Vec<(String, Option<String>, usize)>>>;

fn service() -> (AdminService, Arc<MemoryAuditLog>) {
    let pepper = || Pepper::new(&[1; 32]).unwrap();
    let audit = Arc::new(MemoryAuditLog::new(100));
    let log = Arc::clone(&audit) as Arc<dyn AuditLog>;
    let service =
        AdminService::new(Arc::new(MemoryKeyStore::new()), Arc::new(MemoryLedger::new()), log, pepper());
    (service.with_directory(Arc::new(Directory::new(pepper()))), audit)
}

/// A service beside a gateway that serves no model at all.
fn beside_a_gateway() -> (AdminService, Arc<MemoryAuditLog>, Reached) {
    let (reached, prices) = (Reached::default(), PriceBook::builtin().unwrap());
    let noted = Arc::clone(&reached);
    let (service, audit) = service();
    let service = service.with_routes(move |question| {
        let body = String::from_utf8(question.body.to_vec()).unwrap();
        noted.lock().unwrap().push((body, question.model.clone(), question.headers.len()));
        explain_route(&Settings::default(), &prices, Timestamp::default(), question)
    });
    (service, audit, reached)
}

fn asked(value: &serde_json::Value) -> RouteAsked {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn root() -> Actor {
    Actor::installation("root")
}

#[tokio::test]
async fn only_who_administers_the_installation_may_ask_and_only_where_a_gateway_runs() {
    let question = asked(&json!({ "request": { "model": "m", "messages": [] } }));
    let (service, _, reached) = beside_a_gateway();
    let acme = Actor::of_tenant("ada", "acme".parse().unwrap());
    assert!(matches!(service.explain_route(&acme, &question), Err(AdminError::Forbidden(_))));
    assert!(reached.lock().unwrap().is_empty());
    let (alone, _) = self::service();
    assert!(matches!(alone.explain_route(&root(), &question), Err(AdminError::NoGateway)));
}

#[tokio::test]
async fn the_request_reaches_the_gateway_byte_by_byte_and_nothing_is_written_down() {
    let (service, audit, reached) = beside_a_gateway();
    // The order of its fields, its spaces and how its numbers are written stay as they are.
    let text = r#"{"request": {"z" : 1.50,  "model":"m", "messages":[]}, "model": null, "headers": [["x-a", "1"], ["x-a", "2"]]}"#;
    let view = service.explain_route(&root(), &serde_json::from_str(text).unwrap()).unwrap();
    let body = r#"{"z" : 1.50,  "model":"m", "messages":[]}"#;
    assert_eq!(*reached.lock().unwrap(), [(body.to_owned(), None, 2)]);
    assert_eq!((view.told_by.as_str(), view.model.as_str()), ("configuration", "m"));
    assert_eq!(view.refused.map(|refused| refused.status), Some(404));
    assert!(audit.recent(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (service, _, _) = beside_a_gateway();
    let request = json!({ "model": "m", "messages": [] });
    let many: Vec<_> = (0..101).map(|number| json!([format!("x-{number}"), ""])).collect();
    for (field, question) in [
        ("protocol", json!({ "protocol": "smtp", "request": request })),
        ("key", json!({ "key": "short", "request": request })),
        ("headers", json!({ "headers": [["not a name", "x"]], "request": request })),
        ("headers", json!({ "headers": [["x-line", "a\nb"]], "request": request })),
        ("headers", json!({ "headers": many, "request": request })),
        ("request", json!({ "request": 7 })),
        ("request", json!({ "request": { "messages": [] } })),
        ("request", json!({ "headers": [["x-gateway-require", "eu"]], "request": request })),
    ] {
        let found = service.explain_route(&root(), &asked(&question));
        assert!(
            matches!(&found, Err(AdminError::Invalid { field: named, .. }) if *named == field),
            "{found:?}"
        );
    }
    let unknown = asked(&json!({ "key": "000000000000", "request": request }));
    assert!(matches!(service.explain_route(&root(), &unknown), Err(AdminError::NotFound(_))));
    let key = service.create_key(&root(), NewKey::named("k", "acme")).await.unwrap();
    let known = asked(&json!({ "key": key.view.id, "request": request }));
    assert!(service.explain_route(&root(), &known).is_ok());
}
