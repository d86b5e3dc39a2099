//! Media that a request names by address, where the provider does not open addresses: fetched within
//! bounds, through whatever guard stands behind [`Fetch`].

use std::time::Duration;

use futures::future::try_join_all;
use weighbridge_routing::Rejection;
use weighbridge_translate::{FetchedMedia, media_to_fetch};
use weighbridge_transport::{Accept, Fetch, FetchBounds, FetchError};

use crate::compiled::Deployment;
use crate::exchange::Exchange;
use crate::outbound::bad_request;
use crate::refusal::Refusal;
use crate::reserve::Unfit;

/// Addresses of one request that are fetched at most.
const COUNT_MOST: usize = 20;
/// The most that is fetched from one address: more than any provider takes.
const BYTES_MOST: usize = 20 * 1024 * 1024;
/// The longest time for all of a request's addresses, which are fetched side by side.
const TIME_MOST: Duration = Duration::from_secs(15);

/// Fetches what a deployment does not open itself; what was fetched stays for the next candidate.
///
/// Without a [`Fetch`], the translation reports such media as lost.
pub(crate) async fn fetch(exchange: &mut Exchange, deployment: &Deployment) -> Result<(), Unfit> {
    let address = deployment.address(exchange.client);
    if address.protocol == exchange.client || exchange.vectors.is_some() {
        return Ok(());
    }
    let Some(fetch) = exchange.core().fetch.clone() else { return Ok(()) };
    // Nearly every request is spared the second reading.
    let text = exchange.body.text();
    if !text.contains("\"http") {
        return Ok(());
    }
    let wanted = media_to_fetch(exchange.client, address.protocol, address.dialect, text)
        .map_err(|error| Unfit::anywhere(Rejection::Misfit, bad_request(&error)))?;
    let known = |url: &String| exchange.media.iter().any(|media| media.url() == *url);
    let missing: Vec<String> = wanted.into_iter().filter(|url| !known(url)).collect();
    if missing.len() > COUNT_MOST {
        let message =
            format!("The request names more than {COUNT_MOST} addresses of media: send their bytes.");
        return Err(Unfit::anywhere(Rejection::Misfit, Refusal::BadBody { message, param: None }));
    }
    let fetched = try_join_all(missing.iter().map(|url| one(&*fetch, url))).await.map_err(|error| {
        let message = format!("Media that the request names cannot be fetched: {error}");
        Unfit::anywhere(Rejection::Misfit, Refusal::BadBody { message, param: None })
    })?;
    exchange.media.extend(fetched);
    Ok(())
}

async fn one(fetch: &dyn Fetch, url: &str) -> Result<FetchedMedia, FetchError> {
    let kinds = ["image/*", "audio/*", "video/*", "application/*", "text/*"];
    // Each is a range of media types.
    let Ok(accept) = Accept::of(kinds) else {
        return Err(FetchError::Url { problem: "no kind of media is taken" });
    };
    let fetched = fetch.fetch(url, &FetchBounds::of(BYTES_MOST, TIME_MOST, accept)).await?;
    Ok(FetchedMedia::new(url, fetched.media_type.as_str(), &fetched.bytes))
}
