//! Very many sessions in one server process: what an idle one costs, and what happens when thousands of them come back at once.
//!
//! ```text
//!   this process                                    its child
//!   crowd ─┐  sessions of the core, mio      ┌─ hall: unbroken_tokio::Server, one table of open files
//!   crowd ─┼──────── loopback TCP ───────────┼─ hall
//!   crowd ─┘                                 └─ ...
//! ```
//!
//! For each number of sessions: they are set up (one message each way), then left alone until each idle link has been probed, because both ends
//! give buffers back then; then memory is read, and for a while the CPU time that probing takes. At the largest number the links of some
//! are cut at the same moment, each of these sessions having just sent a message: it flows again when the message is back.

mod crowd;
mod picture;
mod server;
mod system;
mod table;
mod tally;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use serde::{Deserialize, Serialize};

use crate::files::Tables;
use crate::rounds::Spread;
use crowd::{Crowd, Order};
use server::{Figures, Standing};
use tally::Tally;

pub use crowd::Cut;
pub use picture::growth;
pub use server::{Options as ServerOptions, serve};
pub use table::markdown;

/// What both ends and the kernel take for one session at most, in bytes; for the look at the machine's memory before anything is begun.
const NEED: u64 = 36 << 10;
/// What is left to everybody else.
const LEAVE: u64 = 1 << 30;
/// Nothing has happened for so long, and for some probes more: then it does not come any more.
const STALLED: Duration = Duration::from_secs(120);

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of sessions, rising.
    pub sessions: Vec<usize>,
    /// How many come back at once.
    pub reconnect: usize,
    /// How often.
    pub storms: usize,
    pub cut: Cut,
    /// Silence after which an idle link is probed.
    pub probe: Duration,
    /// For how long the CPU time of probes is counted.
    pub watch: Duration,
}

/// What was found.
#[derive(Serialize, Deserialize)]
pub struct Found {
    pub tables: Tables,
    pub workers: usize,
    /// Of the server without sessions, in bytes.
    pub empty: u64,
    pub points: Vec<Point>,
    pub cut: Cut,
    pub storms: Vec<Storm>,
}

/// So many idle sessions.
#[derive(Clone, Serialize, Deserialize)]
pub struct Point {
    pub sessions: usize,
    /// Resident memory of the server, in bytes.
    pub memory: u64,
    /// What the kernel holds for sockets, of both ends.
    pub sockets: system::Sockets,
    /// Probes, over so many seconds, and the server's CPU time for them, in seconds.
    pub probes: u64,
    pub watched: f64,
    pub cpu: f64,
}

/// Many links cut at the same moment.
#[derive(Clone, Serialize, Deserialize)]
pub struct Storm {
    pub sessions: usize,
    pub reconnected: usize,
    /// From the cut until the last of them flowed, in seconds.
    pub all: f64,
    /// From its own cut until a session flowed, in seconds: median, 99 %, longest.
    pub downtime: [f64; 3],
    /// Connections that the clients opened for it.
    pub dials: u64,
    /// Connections turned away because too many handshakes were under way.
    pub refused_busy: u64,
    /// The server's CPU time, in seconds.
    pub cpu: f64,
    /// Resident memory of the server before, at most, and when all links had been probed again, in bytes.
    pub memory: [u64; 3],
}

impl Point {
    /// Bytes of the server's memory for each session, all in.
    pub fn each(&self) -> f64 {
        self.memory as f64 / self.sessions as f64
    }
}

impl Found {
    /// Bytes for each session more, from each point to the next; the first counts from the empty server.
    pub fn steps(&self) -> Vec<f64> {
        let mut before = (0, self.empty);
        let mut steps = Vec::new();
        for point in &self.points {
            let (sessions, memory) = before;
            steps.push((point.memory as f64 - memory as f64) / (point.sessions - sessions) as f64);
            before = (point.sessions, point.memory);
        }
        steps
    }

    /// A value of all storms.
    pub fn storms(&self, pick: impl Fn(&Storm) -> f64) -> Spread {
        Spread::of(self.storms.iter().map(pick).collect())
    }
}

