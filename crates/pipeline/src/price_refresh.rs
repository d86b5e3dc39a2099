//! The job that keeps prices up to date: fetches them now and then, and takes over what another process has kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weighbridge_pricing::{Approval, Factor, PriceSources, PriceText};
use weighbridge_transport::{Accept, BoxFuture, Fetch, FetchBounds};

use crate::jobs::{report, ticks};
use crate::metering::Prices;
use crate::pipeline::Core;

/// How often the kept file is looked at: a command of another process may have changed it. Well within
/// [`BEGINS_AFTER`](weighbridge_pricing::BEGINS_AFTER).
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Most bytes of a list of prices: LiteLLM's map has 4 MB.
const BYTES_MAX: usize = 64 << 20;
/// Most time for fetching it.
const FETCH_TIME: Duration = Duration::from_secs(60);

/// What makes the next text of the one that is kept, if it makes one.
pub type NextPrices<'a> = dyn FnMut(Option<&str>) -> Option<String> + Send + 'a;

/// Where the updates of prices are kept. Several processes may share one.
pub trait PriceKeeper: Send + Sync {
    /// What is kept; `None` where nothing is.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn kept(&self) -> BoxFuture<'_, io::Result<Option<String>>>;

    /// Puts another text in the place of the kept one, at once and whole, if `next` makes one of it. Nobody else
    /// changes it meanwhile, or `next` is asked again with what they kept; and what was kept before can be brought
    /// back.
    ///
    /// # Errors
    /// What keeps it from being written; the former text is then still kept.
    fn replace<'a>(&'a self, next: &'a mut NextPrices<'a>) -> BoxFuture<'a, io::Result<()>>;
}

/// How a pipeline's prices are kept up to date.
pub struct PriceRefresh {
    /// What the price book is made of.
    pub sources: PriceSources,
    /// Where updates are kept.
    pub keeper: Arc<dyn PriceKeeper>,
    /// From where prices are fetched, and how often; `None` where they are not.
    pub fetched: Option<Fetched>,
    /// A rate that changes by more than this is held.
    pub max_jump: Factor,
}

/// From where prices are fetched.
pub struct Fetched {
    /// The address.
    pub url: String,
    /// How often.
    pub every: Duration,
    /// By what. It has to be guarded, if the address is anybody else's.
    pub by: Arc<dyn Fetch>,
}

/// Fetches a text of prices, within the bounds that such a text has.
///
/// # Errors
/// What went wrong, in words; nothing of a part is given (rule P2).
pub async fn fetch_prices(fetch: &dyn Fetch, url: &str) -> Result<String, String> {
    let accept = Accept::of(["application/json", "text/*", "application/toml", "application/octet-stream"]);
    let bounds = FetchBounds::of(BYTES_MAX, FETCH_TIME, accept.map_err(|error| error.to_string())?);
    let fetched = fetch.fetch(url, &bounds).await.map_err(|error| error.to_string())?;
    String::from_utf8(fetched.bytes.into())
        .map_err(|_| "the prices that were fetched are not UTF-8".to_owned())
}

/// The job: looks at what is kept, and fetches when it is time.
pub(crate) async fn run(core: Arc<Core>, mut refresh: PriceRefresh) {
    let mut ticks = ticks(LOOK_EVERY);
    let mut due = Instant::now();
    loop {
        ticks.tick().await;
        report("prices", look(&core, &mut refresh).await);
        if let Some(fetched) = &refresh.fetched
            && Instant::now() >= due
        {
            due = Instant::now() + fetched.every;
            let text = fetch_prices(&*fetched.by, &fetched.url).await;
            let taken = match text {
                Ok(text) => take_over(&core, &refresh, &text).await,
                Err(why) => Err(why),
            };
            report("prices", taken);
            report("prices", look(&core, &mut refresh).await);
        }
    }
}

/// Swaps in the book of what is kept, where that has changed. A book that cannot be made changes nothing.
async fn look(core: &Core, refresh: &mut PriceRefresh) -> Result<(), String> {
    let kept = refresh.keeper.kept().await.map_err(|error| error.to_string())?;
    let known = refresh.sources.updates.as_ref().map(|updates| &*updates.text);
    if kept.as_deref() == known {
        return Ok(());
    }
    let next = refresh.sources.with_updates(kept.map(|text| PriceText::new("updates", text)));
    let book = next.book().map_err(|error| error.to_string())?;
    tracing::info!(version = %book.version(), "another price book is in force");
    core.prices.store(Arc::new(Prices::new(Arc::new(book))));
    refresh.sources = next;
    Ok(())
}

/// Keeps whatever of a text may be taken over without a person, and tells what waits for one.
async fn take_over(core: &Core, refresh: &PriceRefresh, text: &str) -> Result<(), String> {
    let at = core.env.now();
    let name = refresh.fetched.as_ref().map_or("prices", |fetched| &*fetched.url);
    let mut outcome = Ok(());
    let mut next = |kept: Option<&str>| {
        let sources = refresh.sources.with_updates(kept.map(|text| PriceText::new("updates", text)));
        match sources.revise((name, text), at, refresh.max_jump, &Approval::Nothing) {
            Ok(revision) => {
                let held = revision.update.held(&Approval::Nothing).count();
                if held > 0 {
                    tracing::warn!(held, "prices wait for approval: see `weighbridge prices update`");
                }
                revision.next.and_then(|(next, _)| next.updates.map(|updates| updates.text.to_string()))
            }
            Err(error) => {
                outcome = Err(error.to_string());
                None
            }
        }
    };
    refresh.keeper.replace(&mut next).await.map_err(|error| error.to_string())?;
    outcome
}
