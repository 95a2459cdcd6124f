//! Is this link still alive? Decided from what was heard, what should have been, and the link's own round trip.
//!
//! ```text
//!   heard ────► quiet ── something sent that the peer answers ──► awaiting ── probe_after ──► PING ── suspect_after ──► suspect ──► dead
//!     ▲                                                              │                                        │
//!     └───────────────────────── any valid record ───────────────────┴────────────────────────────────────────┘
//! ```
//!
//! Data alone proves nothing: its ACK waits for the peer's application. So a PING follows data that stays unanswered, and the
//! library on the other side answers it at once. `suspect` is a small multiple of what is normal for this link; the link
//! goes on working, and a client opens another beside it. `dead` ends the link. An idle link is probed rarely (battery).

use core::time::Duration;

use super::rtt::Rtt;
use crate::config::Timing;
use crate::time::Instant;

/// What the timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Fine,
    /// Send a PING.
    Probe,
    /// The link has just become suspect.
    Suspect,
    /// End the link.
    Dead,
}

/// See the module's head.
pub struct Liveness {
    pub rtt: Rtt,
    /// The last valid record, or the link's beginning.
    heard: Instant,
    /// When something was sent that is not answered yet.
    awaiting: Option<Instant>,
    ping: Option<Ping>,
    /// A PING must leave.
    pub ping_due: bool,
    pub suspect: bool,
}

#[derive(Clone, Copy)]
struct Ping {
    token: u64,
    sent: Instant,
}

/// Above the round trip: delayed ACKs, scheduling, a radio waking up.
const SLACK: Duration = Duration::from_millis(150);

impl Liveness {
    pub fn new(rtt: Rtt, now: Instant) -> Self {
        Liveness {
            rtt,
            heard: now,
            awaiting: None,
            ping: None,
            ping_due: false,
            suspect: false,
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

    /// Since when the link has not carried what it should, if it is silent.
    pub fn silent_since(&self) -> Option<Instant> {
        self.awaiting
    }

    /// A valid record came. Returns whether the link was suspect until now.
    pub fn heard(&mut self, now: Instant) -> bool {
        self.heard = now;
        // An open PING keeps the question open: what came may have left the peer before.
        self.awaiting = self.ping.is_some().then_some(now);
        core::mem::take(&mut self.suspect)
    }

    /// Data left.
    pub fn sent_data(&mut self, now: Instant) {
        self.awaiting.get_or_insert(now);
    }

    /// The token for a PING that leaves now.
    pub fn ping(&mut self, now: Instant) -> [u8; 8] {
        let token = self.ping.map_or(0, |ping| ping.token) + 1;
        self.ping_due = false;
        self.ping = Some(Ping {
            token: token.max(now.as_micros()),
            sent: now,
        });
        self.awaiting.get_or_insert(now);
        self.ping.map_or([0; 8], |ping| ping.token.to_be_bytes())
    }

    /// A PONG came: the answer to the last PING, or nothing.
    pub fn pong(&mut self, token: [u8; 8], now: Instant) {
        let Some(ping) = self.ping else { return };
        if ping.token.to_be_bytes() == token {
            self.rtt.sample(now.since(ping.sent));
            self.ping = None;
            self.awaiting = None;
        }
    }

    /// What time asks for.
    pub fn check(&mut self, now: Instant, timing: &Timing, probes_idle: bool) -> Verdict {
        match self.awaiting {
            Some(since) => {
                if now >= since + self.dead_after(timing) {
                    return Verdict::Dead;
                }
                if now >= since + self.suspect_after() && !self.suspect {
                    self.suspect = true;
                    // Time may have jumped over the moment for a PING.
                    self.ping_due |= self.ping.is_none();
                    return Verdict::Suspect;
                }
                if self.ping.is_none() && now >= since + self.probe_after(timing) {
                    return self.probe(now);
                }
                Verdict::Fine
            }
            None if now >= self.heard + idle_limit(timing, probes_idle) => {
                if probes_idle {
                    self.probe(now)
                } else {
                    Verdict::Dead
                }
            }
            None => Verdict::Fine,
        }
    }

    /// When [`Liveness::check`] next has something to say.
    pub fn deadline(&self, timing: &Timing, probes_idle: bool) -> Instant {
        let Some(since) = self.awaiting else {
            return self.heard + idle_limit(timing, probes_idle);
        };
        let mut deadline = since + self.dead_after(timing);
        if !self.suspect {
            deadline = deadline.min(since + self.suspect_after());
        }
        if self.ping.is_none() && !self.ping_due {
            deadline = deadline.min(since + self.probe_after(timing));
        }
        deadline
    }

    /// Asks for a PING at once, whatever the timers say.
    pub fn probe(&mut self, now: Instant) -> Verdict {
        // The PING may be stuck behind a full socket: that is silence too.
        self.awaiting.get_or_insert(now);
        if core::mem::replace(&mut self.ping_due, true) {
            Verdict::Fine
        } else {
            Verdict::Probe
        }
    }

    /// The process slept: what the clock says of the time before means nothing. Asks anew.
    pub fn woken(&mut self, now: Instant) {
        self.awaiting = None;
        self.ping = None;
        self.heard = now;
        self.probe(now);
    }

    fn probe_after(&self, timing: &Timing) -> Duration {
        self.rtt.timeout() + timing.ack_delay
    }

    /// A small multiple of what is normal here: late enough for jitter, within three round trips and 200 ms on a steady link.
    fn suspect_after(&self) -> Duration {
        let thrice = self.rtt.smoothed().map_or(Duration::ZERO, |smoothed| smoothed * 3);
        self.rtt.timeout().max(thrice) + SLACK
    }

    fn dead_after(&self, timing: &Timing) -> Duration {
        timing.dead_after.max(self.suspect_after() * 2)
    }
}

/// Silence after which an idle link is probed (client), or taken for dead because the client's probes stayed away (server).
fn idle_limit(timing: &Timing, probes_idle: bool) -> Duration {
    if probes_idle {
        timing.idle_probe
    } else {
        timing.idle_probe * 3 + timing.dead_after
    }
}
