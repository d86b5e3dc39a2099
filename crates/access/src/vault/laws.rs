//! The laws of sealing, over all owners, providers, ids, secrets and master keys.

use proptest::prelude::*;
use weighbridge_units::Timestamp;

use super::*;
use crate::TenantName;

fn master(seed: u8) -> MasterKey {
    MasterKey::new(&[seed; 32]).unwrap()
}

fn owners() -> impl Strategy<Value = KeyOwner> {
    prop_oneof![
        Just(KeyOwner::Installation),
        "[a-z]{1,8}(/[a-z]{1,8})?".prop_map(|name| KeyOwner::Tenant(TenantName::new(&name).unwrap())),
    ]
}

/// A key, and its secret in clear.
fn keys() -> impl Strategy<Value = (ProviderKey, String)> {
    let secret = "[!-~]{8,200}";
    (owners(), "[a-z]{1,12}", any::<u64>(), secret, 0..16_u8, any::<[u8; SECRET_NONCE_BYTES]>()).prop_map(
        |(owner, provider, id, text, by, nonce)| {
            let secret = ProviderSecret::new(&text).unwrap();
            let mut key = ProviderKey {
                id: ProviderKeyId::from_bits(id),
                owner,
                provider,
                label: "k".to_owned(),
                weight: 1,
                fingerprint: secret.fingerprint(),
                secret: KeySecret::Revoked(Timestamp::default()),
                created: Timestamp::default(),
                rotated: None,
            };
            let sealed = MasterKeys::new(master(by), Vec::new()).seal(&key.place(), &secret, &nonce).unwrap();
            key.secret = KeySecret::Sealed(sealed);
            (key, text)
        },
    )
}

fn sealed(key: &ProviderKey) -> &SealedSecret {
    match &key.secret {
        KeySecret::Sealed(sealed) => sealed,
        KeySecret::Revoked(_) => panic!("not sealed"),
    }
}

/// All master keys that [`keys`] seals under.
fn all_masters() -> MasterKeys {
    MasterKeys::new(master(0), (1..16).map(master).collect())
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_place_and_shows_nothing((key, secret) in keys()) {
        let masters = all_masters();
        prop_assert!(masters.open(&key.place(), sealed(&key)).unwrap().expose() == secret);
        let shown = format!("{key:?} {}", key.fingerprint);
        prop_assert!(!shown.contains(&secret));
        let bytes = sealed(&key).as_bytes();
        prop_assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }

    #[test]
    fn a_secret_opens_in_no_other_place(
        (key, _) in keys(), owner in owners(), provider in "[a-z]{1,12}", id in any::<u64>(),
    ) {
        let masters = all_masters();
        let id = ProviderKeyId::from_bits(id);
        for place in [
            SealPlace { owner: &owner, ..key.place() },
            SealPlace { provider: &provider, ..key.place() },
            SealPlace { id, ..key.place() },
        ] {
            let same = (place.owner, place.provider, place.id) == (&key.owner, &*key.provider, key.id);
            let opened = masters.open(&place, sealed(&key));
            prop_assert_eq!(opened.is_ok(), same);
        }
    }

    #[test]
    fn a_changed_bit_or_length_does_not_open((key, _) in keys(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let masters = all_masters();
        let bytes = sealed(&key).as_bytes();
        let mut flipped = bytes.to_vec();
        flipped[at.index(bytes.len())] ^= 1_u8 << bit;
        prop_assert!(masters.open(&key.place(), &SealedSecret::from_bytes(flipped)).is_err());
        let cut = bytes[..at.index(bytes.len())].to_vec();
        prop_assert!(masters.open(&key.place(), &SealedSecret::from_bytes(cut)).is_err());
        let longer = [bytes, b"x"].concat();
        prop_assert!(masters.open(&key.place(), &SealedSecret::from_bytes(longer)).is_err());
    }

    #[test]
    fn rotating_the_master_key_loses_nothing(
        all in prop::collection::vec(keys(), 0..8), nonce in any::<[u8; SECRET_NONCE_BYTES]>(),
    ) {
        let new = MasterKey::new(&[7; 33]).unwrap();
        let both = MasterKeys::new(new.clone(), (0..16).map(master).collect());
        for (key, secret) in all {
            let anew = both.reseal(&key.place(), sealed(&key), &nonce).unwrap().unwrap();
            prop_assert!(both.is_current(&anew) && !both.is_current(sealed(&key)));
            prop_assert!(both.reseal(&key.place(), &anew, &nonce).unwrap().is_none(), "once is enough");
            let alone = MasterKeys::new(new.clone(), Vec::new());
            prop_assert!(alone.open(&key.place(), &anew).unwrap().expose() == secret);
            // Before it was sealed anew, the new one alone names what is missing.
            let missing = alone.open(&key.place(), sealed(&key)).err();
            let named = VaultError::NoMasterKey { id: key.id, master: sealed(&key).master_key().unwrap() };
            prop_assert_eq!(missing, Some(named));
        }
    }
}

#[test]
fn a_master_key_has_a_name_and_a_length() {
    assert!(MasterKey::new(&[0; 31]).is_err());
    assert_ne!(master(1).id(), master(2).id());
    assert_eq!(master(1).id(), master(1).id());
    assert_eq!(master(1).id().to_string().len(), 8);
}

#[test]
fn ids_are_read_back() {
    let id = ProviderKeyId::from_bits(0x1234_5678_9abc);
    assert_eq!(id.to_string().parse(), Ok(id));
    for wrong in ["", "pk-", "0123456789ab", "wb-0123456789ab", "pk-0123456789abc"] {
        assert!(wrong.parse::<ProviderKeyId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_tenant_called_like_the_installation_is_somebody_else() {
    let (mut key, secret, nonce) = (key_of(KeyOwner::Installation), secret(), [3; SECRET_NONCE_BYTES]);
    let masters = MasterKeys::new(master(1), Vec::new());
    let seal = masters.seal(&key.place(), &secret, &nonce).unwrap();
    key.owner = KeyOwner::Tenant(TenantName::new("installation").unwrap());
    assert_eq!(masters.open(&key.place(), &seal).err(), Some(VaultError::Damaged { id: key.id }));
}

fn secret() -> ProviderSecret {
    ProviderSecret::new("sk-0123456789abcdefghij").unwrap()
}

fn key_of(owner: KeyOwner) -> ProviderKey {
    ProviderKey { owner, ..crate::testkit::full_provider_key(5).unwrap() }
}
