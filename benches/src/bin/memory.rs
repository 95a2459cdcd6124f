//! Heap held for an established session that has gone quiet, on each side, beside the peers. Prints JSON.
//!
//! It has an allocator of its own that counts, so it is a program of its own. What an allocator needs beyond the bytes
//! asked for is not in it; `scale` measures whole processes.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use unbroken_bench::ends::{Client, Server};
use unbroken_bench::peers::{boringtun, quinn, rustls, snow};
use unbroken_bench::report::{Goal, OURS, Report};
use unbroken_bench::rounds::Spread;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: usize = 1000;

/// Bytes held by the whole program.
fn held() -> i64 {
    let stats = ALLOCATOR.stats();
    // Growth by realloc is counted apart, and may be negative.
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// Bytes that go when this does, per session. What the value itself takes where it stands is in it, as it stands in a Vec.
fn freed<T>(values: Vec<T>) -> f64 {
    let before = held();
    drop(black_box(values));
    (before - held()) as f64 / SESSIONS as f64
}

fn main() {
    let mut report = Report::new();
    let (client, server) = ours();
    let mut clients = vec![(OURS, client)];
    let mut servers = vec![(OURS, server)];
    for (name, (client, server)) in [
        ("rustls", of_rustls()),
        ("quinn-proto", of_quinn()),
        ("snow, ring", of_snow()),
        ("boringtun", of_boringtun()),
    ] {
        clients.push((name, client));
        servers.push((name, server));
    }
    for (side, counts) in [("client", clients), ("server", servers)] {
        report.count(&format!("idle memory, {side}"), "bytes", &counts);
        let ours = Spread::of(vec![counts[0].1]);
        assert!(
            ours.median > 500.0,
            "a session cannot be that small: nothing was counted"
        );
        let what = format!("idle established session, {side}");
        report.goals.push(Goal::at_most(what, ours, 2048.0, "bytes"));
    }
    report.print();
}

fn ours() -> (f64, f64) {
    let mut server = Server::default();
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| server.connect()).collect();
    // Something is said, and then nothing until the client has asked whether the link still lives.
    for client in &mut clients {
        assert!(client.session.send_slice(&[7; 1000]).is_ok());
        server.exchange(client);
        assert_eq!(client.delivered.messages, 1);
    }
    (0..90).for_each(|_| server.idle(&mut clients, Duration::from_secs(1)));
    assert_eq!(server.endpoint.sessions(), SESSIONS);
    // Without what the bench itself keeps of each.
    let mut sessions = Vec::with_capacity(SESSIONS);
    sessions.extend(clients.into_iter().map(|client| client.session));
    let client = freed(sessions);
    let before = held();
    drop(black_box(server));
    (client, (before - held()) as f64 / SESSIONS as f64)
}

fn of_rustls() -> (f64, f64) {
    let configs = rustls::configs(b"");
    let ends = (0..SESSIONS).map(|_| rustls::Ends::connect(&configs));
    let (clients, servers): (Vec<_>, Vec<_>) = ends.map(|ends| (ends.client, ends.server)).unzip();
    (freed(clients), freed(servers))
}

fn of_quinn() -> (f64, f64) {
    let configs = quinn::Configs::default();
    let ends = (0..SESSIONS).map(|_| quinn::Ends::connect(&configs));
    // The connections alone: a real endpoint has many of them.
    let connections = ends.map(|ends| (ends.client.connection, ends.server.connection));
    let (clients, servers): (Vec<_>, Vec<_>) = connections.unzip();
    (freed(clients), freed(servers))
}

fn of_snow() -> (f64, f64) {
    let keys = snow::Keys::new(snow::Crypto::Ring);
    let (clients, servers): (Vec<_>, Vec<_>) = (0..SESSIONS)
        .map(|_| keys.connect())
        .map(|ends| (ends.client, ends.server))
        .unzip();
    (freed(clients), freed(servers))
}

fn of_boringtun() -> (f64, f64) {
    let keys = boringtun::Keys::default();
    let (clients, servers): (Vec<_>, Vec<_>) = (0..SESSIONS)
        .map(|_| keys.connect())
        .map(|ends| (ends.client, ends.server))
        .unzip();
    (freed(clients), freed(servers))
}
