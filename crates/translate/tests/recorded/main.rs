//! Recorded traffic of real providers. It lies beside the repository; where it is missing the tests
//! say so and pass.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail anywhere")]

mod form;
mod recordings;
mod rewritten;
mod translated;
mod traps;

use weighbridge_protocol::json::{Raw, ScanLimits};

fn parse(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}
