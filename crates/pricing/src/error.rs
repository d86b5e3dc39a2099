use std::fmt;

use thiserror::Error;
use weighbridge_units::{Bucket, MoneyError};

use crate::rate::COUNT_LIMIT;

/// Why there is no price book, or no cost.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The price files have mistakes, all of which are listed. No part of them was taken (rule P2).
    #[error("the price files have mistakes:\n{0}")]
    Load(Mistakes),
    /// The bucket was used, and its price is neither stated nor follows from another (rule M7).
    #[error("{provider}/{model} has no price for {bucket}: add `{bucket}` to its entry in a price file")]
    Unpriced {
        /// The provider in the price file.
        provider: String,
        /// The model in the price file.
        model: String,
        /// The bucket without a price.
        bucket: Bucket,
    },
    /// No bucket was told: missing is not zero (rule M7). Estimate the usage and say so.
    #[error("there is no usage to price: estimate it, and mark the entry as estimated")]
    Untold,
    /// A count that no provider can mean.
    #[error("{count} in {bucket} is not credible: counts stay below {COUNT_LIMIT}")]
    TooMany {
        /// The bucket with the count.
        bucket: Bucket,
        /// The count.
        count: u64,
    },
    /// The sum does not fit into exact money.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// One mistake in a price file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Mistake {
    /// The file's name, as given to the loader.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters, from 1.
    pub column: usize,
    /// The entry that it stands in: its first model; empty outside of an entry.
    pub entry: String,
    /// What is wrong, and what to do about it.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, entry, problem } = self;
        write!(f, "{file}:{line}:{column}: ")?;
        if !entry.is_empty() {
            write!(f, "{entry}: ")?;
        }
        f.write_str(problem)
    }
}

/// All mistakes of a load, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub(crate) Vec<Mistake>);

impl Mistakes {
    /// The mistakes, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    /// A line per mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}
