//! A whole run: faults for a time, then none, and all must be well; then a proper end.

use core::fmt;
use core::ops::AddAssign;
use core::time::Duration;

use unbroken::{CloseReason, NetworkEvent, NetworkId, State};

use super::{Event, Node, World};
use crate::cluster::Counters;
use crate::profile::Profile;

/// What a run was worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub runs: u64,
    pub connections: u64,
    /// Links that were up and broke, and those that somebody without keys spoilt.
    pub failures: u64,
    pub not_made: u64,
    /// As the clients' applications were told.
    pub handovers: u64,
    pub messages: u64,
    pub unreliable: u64,
    pub bytes: u64,
    pub ended_early: u64,
    /// Of what happened between server processes.
    pub servers: Counters,
    pub virtual_time: Duration,
    /// Of the traces: the same seeds give the same number.
    pub digest: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.connections += other.connections;
        self.failures += other.failures;
        self.not_made += other.not_made;
        self.handovers += other.handovers;
        self.messages += other.messages;
        self.unreliable += other.unreliable;
        self.bytes += other.bytes;
        self.ended_early += other.ended_early;
        self.servers += other.servers;
        self.virtual_time += other.virtual_time;
        self.digest ^= other.digest;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {:.1} virtual hours, {} connections, {} link failures, {} not made, {} handovers, {} messages, {} MiB, \
             {} unreliable, {} ended early",
            self.runs,
            self.virtual_time.as_secs_f64() / 3600.0,
            self.connections,
            self.failures,
            self.not_made,
            self.handovers,
            self.messages,
            self.bytes >> 20,
            self.unreliable,
            self.ended_early,
        )?;
        if self.servers.requests > 0 {
            write!(f, "; {}", self.servers)?;
        }
        Ok(())
    }
}

impl World {
    /// The safety phase, the liveness phase and the end. Panics at the first violation.
    pub fn run(&mut self) -> Totals {
        let start = self.now();
        self.plan();
        let safe = start + self.options.safety;
        let mut next_check = start;
        while self.step(safe) {
            if self.now() >= next_check {
                self.check_all();
                next_check = self.now() + Duration::from_millis(100);
            }
        }
        self.heal();
        self.settle_down();
        // Whoever could not even connect before has one handover at least.
        self.kill_all();
        self.run_for(Duration::from_secs(1));
        self.settle_down();
        if self.options.profile != Profile::Calm {
            self.check_not_vacuous();
        }
        self.end();
        self.totals(start)
    }

    /// Puts the faults that have their own time into the queue.
    fn plan(&mut self) {
        let safety = self.options.safety;
        if safety.is_zero() {
            return;
        }
        let faults = self.options.faults.clone();
        if !faults.hostile_every.is_zero() {
            self.queue.after(faults.hostile_every, Event::Hostile);
        }
        if !faults.network_every.is_zero() {
            for i in 0..self.clients.len() {
                let mut at = Duration::ZERO;
                loop {
                    at += self.fates.duration(Duration::ZERO..=faults.network_every * 2);
                    if at >= safety {
                        break;
                    }
                    self.plan_network(i, at);
                }
            }
        }
        for i in 0..self.clients.len() {
            if self.fates.permille(self.options.app.ends) {
                let at = self.fates.duration(Duration::ZERO..=safety);
                self.queue.after(at, Event::End(i));
            }
        }
        let at = self.fates.duration(safety / 4..=safety);
        self.queue.after(at, Event::Kill);
    }

    fn plan_network(&mut self, i: usize, at: Duration) {
        let network = NetworkId(self.fates.below(3));
        let event = match self.fates.below(6) {
            0 => NetworkEvent::Available(network),
            1 => NetworkEvent::Lost(network),
            2 => NetworkEvent::Changed(network),
            3 => NetworkEvent::Wake,
            4 => {
                // A host that says the same again and again.
                let every = Duration::from_millis(self.fates.range(100..=1000));
                for n in 1..self.fates.below(20) as u32 {
                    self.queue
                        .after(at + every * n, Event::Network(i, NetworkEvent::Available(network)));
                }
                NetworkEvent::Available(network)
            }
            _ => {
                let asleep = self.fates.duration(Duration::ZERO..=Duration::from_secs(60));
                self.queue.after(at + asleep, Event::Network(i, NetworkEvent::Wake));
                NetworkEvent::Suspend
            }
        };
        self.queue.after(at, Event::Network(i, event));
    }

    /// No more faults: new connections work. A link that is half-open stays so.
    pub fn heal(&mut self) {
        self.healed = true;
        self.net.healed = true;
        let now = self.now();
        // Networks that were lost are back, whoever slept is awake.
        if !self.options.faults.network_every.is_zero() {
            for i in 0..self.clients.len() {
                for event in [
                    NetworkEvent::Wake,
                    NetworkEvent::Available(NetworkId(0)),
                    NetworkEvent::Changed(NetworkId(0)),
                ] {
                    self.queue.at(now, Event::Network(i, event));
                }
            }
        }
    }

    fn check_all(&mut self) {
        (0..self.clients.len()).for_each(|i| self.check_bounds(i));
    }

