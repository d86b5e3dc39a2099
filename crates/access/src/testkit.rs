//! What every [`KeyStore`] and every [`ProviderKeyStore`] must do, for stores to be run against.

use weighbridge_units::{KeyId, NanoUsd, Timestamp};

use crate::{
    Budget, KeyHash, KeyOwner, KeySecret, KeyStore, KeyStoreError, Limits, LossPolicy, ModelScope, OwnKeys,
    PromptCache, ProviderKey, ProviderKeyError, ProviderKeyId, ProviderKeyStore, RetiredSecret, SealedSecret,
    Tags, Tenant, TenantName, VirtualKey,
};

/// A key that uses every field, so that a store which forgets one is found out.
///
/// # Errors
/// None in practice: the parts are well-formed.
pub fn full_key(id: u64) -> Result<VirtualKey, crate::InvalidDefinition> {
    let tenant = TenantName::new("acme/search")?;
    let created = Timestamp::from_micros(1_795_226_938_123_456);
    let mut key = VirtualKey::new(
        KeyId::from_bits(id),
        "search, \"prod\" – ä",
        tenant,
        KeyHash::from_bytes([7; 32]),
        created,
    );
    key.retired = Some(RetiredSecret { hash: KeyHash::from_bytes([8; 32]), until: Timestamp::from_secs(9) });
    key.models = ModelScope::Only(vec!["openai/*".parse()?, "support".parse()?]);
    key.limits = full_limits();
    key.blocked = true;
    key.budgets = vec![
        Budget::per_month(NanoUsd::MAX),
        "tokens=9007199254740992 period=day zone=Asia/Tokyo for=user on_exceed=downgrade:small thresholds=50,100"
            .parse()?,
        "requests=0 period=total for=tag:env=prod on_exceed=alert".parse()?,
    ];
    key.ip_allow = vec!["10.0.0.0/8".parse()?, "2001:db8::/32".parse()?];
    key.referrers = vec!["https://*.example.com".parse()?, "http://localhost:3000/a*".parse()?];
    key.tags = "env=prod,feature=search".parse::<Tags>()?;
    key.require = "law=gdpr,law=hipaa,region=eu".parse().unwrap_or_default();
    key.loss_policy = Some(LossPolicy::Reject);
    key.allow_store = false;
    key.native = true;
    key.prompt_cache = Some(PromptCache::OneHour);
    key.expires = Some(Timestamp::from_micros(i64::MAX));
    Ok(key)
}

fn full_limits() -> Limits {
    Limits {
        rpm: Some(0),
        tpm: Some(1_000_000_000),
        usd_per_minute: Some(NanoUsd::MAX),
        concurrency: Some(1_000),
    }
}

/// A tenant that uses every field.
///
/// # Errors
/// None in practice: the parts are well-formed.
pub fn full_tenant(name: &str) -> Result<Tenant, crate::InvalidDefinition> {
    let mut tenant = Tenant::new(TenantName::new(name)?, Timestamp::from_micros(1_795_226_938_123_456));
    tenant.models = ModelScope::Only(vec!["openai/*".parse()?, "support".parse()?]);
    tenant.limits = full_limits();
    tenant.budgets = full_key(1)?.budgets;
    tenant.credit_limit = Some(NanoUsd::new(7));
    tenant.require = "region=eu,zone=b".parse().unwrap_or_default();
    tenant.own_keys = Some(OwnKeys::Require);
    tenant.markup = "-2.5% + 0.001/request + 0.1/Mprompt + 0.2/Manswer".parse().ok();
    tenant.surcharge = "5% + 0.002/request".parse().ok();
    tenant.subscription = Some(NanoUsd::MAX);
    tenant.blocked = true;
    tenant.expires = Some(Timestamp::from_micros(i64::MAX));
    Ok(tenant)
}

