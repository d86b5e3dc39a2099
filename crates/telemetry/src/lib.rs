//! Metrics, the access log and tracing: what an operator sees, without secrets and prompts.
//!
//! [`Metrics`] and [`AccessLog`] are [observers](weighbridge_records::Observer): they are handed the
//! record of each request when it has ended, and take well under a microsecond of its thread.
//! Everything slow (rendering, writing) happens at the scrape or on the log's own thread, and a log
//! that cannot keep up drops lines and counts them.
//!
//! Labels are bounded: names that a client could invent collapse into `other` beyond a cap. Money is
//! summed as whole nano-dollars and rendered as exact decimal text.
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_records::{Observer, RequestRecord};
//! use weighbridge_telemetry::Metrics;
//! use weighbridge_units::{Protocol, RequestId, Timestamp};
//!
//! let metrics = Metrics::new("0.1.0");
//! let id = RequestId::new("req_1")?;
//! let mut record = RequestRecord::new(id, Timestamp::from_secs(0), Protocol::OpenAiChat);
//! record.status = 200;
//! metrics.ended(&Arc::new(record));
//!
//! let text = metrics.render();
//! assert!(text.contains(r#"weighbridge_requests_total{protocol="openai-chat",status="200"} 1"#));
//! # Ok::<(), weighbridge_units::IdError>(())
//! ```

mod access_log;
mod labels;
mod metrics;
mod model_cells;
mod money_counter;
mod tracing_setup;

pub use access_log::AccessLog;
pub use metrics::{METRICS_CONTENT_TYPE, Metrics};
pub use tracing_setup::{LogFormat, TracingError, init_tracing, subscriber};
pub use weighbridge_records::{Redactor, redact};
