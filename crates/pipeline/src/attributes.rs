//! What a client says about its request in headers: tags, end user, loss policy, time-out, demanded labels, request id.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use weighbridge_access::{LossPolicy, Tags};
use weighbridge_routing::Labels;

use crate::refusal::Refusal;

static TAGS: HeaderName = HeaderName::from_static("x-gateway-tags");
static USER: HeaderName = HeaderName::from_static("x-gateway-user");
static LOSS_POLICY: HeaderName = HeaderName::from_static("x-gateway-loss-policy");
static TIMEOUT: HeaderName = HeaderName::from_static("x-gateway-timeout-ms");
/// A day.
const TIMEOUT_MOST_MS: u64 = 86_400_000;
static REQUIRE: HeaderName = HeaderName::from_static("x-gateway-require");
const USER_LENGTH: usize = 256;

/// Attributes of a request, checked and bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) tags: Tags,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) loss_policy: Option<LossPolicy>,
    /// How long the client waits for its whole answer.
    pub(crate) timeout: Option<Duration>,
    /// Labels that whoever serves it must have.
    pub(crate) require: Option<Labels>,
}

impl Attributes {
    /// Reads the headers; `pinned` tags of the key stand, whatever the client says.
    pub(crate) fn read(headers: &HeaderMap, pinned: &Tags) -> Result<Self, Refusal> {
        let tags = read(headers, &TAGS, "up to 16 pairs `name=value` separated by commas", |text| {
            text.parse::<Tags>().ok()
        })?;
        let user = read(headers, &USER, "1 to 256 visible characters", |text| {
            (1..=USER_LENGTH).contains(&text.len()).then(|| text.into())
        })?;
        let loss_policy = read(headers, &LOSS_POLICY, "allow, warn or reject", LossPolicy::from_name)?;
        let timeout = read(headers, &TIMEOUT, "milliseconds, from 1 to 86400000", |text| {
            let millis = text.parse().ok().filter(|millis| (1..=TIMEOUT_MOST_MS).contains(millis))?;
            Some(Duration::from_millis(millis))
        })?;
        let labels = "up to 32 pairs `name=value` separated by commas";
        let require = read(headers, &REQUIRE, labels, |text| text.parse().ok())?;
        Ok(Self { tags: tags.unwrap_or_default().pinned(pinned), user, loss_policy, timeout, require })
    }
}

/// What `parse` makes of a header, if it is there.
fn read<T>(
    headers: &HeaderMap,
    name: &'static HeaderName,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| parse(text.trim()));
    parsed.map(Some).ok_or(Refusal::BadHeader { name: name.as_str(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static HeaderName, value: &str) -> Result<Attributes, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Attributes::read(&headers, &"team=search".parse().unwrap()).map_err(|refusal| refusal.kind())
    }

    #[test]
    fn pinned_tags_stand() {
        let tags = read(&TAGS, "env=prod, team=other, feature = x").unwrap().tags;
        assert_eq!(tags.to_string(), "env=prod,feature=x,team=search");
    }

    #[test]
    fn malformed_attributes_are_refused() {
        assert_eq!(read(&TAGS, "novalue"), Err("bad-header"));
        assert_eq!(read(&LOSS_POLICY, "maybe"), Err("bad-header"));
        assert_eq!(read(&USER, ""), Err("bad-header"));
        assert_eq!(read(&USER, &"x".repeat(257)), Err("bad-header"));
        assert_eq!(read(&REQUIRE, "eu"), Err("bad-header"));
        assert_eq!(read(&REQUIRE, "region=eu").unwrap().require.unwrap().to_string(), "region=eu");
        assert_eq!(read(&LOSS_POLICY, "reject").unwrap().loss_policy, Some(LossPolicy::Reject));
    }
}