/// Measures. Tells of its progress on standard error.
///
/// # Errors
/// The plan makes no sense, the machine has too little memory for it, or a session ended or did not come back.
pub fn measure(plan: &Plan) -> io::Result<Found> {
    let most = check(plan)?;
    // In a silent cut, both ends have the old sockets for a while beside the new ones.
    let sockets = most + plan.reconnect;
    let (mut server, standing) = Server::start(sockets, plan.probe)?;
    let crowds = Crowds::start(&standing, sockets, plan.probe)?;
    let way = match standing.tables {
        Tables::One => "one table of open files".into(),
        Tables::Several(count) => format!("{count} tables of open files, as the limit of one cannot be raised enough"),
    };
    eprintln!("  the server has {way}, and {} workers", standing.workers);
    let empty = system::memory(server.process())?.now;
    let nothing = system::sockets()?;
    let mut points = Vec::new();
    for sessions in plan.sessions.iter().copied() {
        let mut point = grow(&mut server, &crowds, plan, sessions)?;
        point.sockets.buffers = point.sockets.buffers.saturating_sub(nothing.buffers);
        point.sockets.count = point.sockets.count.saturating_sub(nothing.count);
        let less = |objects: u64| objects.saturating_sub(nothing.objects.unwrap_or(0));
        point.sockets.objects = point.sockets.objects.map(less);
        points.push(point);
    }
    let mut storms = Vec::new();
    for _ in 0..if plan.reconnect == 0 { 0 } else { plan.storms } {
        storms.push(storm(&mut server, &crowds, plan, most)?);
    }
    Ok(Found {
        tables: standing.tables,
        workers: standing.workers,
        empty,
        points,
        cut: plan.cut,
        storms,
    })
}

/// Returns the largest number of sessions.
fn check(plan: &Plan) -> io::Result<usize> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if plan.sessions.first().is_none_or(|first| *first == 0) || !plan.sessions.is_sorted_by(|a, b| a < b) {
        return refuse(format!("--sessions {:?} must rise, from 1 on", plan.sessions));
    }
    let most = *plan.sessions.last().expect("not empty");
    if plan.reconnect > most {
        return refuse(format!(
            "--reconnect {} is over the {most} sessions that there are",
            plan.reconnect
        ));
    }
    let (need, have) = (most as u64 * NEED + LEAVE, system::available()?);
    if need > have {
        let mib = |bytes| bytes >> 20;
        return refuse(format!(
            "--sessions {most} needs {} MiB of memory, and {} MiB are available; {} sessions would fit",
            mib(need),
            mib(have),
            have.saturating_sub(LEAVE) / NEED
        ));
    }
    Ok(most)
}

fn grow(server: &mut Server, crowds: &Crowds, plan: &Plan, sessions: usize) -> io::Result<Point> {
    let begun = Instant::now();
    crowds.order(sessions, Order::Grow);
    crowds.wait("sessions stand", sessions, Tally::sessions)?;
    eprintln!(
        "  {sessions} sessions after {:.1} s more",
        begun.elapsed().as_secs_f64()
    );
    crowds.wait("idle links have been probed", sessions, Tally::settled)?;
    let (begun, before, probes) = (Instant::now(), server.figures()?, crowds.tally.probes());
    if before.sessions != sessions || before.detached != 0 {
        let why = format!(
            "the server has {} sessions, {} of them without a link",
            before.sessions, before.detached
        );
        return Err(io::Error::other(why));
    }
    thread::sleep(plan.watch);
    let (after, probed, watched) = (server.figures()?, crowds.tally.probes(), begun.elapsed());
    let memory = system::memory(server.process())?.now;
    eprintln!("  {sessions} idle sessions: {} MiB", memory >> 20);
    Ok(Point {
        sessions,
        memory,
        sockets: system::sockets()?,
        probes: probed - probes,
        watched: watched.as_secs_f64(),
        cpu: after.cpu - before.cpu,
    })
}

fn storm(server: &mut Server, crowds: &Crowds, plan: &Plan, sessions: usize) -> io::Result<Storm> {
    let process = server.process();
    system::forget_peak(process)?;
    let (before, quiet, dials) = (server.figures()?, system::memory(process)?, crowds.tally.dials());
    let begun = Instant::now();
    crowds.order(plan.reconnect, |count| Order::Cut(count, plan.cut));
    crowds.wait("sessions are back", plan.reconnect, Tally::returned)?;
    let after = server.figures()?;
    let downtimes = crowds.tally.take_downtimes();
    let last = downtimes.iter().map(|one| one.until).max().expect("some came back");
    let mut times: Vec<f64> = downtimes
        .iter()
        .map(|one| (one.until - one.from).as_secs_f64())
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    let all = (last - begun).as_secs_f64();
    eprintln!("  {} sessions back after {all:.2} s", plan.reconnect);
    crowds.order(0, |_| Order::Bury);
    // Twice, so that both ends have had the occasion to give buffers back.
    thread::sleep(plan.probe * 2);
    let end = system::memory(process)?;
    Ok(Storm {
        sessions,
        reconnected: plan.reconnect,
        all,
        downtime: [at(0.5), at(0.99), at(1.0)],
        dials: crowds.tally.dials() - dials,
        refused_busy: after.refused_busy - before.refused_busy,
        cpu: after.cpu - before.cpu,
        memory: [quiet.now, end.peak, end.now],
    })
}

