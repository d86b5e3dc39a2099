//! What stores of this crate's traits promise, for whoever writes one.

use weighbridge_units::Timestamp;

use crate::{AlertStore, KeptAlert, LogError, WebhookId};

/// Checks the promises of an [`AlertStore`] that is empty.
///
/// # Errors
/// The promise that is not kept, or why the store could not be asked.
pub async fn check_alert_store(store: &dyn AlertStore) -> Result<(), String> {
    let told = |error: LogError| error.to_string();
    let at = Timestamp::from_secs;
    let alert = |number: i64, until: Option<i64>| KeptAlert {
        id: format!("alert_{number}"),
        at: at(number),
        until: until.map(Timestamp::from_secs),
        body: format!(r#"{{"number": {number}, "text": "£ \"quoted\""}}"#),
    };
    let [one, two, nobodys] = [1, u64::MAX, 3].map(WebhookId::from_bits);
    let all = at(1_000);
    let (early, late, for_good) = (alert(1, Some(100)), alert(2, Some(200)), alert(3, None));

    // Raised once, whoever raises it again and however.
    demand(store.raise(late.clone(), &[one, two]).await.map_err(told)?, "a new alert is new")?;
    demand(store.raise(early.clone(), &[one]).await.map_err(told)?, "another one is new")?;
    demand(store.raise(for_good.clone(), &[]).await.map_err(told)?, "one that nobody waits for is new")?;
    let again = KeptAlert { at: at(5), body: "{}".to_owned(), ..late.clone() };
    demand(!store.raise(again, &[nobodys]).await.map_err(told)?, "a known alert is not new")?;

    // Each webhook waits for its own, oldest first, as they were raised.
    let waiting = async |webhook, before, limit| store.waiting(webhook, before, limit).await.map_err(told);
    same(&waiting(one, all, 10).await?, &[early.clone(), late.clone()])?;
    same(&waiting(two, all, 10).await?, std::slice::from_ref(&late))?;
    same(&waiting(nobodys, all, 10).await?, &[])?;
    same(&waiting(one, all, 1).await?, std::slice::from_ref(&early))?;
    same(&waiting(one, at(2), 10).await?, std::slice::from_ref(&early))?;
    same(&waiting(one, at(1), 10).await?, &[])?;

    // What is settled comes to one webhook no more, and to the other still.
    for _ in 0..2 {
        store.settle(&late.id, one).await.map_err(told)?;
    }
    store.settle("alert_unknown", one).await.map_err(told)?;
    same(&waiting(one, all, 10).await?, std::slice::from_ref(&early))?;
    same(&waiting(two, all, 10).await?, std::slice::from_ref(&late))?;
    demand(!store.raise(late.clone(), &[one]).await.map_err(told)?, "a settled alert is not raised again")?;
    same(&waiting(one, all, 10).await?, std::slice::from_ref(&early))?;

    // A window that has ended is forgotten with what waits for it; what has no end never is.
    let swept = store.sweep(at(200)).await.map_err(told)?;
    demand(swept == 1, "one window has ended")?;
    same(&waiting(one, all, 10).await?, &[])?;
    same(&waiting(two, all, 10).await?, &[late])?;
    demand(store.raise(early, &[]).await.map_err(told)?, "what was forgotten is new")?;
    demand(!store.raise(for_good, &[]).await.map_err(told)?, "what has no end stays known")
}

fn demand(is_kept: bool, promise: &str) -> Result<(), String> {
    if is_kept { Ok(()) } else { Err(format!("not kept: {promise}")) }
}

fn same(found: &[KeptAlert], expected: &[KeptAlert]) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} waits, and {expected:?} should")) }
}
