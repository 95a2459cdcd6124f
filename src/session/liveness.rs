//! Is this link still alive? Decided from questions that the other library answers at once, and from what is normal here.
//!
//! ```text
//!   data carried ──► unproven ── PING, riding on the next record ──► asked ── PONG ──► proven
//!                                                                      │
//!          late_after: no answer though one is usual by now ───────────┤   a spare connection is made, nothing else
//!          suspect_after: nothing heard at all since ──────────────────┤   another link is resumed beside this one
//!          dead_after ─────────────────────────────────────────────────┘   this link ends
//! ```
//!
//! Data alone proves nothing: its ACK waits for the peer's application. So a PING rides along, and a last one follows the last
//! data, as the way may have gone just then. The end that can dial (the client) asks *eagerly*: several times in a round trip while
//! it sends, 9 bytes each. A question waits for a record that leaves anyway, for as long as an ACK waits: about what left for the
//! next record, about what came for the next message or the ACK. What came together with the answer to a question needs none, as
//! the link was sound both ways just then; nor what came as a question left. So two ends that talk by turns, at whatever pace, make
//! no records for questions. The other end asks only if its data stays without any echo.
//!
//! A link that carries nothing is asked once in `idle_probe`, by the client alone (battery). Such a *routine* question is never
//! late, only suspect: nobody waits for anything, and if thousands of idle clients met one server's short pause with a spare each,
//! its next pause would be longer. Once a message goes or comes it is as any other, but for the time before, in which nobody waited.
//!
//! Two judgements, because they cost different things. *Late* looks at answers only: it sees a dead uplink behind a live
//! downlink. *Suspect* counts every valid record and every byte that the socket took as a sign of life: a PONG may be stuck behind
//! megabytes; and it allows for what is queued before a question, at the speed that this link has shown. Nothing is late behind bulk.

use alloc::vec::Vec;

use super::conversation::Role;
use super::rtt::Rtt;
use crate::config::{DEAD_AFTER_LEAST, Timing};
use crate::time::{Instant, Span};

/// What the timer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Fine,
    /// The link was quiet for so long that it is probed.
    Idle,
    /// An answer has just become late.
    Late,
    /// The link has just become suspect.
    Suspect,
    /// End the link.
    Dead,
}

/// See the module's head.
pub struct Liveness {
    pub rtt: Rtt,
    role: Role,
    /// The last valid record, or the link's beginning.
    heard: Instant,
    /// When bytes moved that prove nothing: the socket took some again after it had been full, or part of a record came.
    moved: Instant,
    /// Something was carried that no PING covers.
    unproven: Option<Unproven>,
    /// Since when a PING ought to leave; it may be stuck behind a full socket.
    asked: Option<Instant>,
    /// PINGs without an answer, oldest first.
    pings: Vec<Ping>,
    last: Ping,
    /// A PING is in the record that is being made.
    riding: bool,
    /// Bytes of the stretch of time that began then, and when there last was bulk.
    stretch: (Instant, u64),
    bulk: Instant,
    /// Bytes of this link so far.
    sent: u64,
    received: u64,
    /// `sent` of the last PING that was answered, and when the answer came.
    proven: u64,
    answered: Instant,
    /// Bytes per second that the link is known to manage.
    rate: u64,
    pub suspect: bool,
    late: bool,
    /// Since when somebody waits for an answer; `None` if the open questions are the idle timer's alone.
    awaited: Option<Instant>,
    /// What was late when an answer was last late for the first time, and when: for a while the link is not allowed to get used to that.
    bar: Option<(Span, Instant)>,
}

/// What was carried since the last question.
#[derive(Clone, Copy)]
struct Unproven {
    since: Instant,
    /// From then on any record may take a question along; messages always may.
    rides: Instant,
}

#[derive(Clone, Copy)]
struct Ping {
    token: u64,
    left: Instant,
    /// Bytes of the link before it, in both directions.
    sent: u64,
    received: u64,
}

