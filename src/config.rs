//! What can be set, with its bounds. Everything is checked once, in `build`; a session never meets a bad value later (F-61).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::crypto::keys::{ClusterKey, PublicKey, ServerKey};
use crate::error::ConfigError;
use crate::session::conversation::Settings;

/// The versions of the protocol this crate speaks.
pub const VERSION: u8 = 1;

/// The largest snapshot, in bytes.
const SNAPSHOT_MAX: u32 = 64 << 20;
/// What a snapshot has room for beside the un-ACKed payload, in bytes: at least, and beside what each message has in front of it.
const SNAPSHOT_REST: (u32, u32) = (64 << 10, 16 << 10);

/// Bounds on memory and work. Each says what it costs at worst, per session unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest reliable message, in bytes: 1 KiB to 16 MiB, default 1 MiB. Both ends' values count, the smaller wins.
    pub message: u32,
    /// Un-ACKed payload held for replay, in bytes: `message` to 64 MiB, default 1 MiB. Costs up to twice that while in use.
    pub unacked_bytes: u32,
    /// Un-ACKed messages held for replay: 1 to 65,536, default 4,096. Costs up to 5 bytes each beside the payload.
    pub unacked_messages: u32,
    /// Received payload that the application has not taken yet: `message` to 64 MiB, default 1 MiB. Costs up to twice that.
    pub window_bytes: u32,
    /// Received messages that the application has not taken yet: 1 to 65,536, default 4,096. Costs up to 64 bytes each.
    pub window_messages: u32,
    /// Payload of unreliable messages waiting to be sent, and the same again of received ones: 0 to 1 MiB, default 64 KiB.
    pub unreliable_bytes: u32,
    /// From asking for a link until it is up (client), from link up to a whole first flight (server), and from the first flight to its answer (client):
    /// 100 ms to 60 s each, default 5 s. A server also holds a flight no longer than this for its session to come from another server, for which it gives that up to
    /// 2.5 s: with less, a session whose server has crashed may have to wait until the lease of that is over.
    pub handshake: Duration,
    /// (server, for each endpoint, of which a server may have several) Links without an accepted flight, and sessions whose client has not confirmed its keys: 1 to 1,048,576, default 1,024.
    /// Each costs up to 2 KiB before mac1, 17 KiB after it, and 16 KiB more while it waits for the store or for the application.
    pub pending_handshakes: u32,
    /// (server, for each endpoint) Sessions, attached and detached: 1 to 16,777,216, default 1,048,576.
    pub sessions: u32,
    /// (server) Life of a session without a link: 1 s to 24 h, default 30 s. A client that comes in time is waited for, up to `handshake` longer.
    pub detached: Duration,
    /// (server) How long an ended session is remembered, to answer a late client: 0 to 24 h, default 30 s. Costs about 64 bytes.
    /// In a cluster: a server process that sleeps for longer, or does not hear for as long that a session was taken from it, may write the record of that session anew though it
    /// has ended meanwhile. Nobody takes that over, and it expires. An end that another server writes over its record, as it counts as dead, stands there as long as that would have.
    pub tombstone: Duration,
    /// (server, for each endpoint) Ended sessions remembered: 0 to 16,777,216, default 65,536. So many at most wait, too, for a store that was away to be told of their end; the record of
    /// one that did not fit stays there until it expires.
    pub tombstones: u32,
    /// (server) A sealed snapshot, in bytes: 64 KiB to 64 MiB, default 2 MiB. It holds the un-ACKed messages and the application's bytes: with
    /// [`Durability::SwapOut`] and [`Durability::Durable`] it is at least `unacked_bytes` and 64 KiB, or 16 KiB and 2 bytes for each of `unacked_messages` if that is more; so these
    /// are at most 64 MiB together.
    pub snapshot: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 1 << 20,
            unacked_bytes: 1 << 20,
            unacked_messages: 4096,
            window_bytes: 1 << 20,
            window_messages: 4096,
            unreliable_bytes: 64 << 10,
            handshake: Duration::from_secs(5),
            pending_handshakes: 1024,
            sessions: 1 << 20,
            detached: Duration::from_secs(30),
            tombstone: Duration::from_secs(30),
            tombstones: 65_536,
            snapshot: 2 << 20,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), ConfigError> {
        number("limits.message", self.message, 1024..=16 << 20)?;
        number("limits.unacked_bytes", self.unacked_bytes, self.message..=64 << 20)?;
        number("limits.unacked_messages", self.unacked_messages, 1..=65_536)?;
        number("limits.window_bytes", self.window_bytes, self.message..=64 << 20)?;
        number("limits.window_messages", self.window_messages, 1..=65_536)?;
        number("limits.unreliable_bytes", self.unreliable_bytes, 0..=1 << 20)?;
        span("limits.handshake", self.handshake, 100, 60_000)?;
        number("limits.pending_handshakes", self.pending_handshakes, 1..=1 << 20)?;
        number("limits.sessions", self.sessions, 1..=1 << 24)?;
        span("limits.detached", self.detached, 1000, 86_400_000)?;
        span("limits.tombstone", self.tombstone, 0, 86_400_000)?;
        number("limits.tombstones", self.tombstones, 0..=1 << 24)?;
        number("limits.snapshot", self.snapshot, 64 << 10..=SNAPSHOT_MAX)
    }

    /// (with a store) What may be un-ACKed fits a snapshot, and a little of the application's beside it.
    fn check_snapshot(&self) -> Result<(), ConfigError> {
        let (unacked, snapshot) = (self.unacked_bytes, self.snapshot);
        // A length of 1 or 2 bytes; of 4 only in front of so long a message that there are few.
        let rest = SNAPSHOT_REST.0.max(SNAPSHOT_REST.1 + 2 * self.unacked_messages);
        let most = SNAPSHOT_MAX - rest;
        if unacked > most {
            let text = format!("{unacked} fits no snapshot, which has {SNAPSHOT_MAX} at most; choose at most {most}");
            return Err(problem("limits.unacked_bytes", text));
        }
        let least = unacked + rest;
        if snapshot < least {
            let text = format!("{snapshot} cannot hold limits.unacked_bytes; choose at least {least}");
            return Err(problem("limits.snapshot", text));
        }
        Ok(())
    }
}

