//! `unbroken-hot PATH TIMES`: one hot path so many times and nothing else, for callgrind, which counts instructions, and for profilers. `unbroken-hot list`
//! names the paths.
//!
//! Whoever counts takes the difference of two runs of different length, so that what happens once does not count.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use unbroken_hot::Talk;
use unbroken_hot::ends::{Batches, Ends, Server};

type Run = fn(u32);

/// What can be run. The name says how many messages of which size leave together.
const PATHS: &[(&str, Run)] = &[
    ("32-bytes-2048-in-batches", |times| carry::<Batches>(times, 32, 2048)),
    ("32-bytes-2048-per-flush", |times| carry::<Ends>(times, 32, 2048)),
    ("32-bytes-1-per-flush", |times| carry::<Ends>(times, 32, 1)),
    ("1024-bytes-64-per-flush", |times| carry::<Ends>(times, 1024, 64)),
    ("16384-bytes-4-per-flush", |times| carry::<Ends>(times, 16384, 4)),
    ("handshake", handshake),
    ("resume", |times| resume(times, 0)),
    ("resume-and-replay-1-MiB", |times| resume(times, 1024)),
    ("forged-resume", forged),
    ("idle-second", idle),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => {
            PATHS.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        [path, times] => match (PATHS.iter().find(|(name, _)| *name == path), times.parse()) {
            (Some((_, run)), Ok(times)) => {
                run(times);
                ExitCode::SUCCESS
            }
            (None, _) => wrong(&format!("there is no path `{path}`; `unbroken-hot list` names them")),
            (_, Err(_)) => wrong(&format!("`{times}` is no number of times")),
        },
        _ => wrong("usage: unbroken-hot PATH TIMES"),
    }
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("unbroken-hot: {what}");
    ExitCode::from(2)
}

fn carry<T: Talk + Default>(times: u32, size: usize, count: usize) {
    let mut ends = T::default();
    let message = vec![7; size];
    for _ in 0..times {
        assert_eq!(ends.carry(&message, count), size * count);
    }
}

fn handshake(times: u32) {
    let mut server = Server::default();
    for _ in 0..times {
        let mut client = server.connect();
        client.session.disconnect(0);
        server.exchange(&mut client);
    }
}

fn resume(times: u32, count: usize) {
    let mut ends = Ends::default();
    for _ in 0..times {
        ends.lose(&[7; 1024], count);
        ends.server.resume(&mut ends.client);
    }
    assert_eq!(ends.client.delivered.messages, u64::from(times) * count as u64);
}

fn forged(times: u32) {
    let mut server = Server::default();
    let mut client = server.connect();
    server.cut(&mut client);
    let mut flight = server.first_flight(&mut client);
    flight[32] ^= 1;
    (0..times).for_each(|_| server.knock(&flight));
    assert_eq!(server.endpoint.counters().resumes_forged, u64::from(times));
}

/// A hundred sessions that have nothing to say, for a second each.
fn idle(times: u32) {
    let mut server = Server::default();
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    (0..times).for_each(|_| server.idle(&mut clients, Duration::from_secs(1)));
    assert!(
        clients.iter().all(|client| client.session.stats().links == 1),
        "a link was lost"
    );
}