/// Runs an empty store through everything that the trait promises, and leaves keys behind.
///
/// # Errors
/// Any error that the store gives where it must not.
///
/// # Panics
/// Where an answer is wrong.
pub async fn check_key_store(store: &dyn KeyStore) -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(store.load_all().await?, [], "the store must be empty");
    let full = full_key((1 << 60) - 1)?;
    let tenant = TenantName::new("t")?;
    let plain = VirtualKey::new(
        KeyId::from_bits(2),
        "plain",
        tenant,
        KeyHash::from_bytes([1; 32]),
        Timestamp::default(),
    );
    let none = VirtualKey { id: KeyId::from_bits(3), models: ModelScope::Only(Vec::new()), ..plain.clone() };

    let mut version = store.version().await?;
    let mut changed = async |what: &str| -> Result<(), KeyStoreError> {
        let now = store.version().await?;
        assert_ne!(now, version, "{what} must change the version");
        version = now;
        Ok(())
    };
    for key in [&full, &plain, &none] {
        store.create(key.clone()).await?;
        changed("creating").await?;
    }
    let duplicate = store.create(plain.clone()).await;
    assert!(matches!(duplicate, Err(KeyStoreError::Duplicate(id)) if id == plain.id), "{duplicate:?}");
    let nameless = VirtualKey { name: String::new(), ..plain.clone() };
    let invalid = store.create(nameless).await;
    assert!(matches!(invalid, Err(KeyStoreError::Invalid(_))), "{invalid:?}");
    assert_eq!(store.load_all().await?, [full.clone(), plain.clone(), none.clone()]);

    let mut wanted = full.clone();
    wanted.name = "renamed".to_owned();
    wanted.hash = KeyHash::from_bytes([9; 32]);
    wanted.budgets.truncate(1);
    wanted.limits = Limits::NONE;
    wanted.blocked = false;
    wanted.expires = None;
    let updated = store.update(&full, wanted.clone()).await?;
    changed("updating").await?;
    assert_eq!(updated, VirtualKey { hash: full.hash, ..wanted }, "an update changes no secret");
    let again = store.update(&full, full.clone()).await;
    assert!(matches!(again, Err(KeyStoreError::Changed(_))), "what is no more cannot be changed: {again:?}");
    store.update(&updated, full.clone()).await?;
    changed("updating").await?;
    let nameless = VirtualKey { name: String::new(), ..full.clone() };
    let invalid = store.update(&full, nameless).await;
    assert!(matches!(invalid, Err(KeyStoreError::Invalid(_))), "{invalid:?}");

    let (acme, team) = (full_tenant("acme")?, full_tenant("acme/search")?);
    let open = Tenant::new(TenantName::new("other")?, Timestamp::default());
    assert_eq!(store.load_tenants().await?, []);
    for tenant in [&open, &team, &acme] {
        store.put_tenant(None, tenant.clone()).await?;
        changed("adding a tenant").await?;
    }
    assert_eq!(store.load_tenants().await?, [acme.clone(), team.clone(), open.clone()]);
    let twice = store.put_tenant(None, acme.clone()).await;
    assert!(matches!(twice, Err(KeyStoreError::Changed(_))), "{twice:?}");
    let unblocked = Tenant { blocked: false, budgets: Vec::new(), ..acme.clone() };
    store.put_tenant(Some(&acme), unblocked.clone()).await?;
    changed("changing a tenant").await?;
    let late = store.put_tenant(Some(&acme), acme.clone()).await;
    assert!(matches!(late, Err(KeyStoreError::Changed(_))), "{late:?}");
    let nowhere = Tenant::new(TenantName::new("a/b/c")?, Timestamp::default());
    let invalid = store.put_tenant(None, nowhere).await;
    assert!(matches!(invalid, Err(KeyStoreError::Invalid(_))), "{invalid:?}");
    assert_eq!(store.load_tenants().await?, [unblocked, team, open]);

    let at = Timestamp::from_micros(1_234_567);
    let rotated = store.rotate(plain.id, KeyHash::from_bytes([2; 32]), at).await?;
    changed("rotating").await?;
    assert_eq!(rotated.hash, KeyHash::from_bytes([2; 32]));
    assert_eq!(rotated.retired, Some(RetiredSecret { hash: plain.hash, until: at }));

    let revoked = store.revoke(full.id, at).await?;
    changed("revoking").await?;
    assert_eq!(revoked, VirtualKey { revoked: Some(at), ..full.clone() });
    let again = store.revoke(full.id, Timestamp::from_secs(99)).await?;
    assert_eq!(again.revoked, Some(at), "the first revocation stands");
    let dead = store.update(&revoked, revoked.clone()).await;
    assert!(matches!(dead, Err(KeyStoreError::Revoked(id)) if id == full.id), "{dead:?}");
    let dead = store.rotate(full.id, KeyHash::from_bytes([3; 32]), at).await;
    assert!(matches!(dead, Err(KeyStoreError::Revoked(id)) if id == full.id), "{dead:?}");
    let nobody = KeyId::from_bits(77);
    assert!(matches!(store.revoke(nobody, at).await, Err(KeyStoreError::NotFound(id)) if id == nobody));
    let missing = store.rotate(nobody, plain.hash, at).await;
    assert!(matches!(missing, Err(KeyStoreError::NotFound(id)) if id == nobody), "{missing:?}");
    assert_eq!(store.load_all().await?, [revoked, rotated, none]);
    Ok(())
}

