//! Loads: what is asked of a subject, and what is measured while it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{BlockingClient, Client};
use crate::figures::{Latencies, Work};
use crate::provider::number_after;
use crate::subject::Subject;

/// Calls on each connection before anything is measured.
const WARM_UP_CALLS: u64 = 5;

/// Requests at fixed times, whatever the answers do; each latency counts from the time at which the
/// request was due, so that a slow answer also counts against those that wait behind it.
pub(crate) fn open_loop(
    address: SocketAddr,
    request: &[u8],
    per_second: u32,
    lasting: Duration,
) -> Result<Latencies> {
    let threads = (per_second / 30).clamp(8, 64);
    let period = Duration::from_secs(1) / per_second;
    let calls = (lasting.as_secs_f64() * f64::from(per_second)) as u32;
    let start = Instant::now() + Duration::from_millis(200);
    let caller = |first: u32| -> Result<Vec<Duration>> {
        let mut client = BlockingClient::connect(address)?;
        for _ in 0..WARM_UP_CALLS {
            client.call(request)?;
        }
        let mut latencies = Vec::new();
        for nth in (first..calls).step_by(threads as usize) {
            let due = start + period * nth;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            client.call(request)?;
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..threads).map(|first| scope.spawn(move || caller(first))).collect();
        let mut all = Vec::new();
        for caller in callers {
            let Ok(latencies) = caller.join() else { bail!("a caller panicked") };
            all.extend(latencies?);
        }
        Ok(all.into_iter().collect())
    })
}

/// As many requests as get through on `connections`, one after another on each.
pub(crate) fn closed_loop(
    subject: &Subject,
    request: &[u8],
    connections: usize,
    lasting: Duration,
) -> Result<Work> {
    on_one_thread(async {
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = Client::connect(subject.address).await?;
            client.call(request).await?;
            clients.push(client);
        }
        let request: Arc<[u8]> = request.into();
        let cpu_before = subject.process.cpu_time()?;
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for mut client in clients {
            let request = request.clone();
            callers.spawn(async move {
                let mut done = 0;
                while began.elapsed() < lasting {
                    client.call(&request).await?;
                    done += 1;
                }
                Ok(done)
            });
        }
        let done = sum(callers).await?;
        let took = began.elapsed();
        Ok(Work { done, took, cpu: subject.process.cpu_time()? - cpu_before })
    })
}

/// How long each content event of paced streams was on its way from the provider's socket.
pub(crate) fn transit(address: SocketAddr, request: &[u8], connections: usize) -> Result<Latencies> {
    on_one_thread(async {
        let request: Arc<[u8]> = request.into();
        let mut callers = JoinSet::new();
        for nth in 0..connections {
            let request = request.clone();
            callers.spawn(async move {
                // Streams that all tick at the same moment would queue behind each other.
                tokio::time::sleep(Duration::from_millis(nth as u64)).await;
                let mut client = Client::connect(address).await?;
                client.send(&request).await?;
                let mut transits = Vec::new();
                while !client.read(|data| note_transits(data, &mut transits)).await? {}
                anyhow::Ok(transits)
            });
        }
        let mut all = Vec::new();
        while let Some(transits) = callers.join_next().await {
            all.extend(transits??);
        }
        if all.is_empty() {
            bail!("no content event told when it was sent");
        }
        Ok(all.into_iter().collect())
    })
}

/// Opens `count` streams at once; how long each waited for its first content event.
pub(crate) fn burst(address: SocketAddr, request: &[u8], count: usize) -> Result<Latencies> {
    on_one_thread(async {
        let request: Arc<[u8]> = request.into();
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..count {
            let request = request.clone();
            callers.spawn(async move {
                let mut client = Client::connect(address).await?;
                client.send(&request).await?;
                let first = first_content(&mut client, began).await?;
                while !client.read(|_| {}).await? {}
                anyhow::Ok(first)
            });
        }
        let mut all = Vec::new();
        while let Some(first) = callers.join_next().await {
            all.push(first??);
        }
        Ok(all.into_iter().collect())
    })
}

