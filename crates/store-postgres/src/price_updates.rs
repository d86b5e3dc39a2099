//! The updates of prices: one text, which all instances share.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Database;
use crate::error::DbError;
use crate::session::Link;

/// The text only where it is not the one of that version.
const KEPT: &str = "SELECT version, CASE WHEN version = $1 THEN NULL ELSE present END FROM price_updates";
const REPLACE: &str = "UPDATE price_updates SET version = version + 1, previous = present, present = $2 \
     WHERE version = $1";
const REVERT: &str = "UPDATE price_updates SET version = version + 1, previous = present, present = previous \
     WHERE previous IS NOT NULL";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 3] = [KEPT, REPLACE, REVERT];

/// No version: the first is 0.
const NONE: i64 = -1;
/// How often a change is made anew that somebody else came before.
const TRIES: usize = 20;

/// Updates of prices in a PostgreSQL database: replaced whole or not at all, with the text before beside them. All
/// instances and commands that use the database see the same.
#[derive(Debug)]
pub struct PostgresPriceUpdates {
    database: Database,
    link: Arc<Link>,
    /// What was read last, so that looking again costs little.
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    version: i64,
    text: Arc<str>,
}

impl PostgresPriceUpdates {
    /// Opens the updates of a database. Nothing is asked of the database yet.
    pub fn open(database: &Database) -> Self {
        let seen = Mutex::new(Seen { version: NONE, text: "".into() });
        Self { database: database.clone(), link: Arc::new(Link::new(database.connector())), seen }
    }

    /// What is kept; `None` where nothing is.
    ///
    /// # Errors
    /// Where the database cannot be asked now.
    pub async fn kept(&self) -> io::Result<Option<String>> {
        let Seen { text, .. } = self.look().await?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()).map(|text| text.to_string()))
    }

    /// Puts another text in the place of the kept one, at once and whole, if `next` makes one of it. Where somebody
    /// else changes it meanwhile, `next` is asked again with what is kept then.
    ///
    /// # Errors
    /// Where the database cannot be written now; the former text is then still kept, or the next one is.
    pub async fn replace(
        &self,
        next: &mut (dyn FnMut(Option<&str>) -> Option<String> + Send),
    ) -> io::Result<()> {
        for _ in 0..TRIES {
            let Seen { version, text } = self.look().await?;
            let present = Some(&*text).filter(|text| !text.trim().is_empty());
            let Some(next) = next(present) else { return Ok(()) };
            let link = Arc::clone(&self.link);
            let replace = async move {
                let mut lent = link.lend().await?;
                let changed = lent.session.execute(REPLACE, &[&version, &next]).await?;
                lent.give_back();
                Ok::<_, DbError>(changed)
            };
            if self.database.run(replace).await.map_err(io::Error::other)? > 0 {
                return Ok(());
            }
        }
        Err(io::Error::other("others keep changing the updates of prices: try again"))
    }

    /// Brings back what was kept before the last change; doing it again brings that back. `false` where there is
    /// nothing to bring back.
    ///
    /// # Errors
    /// Where the database cannot be written now.
    pub async fn revert(&self) -> io::Result<bool> {
        let link = Arc::clone(&self.link);
        let revert = async move {
            let mut lent = link.lend().await?;
            let changed = lent.session.execute(REVERT, &[]).await?;
            lent.give_back();
            Ok::<_, DbError>(changed)
        };
        Ok(self.database.run(revert).await.map_err(io::Error::other)? > 0)
    }

    async fn look(&self) -> io::Result<Seen> {
        let known = self.seen().version;
        let link = Arc::clone(&self.link);
        let look = async move {
            let mut lent = link.lend().await?;
            let row = lent.session.query_one(KEPT, &[&known]).await?;
            lent.give_back();
            let (version, text): (i64, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            Ok::<_, DbError>((version, text))
        };
        let (version, text) = self.database.run(look).await.map_err(io::Error::other)?;
        let mut seen = self.seen();
        if let Some(text) = text {
            *seen = Seen { version, text: text.into() };
        }
        Ok(seen.clone())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
