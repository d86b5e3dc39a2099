//! Fetching content by a URL that somebody else chose.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use thiserror::Error;

use crate::{Accept, BoxFuture, MediaType, Miscalled};

/// Fetches content by URL: media that a request names, lists of prices.
///
/// The URL comes from outside, so an implementation trusts nothing about it: where it leads, how much
/// comes back, how long that takes, what it is. It sends no credentials and no cookies, and goes to
/// public addresses only, unless it was told otherwise when it was made.
///
/// Dropping the future ends the fetch.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use futures::executor::block_on;
/// use weighbridge_transport::{Accept, BoxFuture, Fetch, FetchBounds, FetchError, Fetched, MediaType};
///
/// /// The same picture, whatever is asked for.
/// struct Picture;
///
/// impl Fetch for Picture {
///     fn fetch<'a>(
///         &'a self,
///         _url: &'a str,
///         bounds: &'a FetchBounds,
///     ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
///         let bytes = Bytes::from_static(b"GIF89a");
///         let fetched = bounds.settle(None, bytes);
///         Box::pin(async { fetched })
///     }
/// }
///
/// let fetch: Box<dyn Fetch> = Box::new(Picture);
/// let bounds = FetchBounds::of(10_000, Duration::from_secs(5), Accept::of(["image/*"])?);
/// let fetched = block_on(fetch.fetch("https://example.com/a.gif", &bounds))?;
/// assert_eq!(fetched.media_type.as_str(), "image/gif");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Fetch: Send + Sync {
    /// Fetches what is at `url`.
    ///
    /// # Errors
    /// A [`FetchError`], which may be told to whoever gave the URL.
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        bounds: &'a FetchBounds,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>>;
}

/// What a fetch may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchBounds {
    /// Most bytes of the content.
    pub bytes: usize,
    /// Most time for all of it: finding the address, connecting, redirects, reading.
    pub time: Duration,
    /// Most redirects that are followed.
    pub redirects: u8,
    /// What the content may be.
    pub accept: Accept,
}

impl FetchBounds {
    /// These bounds, and at most three redirects.
    pub const fn of(bytes: usize, time: Duration, accept: Accept) -> Self {
        Self { bytes, time, redirects: 3, accept }
    }

    /// What was fetched, if it is what is wanted: its type by its sender's word and by its bytes.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`], [`FetchError::Unwanted`] or [`FetchError::Miscalled`].
    pub fn settle(&self, claimed: Option<&MediaType>, bytes: Bytes) -> Result<Fetched, FetchError> {
        if bytes.len() > self.bytes {
            return Err(FetchError::TooLarge { most: self.bytes });
        }
        let media_type = MediaType::settle(claimed, &bytes)?;
        match self.accept.takes(&media_type) {
            true => Ok(Fetched { media_type, bytes }),
            false => Err(self.unwanted(media_type)),
        }
    }

    /// The error for content of a type that is not wanted.
    pub fn unwanted(&self, found: MediaType) -> FetchError {
        FetchError::Unwanted { found, accepted: self.accept.to_string() }
    }
}

/// Content that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What it is: one of the types that were accepted.
    pub media_type: MediaType,
    /// The content.
    pub bytes: Bytes,
}

/// Why something was not fetched.
///
/// The messages may be told to whoever gave the URL. They name the host at most, because paths and
/// queries hold signatures; and they do not tell a name that leads nowhere from a name that leads
/// into a private network, because that would map the network for strangers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is not a URL that is fetched.
    #[error(
        "the URL cannot be fetched: {problem}; give one like https://example.com/image.png, or send the \
         content itself"
    )]
    Url {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The port is not among those that are called.
    #[error("port {port} is not fetched from; use https without a port, or send the content itself")]
    Port {
        /// The port.
        port: u16,
    },
    /// The host leads nowhere, or to an address that is not called.
    #[error(
        "`{host}` does not lead to a public address; check the name, or send the content itself instead of \
         its URL"
    )]
    Address {
        /// The host as the URL has it.
        host: String,
    },
    /// The content is moved too many times.
    #[error("the URL was redirected more than {most} times; give the address where the content is")]
    TooManyRedirects {
        /// How many redirects are followed.
        most: u8,
    },
    /// A redirect leads from an encrypted to an unencrypted address.
    #[error("`{host}` redirects from https to http, which is not followed; give an https address")]
    Downgrade {
        /// The host that redirects.
        host: String,
    },
    /// The server does not give the content.
    #[error("`{host}` answered with status {status}; check that anybody may read the URL without a login")]
    Status {
        /// The host that was asked.
        host: String,
        /// What it answered.
        status: StatusCode,
    },
    /// The content has more bytes than are taken.
    #[error("the content has more than {most} bytes; make it smaller")]
    TooLarge {
        /// Most bytes that are taken.
        most: usize,
    },
    /// It took too long.
    #[error("the content did not arrive within {} ms; try again, or send the content itself", .after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The content is of a type that is not taken.
    #[error("the content is {found}, which is not taken here; send one of {accepted}")]
    Unwanted {
        /// What it is.
        found: MediaType,
        /// What is taken.
        accepted: String,
    },
    /// The content is not what its server calls it.
    #[error("the content cannot be used: {0}; check what is at the URL")]
    Miscalled(#[from] Miscalled),
    /// The server compresses although it was asked not to.
    #[error("`{host}` sent the content compressed, which is not unpacked; send the content itself")]
    Compressed {
        /// The host that was asked.
        host: String,
    },
    /// The connection could not be made, or broke.
    #[error("fetching from `{host}` failed: {message}; try again, or send the content itself")]
    Broken {
        /// The host that was asked.
        host: String,
        /// What happened.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> FetchBounds {
        FetchBounds::of(8, Duration::from_secs(1), Accept::of(["image/gif"]).unwrap())
    }

    #[test]
    fn what_is_settled_is_within_its_bounds() {
        let gif = Bytes::from_static(b"GIF89a\x01\0");
        let fetched = bounds().settle(Some(&"image/png".parse().unwrap()), gif.clone()).unwrap();
        assert_eq!((fetched.media_type.as_str(), fetched.bytes), ("image/gif", gif));
        let long = Bytes::from_static(b"GIF89a\x01\0\x01");
        assert_eq!(bounds().settle(None, long), Err(FetchError::TooLarge { most: 8 }));
        for (claimed, bytes) in [(None, &b"\xff\xd8\xff"[..]), (Some("text/plain"), b"hello")] {
            let claimed = claimed.map(|claimed| claimed.parse().unwrap());
            let refused = bounds().settle(claimed.as_ref(), Bytes::from_static(bytes));
            assert!(matches!(refused, Err(FetchError::Unwanted { .. })), "{refused:?}");
        }
        let miscalled = bounds().settle(Some(&"image/gif".parse().unwrap()), Bytes::from_static(b"<html>"));
        assert!(matches!(miscalled, Err(FetchError::Miscalled(_))), "{miscalled:?}");
    }

    #[test]
    fn a_message_says_what_to_do() {
        let slow = FetchError::TimedOut { after: Duration::from_millis(1500) }.to_string();
        assert_eq!(slow, "the content did not arrive within 1500 ms; try again, or send the content itself");
        assert_eq!(
            bounds().unwanted(MediaType::BYTES).to_string(),
            "the content is application/octet-stream, which is not taken here; send one of image/gif"
        );
    }
}
