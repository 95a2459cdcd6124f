//! The server: many sessions, their admission, and their ends.
//!
//! | file | mechanism |
//! |---|---|
//! | `admission` | first flights, judged step by step |
//! | `handshake`, `answer` | from a whole flight to a session or a resumed one, and what is said to it |
//! | `pending` | connections that never become links |
//! | `served` | one session: conversation, ratchet, detached life |
//! | `ratchet` | two generations of secrets, and attempts |
//! | `touch` | what is noted of a session after each change: events, output, timer, end |
//! | `deadlines` | whose timer is next |
//! | `locators` | how a session is found |
//! | `tombstones` | what is remembered of ended sessions |
//! | `cluster` | the store's requests and replies, the lease |
//! | `keep`, `doubt`, `leave`, `burial` | how a session stands with the store: created, committed; what became of a write; swapped out; ended |
//! | `takeover`, `inquest` | a client comes with a session that is elsewhere; what is said of those that are lost |
//! | `notes`, `mail`, `users` | what endpoints tell each other, messages from servers, one session a user |
//! | `router` | which endpoint a connection belongs to |
//! | `session_mut` | the application's hold on one session |
//! | `messages` | single messages without such a hold |

mod admission;
mod answer;
mod burial;
mod cluster;
mod counters;
mod deadlines;
mod doubt;
mod handshake;
mod inquest;
mod keep;
mod leave;
mod locators;
mod mail;
mod messages;
mod notes;
mod pending;
mod ratchet;
mod router;
mod served;
mod session_mut;
mod takeover;
mod tombstones;
mod touch;
mod users;

#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use notes::mail_note;
pub use router::{Route, Router};
pub use session_mut::SessionMut;
pub use users::{NoStore, USER_MOVED};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use hashbrown::HashMap;

use self::admission::Queue;
use self::cluster::Cluster;
use self::deadlines::Deadlines;
use self::locators::Sessions;
use self::tombstones::Tombstones;
use crate::config::{Durability, ServerConfig};
use crate::crypto::{HandleCipher, PublicKey, Rng, Seed};
use crate::error::ConfigError;
use crate::event::{Event, HandoverCause, LinkId, Output, SessionId};
use crate::session::conversation::Settings;
use crate::session::receive::RARE_FRAMES;
use crate::session::transmit::MIN_BUFFER;
use crate::time::Instant;
use crate::wire::frame::{self, Key};

/// The first 8 bytes of a session's id: what a handle carries.
pub(crate) type Locator = [u8; 8];

/// A server's sessions.
///
/// Like [`Session`](crate::Session) it touches no socket and reads no clock, and the same contract holds: report what happened by
/// `handle_*`, then poll until `None`, in any order. The host names the links it accepts. One endpoint belongs to one thread; several
/// share the load with [`ServerConfig::for_shard`] and a [`Router`].
///
/// Work is bounded: a call handles one stretch of input; a stalled client's link is passed over (`handle_link_blocked`) and
/// never delays another's (L-11).
pub struct Endpoint {
    config: Arc<ServerConfig>,
    settings: Arc<Settings>,
    handles: HandleCipher,
    rng: Rng,
    now: Instant,
    sessions: Sessions,
    links: HashMap<LinkId, Locator>,
    pending: Queue,
    /// Sessions whose client has not proved its keys yet.
    unconfirmed: usize,
    detached: usize,
    /// Sessions that are over and gone but for what their applications have not read yet.
    unread: usize,
    tombstones: Tombstones,
    deadlines: Deadlines,
    ready: VecDeque<Ready>,
    events: VecDeque<(SessionId, Event)>,
    outputs: VecDeque<Output>,
    counters: Counters,
    /// With a store.
    cluster: Option<Box<Cluster>>,
}

/// Who has bytes to send.
#[derive(Clone, Copy)]
enum Ready {
    Session(Locator),
    Link(LinkId),
}