/// Above what is usual before an answer counts as late: at least this, for scheduling, and a quarter of a round trip.
const LATE_SLACK: Span = Span::from_millis(10);
/// So long after a late answer the next is judged by the same measure: a link that fades must not be taken for a slow one.
pub const ALERT: Span = Span::from_secs(4);
/// Above that before a link is suspect: delayed segments, a radio waking up. Late enough for jitter, within three round trips and 200 ms
/// on a steady link.
const SUSPECT_SLACK: Span = Span::from_millis(150);
/// No link is dead before, whatever is configured: so short a silence needs no second look.
const DEAD_LEAST: Span = Span::from_millis(DEAD_AFTER_LEAST);
/// Questions under way at once.
const PINGS_MAX: usize = 8;
/// An eager end asks again after a quarter of a round trip, but not sooner than this ...
const GAP_MIN: Span = Span::from_millis(10);
/// ... and by itself only so long after what it is about: when the ACK of what came is due by default, which then is the same record.
const TAIL: Span = Span::from_millis(40);
/// ... or with the next record after as many bytes as the link carries in `GAP_MIN`, and this many at least: from their answers it
/// learns how many that are.
const GAP_BYTES: u64 = 16 << 10;
/// Bytes per second that a link is trusted with before it was measured.
const RATE_GUESS: u64 = 64 << 10;
/// So many bytes in such a time fill a line that may be thin: nothing is late for as long after.
const BULK_BYTES: u64 = 32 << 10;
const BULK_STRETCH: Span = Span::from_secs(1);
/// So many bytes around a question are bulk. Fewer say nothing about speed.
const BULK: u64 = 8 << 10;

impl Liveness {
    pub fn new(role: Role, rtt: Rtt, now: Instant) -> Self {
        Liveness {
            rtt,
            role,
            heard: now,
            moved: now,
            unproven: None,
            asked: None,
            pings: Vec::new(),
            last: Ping {
                token: 0,
                left: Instant::ZERO,
                sent: 0,
                received: 0,
            },
            riding: false,
            stretch: (now, 0),
            bulk: Instant::ZERO,
            sent: 0,
            received: 0,
            proven: 0,
            answered: now,
            rate: RATE_GUESS,
            suspect: false,
            late: false,
            awaited: Some(now),
            bar: None,
        }
    }

    /// When it began, for a link on which nothing was heard yet.
    pub fn born(&self) -> Instant {
        self.heard
    }

    /// Since when nothing was heard.
    pub fn quiet_since(&self) -> Instant {
        self.heard
    }

    /// Whether a PING must leave.
    pub fn ping_due(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether a question is open, asked already or not.
    pub fn awaits_answer(&self) -> bool {
        self.question().is_some()
    }

    /// Whether an answer is outstanding longer than usual.
    pub fn is_late(&self) -> bool {
        self.late || self.suspect
    }

    /// Since when the link has not carried what it should, as well as this end can know.
    pub fn silent_since(&self) -> Option<Instant> {
        Some(self.question()?.max(self.heard))
    }

    // ---- what happened ----

    /// Bytes came; of what, nobody knows yet.
    pub fn received(&mut self, bytes: usize, now: Instant) {
        self.received += bytes as u64;
        self.moved = now;
        self.note_bulk(bytes, now);
    }

    /// A valid record came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.suspect = false;
        if self.role == Role::Server {
            // Any echo will do.
            self.unproven = None;
        }
    }

    /// The record that came carried messages.
    pub fn brought_data(&mut self, now: Instant) {
        // An answer goes ahead of the messages in a record, so it was looked at before.
        let sound_or_asked = self.answered.max(self.last.left) == now;
        if self.is_eager() && !sound_or_asked {
            self.want_proof(now, now + TAIL);
            self.awaited.get_or_insert(now);
        }
    }

    /// The socket takes bytes again: those before them have moved.
    pub fn moved(&mut self, now: Instant) {
        self.moved = now;
    }

    /// A record is about to be made. With messages in it, it is worth a question; and any record can carry one that is due.
    pub fn rides(&mut self, now: Instant, with_data: bool) {
        if with_data {
            self.want_proof(now, now);
            self.awaited.get_or_insert(now);
        }
        let Some(unproven) = self.may_ask() else { return };
        let since = self.sent - self.last.sent;
        let long = since >= GAP_BYTES && self.is_eager() && since >= self.carried_in(GAP_MIN);
        if long || self.rides_at(unproven) <= now {
            self.asked = Some(now);
        }
    }

