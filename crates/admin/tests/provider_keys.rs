//! Providers' keys: sealed when they come in, never shown, and each tenant's its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weighbridge_access::{
    KeySecret, KeyStore, MasterKey, MasterKeys, MemoryKeyStore, Pepper, ProviderKeyId, ProviderKeyStore,
};
use weighbridge_admin::{
    Actor, AdminCredential, AdminError, AdminService, Credentials, GivenSecret, NewProviderKey,
    ProviderKeyChange, router, serve,
};
use weighbridge_ledger::MemoryLedger;
use weighbridge_records::{AuditLog, MemoryAuditLog};

const SECRET: &str = "sk-canary-0123456789abcdefghij";
const ROOT: &str = "root-token-0123456789";
const ACME: &str = "acme-token-0123456789";

struct Office {
    service: AdminService,
    store: Arc<MemoryKeyStore>,
    audit: Arc<MemoryAuditLog>,
}

fn master(seed: u8) -> MasterKey {
    MasterKey::new(&[seed; 32]).unwrap()
}

fn office(masters: Option<MasterKeys>) -> Office {
    let (store, audit) = (Arc::new(MemoryKeyStore::new()), Arc::new(MemoryAuditLog::new(10_000)));
    let service = over(&store, &audit, masters);
    Office { service, store, audit }
}

fn over(
    store: &Arc<MemoryKeyStore>,
    audit: &Arc<MemoryAuditLog>,
    masters: Option<MasterKeys>,
) -> AdminService {
    AdminService::new(
        Arc::clone(store) as Arc<dyn KeyStore>,
        Arc::new(MemoryLedger::new()),
        Arc::clone(audit) as Arc<dyn AuditLog>,
        Pepper::new(&[1; 32]).unwrap(),
    )
    .with_provider_keys(
        Arc::clone(store) as Arc<dyn ProviderKeyStore>,
        masters,
        vec!["openai".into(), "claude".into()],
    )
}

fn vault(seed: u8) -> Option<MasterKeys> {
    Some(MasterKeys::new(master(seed), Vec::new()))
}

fn new(tenant: Option<&str>) -> NewProviderKey {
    NewProviderKey {
        tenant: tenant.map(str::to_owned),
        provider: "openai".into(),
        label: "prod".into(),
        secret: GivenSecret::new(SECRET),
        weight: None,
    }
}

fn of(tenant: &str) -> Actor {
    Actor::of_tenant("ada", tenant.parse().unwrap())
}

#[tokio::test]
async fn a_secret_comes_in_and_never_out() {
    let Office { service, store, audit } = office(vault(1));
    let root = Actor::installation("root");
    let added = service.add_provider_key(&root, &new(Some("acme"))).await.unwrap();
    assert_eq!((&*added.fingerprint, added.weight, added.tenant.as_deref()), ("…ghij", 1, Some("acme")));
    assert_eq!(added.sealed_under, Some(master(1).id().to_string()));
    let id: ProviderKeyId = added.id.parse().unwrap();
    let other = GivenSecret::new("sk-canary-another-0123456789zz");
    let rotated = service.rotate_provider_key(&root, id, &other).await.unwrap();
    assert_eq!((rotated.id, &*rotated.fingerprint), (added.id, "…89zz"));
    let change = ProviderKeyChange { label: Some("eu".into()), weight: Some(0) };
    let updated = service.update_provider_key(&root, id, &change).await.unwrap();
    assert_eq!((&*updated.label, updated.weight), ("eu", 0));

    let kept = store.load().await.unwrap();
    let opened = MasterKeys::new(master(1), Vec::new()).open_all(kept.clone()).unwrap();
    assert_eq!(opened[0].secret.expose(), "sk-canary-another-0123456789zz");
    let revoked = service.revoke_provider_key(&root, id).await.unwrap();
    assert!(revoked.revoked.is_some() && revoked.sealed_under.is_none());
    assert_eq!(service.revoke_provider_key(&root, id).await.unwrap(), revoked, "once is enough");
    assert!(matches!(store.load().await.unwrap()[0].secret, KeySecret::Revoked(_)), "nothing is left of it");
    for act in [
        service.rotate_provider_key(&root, id, &other).await,
        service.update_provider_key(&root, id, &change).await,
    ] {
        assert!(matches!(act, Err(AdminError::RevokedProviderKey(_))), "{act:?}");
    }

    let acts = audit.recent(100).await.unwrap();
    let names: Vec<&str> = acts.iter().rev().map(|act| &*act.action).collect();
    let expected = ["provider-key.add", "provider-key.rotate", "provider-key.update", "provider-key.revoke"];
    assert_eq!(names, expected);
    let shown = format!("{acts:?} {kept:?} {:?}", service.list_provider_keys(&root).await.unwrap());
    assert!(!shown.contains("canary") && shown.contains("…ghij"), "{shown}");
}