impl Endpoint {
    /// An endpoint without sessions. `seed` must be fresh from the system's random source.
    pub fn new(config: Arc<ServerConfig>, seed: Seed, now: Instant) -> Self {
        let mut rng = Rng::new(&seed);
        Endpoint {
            cluster: Cluster::new(&config, &mut rng, now),
            settings: Arc::new(Settings {
                limits: config.limits.clone(),
                timing: config.timing.clone(),
                store_first: config.durability != Durability::Memory,
            }),
            handles: HandleCipher::new(&config.clusters[0]).also_opening(&config.clusters[1..]),
            rng,
            now,
            sessions: Sessions::default(),
            links: HashMap::new(),
            pending: Queue::default(),
            unconfirmed: 0,
            detached: 0,
            unread: 0,
            tombstones: Tombstones::new(config.limits.tombstones),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    // ---- what happened ----

    /// A connection was accepted. `link` must not have been used before.
    pub fn handle_link_up(&mut self, link: LinkId, now: Instant) {
        self.tick(now);
        self.counters.links_accepted += 1;
        if self.pending.by_link.len() >= self.config.limits.pending_handshakes as usize
            && let Some(oldest) = self.pending.least_promising()
        {
            self.counters.refused_busy += 1;
            self.reject(oldest);
        }
        self.pending.push(link, self.now);
    }

    /// Bytes came on a link. Input for a link that is gone is ignored (F-57).
    pub fn handle_input(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.tick(now);
        match self.links.get(&link).copied() {
            Some(locator) => self.session_input(locator, link, bytes),
            None => self.admit(link, bytes),
        }
    }

    /// A connection ended or broke. That never ends a session (G8).
    pub fn handle_link_down(&mut self, link: LinkId, now: Instant) {
        self.tick(now);
        if self.pending.remove(link).is_some() {
            self.counters.links_rejected += 1;
            return;
        }
        let Some(locator) = self.links.remove(&link) else {
            return;
        };
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        // It may have been quiet for long: its life without a link begins now.
        served.talk.tick(self.now);
        if let Some(index) = served.talk.link_index(link) {
            let gone = served.talk.links.remove(index);
            served.talk.after_loss(&gone, HandoverCause::LinkLost);
        }
        self.touch(locator);
    }

    /// The link's socket takes no more: `poll_output` gives nothing for it until [`Endpoint::handle_link_writable`].
    pub fn handle_link_blocked(&mut self, link: LinkId) {
        self.set_blocked(link, true);
    }

    /// The link's socket takes bytes again.
    pub fn handle_link_writable(&mut self, link: LinkId) {
        self.set_blocked(link, false);
    }

    /// Time passed; call it when [`Endpoint::poll_timeout`] is reached, or at any time. Costs what is due, not what exists (F-72).
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        // Only what stood there before: a session that wants to be asked again at once waits for the next call (L-21).
        for _ in 0..self.deadlines.len() {
            let Some((at, locator)) = self.deadlines.pop_due(now) else {
                break;
            };
            let Some(served) = self.sessions.get_mut(&locator) else {
                continue;
            };
            if !served.armed.fired(at) {
                continue;
            }
            served.talk.tick(now);
            served.handle_timeout(&self.config);
            if served.held.as_ref().is_some_and(|held| held.until <= now)
                && let Some(held) = served.held.take()
            {
                self.reject(held.link);
            }
            self.refresh(locator);
            self.touch(locator);
        }
        self.cluster_timeout();
        while let Some(link) = self.overdue_pending() {
            self.reject(link);
        }
        self.tombstones.sweep(now);
    }

    // ---- the application ----

    /// The application's hold on a session: to send, receive, authorise, close. `None` if it is not here, or over and read.
    pub fn session(&mut self, id: SessionId) -> Option<SessionMut<'_>> {
        let locator = locator_of(&id);
        let mut served = self
            .sessions
            .take_if(&locator, |served| served.id == id && served.confirmed)?;
        served.talk.catch_up(self.now);
        Some(SessionMut::new(self, locator, served))
    }

