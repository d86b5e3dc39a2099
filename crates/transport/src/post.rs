//! Posting to an address that the configuration names, such as a webhook.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::{BoxFuture, FetchError};

/// Posts JSON to a URL.
///
/// As with a [`Fetch`](crate::Fetch), an implementation goes to public addresses only, unless it was told
/// otherwise when it was made. It follows no redirect, sends no credentials beside the headers that it is given,
/// and looks at nothing of the answer but the status.
///
/// Dropping the future ends the call.
pub trait Post: Send + Sync {
    /// Posts `body` with these headers, and gives the status of the answer.
    ///
    /// # Errors
    /// A [`FetchError`] where there was no answer within `time`.
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        time: Duration,
    ) -> BoxFuture<'a, Result<StatusCode, FetchError>>;
}