/// When ACKs leave and when silence counts.
#[derive(Clone, Debug)]
pub struct Timing {
    /// An ACK leaves after this many delivered messages, or half of `Limits::window_messages` if that is less: 1 to 4,096, default 32 (U-46); but not
    /// sooner than a sixteenth of `ack_delay` after the one before, unless a quarter of the window was delivered meanwhile.
    pub ack_messages: u32,
    /// ... or this much delivered payload, in bytes, or half of `Limits::window_bytes`: 1 to 1 MiB, default 64 KiB.
    pub ack_bytes: u32,
    /// ... or this long after the first of them: 0 to 500 ms, default 40 ms.
    pub ack_delay: Duration,
    /// An idle link is probed after this much silence: 1 s to 1 h, default 25 s. Only the client probes an idle link; a server gives a
    /// silent one up after three times its own value and `dead_after`, so both ends should have the same.
    pub idle_probe: Duration,
    /// A link that should answer and does not is given up after this long, or after twice the time in which it becomes suspect if that is more: 500 ms to
    /// 5 min, default 5 s. A client has opened another one long before.
    pub dead_after: Duration,
    /// (server, with a store) After so long without a word, by the store's clock, a server counts as dead: 1 s to 5 min, default 6 s. It renews
    /// that every third of this time, and after 2 s if the store did not take it, or something else that it is told again with that.
    pub lease: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            ack_messages: 32,
            ack_bytes: 64 << 10,
            ack_delay: Duration::from_millis(40),
            idle_probe: Duration::from_secs(25),
            dead_after: Duration::from_secs(5),
            lease: Duration::from_secs(6),
        }
    }
}

/// The least that [`Timing::dead_after`] may be, in milliseconds.
pub(crate) const DEAD_AFTER_LEAST: u64 = 500;

impl Timing {
    fn check(&self) -> Result<(), ConfigError> {
        number("timing.ack_messages", self.ack_messages, 1..=4096)?;
        number("timing.ack_bytes", self.ack_bytes, 1..=1 << 20)?;
        span("timing.ack_delay", self.ack_delay, 0, 500)?;
        span("timing.idle_probe", self.idle_probe, 1000, 3_600_000)?;
        span("timing.dead_after", self.dead_after, DEAD_AFTER_LEAST, 300_000)?;
        span("timing.lease", self.lease, 1000, 300_000)
    }
}

/// How a client dials again.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// Upper bound of the first delay after a failure, in full jitter (0 to this): 1 ms to 60 s, default 100 ms. It doubles each time.
    pub base: Duration,
    /// The most it grows to: `base` to 1 h, default 5 s.
    pub cap: Duration,
    /// Dialling in vain for this long ends in `HandoverFailed(GaveUp)`: 1 s to 24 h, default 60 s.
    pub give_up_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            give_up_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    fn check(&self) -> Result<(), ConfigError> {
        span("backoff.base", self.base, 1, 60_000)?;
        span("backoff.cap", self.cap, self.base.as_millis() as u64, 3_600_000)?;
        span("backoff.give_up_after", self.give_up_after, 1000, 86_400_000)
    }
}

