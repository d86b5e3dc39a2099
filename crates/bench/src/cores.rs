//! The shape that forwarder and provider share with the gateway: a current-thread runtime per core,
//! and sockets that are handed to the core with the fewest.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

/// As deep as the gateway's.
const BACKLOG: i32 = 4096;

/// How a role tells its parent where it listens.
pub(crate) const LISTENING: &str = "listening on ";

/// Listens on any free port of loopback, tells the parent which, and serves connections until the
/// parent goes. `on_core` is called once on each core and gives what serves the connections there.
pub(crate) fn run<M, S>(on_core: M) -> Result<()>
where
    M: Fn() -> S + Clone + Send + 'static,
    S: AsyncFn(TcpStream) + 'static,
{
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let cores: Vec<_> =
        (0..std::thread::available_parallelism()?.get()).map(|_| start_core(on_core.clone())).collect();
    println!("{LISTENING}{}", listener.local_addr()?);
    std::thread::spawn(leave_with_parent);
    loop {
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let core = cores.iter().min_by_key(|core| core.open.load(Ordering::Acquire)).context("no cores")?;
        core.open.fetch_add(1, Ordering::AcqRel);
        core.sockets.send(socket)?;
    }
}

struct Core {
    sockets: UnboundedSender<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

fn start_core<M, S>(on_core: M) -> Core
where
    M: Fn() -> S + Send + 'static,
    S: AsyncFn(TcpStream) + 'static,
{
    let (sockets, mut arriving) = unbounded_channel();
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    std::thread::spawn(move || -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let serve = std::rc::Rc::new(on_core());
            while let Some(socket) = arriving.recv().await {
                let (serve, counted) = (serve.clone(), counted.clone());
                let socket = TcpStream::from_std(socket)?;
                tokio::task::spawn_local(async move {
                    serve(socket).await;
                    counted.fetch_sub(1, Ordering::AcqRel);
                });
            }
            Ok(())
        })
    });
    Core { sockets, open }
}

/// The parent holds the other end of standard input: when it closes, however the parent ended, this
/// process has nothing left to do.
fn leave_with_parent() {
    let mut byte = [0];
    while std::io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
    std::process::exit(0);
}
