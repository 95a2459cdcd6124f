//! Who is let in, who is put out, and which ends are legal.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{CloseReason, NetworkEvent, NetworkId, Verdict};

use super::app::welcome;
use super::{Node, Only, World};
use crate::fate::Side;
use crate::profile::Profile;

/// A network that no fault knows.
const ANOTHER: NetworkId = NetworkId(9);

impl World {
    /// G2 and G8: is this a legal end?
    pub(super) fn judge_end(&mut self, i: usize, side: Side, reason: CloseReason) {
        if side == Side::Client {
            self.read_some(i, side, u64::MAX);
        }
        let (by_client, by_server) = (self.clients[i].talk.life.disconnected, self.seats[i].closed_by_app);
        let (own, other) = if side == Side::Client {
            (by_client, by_server)
        } else {
            (by_server, by_client)
        };
        let dismissed = self.dismissed(i);
        let ended = own.is_some() || other.is_some() || dismissed.is_some();
        let legal = match reason {
            CloseReason::Local { code } => own == Some(code),
            CloseReason::Peer { code, truncated } => {
                let (sent, received) = (
                    self.talk(i, side.other()).writer.sent,
                    self.talk(i, side).reader.received,
                );
                // Who was not let in yet has not been heard, whatever arrived.
                let heard = side == Side::Client || self.talk(i, side).life.established;
                if heard && truncated != (received < sent) {
                    self.fail(format_args!(
                        "G2: {side:?} of {i} received {received} of {sent} and is told truncated: {truncated}"
                    ));
                }
                other == Some(code)
            }
            CloseReason::Refused { code } => {
                if side == Side::Client {
                    self.judge_last_words(i);
                }
                dismissed == Some(code)
            }
            // The server may forget a session whose client never confirmed it: nothing was delivered.
            CloseReason::UnknownSession if side == Side::Client && self.seats[i].id.is_none() => true,
            CloseReason::Expired | CloseReason::UnknownSession => self.options.profile == Profile::Expiry || ended,
            _ => false,
        };
        if !legal {
            self.fail(format_args!(
                "G2: {side:?} of {i} ended by {reason:?}; disconnects: {by_client:?}, {by_server:?}, put out: {dismissed:?}"
            ));
        }
    }

    /// The code with which the server's application has put the client out.
    fn dismissed(&self, i: usize) -> Option<u32> {
        let seat = &self.seats[i];
        seat.vetoed.or(seat.dismissed_at.and(self.clients[i].refusal))
    }

    /// U-60, U-61: what was said before the end comes before it, and is the application's. The server waits a second for it to leave; so whoever is told within that time, on
    /// the only link there ever was, has it all.
    fn judge_last_words(&self, i: usize) {
        let (client, seat) = (&self.clients[i], &self.seats[i]);
        let Some(at) = seat.dismissed_at else { return };
        let soon = self.now() < at + Duration::from_secs(1);
        let (received, sent) = (client.talk.reader.received, seat.talk.writer.sent);
        if soon && client.watch.heard && client.links_opened == 1 && self.options.faults.corrupt == 0 && received < sent
        {
            self.fail(format_args!(
                "U-61: client {i} was turned away and could read {received} of {sent} messages that were said before"
            ));
        }
    }

    /// Whether an application has asked for the end, or may have lost the session otherwise.
    pub(super) fn ending(&self, i: usize) -> bool {
        self.clients[i].talk.life.disconnected.is_some()
            || self.seats[i].closed_by_app.is_some()
            || self.dismissed(i).is_some()
            || self.options.profile == Profile::Expiry
    }

    pub(super) fn on_verdict(&mut self, i: usize) {
        let (now, refusal) = (self.now(), self.clients[i].refusal);
        let verdict = match refusal {
            Some(code) => Verdict::Refuse {
                code,
                message: Bytes::from_static(b"not you"),
            },
            None => Verdict::Accept {
                message: welcome(i).into(),
            },
        };
        self.seats[i].verdict = true;
        let taken = self
            .seat_session(i)
            .is_some_and(|mut session| session.authorise(verdict));
        if taken && refusal.is_some() {
            self.seats[i].dismissed_at = Some(now);
        }
        self.after_input(self.node(i, Side::Server));
    }