#[tokio::test]
async fn a_tenants_administrator_has_the_keys_of_the_tenant_and_no_others() {
    let Office { service, .. } = office(vault(1));
    let (root, acme, search) = (Actor::installation("root"), of("acme"), of("acme/search"));
    let ours = service.add_provider_key(&acme, &new(Some("acme"))).await.unwrap();
    let teams = service.add_provider_key(&search, &new(Some("acme/search"))).await.unwrap();
    let theirs = service.add_provider_key(&root, &new(Some("globex"))).await.unwrap();
    let own = service.add_provider_key(&root, &new(None)).await.unwrap();

    let seen = async |actor: &Actor| -> Vec<String> {
        service.list_provider_keys(actor).await.unwrap().into_iter().map(|key| key.id).collect()
    };
    assert_eq!(seen(&acme).await, [ours.id.clone(), teams.id.clone()]);
    assert_eq!(seen(&search).await, std::slice::from_ref(&teams.id));
    assert_eq!(seen(&root).await.len(), 4);
    for (actor, id) in [(&acme, &theirs.id), (&acme, &own.id), (&search, &ours.id)] {
        let id: ProviderKeyId = id.parse().unwrap();
        let secret = GivenSecret::new(SECRET);
        for act in [
            service.rotate_provider_key(actor, id, &secret).await,
            service.revoke_provider_key(actor, id).await,
            service.update_provider_key(actor, id, &ProviderKeyChange::default()).await,
        ] {
            assert!(matches!(act, Err(AdminError::NoProviderKey(_))), "{act:?}");
        }
    }
    for tenant in ["globex", "acme2"] {
        let act = service.add_provider_key(&acme, &new(Some(tenant))).await;
        assert!(matches!(act, Err(AdminError::NoTenant(_))), "{act:?}");
    }
    let act = service.add_provider_key(&search, &new(Some("acme"))).await;
    assert!(matches!(act, Err(AdminError::NoTenant(_))), "{act:?}");
    let act = service.add_provider_key(&acme, &new(None)).await;
    assert!(matches!(act, Err(AdminError::Invalid { field: "tenant", .. })), "{act:?}");
    assert!(matches!(service.reseal_provider_keys(&acme).await, Err(AdminError::Forbidden(_))));
}

#[tokio::test]
async fn what_is_wrong_is_named_without_the_secret() {
    let Office { service, audit, .. } = office(vault(1));
    let root = Actor::installation("root");
    for (wrong, field) in [
        (NewProviderKey { provider: "opnai".into(), ..new(None) }, "provider"),
        (NewProviderKey { label: String::new(), ..new(None) }, "label"),
        (NewProviderKey { weight: Some(1_001), ..new(None) }, "weight"),
        (NewProviderKey { tenant: Some("a/b/c".into()), ..new(None) }, "tenant"),
        (NewProviderKey { secret: GivenSecret::new("sk-canary with spaces"), ..new(None) }, "secret"),
    ] {
        let Err(AdminError::Invalid { field: named, why }) = service.add_provider_key(&root, &wrong).await
        else {
            panic!("{field}")
        };
        assert_eq!(named, field);
        assert!(!why.contains("canary"), "{why}");
    }
    for _ in 0..16 {
        service.add_provider_key(&root, &new(None)).await.unwrap();
    }
    let full = service.add_provider_key(&root, &new(None)).await;
    assert!(matches!(full, Err(AdminError::Invalid { field: "provider", .. })), "{full:?}");
    assert_eq!(audit.recent(100).await.unwrap().len(), 16, "what was refused is no act");
    let without = office(None).service;
    let refused = without.add_provider_key(&root, &new(None)).await.unwrap_err();
    assert!(
        matches!(refused, AdminError::NoVault) && refused.to_string().contains("vault.master_key"),
        "{refused}"
    );
    assert_eq!(without.list_provider_keys(&root).await.unwrap(), []);
}

