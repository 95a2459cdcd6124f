//! CPU time in memory: batched and lone messages, handshakes, resumes, replay, beside the peers.

use unbroken::State;
use unbroken_bench::bare::{self, Copies, SealOpen};
use unbroken_bench::clock::timed;
use unbroken_bench::ends::{Batches, Ends, Server};
use unbroken_bench::peers::packed::Packed;
use unbroken_bench::peers::{boringtun, quinn, rustls, snow};
use unbroken_bench::report::{Goal, OURS, Report};
use unbroken_bench::rounds::{Effort, Group, Measured, Spread};
use unbroken_bench::{BACKEND, Talk};

/// Bytes of payload in a batch.
const BATCH: usize = 64 << 10;
const SIZES: [usize; 4] = [32, 128, 1024, 16384];
const RECORD: usize = 16384;

const COPY: &str = "memcpy";
const BARE_LONG: &str = "AEAD alone, 16 KiB calls";
const BARE: &str = "AEAD alone";
/// Each of its writes is kept as a piece of its own: with small messages that costs more than the cipher.
const QUIC_PACKED: &str = "quinn-proto, packed by hand";
/// We, but each message is given and fetched by a call of its own.
const ONE_BY_ONE: &str = "unbroken, a call for each message";

#[derive(clap::Args)]
pub struct Options {
    /// Only shows that everything runs: its figures mean nothing.
    #[arg(long)]
    smoke: bool,
}

pub fn run(options: &Options) {
    let smoke = options.smoke;
    let effort = if smoke { Effort::SMOKE } else { Effort::FULL };
    let mut report = Report::new();
    for size in SIZES {
        batched(&mut report, effort, size);
    }
    for size in SIZES {
        lone(&mut report, effort, size);
    }
    wire(&mut report);
    connecting(&mut report, effort);
    forged(&mut report, effort);
    report.print();
}

/// Shows a group that is done, for whoever waits.
fn done(report: &mut Report, measured: &Measured) {
    eprintln!("  {BACKEND}: {}", measured.task);
    report.time(measured);
}

/// A contestant that carries `count` messages in a call, and must deliver each.
fn talking(group: &mut Group, name: &'static str, mut talk: impl Talk + 'static, size: usize, count: usize) {
    let message = vec![7; size];
    group.add(name, count as u64, move || {
        assert_eq!(talk.carry(&message, count), size * count, "{name} lost bytes");
    });
}

fn batched(report: &mut Report, effort: Effort, size: usize) {
    let count = BATCH / size;
    let mut group = Group::new(format!("many messages per flush, {size} B"));
    let mut copies = Copies::new(size, count);
    group.add(COPY, count as u64, move || copies.run());
    let mut cipher = SealOpen::new(RECORD);
    group.add(BARE_LONG, (RECORD / size) as u64, move || cipher.run());
    talking(&mut group, OURS, Batches::default(), size, count);
    talking(&mut group, ONE_BY_ONE, Ends::default(), size, count);
    let tls = rustls::configs(b"");
    if size + 2 < RECORD {
        let tls = Packed::new(rustls::Ends::connect(&tls));
        talking(&mut group, "rustls, packed by hand", tls, size, count);
        let quic = Packed::new(quinn::Ends::connect(&quinn::Configs::default()));
        talking(&mut group, QUIC_PACKED, quic, size, count);
    }
    talking(
        &mut group,
        "quinn-proto",
        quinn::Ends::connect(&quinn::Configs::default()),
        size,
        count,
    );
    noise(&mut group, size, count);
    talking(&mut group, "rustls", rustls::Ends::connect(&tls), size, count);
    talking(
        &mut group,
        "boringtun",
        boringtun::Talking::new(boringtun::Keys::default().connect()),
        size,
        count,
    );
    let measured = group.measure(effort);
    done(report, &measured);

    let bound = if size <= 128 { 1.25 } else { 1.12 };
    let ratio = measured.combine([OURS, BARE_LONG, COPY], |[ours, aead, copy]| ours / (aead + copy));
    let what = format!("batched, {size} B: time over AEAD in 16 KiB calls and a memcpy");
    report.goals.push(Goal::at_most(what, ratio, bound, "times"));
    if size == 32 {
        let fast = BACKEND == "aws-lc-rs";
        for (peer, with_fast, with_portable) in [
            ("quinn-proto", 3.0, 1.4),
            (QUIC_PACKED, 3.0, 1.4),
            ("rustls", 25.0, 12.0),
            ("snow, ring", 10.0, 5.0),
            ("boringtun", 25.0, 12.0),
        ] {
            let bound = if fast { with_fast } else { with_portable };
            let what = format!("batched, 32 B: faster than {peer}");
            report
                .goals
                .push(Goal::at_least(what, measured.ratio(peer, OURS), bound, "times"));
        }
    }
}

