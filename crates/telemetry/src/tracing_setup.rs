use std::io::{self, Write};

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use weighbridge_records::redact;

/// How the program's own messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One line of JSON each.
    Json,
}

/// Why messages cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TracingError {
    /// The level, or a directive in it, is not understood.
    #[error("`{given}` is no log level: write `info`, or directives such as `warn,weighbridge=debug`")]
    Level {
        /// What was given.
        given: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process has set messages up before.
    #[error("messages are set up already: call this once, and not beside another subscriber")]
    SetBefore(#[from] tracing_subscriber::util::TryInitError),
}

/// Writes the program's own messages to standard error, redacted. Standard output is the access
/// log's.
///
/// `level` is a level or a list of directives, as `tracing-subscriber` reads them: `info`,
/// `warn,weighbridge_pipeline=debug`.
///
/// # Errors
/// [`TracingError`] where the level is not understood, or messages are set up already.
pub fn init_tracing(format: LogFormat, level: &str) -> Result<(), TracingError> {
    let subscriber = subscriber(format, level, io::stderr)?;
    Ok(SubscriberInitExt::try_init(subscriber)?)
}

/// What [`init_tracing`] sets up, for any writer.
///
/// # Errors
/// [`TracingError::Level`] where the level is not understood.
pub fn subscriber<W>(
    format: LogFormat,
    level: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TracingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level)
        .map_err(|source| TracingError::Level { given: level.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Redacting(writer));
    // It would tell of a message that cannot be written by a macro that panics where standard error is such a
    // writer: a log on a full disk would take the requests along.
    let builder = builder.log_internal_errors(false);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// Makes writers that mask credentials.
struct Redacting<W>(W);

/// Masks credentials in what is written through it. A message arrives in one piece.
struct RedactingWriter<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Redacting<W> {
    type Writer = RedactingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter(self.0.make_writer())
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact(&String::from_utf8_lossy(message)).as_bytes())?;
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