    /// All that was to be said is said, delivered and acknowledged; or the conversation has legally ended.
    pub fn is_settled(&self, i: usize) -> bool {
        let (client, seat) = (&self.clients[i], &self.seats[i]);
        let (c, s) = (&client.talk, &seat.talk);
        if c.life.closed.is_some() {
            return s.life.closed.is_some() || seat.id.is_none() || self.is_left_behind(i);
        }
        let all = |from: &super::Talk, to: &super::Talk| {
            from.writer.sent == from.writer.total && to.reader.received == from.writer.total
        };
        all(c, s)
            && all(s, c)
            && client.session.state() == State::Established
            && client.session.stats().unacked_messages == 0
            && !c.life.in_handover
            && !s.life.in_handover
            && s.life.closed.is_none()
            && s.life.established
    }

    /// The liveness phase.
    pub fn settle_down(&mut self) {
        let patience = self.options.patience();
        let mut next_check = self.now();
        self.run_to("that all is delivered", patience, |w| {
            // Looking at all of many conversations after each event would take most of the time.
            if w.now() < next_check {
                return false;
            }
            next_check = w.now() + Duration::from_millis(20);
            (0..w.clients.len()).all(|i| w.is_settled(i))
        });
        self.check_all();
    }

    fn check_not_vacuous(&self) {
        let counters = self.net.counters;
        let handovers: u64 = self.clients.iter().map(|c| c.talk.life.handovers).sum();
        let ended = self.clients.iter().any(|c| c.talk.life.closed.is_some());
        if !ended && (counters.failures == 0 || handovers == 0) {
            self.fail(format_args!(
                "vacuous: {} link failures, {handovers} handovers",
                counters.failures
            ));
        }
        let said: u64 = self.clients.iter().map(|c| c.talk.reader.received).sum();
        if said == 0 && !ended {
            self.fail("vacuous: nothing was said");
        }
    }

    /// One side says goodbye, both know why; nothing is left.
    fn end(&mut self) {
        // Links that are half-open without anybody's knowledge are found by the clients' probes.
        let (timing, backoff) = (&self.options.timing, &self.options.backoff);
        self.run_for(timing.idle_probe + timing.dead_after * 2 + backoff.cap * 2 + Duration::from_secs(10));
        self.settle_down();
        // Of each conversation whether its end must be what was asked for.
        let mut due = vec![false; self.clients.len()];
        for (i, due) in due.iter_mut().enumerate() {
            if self.clients[i].talk.life.closed.is_some() {
                self.ended_early += 1;
                continue;
            }
            *due = !self.rng.permille(300) || self.begin_something(i);
            if self.clients[i].talk.life.closed.is_some() {
                continue;
            }
            let code = self.rng.u64() as u32;
            if self.rng.coin() {
                self.disconnect(i, code);
            } else {
                self.close_from_server(i, code);
            }
        }
        self.run_to("that all have ended", Duration::from_secs(60), |w| {
            (0..w.clients.len()).all(|i| {
                let (c, s) = (&w.clients[i].talk.life, &w.seats[i]);
                c.closed.is_some() && (s.talk.life.closed.is_some() || s.id.is_none() || !due[i] && w.is_left_behind(i))
            })
        });
        for (i, (client, seat)) in self.clients.iter().zip(&self.seats).enumerate() {
            let (c, s) = (client.talk.life.closed, seat.talk.life.closed);
            let graceful = match (client.talk.life.disconnected, seat.closed_by_app) {
                (Some(code), _) => {
                    c == Some(CloseReason::Local { code }) && s == Some(CloseReason::Peer { code, truncated: false })
                }
                (_, Some(code)) => {
                    s == Some(CloseReason::Local { code }) && c == Some(CloseReason::Peer { code, truncated: false })
                }
                _ => true,
            };
            if !graceful && due[i] {
                self.fail(format_args!(
                    "G8: the end of {i} was not what was asked for: client {c:?}, server {s:?}"
                ));
            }
        }
        if (0..self.clients.len()).any(|i| self.is_left_behind(i)) {
            self.run_for(self.options.server_limits.detached);
        }
        // Hostile connections, half-open links, tombstones: all of it goes by itself.
        let rest =
            self.options.server_limits.handshake * 2 + self.options.timing.dead_after * 3 + Duration::from_secs(10);
        self.run_for(rest + self.options.timing.idle_probe);
        for i in 0..self.clients.len() {
            if !self.clients[i].host.links.is_empty() {
                self.fail(format_args!(
                    "client {i} is closed and keeps {:?}",
                    self.clients[i].host.links
                ));
            }
        }
        for j in 0..self.servers.len() {
            self.settle(Node::Server(j));
            let server = &self.servers[j];
            if !server.host.links.is_empty() || server.endpoint.sessions() != 0 {
                let (links, sessions) = (server.host.links.len(), server.endpoint.sessions());
                self.fail(format_args!(
                    "server {j} keeps {links} links and {sessions} sessions of nobody"
                ));
            }
        }
    }

    fn totals(&self, start: unbroken::Instant) -> Totals {
        let net = self.net.counters;
        let talks = || {
            self.clients
                .iter()
                .map(|c| &c.talk)
                .chain(self.seats.iter().map(|s| &s.talk))
        };
        Totals {
            runs: 1,
            connections: net.opened,
            failures: net.failures + net.corrupted + self.poisoned,
            not_made: net.not_made,
            handovers: self.clients.iter().map(|c| c.talk.life.handovers).sum(),
            messages: talks().map(|t| t.reader.received).sum(),
            unreliable: talks().map(|t| t.reader.unreliable_received()).sum(),
            bytes: talks().map(|t| t.reader.bytes).sum(),
            ended_early: self.ended_early,
            servers: Counters::default(),
            virtual_time: self.now().since(start),
            digest: self.trace.digest(),
        }
    }
}
