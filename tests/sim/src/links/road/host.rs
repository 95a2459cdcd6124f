//! The hosts of both ends: they carry out what the cores want, wake them, and hand their messages and events to the oracles.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{Event as CoreEvent, Instant, LinkId, Output, SessionId, Verdict};

use super::{Event, Road, Who, side_of};

impl Road {
    pub(super) fn slot(&self, who: Who) -> usize {
        match who {
            Who::Phone => 0,
            Who::Server(j) => j + 1,
        }
    }

    /// Lets one end do all it wants to do now, and sets its timer.
    pub(super) fn settle(&mut self, who: Who) {
        if who == Who::Phone && self.asleep {
            return;
        }
        let now = self.now();
        let lag = if who == Who::Phone { self.lag } else { Duration::ZERO };
        let own = Instant::from_micros(now.as_micros() - lag.as_micros() as u64);
        match who {
            Who::Phone => self.phone.handle_timeout(own),
            Who::Server(j) => self.servers[j].handle_timeout(own),
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        for round in 0.. {
            assert!(round < 100_000, "a drain of {who:?} does not end");
            let (event, output) = match who {
                Who::Phone => (
                    self.phone.poll_event().map(|e| (None, e)),
                    self.phone.poll_output(&mut buffer, own),
                ),
                Who::Server(j) => {
                    let event = self.servers[j].poll_event().map(|(id, e)| (Some(id), e));
                    (event, self.servers[j].poll_output(&mut buffer, own))
                }
            };
            let idle = event.is_none() && output.is_none();
            if let Some((id, event)) = event {
                self.told(who, id, event);
            }
            match output {
                Some(Output::Send { link, len }) => self.send(who, link, &buffer[..len]),
                Some(Output::OpenLink { link, target, network }) => self.open(link, target, network),
                Some(Output::CloseLink { link }) => {
                    let id = self.conn_of(who, link);
                    id.into_iter().for_each(|id| self.close(id, side_of(who)));
                }
                None => {}
            }
            if !self.read(who) && idle {
                break;
            }
        }
        self.buffer = buffer;
        let next = match who {
            Who::Phone => self.phone.poll_timeout(),
            Who::Server(j) => self.servers[j].poll_timeout(),
        };
        assert!(
            next.is_none_or(|next| next > own),
            "contract: {who:?} is drained, and poll_timeout is not later than now"
        );
        let slot = self.slot(who);
        let at = next.map(|next| next + lag);
        if self.wakes[slot].0 != at {
            self.wakes[slot] = (at, self.wakes[slot].1 + 1);
            let serial = self.wakes[slot].1;
            at.into_iter()
                .for_each(|at| self.queue.at(at, Event::Wake(who, serial)));
        }
    }

    fn conn_of(&self, who: Who, link: LinkId) -> Option<u64> {
        match who {
            Who::Phone => self.conns.iter().find(|(_, c)| c.link == link).map(|(id, _)| *id),
            Who::Server(_) => Some(link.0),
        }
    }

    fn send(&mut self, who: Who, link: LinkId, bytes: &[u8]) {
        if who == Who::Phone {
            self.phone_writes += 1;
            self.phone_bytes += bytes.len() as u64;
        }
        let Some(id) = self.conn_of(who, link) else { return };
        if self.write(id, side_of(who), bytes) {
            match who {
                Who::Phone => self.phone.handle_link_blocked(link),
                Who::Server(j) => self.servers[j].handle_link_blocked(link),
            }
        }
    }

    fn told(&mut self, who: Who, id: Option<SessionId>, event: CoreEvent) {
        let side = side_of(who);
        if id.is_some() && self.id.is_none() {
            self.id = id;
        }
        assert!(id.is_none() || id == self.id, "a second session: {event:?}");
        if let (CoreEvent::Authorise { .. }, Who::Server(j), Some(id)) = (&event, who, id) {
            let mut session = self.servers[j].session(id).unwrap();
            session.authorise(Verdict::Accept { message: Bytes::new() });
        }
        let now = self.now();
        let app = &mut self.apps[side as usize];
        app.life.see(&event).unwrap_or_else(|wrong| panic!("{who:?}: {wrong}"));
        app.events.push((now, event));
    }

    fn read(&mut self, who: Who) -> bool {
        let now = self.now();
        let (mut any, side) = (false, side_of(who));
        if !self.apps[side as usize].reads {
            return false;
        }
        let sent = self.apps[side.other() as usize].sent_at.len() as u64;
        let app = &mut self.apps[side as usize];
        let mut take = |message: unbroken::Message<'_>| {
            let taken = app.reader.take(message.id.map(|id| id.0), message.payload, sent);
            taken.unwrap_or_else(|wrong| panic!("{who:?}: {wrong}"));
            app.received_at.push(now);
        };
        match who {
            Who::Phone => {
                while let Some(message) = self.phone.recv() {
                    take(message);
                    any = true;
                }
            }
            Who::Server(j) => {
                if let Some(mut session) = self.id.and_then(|id| self.servers[j].session(id)) {
                    while let Some(message) = session.recv() {
                        take(message);
                        any = true;
                    }
                }
            }
        }
        any
    }
}
