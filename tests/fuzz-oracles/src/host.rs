//! What all targets need of a host: keys, configurations, and polling that checks the contract.

use std::sync::Arc;

use arbitrary::Arbitrary;
use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event, Instant, Limits, Output, Seed, ServerConfig, ServerKey, Session,
    SessionId,
};

pub const REALM: &[u8] = b"fuzz";

pub fn server_key() -> ServerKey {
    ServerKey::from_bytes([0x51; 32]).expect("not zero")
}

/// Bounds from a program: small ones, so that they are met.
#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub struct Bounds {
    message: u8,
    window_bytes: u8,
    window_messages: u8,
    unacked_bytes: u8,
    unacked_messages: u8,
    unreliable: u8,
}

impl Bounds {
    /// The largest of all.
    #[cfg(test)]
    pub const fn roomy() -> Bounds {
        Bounds {
            message: 3,
            window_bytes: 3,
            window_messages: 3,
            unacked_bytes: 3,
            unacked_messages: 3,
            unreliable: 3,
        }
    }

    pub fn limits(&self) -> Limits {
        let pick = |choices: [u32; 4], choice: u8| choices[usize::from(choice % 4)];
        let message = pick([1024, 2000, 17_000, 70_000], self.message);
        Limits {
            message,
            window_bytes: message * pick([1, 2, 4, 16], self.window_bytes),
            window_messages: pick([1, 3, 16, 200], self.window_messages),
            unacked_bytes: message * pick([1, 2, 4, 16], self.unacked_bytes),
            unacked_messages: pick([1, 4, 30, 300], self.unacked_messages),
            unreliable_bytes: pick([0, 100, 4000, 40_000], self.unreliable),
            ..Limits::default()
        }
    }
}

pub fn client_config(limits: Limits) -> Arc<ClientConfig> {
    let config = ClientConfig::builder(server_key().public())
        .realm(REALM)
        .credential("ticket")
        .limits(limits)
        .build();
    Arc::new(config.expect("within the bounds"))
}

pub fn server_config(limits: Limits, authorise_all: bool, ask_on_resume: bool) -> Arc<ServerConfig> {
    let cluster = ClusterKey::from_bytes([0xc1; 32]).expect("not zero");
    let config = ServerConfig::builder(server_key(), cluster)
        .realm(REALM)
        .limits(limits)
        .authorise_all(authorise_all)
        .ask_on_resume(ask_on_resume)
        .build();
    Arc::new(config.expect("within the bounds"))
}

pub fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

/// One end, as its host polls it. Each poll checks that what is queued has been announced by `poll_timeout`.
pub trait Poll {
    fn timeout(&self) -> Option<Instant>;
    fn output(&mut self, buffer: &mut [u8], now: Instant) -> Option<Output>;
    fn event(&mut self) -> Option<(Option<SessionId>, Event)>;

    fn next_output(&mut self, buffer: &mut [u8], now: Instant) -> Option<Output> {
        let timeout = self.timeout();
        let output = self.output(buffer, now)?;
        assert!(
            timeout.is_some_and(|at| at <= now),
            "{output:?} was queued, but poll_timeout said {timeout:?} at {now:?}"
        );
        if let Output::Send { len, .. } = output {
            assert!(len > 0 && len <= buffer.len(), "a Send of {len} bytes");
        }
        Some(output)
    }

    fn next_event(&mut self, now: Instant) -> Option<(Option<SessionId>, Event)> {
        let timeout = self.timeout();
        let event = self.event()?;
        assert!(
            timeout.is_some_and(|at| at <= now),
            "{event:?} was queued, but poll_timeout said {timeout:?} at {now:?}"
        );
        Some(event)
    }
}

impl Poll for Session {
    fn timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn output(&mut self, buffer: &mut [u8], now: Instant) -> Option<Output> {
        self.poll_output(buffer, now)
    }

    fn event(&mut self) -> Option<(Option<SessionId>, Event)> {
        self.poll_event().map(|event| (None, event))
    }
}

impl Poll for Endpoint {
    fn timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn output(&mut self, buffer: &mut [u8], now: Instant) -> Option<Output> {
        self.poll_output(buffer, now)
    }

    fn event(&mut self) -> Option<(Option<SessionId>, Event)> {
        self.poll_event().map(|(id, event)| (Some(id), event))
    }
}

/// Message `n` of a flow: anybody can make it again.
pub fn message(flow: u8, n: usize, len: usize) -> Vec<u8> {
    let start = (n as u8).wrapping_mul(37).wrapping_add(flow);
    let mut bytes: Vec<u8> = (0..len)
        .map(|i| {
            start
                .wrapping_add((i as u8).wrapping_mul(7))
                .wrapping_add((i >> 8) as u8)
        })
        .collect();
    for (byte, n) in bytes.iter_mut().zip((n as u32).to_be_bytes()) {
        *byte = n;
    }
    bytes
}

/// Prints a program or a step of it, if the environment asks for it.
pub fn trace(what: &impl core::fmt::Debug) {
    static ON: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| std::env::var_os("FUZZ_TRACE").is_some());
    if *ON {
        println!("{what:?}");
    }
}