/// A client's configuration. Share one `Arc` among all sessions to the same service.
#[derive(Clone)]
pub struct ClientConfig {
    pub(crate) pins: Vec<PublicKey>,
    pub(crate) realm: Bytes,
    pub(crate) credential: Bytes,
    pub(crate) versions: RangeInclusive<u8>,
    /// One for all sessions.
    pub(crate) settings: Arc<Settings>,
    pub(crate) backoff: Backoff,
}

impl ClientConfig {
    /// Starts from the defaults; `server` is the pinned public key of the service.
    pub fn builder(server: PublicKey) -> ClientConfigBuilder {
        ClientConfigBuilder(ClientConfig {
            pins: alloc::vec![server],
            realm: Bytes::new(),
            credential: Bytes::new(),
            versions: VERSION..=VERSION,
            settings: Arc::default(),
            backoff: Backoff::default(),
        })
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }
}

/// Collects a [`ClientConfig`].
#[derive(Clone)]
pub struct ClientConfigBuilder(ClientConfig);

impl ClientConfigBuilder {
    /// One more server key to trust; the first is tried first. At most 8.
    pub fn also_pin(mut self, server: PublicKey) -> Self {
        self.0.pins.push(server);
        self
    }

    /// The service's name, 0 to 255 bytes, default empty; both ends must have the same.
    pub fn realm(mut self, realm: impl Into<Bytes>) -> Self {
        self.0.realm = realm.into();
        self
    }

    /// What the server's application judges, 0 to 8192 bytes, default empty. It travels encrypted.
    pub fn credential(mut self, credential: impl Into<Bytes>) -> Self {
        self.0.credential = credential.into();
        self
    }

    /// Bounds on memory and work.
    pub fn limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.0.settings).limits = limits;
        self
    }

    /// ACK and silence timing.
    pub fn timing(mut self, timing: Timing) -> Self {
        Arc::make_mut(&mut self.0.settings).timing = timing;
        self
    }

    /// How to dial again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.0.backoff = backoff;
        self
    }

    /// For tests of version negotiation only: versions above [`VERSION`] have no meaning yet.
    #[doc(hidden)]
    pub fn versions(mut self, versions: RangeInclusive<u8>) -> Self {
        self.0.versions = versions;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// Names the field, the value and the bounds.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        let config = self.0;
        length("pins", config.pins.len(), 8)?;
        length("realm", config.realm.len(), 255)?;
        length("credential", config.credential.len(), 8192)?;
        versions(&config.versions)?;
        config.settings.limits.check()?;
        config.settings.timing.check()?;
        config.backoff.check()?;
        Ok(config)
    }
}

/// A server's configuration.
#[derive(Clone)]
pub struct ServerConfig {
    pub(crate) keys: Vec<ServerKey>,
    pub(crate) clusters: Vec<ClusterKey>,
    pub(crate) realm: Bytes,
    pub(crate) address: String,
    pub(crate) versions: RangeInclusive<u8>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) authorise_all: bool,
    pub(crate) ask_on_resume: bool,
    pub(crate) shard: Shard,
    pub(crate) durability: Durability,
}

/// What becomes of sessions when their server process ends; `docs/TAKEOVER.md` has the whole story.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// They end with it. No store is needed.
    #[default]
    Memory,
    /// A planned end loses nothing: sessions are swapped out to the store, and go on elsewhere. A crash ends them, and the clients are told so.
    SwapOut,
    /// Nothing is lost, whatever happens to the process: no ACK, no message and no answer to a resume leaves it before the store holds a snapshot
    /// that covers it. Costs a store write for each round of messages, and its time.
    Durable,
}

/// Which part of the sessions an [`Endpoint`](crate::Endpoint) has, when several share the work: one per worker thread.
/// [`Router`](crate::Router) finds the one that a first flight belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// From 0 to `count - 1`.
    pub index: u16,
    /// How many there are, at least 1.
    pub count: u16,
}