    pub(super) fn on_answer_resume(&mut self, i: usize) {
        let veto = !self.healed && self.fates.permille(self.options.app.vetoes);
        let code = self.rng.below(1000) as u32;
        let answer = if veto { Err(code) } else { Ok(()) };
        let taken = self
            .seat_session(i)
            .is_some_and(|mut session| session.answer_resume(answer));
        let node = self.node(i, Side::Server);
        if taken && veto {
            // Its word counts, whatever has become of the connection.
            self.seats[i].vetoed = Some(code);
            self.drain(node, Only::Anything, u32::MAX);
            if self.seats[i].talk.life.closed.is_none() {
                self.fail(format_args!(
                    "a veto against client {i} was taken, and its session goes on"
                ));
            }
        }
        self.after_input(node);
    }

    /// One of the two ends it while there are faults.
    pub(super) fn on_end(&mut self, i: usize) {
        let over =
            self.clients[i].talk.life.closed.is_some() || self.ending(i) && self.options.profile != Profile::Expiry;
        if self.healed || over {
            return;
        }
        let code = self.fates.u64() as u32;
        if self.fates.coin() {
            self.disconnect(i, code);
        } else {
            self.close_from_server(i, code);
        }
    }

    /// The client's application ends the conversation.
    pub fn disconnect(&mut self, i: usize, code: u32) {
        self.trace
            .add(self.now(), Node::Client(i).into(), "disconnect", u64::from(code), 0);
        self.clients[i].talk.life.disconnected = Some(code);
        self.clients[i].session.disconnect(code);
        self.after_input(Node::Client(i));
    }

    /// The server's application ends it.
    pub fn close_from_server(&mut self, i: usize, code: u32) {
        let node = self.node(i, Side::Server);
        self.trace
            .add(self.now(), node.into(), "app closes", u64::from(code), i as u64);
        if self.seat_session(i).map(|mut session| session.close(code)).is_some() {
            self.seats[i].closed_by_app = Some(code);
        }
        self.after_input(node);
    }

    /// Whether the client said goodbye where nobody could hear it: its session ends when its life without a link is over.
    pub(super) fn is_left_behind(&self, i: usize) -> bool {
        let (client, seat) = (&self.clients[i].talk.life, &self.seats[i]);
        client.closed.is_some() && client.disconnected.is_some() && seat.id.is_some() && seat.talk.life.closed.is_none()
    }

    /// The client begins a handover, and its new connection may break. Says whether both still have a link then on which each hears the other.
    pub(super) fn begin_something(&mut self, i: usize) -> bool {
        let before: Vec<_> = self.clients[i].host.links.keys().copied().collect();
        let [old] = before[..] else { return false };
        let limits = &self.options.server_limits;
        // Whoever is told by a QUERY needs a server that remembers.
        let remembers =
            limits.tombstones as usize >= self.clients.len() * 2 && limits.tombstone >= Duration::from_secs(10);
        self.network(i, NetworkEvent::Available(ANOTHER));
        let slowest =
            (self.options.net.delay[0] + self.options.net.delay[1]) * (100 + self.options.net.paths as u32) / 100;
        let time = self.rng.duration(Duration::ZERO..=slowest * 3);
        self.run_for(time);
        let links = &self.clients[i].host.links;
        if !links.contains_key(&old) || self.clients[i].talk.life.closed.is_some() {
            return false;
        }
        let Some((_, &conn)) = links.iter().find(|(link, _)| **link != old) else {
            return remembers;
        };
        if self.rng.coin() {
            // The server leaves the old one for it at any moment.
            return false;
        }
        // As long as it has no more than the flight it has not.
        let flight = self
            .tape
            .flights()
            .find(|(of, _)| *of == conn)
            .and_then(|(_, flight)| flight.first_len());
        let heard = self.net.received(conn, Side::Server).0;
        let unproved = heard == 0 || flight.is_some_and(|flight| heard <= flight as u64);
        self.net.kill(conn, &mut self.queue);
        self.run_until(self.now());
        unproved && remembers
    }
}
