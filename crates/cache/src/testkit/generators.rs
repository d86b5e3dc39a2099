//! Answers of every form.

use proptest::option;
use proptest::prelude::*;
use weighbridge_units::{KeyId, Timestamp};

use crate::{AnsweredBy, KeptAnswer, KeptId, Tenant};

/// An answer that is well-formed.
pub(crate) fn answer(tenant: &str, id: &str, bytes: usize) -> KeptAnswer {
    crate::testkit::answer(tenant, id, bytes).unwrap()
}

fn id() -> impl Strategy<Value = KeptId> {
    "[a-zA-Z0-9_.=-]{1,20}".prop_map(|text| KeptId::new(&text).unwrap())
}

prop_compose! {
    /// Any answer. What is said in it is any text: only those who read it care.
    pub(crate) fn kept_answer()(
        id in id(),
        tenant in "[a-z/]{1,12}",
        key in any::<u64>(),
        created in any::<i64>(),
        provider in ".{0,8}",
        model in ".{0,8}",
        provider_id in option::of(".{0,12}"),
        previous in option::of(self::id()),
        input in ".{0,60}",
        answer in ".{0,60}",
    ) -> KeptAnswer {
        KeptAnswer {
            id,
            tenant: Tenant::new(&tenant).unwrap(),
            key: KeyId::from_bits(key),
            created: Timestamp::from_micros(created),
            answered_by: AnsweredBy { provider, model },
            provider_id,
            previous,
            input,
            answer,
        }
    }
}
