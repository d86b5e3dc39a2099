use serde_json::Value;

/// A record as the tenant whose request it was may see it: where the tenant is asked for something else than the
/// provider's cost, that cost is not its business, and what it is asked for stands in its place. Where it pays the
/// provider itself, it sees both.
///
/// How the targets were compared is not its business either: what a request would have cost is a score too.
///
/// A text that is no record is nothing to show.
pub fn for_client(record: String) -> Option<String> {
    if ![r#""terms":"#, r#""choice":"#].iter().any(|name| record.contains(name)) {
        return Some(record);
    }
    let mut record: Value = serde_json::from_str(&record).ok()?;
    record.as_object_mut()?.remove("choice");
    for attempt in record.get_mut("attempts")?.as_array_mut()? {
        let attempt = attempt.as_object_mut()?;
        if !attempt.contains_key("own_key") && attempt.remove("terms").is_some() {
            let charged = attempt.get("charged_usd")?.clone();
            attempt.insert("cost_usd".to_owned(), charged);
            attempt.remove("baseline");
        }
    }
    Some(record.to_string())
}

#[cfg(test)]
mod tests {
    use weighbridge_units::{AttemptId, NanoUsd, Protocol, RequestId, Timestamp};

    use super::*;
    use crate::{AttemptRecord, RequestRecord};

    fn record(terms: Option<&str>) -> String {
        let id = RequestId::new("req_1").unwrap();
        let mut record = RequestRecord::new(id, Timestamp::default(), Protocol::OpenAiChat);
        let (provider, model) = ("openai".into(), "gpt".into());
        let id = AttemptId::from_u128(1);
        let mut attempt = AttemptRecord::new(id, provider, model, Protocol::OpenAiChat, 1);
        (attempt.cost, attempt.charged) = (NanoUsd::new(100), NanoUsd::new(130));
        attempt.terms = terms.map(Into::into);
        record.attempts.push(attempt);
        record.to_json()
    }

    #[test]
    fn a_tenant_sees_what_it_pays_and_not_what_that_costs() {
        let shown = for_client(record(Some("cost + 30%"))).unwrap();
        assert!(shown.contains(r#""cost_usd":"0.000000130""#), "{shown}");
        assert!(!shown.contains("30%") && !shown.contains("0.000000100"), "{shown}");
        let own =
            record(Some("30% of the cost")).replace(r#""started_us""#, r#""own_key":"pk-1","started_us""#);
        assert!(own.contains("own_key") && own.contains("0.000000100"), "{own}");
        assert_eq!(for_client(own.clone()).map(|shown| shown.len()), Some(own.len()));
        let chosen = record(None).replace(r#"{"id""#, r#"{"choice":{"scores":[{"score":100}]},"id""#);
        assert!(for_client(chosen).is_some_and(|shown| !shown.contains("score")));
        let at_cost = record(None);
        assert_eq!(for_client(at_cost.clone()), Some(at_cost));
    }
}
