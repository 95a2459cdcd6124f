//! Throughput and latency over loopback sockets, beside TCP, TLS, QUIC and WebSocket.
//!
//! Each contestant of each round is measured in a process of its own. What it leaves behind, such as 10,000 sessions that wait for their clients to come back, would
//! else be in the way of those that follow, and fill the memory in the end.

use std::process::{Command, Stdio};
use std::time::Duration;

use unbroken_bench::BACKEND;
use unbroken_bench::files;
use unbroken_bench::report::{Goal, OURS, Report};
use unbroken_bench::rounds::Measured;
use unbroken_bench::sockets::{
    Contestant, Outcome, Plan, Quic, Tcp, TcpPacked, Tls, TlsPacked, Unbroken, WebSocket, run,
};

#[derive(clap::Args)]
pub struct Options {
    /// Few sessions, a moment each: shows that it runs, its figures mean nothing.
    #[arg(long)]
    smoke: bool,
    /// How many sessions at once; may be repeated.
    #[arg(long, default_values_t = [1, 100, 10_000])]
    sessions: Vec<usize>,
    /// Only this one, in this process, for a profiler; without tables: a line of JSON for each round, with 32 bytes and with 1024.
    #[arg(long)]
    only: Option<String>,
    /// How often everything is done.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each measurement takes, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    time: u64,
    /// Messages per second, of all sessions together, while latency is measured.
    #[arg(long, default_value_t = 4000.0)]
    rate: f64,
}

const SIZES: [usize; 2] = [32, 1024];

type Run = fn(&[Plan]) -> Vec<Outcome>;
const CONTESTANTS: [(&str, Run); 7] = [
    (TcpPacked::NAME, run::<TcpPacked>),
    (Tcp::NAME, run::<Tcp>),
    (OURS, run::<Unbroken>),
    (TlsPacked::NAME, run::<TlsPacked>),
    (Tls::NAME, run::<Tls>),
    (Quic::NAME, run::<Quic>),
    (WebSocket::NAME, run::<WebSocket>),
];

pub fn measure(mut options: Options) {
    if options.smoke {
        (options.sessions, options.rounds, options.time) = (vec![1, 20], 1, 50);
    }
    // A process' ends of its sessions are the clients' thread's open files.
    let most = files::room_for(options.sessions.iter().copied().max().unwrap_or(0));
    let mut report = Report::new();
    for sessions in options.sessions {
        let sessions = sessions.min(most);
        let plans = SIZES.map(|size| Plan {
            sessions,
            size,
            time: Duration::from_millis(options.time),
            rate: options.rate,
        });
        if let Some(only) = &options.only {
            let known = CONTESTANTS.iter().find(|(name, _)| name == only);
            let (_, run) = known.expect("one of the contestants");
            for _ in 0..options.rounds {
                println!("{}", serde_json::to_string(&run(&plans)).expect("plain data"));
            }
            continue;
        }
        let mut samples: Vec<Vec<Vec<Outcome>>> = Vec::new();
        for round in 0..options.rounds {
            eprintln!("  {BACKEND}: {sessions} sessions, round {}", round + 1);
            samples.push(CONTESTANTS.iter().map(|(name, _)| apart(name, &plans[0])).collect());
        }
        for (index, size) in SIZES.into_iter().enumerate() {
            let of = |pick: fn(&Outcome) -> f64| {
                let line = |(contestant, (name, _)): (usize, &(&'static str, Run))| {
                    (
                        *name,
                        samples.iter().map(|round| pick(&round[contestant][index])).collect(),
                    )
                };
                CONTESTANTS.iter().enumerate().map(line).collect()
            };
            tell(&mut report, sessions, size, &of);
        }
    }
    if options.only.is_none() {
        report.print();
    }
}

/// What `--only` measures in a process of its own.
fn apart(name: &str, plan: &Plan) -> Vec<Outcome> {
    let program = std::env::current_exe().expect("this program");
    let done = Command::new(program)
        .args(["sockets", "--rounds", "1", "--only", name])
        .args(["--sessions", &plan.sessions.to_string()])
        .args(["--time", &plan.time.as_millis().to_string()])
        .args(["--rate", &plan.rate.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("this program runs once more");
    assert!(
        done.status.success(),
        "{name} with {} sessions: {}",
        plan.sessions,
        done.status
    );
    serde_json::from_slice(&done.stdout).expect("its outcomes")
}

type Pick = fn(&Outcome) -> f64;
type Lines = Vec<(&'static str, Vec<f64>)>;

fn tell(report: &mut Report, sessions: usize, size: usize, of: &dyn Fn(Pick) -> Lines) {
    let which = match sessions {
        1 => format!("1 session, {size} B"),
        _ => format!("{sessions} sessions, {size} B"),
    };
    let measured = |what: &str, pick: Pick| Measured {
        task: format!("{what}, {which}"),
        lines: of(pick),
    };
    let rate = measured("throughput", |outcome| outcome.rate);
    let cpu = measured("CPU time, both ends and kernel", |outcome| outcome.cpu);
    let p99 = measured("round trip, 99 %", |outcome| outcome.latency[1]);
    report.add(&rate, "messages/s");
    report.add(&cpu, "ns/message");
    report.add(&measured("round trip, median", |outcome| outcome.latency[0]), "µs");
    report.add(&p99, "µs");
    report.add(&measured("round trip, 99.9 %", |outcome| outcome.latency[2]), "µs");
    for (peer, framing) in [(Tcp::NAME, "with length framing"), (TcpPacked::NAME, "packed by hand")] {
        let share = rate.ratio(OURS, peer);
        let what = format!("throughput over TCP's, {framing}, {which}");
        report.goals.push(Goal::at_least(what, share, 0.9, "times"));
    }
    for peer in [Tls::NAME, TlsPacked::NAME, Quic::NAME, WebSocket::NAME] {
        let what = format!("throughput over that of {peer}, {which}");
        report
            .goals
            .push(Goal::at_least(what, rate.ratio(OURS, peer), 1.0, "times"));
        let what = format!("99 % round trip of {peer} over ours, {which}");
        report
            .goals
            .push(Goal::at_least(what, p99.ratio(peer, OURS), 1.0, "times"));
    }
}