impl ServerConfig {
    /// Starts from the defaults. `key` is the service's static key, `cluster` the secret that its processes share.
    pub fn builder(key: ServerKey, cluster: ClusterKey) -> ServerConfigBuilder {
        ServerConfigBuilder(ServerConfig {
            keys: alloc::vec![key],
            clusters: alloc::vec![cluster],
            realm: Bytes::new(),
            address: String::new(),
            versions: VERSION..=VERSION,
            limits: Limits::default(),
            timing: Timing::default(),
            authorise_all: false,
            ask_on_resume: false,
            shard: Shard { index: 0, count: 1 },
            durability: Durability::default(),
        })
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The secrets that the servers share, for a [`Router`](crate::Router): the one in use first.
    pub fn clusters(&self) -> &[ClusterKey] {
        &self.clusters
    }

    /// What becomes of sessions when the process ends.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The same configuration with [`ServerConfigBuilder::ask_on_resume`] set anew: for a host that has a hook for it.
    pub fn with_ask_on_resume(self, yes: bool) -> ServerConfig {
        ServerConfig {
            ask_on_resume: yes,
            ..self
        }
    }

    /// The same configuration for one of several endpoints.
    ///
    /// # Errors
    /// `index` must be below `count`.
    pub fn for_shard(&self, shard: Shard) -> Result<ServerConfig, ConfigError> {
        if shard.index >= shard.count {
            return Err(problem(
                "shard.index",
                format!("{} is not below the count {}", shard.index, shard.count),
            ));
        }
        Ok(ServerConfig { shard, ..self.clone() })
    }
}

/// Collects a [`ServerConfig`].
#[derive(Clone)]
pub struct ServerConfigBuilder(ServerConfig);

impl ServerConfigBuilder {
    /// One more static key to answer for, while keys are being changed. At most 8.
    pub fn also_key(mut self, key: ServerKey) -> Self {
        self.0.keys.push(key);
        self
    }

    /// The service's name, 0 to 255 bytes, default empty; both ends must have the same.
    pub fn realm(mut self, realm: impl Into<Bytes>) -> Self {
        self.0.realm = realm.into();
        self
    }

    /// Where this very process can be reached, `host:port`, at most 255 bytes; default empty: through the usual address.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.0.address = address.into();
        self
    }

    /// Bounds on memory and work.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// ACK and silence timing.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.0.timing = timing;
        self
    }

    /// Let every client in, without [`Event::Authorise`](crate::Event::Authorise). Default: no.
    pub fn authorise_all(mut self, yes: bool) -> Self {
        self.0.authorise_all = yes;
        self
    }

    /// Ask the application on each resume, by [`Event::ResumeRequest`](crate::Event::ResumeRequest). Default: no.
    pub fn ask_on_resume(mut self, yes: bool) -> Self {
        self.0.ask_on_resume = yes;
        self
    }

    /// One more cluster key to understand: handles and snapshots made under it are still opened, new ones are made under the first. At most 8.
    /// Tell all servers of the next key before any of them uses it first.
    ///
    /// The store knows a user ([`bind_user`](crate::SessionMut::bind_user)) by a digest under the first key alone. What was bound under another first key is not found: such a session is
    /// not put out by a newer one, and when it comes to a server with the new key it puts the newer one out. `docs/OPERATIONS.md` says what that means for a change of the key.
    pub fn also_cluster(mut self, cluster: ClusterKey) -> Self {
        self.0.clusters.push(cluster);
        self
    }

    /// What becomes of sessions when the process ends. Default: [`Durability::Memory`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.0.durability = durability;
        self
    }

    /// For tests of version negotiation only.
    #[doc(hidden)]
    pub fn versions(mut self, versions: RangeInclusive<u8>) -> Self {
        self.0.versions = versions;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// Names the field, the value and the bounds.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let config = self.0;
        length("keys", config.keys.len(), 8)?;
        length("clusters", config.clusters.len(), 8)?;
        length("realm", config.realm.len(), 255)?;
        length("address", config.address.len(), 255)?;
        versions(&config.versions)?;
        config.limits.check()?;
        if config.durability != Durability::Memory {
            config.limits.check_snapshot()?;
        }
        config.timing.check()?;
        Ok(config)
    }
}

fn problem(field: &'static str, problem: String) -> ConfigError {
    ConfigError { field, problem }
}

fn number(field: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), ConfigError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(problem(
        field,
        format!("{value} is outside {} to {}", bounds.start(), bounds.end()),
    ))
}

fn span(field: &'static str, value: Duration, min_ms: u64, max_ms: u64) -> Result<(), ConfigError> {
    if (Duration::from_millis(min_ms)..=Duration::from_millis(max_ms)).contains(&value) {
        return Ok(());
    }
    Err(problem(
        field,
        format!("{value:?} is outside {min_ms} ms to {max_ms} ms"),
    ))
}

fn length(field: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    if value <= max {
        return Ok(());
    }
    Err(problem(field, format!("length {value} is over {max}")))
}

fn versions(range: &RangeInclusive<u8>) -> Result<(), ConfigError> {
    if *range.start() >= 1 && range.start() <= range.end() {
        return Ok(());
    }
    Err(problem("versions", format!("{range:?} is empty or begins below 1")))
}