fn noise(group: &mut Group, size: usize, count: usize) {
    for (name, crypto) in [
        ("snow, ring", snow::Crypto::Ring),
        ("snow, RustCrypto", snow::Crypto::RustCrypto),
    ] {
        talking(
            group,
            name,
            snow::Talking::new(snow::Keys::new(crypto).connect()),
            size,
            count,
        );
    }
}

fn lone(report: &mut Report, effort: Effort, size: usize) {
    let mut group = Group::new(format!("one message per flush, {size} B"));
    let mut cipher = SealOpen::new(size);
    group.add(BARE, 1, move || cipher.run());
    talking(&mut group, OURS, Ends::default(), size, 1);
    noise(&mut group, size, 1);
    talking(
        &mut group,
        "rustls",
        rustls::Ends::connect(&rustls::configs(b"")),
        size,
        1,
    );
    talking(
        &mut group,
        "quinn-proto",
        quinn::Ends::connect(&quinn::Configs::default()),
        size,
        1,
    );
    talking(
        &mut group,
        "boringtun",
        boringtun::Talking::new(boringtun::Keys::default().connect()),
        size,
        1,
    );
    let measured = group.measure(effort);
    done(report, &measured);
    let more = measured.combine([OURS, BARE], |[ours, aead]| ours - aead);
    let what = format!("one per flush, {size} B: more than the bare AEAD");
    report.goals.push(Goal::at_most(what, more, 40.0, "ns"));
}

/// Bytes on the wire beside the payload, for each message of 32 bytes.
fn wire(report: &mut Report) {
    let extra = |count: usize| {
        let mut ends = Ends::default();
        let before = ends.client.session.stats().wire_sent;
        let batches = 4096 / count;
        (0..batches).for_each(|_| assert_eq!(ends.carry(&[7; 32], count), 32 * count));
        let sent = ends.client.session.stats().wire_sent - before;
        sent as f64 / (batches * count) as f64 - 32.0
    };
    let (one, many) = (extra(1), extra(2048));
    report.count(
        "wire bytes over the payload, 32 B messages",
        "bytes",
        &[("one per flush", one), ("2048 per flush", many)],
    );
    let exactly = |value| Spread::of(vec![value]);
    report.goals.push(Goal::at_most(
        "wire bytes over a lone message of 32 B",
        exactly(one),
        26.0,
        "bytes",
    ));
    report.goals.push(Goal::at_most(
        "wire bytes over 32 B, batched",
        exactly(many),
        3.0,
        "bytes",
    ));
}