    /// A record of so many bytes was made. A PING in it is read when all of it has arrived.
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        self.sent += bytes as u64;
        self.note_bulk(bytes, now);
        if core::mem::take(&mut self.riding)
            && let Some(ping) = self.pings.last_mut()
        {
            ping.sent = self.sent;
        }
    }

    fn note_bulk(&mut self, bytes: usize, now: Instant) {
        if now >= self.stretch.0 + BULK_STRETCH {
            self.stretch = (now, 0);
        }
        self.stretch.1 += bytes as u64;
        if self.stretch.1 >= BULK_BYTES {
            self.bulk = now;
            self.late = false;
        }
    }

    /// The token for a PING that leaves now.
    pub fn ping(&mut self, now: Instant) -> [u8; 8] {
        self.asked = None;
        self.unproven = None;
        self.last = Ping {
            token: (self.last.token + 1).max(now.as_micros()),
            left: now,
            sent: self.sent,
            received: self.received,
        };
        self.pings.push(self.last);
        self.riding = true;
        self.last.token.to_be_bytes()
    }

    /// A PONG came: it answers its PING and all before it (U-41), or nothing.
    pub fn pong(&mut self, token: [u8; 8], now: Instant) {
        let token = u64::from_be_bytes(token);
        let Some(index) = self.pings.iter().position(|ping| ping.token == token) else {
            return;
        };
        let ping = self.pings[index];
        self.pings.drain(..=index);
        self.measure(&ping, now);
        self.rtt.sample(now.span_since(ping.left), now);
        self.proven = ping.sent;
        self.answered = now;
        self.late = false;
    }

    /// How fast the link took what lay before this PING: from the last answer, or from when the PING would have been answered without a queue.
    fn measure(&mut self, ping: &Ping, now: Instant) {
        let bytes = ping.sent - self.proven;
        if bytes >= BULK {
            let begun = self.answered.max(ping.left + self.rtt.least());
            let took = now.span_since(begun).max(Span::from_millis(1));
            let rate = u64::try_from(u128::from(bytes) * 1_000_000 / u128::from(took.as_micros())).unwrap_or(u64::MAX);
            self.rate = (self.rate / 4 * 3 + rate.min(self.rate * 2) / 4).max(1024);
        }
    }

    /// Something speaks against the link: asked, though nobody waits for anything.
    pub fn ask(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// Whether the link would have been suspected long ago or given up, had anybody asked the timer: the process did not run. What comes then says nothing of how
    /// long it took.
    #[inline]
    pub fn is_overdue(&self, now: Instant, timing: &Timing) -> bool {
        now >= self.heard + DEAD_LEAST && self.has_been_silent(now, timing)
    }

    #[cold]
    fn has_been_silent(&self, now: Instant, timing: &Timing) -> bool {
        let limit = if self.suspect {
            self.dead_after(timing)
        } else {
            self.suspect_after() * 2
        };
        self.silent_since()
            .is_some_and(|since| now >= since.max(self.moved) + limit)
    }

    /// The process slept: what the clock says of the time before means nothing. Asks anew.
    pub fn woken(&mut self, now: Instant) {
        self.pings.clear();
        self.suspect = false;
        self.late = false;
        self.awaited = Some(now);
        self.heard = now;
        self.asked = Some(now);
    }

    // ---- what time says ----

    /// What time asks for; a PING that is due is noted.
    pub fn check(&mut self, now: Instant, timing: &Timing) -> Verdict {
        if self.asks_at().is_some_and(|at| at <= now) {
            self.asked.get_or_insert(now);
        }
        let Some(since) = self.silent_since() else {
            if now < self.heard + self.idle_limit(timing) {
                return Verdict::Fine;
            }
            if !self.is_eager() {
                return Verdict::Dead;
            }
            self.asked = Some(now);
            self.awaited = None;
            return Verdict::Idle;
        };
        let since = since.max(self.moved);
        if now >= since + self.dead_after(timing) {
            Verdict::Dead
        } else if !self.suspect && now >= since + self.suspect_after() {
            self.suspect = true;
            Verdict::Suspect
        } else if !self.is_late() && self.late_at().is_some_and(|at| at <= now) {
            self.late = true;
            if self.bar.is_none_or(|(_, since)| now >= since + ALERT) {
                self.bar = Some((self.late_after(), now));
            }
            Verdict::Late
        } else {
            Verdict::Fine
        }
    }

    /// When [`Liveness::check`] next has something to say. Mostly nothing is asked nor to be asked.
    #[inline]
    pub fn deadline(&self, timing: &Timing) -> Instant {
        if self.pings.is_empty() && self.asked.is_none() && self.unproven.is_none() {
            return self.heard + self.idle_limit(timing);
        }
        self.deadline_of_questions(timing)
    }

    #[inline(never)]
    fn deadline_of_questions(&self, timing: &Timing) -> Instant {
        let asks = self.asks_at().unwrap_or(Instant::FAR_FUTURE);
        let Some(since) = self.silent_since() else {
            return asks.min(self.heard + self.idle_limit(timing));
        };
        let since = since.max(self.moved);
        let mut deadline = asks.min(since + self.dead_after(timing));
        if !self.suspect {
            deadline = deadline.min(since + self.suspect_after());
        }
        if !self.is_late() {
            deadline = deadline.min(self.late_at().unwrap_or(Instant::FAR_FUTURE));
        }
        deadline
    }

    /// Gives memory back.
    pub fn shrink(&mut self) {
        if self.pings.is_empty() {
            self.pings = Vec::new();
        }
    }

    /// When the last question left.
    #[cfg(test)]
    pub fn asked_last(&self) -> Instant {
        self.last.left
    }

    /// Bytes of memory, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.pings.capacity() * size_of::<Ping>()
    }

    /// Something was carried that no PING covers.
    fn want_proof(&mut self, since: Instant, rides: Instant) {
        let unproven = self.unproven.get_or_insert(Unproven { since, rides });
        unproven.rides = unproven.rides.min(rides);
    }

    fn is_eager(&self) -> bool {
        self.role == Role::Client
    }

    /// Since when the oldest question is open.
    fn question(&self) -> Option<Instant> {
        let left = self.pings.first().map(|ping| ping.left);
        left.into_iter().chain(self.asked).min()
    }

    /// What another question would be about, unless one is due already or enough are under way.
    fn may_ask(&self) -> Option<Unproven> {
        self.unproven
            .filter(|_| self.asked.is_none() && self.pings.len() < PINGS_MAX)
    }

    /// When the next PING leaves, with another record or not.
    fn asks_at(&self) -> Option<Instant> {
        self.may_ask().map(|unproven| self.leaves_at(unproven))
    }

    fn leaves_at(&self, unproven: Unproven) -> Instant {
        if self.is_eager() {
            return unproven.since.max(self.last.left + self.gap()) + TAIL;
        }
        unproven.since.max(self.last.left) + self.rtt.timeout() + TAIL + GAP_MIN
    }

    /// From when on any record takes it along.
    fn rides_at(&self, unproven: Unproven) -> Instant {
        if self.is_eager() {
            return unproven.rides.max(self.last.left + self.gap());
        }
        self.leaves_at(unproven)
    }

    /// Between two questions of an eager end.
    fn gap(&self) -> Span {
        GAP_MIN.max(self.rtt.smoothed().unwrap_or_default() / 4)
    }

    /// When somebody will have waited longer than usual for the oldest answer, if anybody does. While bulk is under way nobody can say what is usual.
    fn late_at(&self) -> Option<Instant> {
        let ping = self.pings.first().filter(|_| self.is_eager())?;
        let awaited = self.awaited?.max(ping.left);
        if ping.sent - self.proven >= BULK || self.received - ping.received >= BULK {
            return None;
        }
        let bar = self.bar.filter(|(_, since)| ping.left < *since + ALERT);
        let patience = bar.map_or_else(|| self.late_after(), |(bar, _)| bar);
        Some((awaited + patience).max(self.bulk + BULK_STRETCH))
    }

    fn late_after(&self) -> Span {
        self.rtt.usual() + LATE_SLACK.max(self.rtt.least() / 4)
    }

    fn suspect_after(&self) -> Span {
        let thrice = self.rtt.smoothed().map_or(Span::ZERO, |smoothed| smoothed * 3);
        let worst = self.rtt.worst() * 5 / 4;
        self.rtt.timeout().max(thrice).max(worst) + SUSPECT_SLACK + self.allowance()
    }

    /// Time for what is queued before the oldest question.
    fn allowance(&self) -> Span {
        let upto = self.pings.first().map_or(self.sent, |ping| ping.sent);
        self.time_for(upto - self.proven)
    }

    /// Bytes that the link carries in a time, as far as it has shown.
    fn carried_in(&self, time: Span) -> u64 {
        self.rate.saturating_mul(time.as_micros()) / 1_000_000
    }

    /// Twice what the link would need: its speed is only an estimate.
    fn time_for(&self, bytes: u64) -> Span {
        Span::from_micros(bytes.saturating_mul(2_000_000) / self.rate)
    }

    fn dead_after(&self, timing: &Timing) -> Span {
        Span::from(timing.dead_after).max(self.suspect_after() * 2)
    }

    /// Silence after which an idle link is probed (client), or taken for dead because the client's probes stayed away (server).
    fn idle_limit(&self, timing: &Timing) -> Span {
        let probe = Span::from(timing.idle_probe);
        if self.is_eager() {
            probe
        } else {
            probe * 3 + timing.dead_after.into()
        }
    }
}