    /// Puts a session out that may be anywhere: here, as [`SessionMut::kick`] does, with another endpoint that has the same store, or swapped out. Its client sees
    /// [`CloseReason::Kicked`](crate::CloseReason::Kicked), now or when it comes back. Returns whether it is here. If not, it is looked for in the store, again and again for a lease
    /// and some seconds more if its endpoint does not hear; what came of it is not told.
    pub fn kick(&mut self, id: SessionId, code: u32) -> bool {
        if let Some(mut session) = self.session(id) {
            session.kick(code);
            return true;
        }
        self.kick_anywhere(locator_of(&id), code);
        false
    }

    /// Asks every client with a link to reconnect within `window`, each at a moment of its own, to `address` (`host:port`) or, if
    /// that is empty, where it is configured to (U-53). Sessions stay here until they are resumed elsewhere. Returns how many
    /// were told: a link takes at most 16 such words in its life, those of [`Endpoint::announce_keys`] included.
    ///
    /// # Errors
    /// An address over 255 bytes.
    pub fn drain(&mut self, window: Duration, address: &str) -> Result<usize, ConfigError> {
        if address.len() > frame::ADDRESS_MAX {
            let problem = format!("length {} is over {}", address.len(), frame::ADDRESS_MAX);
            return Err(ConfigError {
                field: "address",
                problem,
            });
        }
        let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        Ok(self.tell_all(|control| frame::drain(control, window_ms, address)))
    }

    /// Tells every client with a link of server keys to trust from now on, each for a time (U-54). Returns how many were told, as
    /// [`Endpoint::drain`] does.
    ///
    /// # Errors
    /// No key, or more than 4 at once.
    pub fn announce_keys(&mut self, keys: &[(PublicKey, Duration)]) -> Result<usize, ConfigError> {
        if !(1..=frame::KEYS_MAX).contains(&keys.len()) {
            let problem = format!("{} is outside 1 to {} at once", keys.len(), frame::KEYS_MAX);
            return Err(ConfigError { field: "keys", problem });
        }
        let keys: Vec<Key> = keys
            .iter()
            .map(|(key, life)| Key {
                public: key.0,
                lifetime_s: u32::try_from(life.as_secs()).unwrap_or(u32::MAX),
            })
            .collect();
        Ok(self.tell_all(|control| frame::keys(control, &keys)))
    }

    // ---- what to do next ----

    /// The next thing for the host to do; `buf` is filled for [`Output::Send`]. It must hold at least [`MIN_BUFFER`](crate::MIN_BUFFER) bytes,
    /// else nothing is given out; 64 KiB make the most of batching.
    /// Sessions take turns.
    pub fn poll_output(&mut self, buf: &mut [u8], now: Instant) -> Option<Output> {
        self.tick(now);
        if buf.len() < MIN_BUFFER || (self.outputs.is_empty() && self.ready.is_empty()) {
            return None;
        }
        self.next_output(buf)
    }

