//! `[vault]`: what providers' keys of tenants are sealed under.

use std::ops::Range;

use weighbridge_access::{MasterKey, MasterKeys};

use crate::means::{note, secret};
use crate::problem::Problems;
use crate::{Surroundings, said};

/// The variable that gives the master key where the file does not.
const MASTER_KEY: &str = "WEIGHBRIDGE_MASTER_KEY";

/// The master keys; `None` where there is none, so that there is no vault.
pub(crate) fn master_keys(
    said: &said::Vault,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Option<MasterKeys> {
    let mut read = |text: &str, span: Option<Range<usize>>| match MasterKey::new(text.trim().as_bytes()) {
        Ok(key) => Some(key),
        Err(why) => {
            let hint = "keep it apart from the database and its backups: whoever has both can open all keys";
            note(problems, span, why.to_string()).hint(hint);
            None
        }
    };
    let current = secret(&said.master_key, MASTER_KEY, surroundings);
    let is_absent = current.is_none() && said.master_key.is_absent();
    let current = current.and_then(|(text, span)| read(&text, span));
    let old = said.old_master_keys.said();
    let keys = old.into_iter().flat_map(|old| &old.value);
    let former = keys.filter_map(|key| read(&key.value, Some(key.span.clone()))).collect();
    if let (Some(old), true) = (old.filter(|old| !old.value.is_empty()), is_absent) {
        let message = "`vault.old_master_keys` needs `vault.master_key`, which all is sealed under anew";
        problems.at(old.span.clone(), message).hint("make one with: openssl rand -hex 32");
    }
    Some(MasterKeys::new(current?, former))
}
