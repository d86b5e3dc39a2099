//! Roles: administrators act within their tenant, nobody raises what they are bound by, children never exceed
//! their parent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use proptest::prelude::*;
use weighbridge_access::{
    Budget, BudgetLimit, BudgetPeriod, KeyStore, Limits, MemoryKeyStore, ModelScope, Pepper, Tenant,
    VirtualKey,
};
use weighbridge_admin::{Actor, AdminError, AdminService, Change, Clock, NewKey};
use weighbridge_ledger::MemoryLedger;
use weighbridge_records::{AuditLog, MemoryAuditLog};
use weighbridge_units::Timestamp;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_795_226_938) // 2026-11-21
    }
}

struct Office {
    service: AdminService,
    keys: Arc<MemoryKeyStore>,
    audit: Arc<MemoryAuditLog>,
}

fn office() -> Office {
    let (keys, audit) = (Arc::new(MemoryKeyStore::new()), Arc::new(MemoryAuditLog::new(10_000)));
    let pepper = Pepper::new(&[1; 32]).unwrap();
    let store = Arc::clone(&keys) as Arc<dyn KeyStore>;
    let log = Arc::clone(&audit) as Arc<dyn AuditLog>;
    let service = AdminService::new(store, Arc::new(MemoryLedger::new()), log, pepper).with_clock(Fixed);
    Office { service, keys, audit }
}

fn change(json: &str) -> Change {
    serde_json::from_str(json).unwrap()
}

fn of(tenant: &str) -> Actor {
    Actor::of_tenant("ada", tenant.parse().unwrap())
}

