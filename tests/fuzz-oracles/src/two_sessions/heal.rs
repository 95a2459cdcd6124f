//! The end of a run: the network heals, and the promises fall due.

use core::time::Duration;

use unbroken::{CloseReason, Instant, NetworkEvent, NetworkId, State};

use super::program::Side;
use super::world::World;

/// How long everything may take once the network works. A client's back-off is at most 5 s (30 s if a server advised it), a dead
/// link is noticed within 5 s, or after the idle probe's 25 s.
const RECOVERY: Duration = Duration::from_secs(200);

impl World {
    /// From here on all works; all that was sent must arrive, unless the session has ended for a reason.
    pub fn heal(&mut self) {
        self.unblock_all();
        self.auto = true;
        for event in [NetworkEvent::Wake, NetworkEvent::Available(NetworkId(0))] {
            self.client.handle_network(event, self.now);
        }
        self.verdict_if_asked();
        self.run_until("all is delivered", RECOVERY, |world| world.is_settled());
        for side in Side::BOTH {
            while self.recv(side) {}
            assert!(
                !self.talk(side).life.is_left_hanging(),
                "{side:?}: a final HandoverFailed without Closed"
            );
        }
        self.judge_ends();
    }

    /// If the session lives, one end closes it; both must be told the truth, and nothing may be left.
    pub fn say_goodbye(&mut self, by_server: bool) {
        if Side::BOTH.into_iter().all(|side| self.talk(side).life.closed.is_none()) && self.id.is_some() {
            let (closer, other) = if by_server { (1, 0) } else { (0, 1) };
            self.disconnect(Side::BOTH[closer], 42);
            self.run_until("both have ended", Duration::from_secs(60), |world| {
                world.talks.iter().all(|talk| talk.life.closed.is_some())
            });
            let ends = [&self.talks[closer], &self.talks[other]].map(|talk| talk.life.closed);
            let peer = CloseReason::Peer {
                code: 42,
                truncated: false,
            };
            assert_eq!(
                ends,
                [Some(CloseReason::Local { code: 42 }), Some(peer)],
                "a graceful end, by server: {by_server}"
            );
        }
        let rest = Duration::from_secs(120);
        self.run_until("nothing is left", rest, |world| {
            world.talks[0].life.closed.is_none() || !Side::BOTH.into_iter().any(|side| world.has_links(side))
        });
        if self.talks[0].life.closed.is_some() {
            self.run_until("the server has forgotten", rest, |world| {
                world.server.sessions() + world.server.links() == 0
            });
        }
    }

    fn verdict_if_asked(&mut self) {
        use super::program::Step;
        self.run(&Step::Verdict { accept: true });
        self.run(&Step::AnswerResume { accept: true });
        self.auto = true;
    }

    fn run_until(&mut self, what: &str, patience: Duration, done: impl Fn(&World) -> bool) {
        let until = self.now + patience;
        loop {
            self.exchange(true);
            self.check_bounds();
            if done(self) {
                return;
            }
            if self.client.state() == State::None {
                self.client.retry(self.now);
                self.exchange(true);
                if self.client.state() != State::None {
                    continue;
                }
            }
            let next = self.next_timeout().unwrap_or(Instant::FAR_FUTURE);
            assert!(next <= until, "{}", self.stuck(what, patience));
            self.now = self.now.max(next);
        }
    }

    fn stuck(&self, what: &str, patience: Duration) -> String {
        let talk = |side: Side| {
            let (talk, other) = (self.talk(side), self.talk(side.other()));
            format!(
                "{side:?} received {} of {}, {:?}",
                talk.received,
                other.sent.len(),
                talk.life
            )
        };
        let stats = self.client.stats();
        format!(
            "within {patience:?} it did not happen that {what}: client {:?}, {stats:?}; {}; {}; server: {} sessions, {} links, {:?}",
            self.client.state(),
            talk(Side::Client),
            talk(Side::Server),
            self.server.sessions(),
            self.server.links(),
            self.server.counters(),
        )
    }

    fn is_settled(&self) -> bool {
        let [client, server] = &self.talks;
        if client.life.closed.is_some() || self.is_ending() {
            return client.life.closed.is_some() && (server.life.closed.is_some() || self.server.sessions() == 0);
        }
        server.life.closed.is_none()
            && client.received == server.sent.len()
            && server.received == client.sent.len()
            && self.client.state() == State::Established
            && self.client.stats().unacked_messages == 0
            && server.life.established
            && !client.life.in_handover
            && !server.life.in_handover
    }

    /// An application has asked for the end.
    fn is_ending(&self) -> bool {
        self.refused || self.talks.iter().any(|talk| talk.closed_with.is_some() || talk.kicked)
    }

    /// G2: no end without a reason that something in the program explains.
    fn judge_ends(&self) {
        let [client, server] = &self.talks;
        // The server may forget a session without a link after its detached life, one that was never confirmed after the handshake's time.
        let may_expire = self.now.since(self.start) >= self.limits[1].handshake;
        let legal = |side: Side, reason: CloseReason| {
            let (own, other) = if side == Side::Client {
                (client, server)
            } else {
                (server, client)
            };
            match reason {
                CloseReason::Local { code } => own.closed_with == Some(code),
                CloseReason::Peer { code, truncated } => {
                    let missing = own.received < other.sent.len();
                    assert!(
                        missing || !truncated,
                        "{side:?} has everything and is told that the end is missing"
                    );
                    other.closed_with == Some(code)
                }
                CloseReason::Kicked { .. } => server.kicked,
                CloseReason::Refused { .. } => self.refused,
                CloseReason::Expired | CloseReason::UnknownSession => may_expire,
                _ => false,
            }
        };
        for side in Side::BOTH {
            if let Some(reason) = self.talk(side).life.closed {
                assert!(
                    legal(side, reason),
                    "{side:?} ended by {reason:?}, for which there was no cause"
                );
            }
        }
    }
}