#[tokio::test]
async fn k1_rotating_the_master_key_loses_nothing() {
    let Office { service, store, audit } = office(vault(1));
    let root = Actor::installation("root");
    for tenant in [None, Some("acme"), Some("globex")] {
        service.add_provider_key(&root, &new(tenant)).await.unwrap();
    }
    let both = over(&store, &audit, Some(MasterKeys::new(master(2), vec![master(1)])));
    both.add_provider_key(&root, &new(Some("new"))).await.unwrap();
    let resealed = both.reseal_provider_keys(&root).await.unwrap();
    assert_eq!((resealed.resealed, resealed.master_key), (3, master(2).id().to_string()));
    assert_eq!(both.reseal_provider_keys(&root).await.unwrap().resealed, 0);
    let alone = MasterKeys::new(master(2), Vec::new()).open_all(store.load().await.unwrap()).unwrap();
    assert_eq!(alone.len(), 4);
    assert!(alone.iter().all(|open| open.secret.expose() == SECRET));
    // What is missing has a name.
    let other = over(&store, &audit, vault(3));
    let error = other.reseal_provider_keys(&root).await.unwrap_err();
    assert!(error.to_string().contains(&master(2).id().to_string()), "{error}");
}

#[tokio::test]
async fn over_http_nobody_reads_a_secret_nor_anothers_key() {
    let Office { service, .. } = office(vault(1));
    let credentials =
        Credentials::new(AdminCredential::new(ROOT)).with(AdminCredential::new(ACME), of("acme"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(Arc::new(service), credentials), std::future::pending()));
    let call = async |token: &str, method: &str, path: &str, body: String| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(!text.contains("canary"), "{text}");
        (status, text)
    };
    let keys = "/admin/v1/provider-keys";
    let body = |tenant: &str| {
        format!(r#"{{"tenant":"{tenant}","provider":"openai","label":"p","secret":"{SECRET}"}}"#)
    };
    let (status, ours) = call(ACME, "POST", keys, body("acme")).await;
    assert_eq!(status, 201, "{ours}");
    let (status, theirs) = call(ROOT, "POST", keys, body("globex")).await;
    assert_eq!(status, 201, "{theirs}");
    assert_eq!(call(ACME, "POST", keys, body("globex")).await.0, 404);
    let id = |text: &str| text.split('"').find(|part| part.starts_with("pk-")).unwrap().to_owned();
    let (own, other) = (format!("{keys}/{}", id(&ours)), format!("{keys}/{}", id(&theirs)));
    let secret = format!(r#"{{"secret":"{SECRET}zz"}}"#);
    assert_eq!(call(ACME, "POST", &format!("{own}/rotate"), secret.clone()).await.0, 200);
    assert_eq!(call(ACME, "POST", &format!("{other}/rotate"), secret).await.0, 404);
    assert_eq!(call(ACME, "DELETE", &other, String::new()).await.0, 404);
    assert_eq!(call(ACME, "PATCH", &own, r#"{"label":"q"}"#.into()).await.0, 200);
    assert_eq!(call(ACME, "GET", keys, String::new()).await.0, 200);
    assert_eq!(call(ACME, "POST", &format!("{keys}/reseal"), String::new()).await.0, 403);
    assert_eq!(call(ROOT, "POST", &format!("{keys}/reseal"), String::new()).await.0, 200);
    // A secret in the wrong place is not repeated.
    for wrong in
        [format!(r#"{{"weight":"{SECRET}"}}"#), format!(r#"{{"{SECRET}":1}}"#), format!("\"{SECRET}")]
    {
        assert_eq!(call(ACME, "PATCH", &own, wrong).await.0, 400);
    }
    assert_eq!(call(ACME, "DELETE", &own, String::new()).await.0, 200);
    assert_eq!(call(ACME, "PATCH", &own, r#"{"label":"q"}"#.into()).await.0, 409);
    assert_eq!(call(ACME, "DELETE", &format!("{keys}/pk-nonsense"), String::new()).await.0, 404);
}