#[tokio::test]
async fn an_organisation_s_administrator_acts_within_it_and_nowhere_else() {
    let Office { service, audit, .. } = office();
    let (root, acme) = (Actor::installation("root"), of("acme"));
    service
        .create_tenant(&root, "acme", &change(r#"{"budgets":["usd=100"],"models":["openai/*"]}"#))
        .await
        .unwrap();
    service.create_tenant(&root, "other", &Change::default()).await.unwrap();
    let other = service.create_key(&root, NewKey::named("k", "other")).await.unwrap();

    // Its own budget is not its to change, in whatever direction; nor can it end its own block.
    for json in
        [r#"{"budgets":["usd=101"]}"#, r#"{"budgets":[]}"#, r#"{"blocked":false}"#, r#"{"models":null}"#]
    {
        let refused = service.update_tenant(&acme, "acme", &change(json)).await;
        assert!(matches!(refused, Err(AdminError::Forbidden(_))), "{json}: {refused:?}");
    }
    // Another tenant's objects are not there.
    let id = other.view.id.parse().unwrap();
    assert!(matches!(service.revoke_key(&acme, id).await, Err(AdminError::NotFound(_))));
    assert!(matches!(
        service.update_key(&acme, id, &Change::blocking(true)).await,
        Err(AdminError::NotFound(_))
    ));
    assert!(matches!(service.tenant(&acme, "other").await, Err(AdminError::NoTenant(_))));
    let elsewhere = service.create_key(&acme, NewKey::named("k", "other/x")).await;
    assert!(matches!(elsewhere, Err(AdminError::Forbidden(_))), "{elsewhere:?}");
    let elsewhere = service.create_tenant(&acme, "other/x", &Change::default()).await;
    assert!(matches!(elsewhere, Err(AdminError::Forbidden(_))), "{elsewhere:?}");

    // Within, it gives away what it has, and no more.
    let team =
        service.create_tenant(&acme, "acme/search", &change(r#"{"budgets":["usd=60 period=week"]}"#)).await;
    assert_eq!(team.unwrap().organisation.as_deref(), Some("acme"));
    for (json, field) in [
        (r#"{"budgets":["usd=101 period=day"]}"#, "budgets"),
        (r#"{"models":["openai/x","claude/y"]}"#, "models"),
    ] {
        let refused = service.update_tenant(&acme, "acme/search", &change(json)).await;
        assert!(
            matches!(&refused, Err(AdminError::ExceedsParent { field: f, .. }) if *f == field),
            "{refused:?}"
        );
    }
    // A team's administrator makes keys, within the team and the organisation.
    let search = of("acme/search");
    let wide = NewKey {
        budget_usd: Some("61".into()),
        budget_period: Some("day".into()),
        ..NewKey::named("k", "acme/search")
    };
    let refused = service.create_key(&search, wide).await;
    assert!(
        matches!(&refused, Err(AdminError::ExceedsParent { parent, .. }) if parent.as_str() == "acme/search")
    );
    let key = NewKey { models: Some(vec!["openai/gpt-4o".into()]), ..NewKey::named("k", "acme/search") };
    let id = service.create_key(&search, key).await.unwrap().view.id.parse().unwrap();
    let refused = service.update_key(&search, id, &change(r#"{"models":["claude/*"]}"#)).await;
    assert!(matches!(&refused, Err(AdminError::ExceedsParent { parent, .. }) if parent.as_str() == "acme"));
    let refused = service.update_tenant(&search, "acme/search", &change(r#"{"budgets":[]}"#)).await;
    assert!(matches!(refused, Err(AdminError::Forbidden(_))), "{refused:?}");
    service.update_key(&search, id, &change(r#"{"rpm":5,"expires":"2027-01-31"}"#)).await.unwrap();

    assert_eq!(service.list_keys(&search).await.unwrap().len(), 1);
    assert_eq!(service.list_keys(&root).await.unwrap().len(), 2);
    assert_eq!(service.list_tenants(&acme).await.unwrap().len(), 2);
    let acts: Vec<_> =
        audit.recent(100).await.unwrap().iter().rev().map(|a| format!("{} {}", a.actor, a.action)).collect();
    assert_eq!(
        acts,
        [
            "root tenant.create",
            "root tenant.create",
            "root key.create",
            "ada (acme) tenant.create",
            "ada (acme/search) key.create",
            "ada (acme/search) key.update"
        ],
        "what is refused is not an act"
    );
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let Office { service, keys, .. } = office();
    let root = Actor::installation("root");
    let new = NewKey { rpm: Some(1), budgets: vec!["usd=1".into()], ..NewKey::named("k", "acme") };
    let id = service.create_key(&root, new).await.unwrap().view.id.parse().unwrap();
    let key = async || keys.load_all().await.unwrap().remove(0);
    let before = key().await;
    let view = service.update_key(&root, id, &change(r#"{"tpm":7,"blocked":true}"#)).await.unwrap();
    assert_eq!((view.rpm, view.tpm, view.budgets.len()), (Some(1), Some(7), 1));
    service.update_key(&root, id, &change(r#"{"rpm":null,"budgets":[],"blocked":false}"#)).await.unwrap();
    let mut expected = before.clone();
    expected.limits = Limits { tpm: Some(7), ..Limits::NONE };
    expected.budgets = Vec::new();
    assert_eq!(key().await, expected, "and its secret");
    for wrong in [r#"{"name":"x"}"#, r#"{"tenant":"x"}"#, r#"{"hash":"x"}"#, r#"{"usd_per_minute":1}"#] {
        assert!(serde_json::from_str::<Change>(wrong).is_err(), "{wrong}");
    }
    service.revoke_key(&root, id).await.unwrap();
    assert!(matches!(service.update_key(&root, id, &Change::default()).await, Err(AdminError::Revoked(_))));
}

#[tokio::test]
async fn mark_ups_are_for_the_installation_alone() {
    let office = office();
    let (root, acme) = (Actor::installation("root"), of("acme"));
    let markup = change(r#"{"markup": {"percent": "20", "per_request_usd": "0.001"}}"#);
    let view = office.service.create_tenant(&root, "acme", &markup).await.unwrap();
    assert_eq!(view.markup.unwrap().percent.as_deref(), Some("20"));
    for (name, markup) in [("acme", &markup), ("acme/search", &change(r#"{"markup": null}"#))] {
        let refused = office.service.update_tenant(&acme, name, markup).await;
        assert!(matches!(refused, Err(AdminError::Forbidden(_) | AdminError::NoTenant(_))), "{refused:?}");
    }
    let refused = office.service.create_tenant(&acme, "acme/search", &markup).await;
    assert!(matches!(refused, Err(AdminError::Forbidden(_))), "{refused:?}");
    assert_eq!(office.service.tenant(&acme, "acme").await.unwrap().markup, None, "nor do tenants see it");
    assert!(office.service.list_tenants(&acme).await.unwrap().iter().all(|tenant| tenant.markup.is_none()));
    for wrong in [r#"{"percent": "-101"}"#, r#"{"percent": "1e2"}"#, r#"{"per_request_usd": "-1"}"#] {
        let wrong = change(&format!(r#"{{"markup": {wrong}}}"#));
        let refused = office.service.update_tenant(&root, "acme", &wrong).await;
        assert!(matches!(refused, Err(AdminError::Invalid { field: "markup", .. })), "{refused:?}");
    }
    let gone = office.service.update_tenant(&root, "acme", &change(r#"{"markup": null}"#)).await.unwrap();
    assert_eq!(gone.markup, None);
    let acts = office.audit.recent(10).await.unwrap();
    let said: Vec<_> = acts.iter().flat_map(|act| &act.details).map(|(_, value)| value.as_str()).collect();
    assert_eq!(said, ["none", "20% + 0.001/request"]);
}

#[tokio::test]
async fn demands_are_added_below_and_lifted_by_whoever_is_above() {
    let Office { service, keys, audit, .. } = office();
    let (root, acme) = (Actor::installation("root"), of("acme"));
    let view = service.create_tenant(&root, "acme", &change(r#"{"require": "region=eu"}"#)).await.unwrap();
    assert_eq!(view.require, "region=eu");
    for json in [r#"{"require": null}"#, r#"{"require": "region=us"}"#] {
        let refused = service.update_tenant(&acme, "acme", &change(json)).await;
        assert!(matches!(refused, Err(AdminError::Forbidden(_))), "{json}: {refused:?}");
    }
    let team =
        service.create_tenant(&acme, "acme/clinic", &change(r#"{"require": "law=hipaa, law=gdpr"}"#)).await;
    assert_eq!(team.unwrap().require, "law=gdpr,law=hipaa");
    let new = NewKey { require: "zone=b".into(), ..NewKey::named("k", "acme/clinic") };
    let id = service.create_key(&acme, new).await.unwrap().view.id.parse().unwrap();
    let demanded = async || keys.load_all().await.unwrap().remove(0).require.to_string();
    service.update_key(&acme, id, &change(r#"{"rpm": 1}"#)).await.unwrap();
    assert_eq!(demanded().await, "zone=b", "what is not said stays");
    let view = service.update_key(&acme, id, &change(r#"{"require": "zone=c,zone=d"}"#)).await.unwrap();
    assert_eq!((view.require.as_str(), demanded().await.as_str()), ("zone=c,zone=d", "zone=c,zone=d"));
    service.update_key(&acme, id, &change(r#"{"require": null}"#)).await.unwrap();
    assert_eq!(demanded().await, "");
    for wrong in ["region", "=eu", "a b=c"] {
        let wrong = Change { require: Some(Some(wrong.into())), ..Change::default() };
        let refused = service.update_key(&acme, id, &wrong).await;
        assert!(matches!(refused, Err(AdminError::Invalid { field: "require", .. })), "{refused:?}");
    }
    let acts = audit.recent(10).await.unwrap();
    let said: Vec<_> =
        acts.iter().rev().flat_map(|act| &act.details).filter(|(name, _)| name == "require").collect();
    let said: Vec<_> = said.into_iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(said, ["region=eu", "law=hipaa, law=gdpr", "zone=b", "zone=c,zone=d", "none"]);
}

/// Something that an administrator may try.
#[derive(Debug, Clone)]
enum Try {
    CreateTenant(usize),
    UpdateTenant(usize),
    CreateKey(usize),
    UpdateKey(usize),
    RevokeKey(usize),
}

const NAMES: [&str; 6] = ["a", "a/x", "a/y", "b", "b/x", "ab"];
const PATTERNS: [&str; 5] = ["m*", "m1", "m12*", "n", "*"];
/// Names that tell the patterns apart.
const MODELS: [&str; 6] = ["m", "m1", "m12", "m123", "n", "o"];

fn tries() -> impl Strategy<Value = (usize, Try, Change)> {
    let act = (0..5_usize, 0..NAMES.len()).prop_map(|(act, at)| match act {
        0 => Try::CreateTenant(at),
        1 => Try::UpdateTenant(at),
        2 => Try::CreateKey(at),
        3 => Try::UpdateKey(at),
        _ => Try::RevokeKey(at),
    });
    (0..=NAMES.len(), act, changes())
}

fn changes() -> impl Strategy<Value = Change> {
    let models = proptest::option::of(proptest::option::of(proptest::collection::vec(
        proptest::sample::select(&PATTERNS[..]).prop_map(str::to_owned),
        0..3,
    )));
    let count = || proptest::option::of(proptest::option::of(0_u64..4));
    let budget = (0_i64..4, 0..4_usize, 0..3_usize).prop_map(|(limit, period, unit)| {
        let (unit, period) = (["usd", "tokens", "requests"][unit], BudgetPeriod::ALL[period]);
        format!("{unit}={limit} period={period}")
    });
    let budgets = proptest::option::of(proptest::collection::vec(budget, 0..3));
    let expires =
        proptest::option::of(proptest::option::of((1..4_u8).prop_map(|day| format!("2027-01-0{day}"))));
    let usd = proptest::option::of(proptest::option::of((0..4_u8).prop_map(|usd| usd.to_string())));
    (models, count(), count(), count(), usd, budgets, expires, proptest::option::of(any::<bool>())).prop_map(
        |(models, rpm, tpm, concurrency, usd_per_minute, budgets, expires, blocked)| Change {
            models,
            rpm,
            tpm,
            usd_per_minute,
            credit_limit_usd: None,
            markup: None,
            surcharge: None,
            subscription_usd: None,
            own_keys: None,
            concurrency,
            budgets,
            require: None,
            expires,
            blocked,
        },
    )
}

/// Everything that is written down, for comparing.
type State = (Vec<VirtualKey>, Vec<Tenant>);

/// What a child says of itself, against a parent: in its own words, not those of the code.
fn exceeds(
    (models, limits, budgets, expires): (&ModelScope, &Limits, &[Budget], Option<Timestamp>),
    parent: &Tenant,
) -> bool {
    let says_models = *models != ModelScope::All;
    let more_models = says_models && MODELS.iter().any(|m| models.allows(m) && !parent.models.allows(m));
    let more = |mine: Option<u64>, theirs: Option<u64>| mine.unwrap_or(0) > theirs.unwrap_or(u64::MAX);
    let usd = |limits: &Limits| limits.usd_per_minute.map(|usd| u64::try_from(usd.get()).unwrap());
    let days = |period| match period {
        BudgetPeriod::Day => 1,
        BudgetPeriod::Week => 7,
        BudgetPeriod::Month => 31,
        BudgetPeriod::Total => u32::MAX,
    };
    let more_budget = budgets.iter().any(|mine| {
        parent.budgets.iter().any(|theirs| {
            let same = matches!(
                (mine.limit, theirs.limit),
                (BudgetLimit::Usd(_), BudgetLimit::Usd(_))
                    | (BudgetLimit::Tokens(_), BudgetLimit::Tokens(_))
                    | (BudgetLimit::Requests(_), BudgetLimit::Requests(_))
            );
            same && days(mine.period) <= days(theirs.period) && mine.limit.amount() > theirs.limit.amount()
        })
    });
    let later = matches!((expires, parent.expires), (Some(mine), Some(theirs)) if mine > theirs);
    more_models
        || more(limits.rpm, parent.limits.rpm)
        || more(limits.tpm, parent.limits.tpm)
        || more(limits.concurrency, parent.limits.concurrency)
        || more(usd(limits), usd(&parent.limits))
        || more_budget
        || later
}

fn parents<'s>(name: &str, tenants: &'s [Tenant]) -> impl Iterator<Item = &'s Tenant> {
    let name = name.to_owned();
    tenants.iter().filter(move |tenant| name.starts_with(&format!("{}/", tenant.name)))
}

async fn attempt(office: &Office, actor: &Actor, act: &Try, change: &Change) -> Result<(), AdminError> {
    let key = |keys: &[VirtualKey], at: usize| keys.get(at % keys.len().max(1)).map(|key| key.id);
    let keys = office.keys.load_all().await.unwrap();
    let service = &office.service;
    match act {
        Try::CreateTenant(at) => service.create_tenant(actor, NAMES[*at], change).await.map(drop),
        Try::UpdateTenant(at) => service.update_tenant(actor, NAMES[*at], change).await.map(drop),
        Try::CreateKey(at) => {
            let new = NewKey {
                models: change.models.clone().flatten(),
                rpm: change.rpm.flatten(),
                budgets: change.budgets.clone().unwrap_or_default(),
                expires: change.expires.clone().flatten(),
                ..NewKey::named("k", NAMES[*at])
            };
            service.create_key(actor, new).await.map(drop)
        }
        Try::UpdateKey(at) => match key(&keys, *at) {
            Some(id) => service.update_key(actor, id, change).await.map(drop),
            None => Err(AdminError::Random),
        },
        Try::RevokeKey(at) => match key(&keys, *at) {
            Some(id) => service.revoke_key(actor, id).await.map(drop),
            None => Err(AdminError::Random),
        },
    }
}

proptest! {
    /// Whatever administrators try in a random tree: what is refused changes nothing and is no act; what is done
    /// lies within the actor's tenant, leaves that tenant itself alone, and exceeds no parent.
    #[test]
    fn nobody_raises_their_own_and_no_child_exceeds_its_parent(steps in proptest::collection::vec(tries(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let office = office();
            let state = async || -> State {
                (office.keys.load_all().await.unwrap(), office.keys.load_tenants().await.unwrap())
            };
            for (who, act, change) in steps {
                let bound = NAMES.get(who).copied();
                let actor = bound.map_or_else(|| Actor::installation("root"), of);
                let (before, acts) = (state().await, office.audit.recent(10_000).await.unwrap().len());
                let done = attempt(&office, &actor, &act, &change).await;
                let after = state().await;
                let acts_now = office.audit.recent(10_000).await.unwrap().len();
                if let Err(refused) = done {
                    prop_assert!(before == after, "{refused} and yet something changed");
                    prop_assert_eq!(acts, acts_now, "{}", refused);
                    continue;
                }
                prop_assert_eq!(acts + 1, acts_now);
                let is_within = |name: &str| bound.is_none_or(|own| name == own || name.starts_with(&format!("{own}/")));
                for tenant in after.1.iter().filter(|tenant| !before.1.contains(tenant)) {
                    let name = tenant.name.as_str();
                    prop_assert!(is_within(name) && bound != Some(name), "{bound:?} changed {name}");
                    let said = (&tenant.models, &tenant.limits, &tenant.budgets[..], tenant.expires);
                    for parent in parents(name, &after.1) {
                        prop_assert!(!exceeds(said, parent), "{tenant:?} exceeds {parent:?}");
                    }
                }
                for key in after.0.iter().filter(|key| !before.0.contains(key)) {
                    let name = key.tenant.as_str();
                    prop_assert!(is_within(name), "{bound:?} changed a key of {name}");
                    if matches!(act, Try::RevokeKey(_)) {
                        continue; // Its parents may have been lowered since.
                    }
                    let said = (&key.models, &key.limits, &key.budgets[..], key.expires);
                    let own = after.1.iter().filter(|tenant| tenant.name.as_str() == name);
                    for parent in parents(name, &after.1).chain(own) {
                        prop_assert!(!exceeds(said, parent), "{key:?} exceeds {parent:?}");
                    }
                }
            }
            Ok(())
        })?;
    }
}