    #[inline(never)]
    fn next_output(&mut self, buf: &mut [u8]) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let output = match self.ready.pop_front()? {
                Ready::Session(locator) => self.session_output(locator, buf),
                Ready::Link(link) => self.farewell(link, buf),
            };
            if output.is_some() {
                return output;
            }
        }
    }

    /// The next event, and whose it is.
    pub fn poll_event(&mut self) -> Option<(SessionId, Event)> {
        if let (session, Event::Restored { .. }) = self.events.front()? {
            self.announced(locator_of(session));
        }
        self.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] wants to be called; `None` if never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.ready.is_empty() || !self.events.is_empty() || !self.outputs.is_empty() {
            return Some(self.now);
        }
        let pending = self
            .pending
            .first()
            .map_or(Instant::FAR_FUTURE, |since| since + self.config.limits.handshake);
        let cluster = match &self.cluster {
            Some(cluster) if cluster.has_work() => return Some(self.now),
            Some(cluster) => cluster.deadline(),
            None => Instant::FAR_FUTURE,
        };
        let deadline = self.deadlines.next().min(pending).min(cluster);
        (deadline != Instant::FAR_FUTURE).then_some(deadline)
    }

    // ---- how it stands ----

    /// Sessions held, attached and detached. One that has ended counts until its links are closed, not until its application has read what had arrived.
    pub fn sessions(&self) -> usize {
        self.sessions.len() - self.unconfirmed - self.unread
    }

    /// Of these, those without a link now.
    pub fn detached(&self) -> usize {
        self.detached
    }

    /// Links now, those still in their handshake included.
    pub fn links(&self) -> usize {
        self.links.len() + self.pending.by_link.len()
    }

    /// Ended sessions remembered now.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// Counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    // ---- inside ----

    fn tell_all(&mut self, tell: impl Fn(&mut Vec<u8>)) -> usize {
        // In an order that does not depend on where the map happens to lie: one seed must reproduce everything.
        let mut locators: Vec<Locator> = self.sessions.keys().copied().collect();
        locators.sort_unstable();
        let mut told = 0;
        for locator in locators {
            let Some(served) = self.sessions.get_mut(&locator) else {
                continue;
            };
            let talk = &mut served.talk;
            let confirmed = talk.newest_confirmed();
            // A client that is moving reads no more of the link before, and has not shown yet that it has the new one.
            let moving = talk.carrier().filter(|newest| Some(*newest) != confirmed);
            let mut heard = false;
            for index in confirmed.into_iter().chain(moving) {
                let link = &mut talk.links[index];
                if link.rare_told < RARE_FRAMES && talk.closing.allows_more() {
                    link.rare_told += 1;
                    heard = true;
                    tell(&mut link.control);
                }
            }
            // Who has not shown yet that it has its keys is told, and is no session to anybody.
            told += usize::from(heard && served.confirmed);
            self.touch(locator);
        }
        told
    }

    fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn session_input(&mut self, locator: Locator, link: LinkId, bytes: &[u8]) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        served.talk.tick(self.now);
        let Some(index) = served.talk.link_index(link) else {
            return;
        };
        let was_confirmed = served.talk.links[index].confirmed;
        let attempt = served.talk.links[index].attempt;
        let result = served.talk.receive(index, bytes, &mut Vec::new());
        if !was_confirmed && served.talk.links[index].confirmed {
            if !served.confirmed {
                self.unconfirmed -= 1;
                self.counters.sessions_opened += 1;
            }
            served.confirm(attempt, &self.config);
        }
        if result.is_err() {
            self.counters.bad_records += 1;
            served.talk.fault(index);
        }
        self.touch(locator);
    }

    fn session_output(&mut self, locator: Locator, buf: &mut [u8]) -> Option<Output> {
        let served = self.sessions.get_mut(&locator)?;
        served.ready = false;
        served.talk.tick(self.now);
        let output = served.talk.poll_output(buf);
        if let Some(Output::CloseLink { link }) = &output {
            self.links.remove(link);
        }
        self.touch(locator);
        output
    }

    fn set_blocked(&mut self, link: LinkId, blocked: bool) {
        if let Some(locator) = self.links.get(&link).copied() {
            if let Some(served) = self.sessions.get_mut(&locator) {
                served.talk.set_blocked(link, blocked);
            }
            self.touch(locator);
        } else if let Some(pending) = self.pending.by_link.get_mut(&link) {
            pending.blocked = blocked;
            self.queue_farewell(link);
        }
    }
}

pub(crate) fn locator_of(id: &SessionId) -> Locator {
    let mut locator = [0; 8];
    locator.copy_from_slice(&id.0[..8]);
    locator
}