/// A provider's key that uses every field. Its seal opens nowhere: stores do not open any.
///
/// # Errors
/// None in practice: the parts are well-formed.
pub fn full_provider_key(id: u64) -> Result<ProviderKey, crate::InvalidDefinition> {
    Ok(ProviderKey {
        id: ProviderKeyId::from_bits(id),
        owner: KeyOwner::Tenant(TenantName::new("acme/search")?),
        provider: "openai".to_owned(),
        label: "prod, \"eu\" – ä".to_owned(),
        weight: ProviderKey::MAX_WEIGHT,
        fingerprint: "1a2b".parse()?,
        secret: KeySecret::Sealed(SealedSecret::from_bytes((0..=255).collect::<Vec<u8>>())),
        created: Timestamp::from_micros(1_795_226_938_123_456),
        rotated: Some(Timestamp::from_micros(i64::MAX)),
    })
}

/// Runs an empty store through everything that the trait promises, and leaves keys behind.
///
/// # Errors
/// Any error that the store gives where it must not.
///
/// # Panics
/// Where an answer is wrong.
pub async fn check_provider_key_store(
    store: &dyn ProviderKeyStore,
) -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(store.load().await?, [], "the store must be empty");
    let full = full_provider_key((1 << 60) - 1)?;
    let plain = ProviderKey {
        id: ProviderKeyId::from_bits(1),
        owner: KeyOwner::Installation,
        weight: 0,
        fingerprint: "".parse()?,
        created: Timestamp::default(),
        rotated: None,
        ..full.clone()
    };
    let mut version = store.version().await?;
    let mut changed = async |what: &str| -> Result<(), ProviderKeyError> {
        let now = store.version().await?;
        assert_ne!(now, version, "{what} must change the version");
        version = now;
        Ok(())
    };
    for key in [&full, &plain] {
        store.add(key.clone()).await?;
        changed("adding").await?;
    }
    let duplicate = store.add(plain.clone()).await;
    assert!(matches!(duplicate, Err(ProviderKeyError::Duplicate(id)) if id == plain.id), "{duplicate:?}");
    let invalid = store.add(ProviderKey { label: String::new(), ..plain.clone() }).await;
    assert!(matches!(invalid, Err(ProviderKeyError::Invalid(_))), "{invalid:?}");
    assert_eq!(store.load().await?, [full.clone(), plain.clone()]);

    let rotated = ProviderKey {
        label: "renamed".to_owned(),
        weight: 7,
        fingerprint: "zzzz".parse()?,
        secret: KeySecret::Sealed(SealedSecret::from_bytes([9; 50])),
        rotated: Some(Timestamp::from_secs(9)),
        ..full.clone()
    };
    store.replace(&full, rotated.clone()).await?;
    changed("replacing").await?;
    let late = store.replace(&full, rotated.clone()).await;
    assert!(matches!(late, Err(ProviderKeyError::Changed(id)) if id == full.id), "{late:?}");
    let unlabelled = store.replace(&rotated, ProviderKey { label: "\n".to_owned(), ..rotated.clone() }).await;
    assert!(matches!(unlabelled, Err(ProviderKeyError::Invalid(_))), "{unlabelled:?}");
    for other in [
        ProviderKey { owner: KeyOwner::Installation, ..rotated.clone() },
        ProviderKey { owner: KeyOwner::Tenant(TenantName::new("acme")?), ..rotated.clone() },
        ProviderKey { provider: "claude".to_owned(), ..rotated.clone() },
        ProviderKey { created: Timestamp::default(), ..rotated.clone() },
    ] {
        let moved = store.replace(&rotated, other).await;
        assert!(matches!(moved, Err(ProviderKeyError::Another(id)) if id == full.id), "{moved:?}");
    }
    let nobody = ProviderKey { id: ProviderKeyId::from_bits(77), ..plain.clone() };
    let missing = store.replace(&nobody, nobody.clone()).await;
    assert!(matches!(missing, Err(ProviderKeyError::NotFound(id)) if id == nobody.id), "{missing:?}");

    let revoked = ProviderKey { secret: KeySecret::Revoked(Timestamp::from_secs(3)), ..rotated.clone() };
    store.replace(&rotated, revoked.clone()).await?;
    changed("revoking").await?;
    let revived = store.replace(&revoked, rotated).await;
    assert!(matches!(revived, Err(ProviderKeyError::Another(id)) if id == full.id), "{revived:?}");
    assert_eq!(store.load().await?, [revoked, plain]);
    Ok(())
}