/// The child.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(sockets: usize, probe: Duration) -> io::Result<(Server, Standing)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["scale-server", "--sockets", &sockets.to_string()])
            .args(["--probe", &probe.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut server = Server {
            child,
            input,
            output: BufReader::new(output),
        };
        let standing = server.listen()?;
        Ok((server, standing))
    }

    fn process(&self) -> u32 {
        self.child.id()
    }

    fn figures(&mut self) -> io::Result<Figures> {
        writeln!(self.input)?;
        self.listen()
    }

    fn listen<T: for<'a> Deserialize<'a>>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the server's process has ended"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All clients.
struct Crowds {
    crowds: Vec<(Sender<Order>, Waker)>,
    tally: Arc<Tally>,
    patience: Duration,
}

impl Crowds {
    /// A thread for each table, but not less than for each processor.
    fn start(standing: &Standing, sockets: usize, probe: Duration) -> io::Result<Crowds> {
        let tables = Tables::for_sockets(sockets);
        let processors = thread::available_parallelism().map_or(1, |count| count.get());
        let config = Arc::new(server::configs(probe).1);
        let tally = Arc::new(Tally::default());
        let mut crowds = Vec::new();
        let count = tables.count().max(processors);
        for index in 0..count {
            let (order, orders) = channel();
            // Made here, so that both this thread's table and the crowd's have what wakes it.
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), crowd::ORDER)?;
            // Each begins at another address.
            let mut addresses = standing.addresses.clone();
            addresses.rotate_left(index % standing.addresses.len());
            let crowd = Crowd {
                config: config.clone(),
                addresses,
                orders,
                poll,
                tally: tally.clone(),
                quiet: probe / 2,
                rate: crowd::RATE / count as f64,
            };
            thread::Builder::new().name(format!("crowd-{index}")).spawn(move || {
                tables
                    .enter()
                    .and_then(|()| crowd::run(crowd))
                    .expect("a table of its own, and a poller that works");
            })?;
            crowds.push((order, waker));
        }
        Ok(Crowds {
            crowds,
            tally,
            patience: STALLED + probe * 3,
        })
    }

    /// Gives the order to all, each with its share of `total`.
    fn order(&self, total: usize, order: impl Fn(usize) -> Order) {
        let count = self.crowds.len();
        for (index, (orders, waker)) in self.crowds.iter().enumerate() {
            let share = total / count + usize::from(index < total % count);
            orders.send(order(share)).expect("the crowd runs");
            waker.wake().expect("a poller that works");
        }
    }

    /// Until so many have come to something.
    fn wait(&self, what: &str, wanted: usize, have: impl Fn(&Tally) -> usize) -> io::Result<()> {
        let (mut most, mut changed, mut told) = (0, Instant::now(), Instant::now());
        loop {
            let now = have(&self.tally);
            if let Some(reason) = self.tally.lost() {
                return Err(io::Error::other(format!("a session ended: {reason}")));
            }
            if now >= wanted {
                return Ok(());
            }
            if now > most {
                (most, changed) = (now, Instant::now());
            } else if changed.elapsed() > self.patience {
                let why = format!("only {now} of {wanted} {what}, and nothing happens any more");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            if told.elapsed() > Duration::from_secs(5) {
                let dials = self.tally.dials();
                eprintln!("  {now} of {wanted} {what}; {dials} connections were opened so far");
                told = Instant::now();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sessions: &[usize], reconnect: usize) -> Option<String> {
        let plan = Plan {
            sessions: sessions.into(),
            reconnect,
            storms: 1,
            cut: Cut::Reset,
            probe: Duration::from_secs(1),
            watch: Duration::from_secs(1),
        };
        check(&plan).err().map(|error| error.to_string())
    }

    #[test]
    fn a_plan_that_makes_no_sense_or_does_not_fit_is_refused_with_the_value_and_the_remedy() {
        assert_eq!(refusal(&[1, 2], 2), None);
        for falling in [&[][..], &[0, 1], &[5, 5], &[7, 3]] {
            assert!(
                refusal(falling, 0).is_some_and(|why| why.contains("--sessions")),
                "{falling:?}"
            );
        }
        assert!(refusal(&[10], 11).is_some_and(|why| why.contains("--reconnect 11")));
        let huge = refusal(&[1_000_000_000], 0).expect("no machine has that");
        assert!(huge.contains("1000000000") && huge.contains("would fit"), "{huge}");
    }

    #[test]
    fn a_step_is_what_each_session_more_takes() {
        let point = |sessions, memory| Point {
            sessions,
            memory,
            sockets: system::Sockets::default(),
            probes: 0,
            watched: 1.0,
            cpu: 0.0,
        };
        let found = Found {
            tables: Tables::One,
            workers: 1,
            empty: 1000,
            points: vec![point(10, 2000), point(30, 6000)],
            cut: Cut::Reset,
            storms: Vec::new(),
        };
        assert_eq!(found.steps(), [100.0, 200.0]);
    }
}
