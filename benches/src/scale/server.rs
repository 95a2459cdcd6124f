//! The server, in a process of its own, so that its memory and CPU time are the server's and nothing else's.
//!
//! It is what an application would run: `unbroken_tokio::Server` with its defaults and a handler that sends each message back. Where one table of open
//! files suffices there is one server with a worker for each processor. Else there are as many servers as tables, each with one worker,
//! started by a thread that has entered its table, so that acceptor and worker are in it, too; each listens on a port of its own.
//!
//! It says where it listens in one line of JSON on standard output, answers each line on standard input with a line of figures, and ends with its
//! standard input.

use std::io::{BufRead, Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use unbroken::Timing;
use unbroken_tokio::{ClientConfig, ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

use crate::files::Tables;

/// Loopback addresses that one listener is reached by. A client's address has 28,000 ports for each of them, and when 14,000 are taken, all odd or all even ones,
/// Linux looks through those with each further connect.
const DOORS: u8 = 8;

/// What the server is told when it starts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Sockets that it must have room for.
    #[arg(long)]
    pub sockets: usize,
    /// Silence after which an idle link is probed, in milliseconds.
    #[arg(long)]
    pub probe: u64,
}

/// Where it listens.
#[derive(Serialize, Deserialize)]
pub struct Standing {
    pub addresses: Vec<SocketAddr>,
    pub tables: Tables,
    pub workers: usize,
}

/// How it stands.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Figures {
    /// CPU time since its start, in seconds.
    pub cpu: f64,
    pub sessions: usize,
    pub detached: usize,
    pub links: usize,
    pub resumes: u64,
    /// Connections turned away because too many handshakes were under way.
    pub refused_busy: u64,
}

/// The keys and silences of both ends.
pub fn configs(probe: Duration) -> (ServerConfig, ClientConfig) {
    let timing = Timing {
        idle_probe: probe,
        ..Timing::default()
    };
    let key = ServerKey::from_bytes([1; 32]).expect("a key");
    let client = ClientConfig::builder(key.public()).timing(timing.clone());
    let cluster = ClusterKey::from_bytes([2; 32]).expect("a key");
    let server = ServerConfig::builder(key, cluster).authorise_all(true).timing(timing);
    (
        server.build().expect("good values"),
        client.build().expect("good values"),
    )
}

/// Serves until standard input ends.
pub fn serve(options: Options) -> std::io::Result<()> {
    let (config, _) = configs(Duration::from_millis(options.probe));
    let tables = Tables::for_sockets(options.sockets);
    let mut halls = Vec::new();
    let mut standing = Standing {
        addresses: Vec::new(),
        tables,
        workers: 0,
    };
    for index in 0..tables.count() {
        let (asked, questions) = tokio::sync::mpsc::unbounded_channel();
        let (told, listening) = mpsc::channel();
        let config = config.clone();
        // Made here, so that what wakes it is both in this thread's table and in the hall's; and so is the one pipe for signals that tokio has in a
        // process and that each runtime wants.
        let runtime = runtime()?;
        thread::Builder::new()
            .name(format!("hall-{index}"))
            .spawn(move || hall(tables, &runtime, config, questions, told))?;
        let (port, workers) = listening.recv().expect("the hall opens")?;
        let doors = (2..2 + DOORS).map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)));
        standing.workers += workers;
        standing.addresses.extend(doors);
        halls.push(asked);
    }
    say(&standing)?;
    for line in stdin().lock().lines() {
        line?;
        let mut all = Figures {
            cpu: cpu(),
            ..Figures::default()
        };
        for hall in &halls {
            let (answer, figures) = mpsc::channel();
            hall.send(answer).expect("the hall is open");
            let one: Figures = figures.recv().expect("the hall answers");
            all.sessions += one.sessions;
            all.detached += one.detached;
            all.links += one.links;
            all.resumes += one.resumes;
            all.refused_busy += one.refused_busy;
        }
        say(&all)?;
    }
    std::process::exit(0)
}

type Opened = std::io::Result<(u16, usize)>;
type Question = mpsc::Sender<Figures>;

/// One server, in a table of open files that may be its own.
fn hall(
    tables: Tables,
    runtime: &Runtime,
    config: ServerConfig,
    mut questions: tokio::sync::mpsc::UnboundedReceiver<Question>,
    told: mpsc::Sender<Opened>,
) {
    let open = async {
        let builder = Server::builder(config);
        let builder = match tables {
            Tables::One => builder,
            Tables::Several(_) => builder.workers(1),
        };
        builder.serve((Ipv4Addr::UNSPECIFIED, 0), echo).await
    };
    let server = match tables.enter().and_then(|()| runtime.block_on(open)) {
        Ok(server) => server,
        Err(error) => return told.send(Err(error)).expect("somebody waits"),
    };
    let opened = (server.local_addr().port(), server.workers());
    told.send(Ok(opened)).expect("somebody waits");
    runtime.block_on(async {
        while let Some(question) = questions.recv().await {
            let mut figures = Figures::default();
            for worker in server.stats().await {
                figures.sessions += worker.sessions;
                figures.detached += worker.detached;
                figures.links += worker.links;
                figures.resumes += worker.counters.resumes;
                figures.refused_busy += worker.counters.refused_busy;
            }
            // Whoever asked may have left.
            let _ = question.send(figures);
        }
    });
}

async fn echo(session: ServerSession) {
    while let Some(message) = session.recv().await {
        if session.send(message.payload).await.is_err() {
            return;
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn say(what: &impl Serialize) -> std::io::Result<()> {
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    writeln!(out)?;
    out.flush()
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
