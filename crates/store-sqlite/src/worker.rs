//! A thread of its own for what would block a caller's runtime.

use std::sync::mpsc;
use std::thread;

use futures::channel::oneshot;
use rusqlite::Connection;
use weighbridge_records::LogError;

use crate::OpenError;

/// Lets this thread stand back behind the others: what it does can wait, requests cannot.
pub(crate) fn stand_back() {
    // Linux has this for each thread. Elsewhere the whole process would stand back; where it is not
    // granted, nothing is lost but some microseconds.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A thread that owns a connection and does one piece of work after another. Dropping it waits for
/// what is queued.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts it.
    pub(crate) fn start(name: &str, mut connection: Connection) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job(&mut connection));
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does a piece of work; `None` where the thread has died. The work is done also where the caller
    /// stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _ = answer.send(work(connection));
        });
        self.jobs.as_ref()?.send(job).ok()?;
        answered.await.ok()
    }

    /// Does a piece of work of a store whose failures are told as those of a log.
    pub(crate) async fn log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let answer = self.run(work).await.ok_or(LogError::Closed)?;
        answer.map_err(|error| LogError::Store(Box::new(error)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