/// Handshakes, resumes and replay.
fn connecting(report: &mut Report, effort: Effort) {
    let bound = if BACKEND == "aws-lc-rs" { 140_000.0 } else { 300_000.0 };

    let mut group = Group::new("handshake, both sides");
    let mut server = Server::default();
    group.add_timed(OURS, 1, move |calls| {
        let one = |_| {
            let mut client = None;
            let time = timed(|| client = Some(server.connect()));
            // It must not stay: the next one is to find the server as it was.
            let mut client = client.expect("a client");
            client.session.disconnect(0);
            server.exchange(&mut client);
            assert_eq!(client.session.state(), State::Closed);
            time
        };
        (0..calls).map(one).sum()
    });
    for (name, crypto) in [
        ("snow, ring", snow::Crypto::Ring),
        ("snow, RustCrypto", snow::Crypto::RustCrypto),
    ] {
        let keys = snow::Keys::new(crypto);
        group.add(name, 1, move || drop(keys.connect()));
    }
    group.add_timed("rustls", 1, |calls| {
        let one = |_| {
            // New configurations have no tickets yet.
            let configs = rustls::configs(b"");
            timed(|| assert!(!rustls::Ends::connect(&configs).was_resumed()))
        };
        (0..calls).map(one).sum()
    });
    group.add_timed("quinn-proto", 1, |calls| {
        let one = |_| {
            let configs = quinn::Configs::default();
            timed(|| drop(quinn::Ends::connect(&configs)))
        };
        (0..calls).map(one).sum()
    });
    let keys = boringtun::Keys::default();
    group.add("boringtun", 1, move || drop(keys.connect()));
    let secret = bare::secret_key();
    group.add("one X25519 of ours", 1, move || bare::diffie_hellman(&secret));
    let measured = group.measure(effort);
    done(report, &measured);
    let ours = Spread::of(measured.samples(OURS).to_vec());
    report
        .goals
        .push(Goal::at_most("handshake, both sides", ours, bound, "ns"));

    let mut group = Group::new("resume with a fresh key exchange, both sides");
    group.add_timed(OURS, 1, resumes(0));
    const REPLAY: &str = "unbroken, and a replay of 1 MiB in 1 KiB messages";
    group.add_timed(REPLAY, 1, resumes(1024));
    let tls = rustls::configs(b"");
    drop(rustls::Ends::connect(&tls));
    group.add("rustls", 1, move || assert!(rustls::Ends::connect(&tls).was_resumed()));
    let configs = quinn::Configs::default();
    drop(quinn::Ends::connect(&configs));
    group.add("quinn-proto", 1, move || {
        let mut ends = quinn::Ends::start(&configs);
        assert!(ends.is_resumption());
        ends.finish();
    });
    let measured = group.measure(effort);
    done(report, &measured);
    let ours = Spread::of(measured.samples(OURS).to_vec());
    report
        .goals
        .push(Goal::at_most("resume, both sides", ours, bound, "ns"));
}

/// Resumes, with so many messages of 1 KiB to be sent again.
fn resumes(count: usize) -> impl FnMut(u64) -> u64 {
    let mut ends = Ends::default();
    move |calls| {
        let one = |_| {
            let before = ends.client.delivered.messages;
            ends.lose(&[7; 1024], count);
            let time = timed(|| ends.server.resume(&mut ends.client));
            assert_eq!(
                ends.client.delivered.messages - before,
                count as u64,
                "not all were replayed"
            );
            // A link that stood for a while, so that the next redial is not rationed.
            for _ in 0..6 {
                ends.server.pass(&mut ends.client, core::time::Duration::from_secs(10));
                ends.server.exchange(&mut ends.client);
            }
            time
        };
        (0..calls).map(one).sum()
    }
}

/// Where mac1 begins in a RESUME: behind the prelude, the handle and the attempt.
const MAC1: usize = 32;

fn forged(report: &mut Report, effort: Effort) {
    let mut group = Group::new("forged RESUME, server");
    let knocking = |spoil: fn(&mut [u8])| {
        let mut server = Server::default();
        let mut client = server.connect();
        server.cut(&mut client);
        let mut flight = server.first_flight(&mut client);
        spoil(&mut flight);
        move || {
            let before = server.endpoint.counters();
            server.knock(&flight);
            let after = server.endpoint.counters();
            let refused = |counters: &unbroken::Counters| counters.resumes_forged + counters.resumes_unknown;
            assert_eq!(refused(&after), refused(&before) + 1, "it was not refused");
        }
    };
    const WRONG_MAC: &str = "a real handle, a wrong mac1";
    group.add(WRONG_MAC, 1, knocking(|flight| flight[MAC1] ^= 1));
    group.add("a made-up handle", 1, knocking(|flight| flight[MAC1 - 12] ^= 1));
    let measured = group.measure(effort);
    done(report, &measured);
    let ours = Spread::of(measured.samples(WRONG_MAC).to_vec());
    report
        .goals
        .push(Goal::at_most("forged RESUME, server", ours, 1000.0, "ns"));
}