/// Memory that `count` open streams take, in bytes: those that the process has, less `before`.
pub(crate) fn memory_of_streams(subject: &Subject, request: &[u8], count: usize) -> Result<u64> {
    on_one_thread(async {
        let before = subject.process.memory()?;
        let mut open = Vec::with_capacity(count);
        for _ in 0..count {
            let mut client = Client::connect(subject.address).await?;
            client.send(request).await?;
            first_content(&mut client, Instant::now()).await?;
            open.push(client);
        }
        Ok(subject.process.memory()?.saturating_sub(before))
    })
}

/// What many slow streams take while all of them are open.
pub(crate) struct Crowd {
    /// Memory of the process beyond what it had before, in bytes.
    pub(crate) memory: u64,
    /// How long the content events were on their way that came while all were open.
    pub(crate) transits: Latencies,
}

/// Opens `count` streams, one after another, and reads all of them to their ends.
pub(crate) fn crowd(subject: &Subject, request: &[u8], count: usize) -> Result<Crowd> {
    on_one_thread(async {
        let before = subject.process.memory()?;
        let all_are_open = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        for _ in 0..count {
            let mut client = Client::connect(subject.address).await?;
            client.send(request).await?;
            first_content(&mut client, Instant::now()).await?;
            let all_are_open = all_are_open.clone();
            readers.spawn(async move {
                let (mut complete, mut transits) = (false, Vec::new());
                while !complete {
                    let mut arrived = Vec::new();
                    complete = client.read(|data| note_transits(data, &mut arrived)).await?;
                    if all_are_open.load(Ordering::Relaxed) {
                        transits.append(&mut arrived);
                    }
                }
                anyhow::Ok(transits)
            });
        }
        if readers.try_join_next().is_some() {
            bail!("the first of {count} streams ended before the last was open");
        }
        let memory = subject.process.memory()?.saturating_sub(before);
        all_are_open.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(transits) = readers.join_next().await {
            all.extend(transits??);
        }
        Ok(Crowd { memory, transits: all.into_iter().collect() })
    })
}

async fn first_content(client: &mut Client, began: Instant) -> Result<Duration> {
    let mut transits = Vec::new();
    loop {
        let complete = client.read(|data| note_transits(data, &mut transits)).await?;
        if !transits.is_empty() {
            return Ok(began.elapsed());
        }
        if complete {
            bail!("a stream without content");
        }
    }
}

/// How long the content events in `data` took. One that is cut between two reads is left out.
fn note_transits(data: &[u8], transits: &mut Vec<Duration>) {
    const STAMP: &[u8] = b"sent=";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for at in memchr::memmem::find_iter(data, STAMP) {
        // The digits are followed by a space: without it, some may be missing.
        let Some(stamp) = data.get(at..at + STAMP.len() + 21) else { continue };
        let sent = number_after(stamp, STAMP).map(Duration::from_nanos);
        transits.extend(sent.and_then(|sent| now.checked_sub(sent)));
    }
}

/// Time from `start` until a right answer, which is asked for again and again.
pub(crate) fn first_answer(address: SocketAddr, request: &[u8], began: Instant) -> Result<Duration> {
    const LIMIT: Duration = Duration::from_secs(20);
    loop {
        let answered = BlockingClient::connect(address).and_then(|mut client| client.call(request));
        match answered {
            Ok(()) => return Ok(began.elapsed()),
            Err(error) if began.elapsed() > LIMIT => return Err(error).context("no right answer in time"),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

async fn sum(mut callers: JoinSet<Result<u64>>) -> Result<u64> {
    let mut total = 0;
    while let Some(done) = callers.join_next().await {
        total += done??;
    }
    Ok(total)
}

/// Runs a load on this thread, with a limit that only a hanging subject reaches.
fn on_one_thread<T>(load: impl Future<Output = Result<T>>) -> Result<T> {
    const LIMIT: Duration = Duration::from_secs(120);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { timeout(LIMIT, load).await.context("a measurement hangs")? })
}
