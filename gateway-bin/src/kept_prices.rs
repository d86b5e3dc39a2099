//! Where updates of prices are kept: in a file, or in the database that all instances share.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use weighbridge_config::{Config, KeptIn, StorageConfig};
use weighbridge_pipeline::{NextPrices, PriceKeeper};
use weighbridge_pricing::{PriceBook, PriceSources, PriceText};
use weighbridge_store_postgres::{Database, PostgresPriceUpdates};
use weighbridge_transport::BoxFuture;

use crate::price_file::PriceFile;

/// Updates of prices, wherever they are kept.
#[derive(Clone)]
pub(crate) enum KeptPrices {
    File(PathBuf),
    Database(Arc<PostgresPriceUpdates>),
}

impl KeptPrices {
    /// Opens them where the configuration says; `None` where nothing is kept. `database`: the store's, if it is open.
    pub(crate) fn open(config: &Config, database: Option<&Database>) -> anyhow::Result<Option<Self>> {
        Ok(match (&config.price_updates.kept, &config.storage) {
            (KeptIn::File(path), _) => Some(Self::File(path.clone())),
            (KeptIn::Database, StorageConfig::Postgres { url }) => {
                let opened = match database {
                    Some(database) => database.clone(),
                    None => Database::open(url.expose())?,
                };
                Some(Self::Database(Arc::new(PostgresPriceUpdates::open(&opened))))
            }
            (KeptIn::Database | KeptIn::Nowhere, _) => None,
        })
    }

    /// Brings back what was kept before the last change. `false` where there is nothing to bring back.
    pub(crate) async fn revert(&self) -> io::Result<bool> {
        match self {
            Self::File(path) => PriceFile::new(path.clone()).revert(),
            Self::Database(updates) => updates.revert().await,
        }
    }

    /// The texts of the configuration with the updates that are kept at present.
    pub(crate) async fn add_to(&self, sources: &PriceSources) -> anyhow::Result<PriceSources> {
        let kept = self.kept().await.with_context(|| format!("the prices in {self} cannot be read"))?;
        Ok(sources.with_updates(kept.map(|text| PriceText::new("updates", text))))
    }
}

impl fmt::Display for KeptPrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Database(_) => f.write_str("the database"),
        }
    }
}

impl PriceKeeper for KeptPrices {
    fn kept(&self) -> BoxFuture<'_, io::Result<Option<String>>> {
        match self {
            Self::File(path) => Box::pin(async move { PriceFile::new(path.clone()).kept() }),
            Self::Database(updates) => Box::pin(updates.kept()),
        }
    }

    fn replace<'a>(&'a self, next: &'a mut NextPrices<'a>) -> BoxFuture<'a, io::Result<()>> {
        match self {
            Self::File(path) => Box::pin(async move { PriceFile::new(path.clone()).replace(next) }),
            Self::Database(updates) => Box::pin(updates.replace(next)),
        }
    }
}

/// What a command or a gateway goes by at this moment. Of updates that are kept in a file, the configuration has read
/// them already.
pub(crate) struct PresentPrices {
    pub(crate) sources: PriceSources,
    pub(crate) book: Arc<PriceBook>,
    pub(crate) kept: Option<KeptPrices>,
}

impl PresentPrices {
    pub(crate) async fn read(config: &Config, database: Option<&Database>) -> anyhow::Result<Self> {
        let kept = KeptPrices::open(config, database)?;
        let read = &config.price_updates.sources;
        let sources = match &kept {
            Some(kept @ KeptPrices::Database(_)) => kept.add_to(read).await?,
            _ => read.clone(),
        };
        let book = match sources == *read {
            true => Arc::clone(&config.prices),
            false => {
                Arc::new(sources.book().context("the prices that are kept in the database cannot be used")?)
            }
        };
        Ok(Self { sources, book, kept })
    }
}
