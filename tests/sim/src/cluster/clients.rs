//! The applications at the clients: what they say and hear, and whether their ends are true.

use core::time::Duration;

use unbroken::{CloseReason, Durability, Event as CoreEvent, MessageId, SendError, State, USER_MOVED};

use super::app::{App, End, Excuses, saying};
use super::{Event, World, store_key};
use crate::trace::Who;
use crate::world::app::{code, name};

impl World {
    pub(super) fn on_client_writes(&mut self, i: usize) {
        if self.quiet || self.talks[i].life.closed.is_some() || self.talks[i].life.disconnected.is_some() {
            return;
        }
        self.client_burst(i);
        self.after_client(i);
        let pause = self.rng.duration(Duration::ZERO..=self.options.apps.interval * 2);
        self.queue.after(pause, Event::ClientWrites(i));
    }

    fn client_burst(&mut self, i: usize) {
        for _ in 0..self.options.apps.burst {
            if self.talks[i].blocked || !self.client_says(i) {
                break;
            }
        }
    }

    /// The client's application says its next word.
    pub fn client_says(&mut self, i: usize) -> bool {
        let talk = &mut self.talks[i];
        match self.clients[i].session.send(talk.words.message(talk.sent).into()) {
            Ok(MessageId(n)) if n == talk.sent => talk.sent += 1,
            Err(SendError::WouldBlock(_)) => talk.blocked = true,
            Err(SendError::Closed(_)) if talk.life.closed.is_some() || talk.life.disconnected.is_some() => {}
            // Its end has come, and is told with the next event.
            Err(SendError::Closed(_)) if self.clients[i].session.state() == State::Closed => {}
            Err(SendError::Closed(_)) if talk.closed_by_server.is_some() || talk.excuses != Excuses::default() => {}
            other => {
                let n = talk.sent;
                self.fail(format_args!("client {i} says word {n}: {other:?}"));
            }
        }
        !self.talks[i].blocked
    }

    pub(super) fn client_reads(&mut self, i: usize) -> bool {
        let talk = &mut self.talks[i];
        let Some(message) = self.clients[i].session.recv() else {
            return false;
        };
        let n = talk.heard.len() as u64;
        let word = message
            .payload
            .get(8..16)
            .map(|b| u64::from_be_bytes(*b.first_chunk().unwrap()));
        if message.id.map(|id| id.0) != Some(n)
            || word.is_none_or(|word| message.payload != saying(n, word, self.options.apps.size))
        {
            let id = message.id;
            self.fail(format_args!("G1: client {i} hears {id:?}, where {n} was due"));
        }
        let word = word.unwrap();
        if talk.said.get(n as usize) != Some(&word) && talk.excuses.tampered {
            // After the store went back its owner of before may own it again: then all that was heard must be that one's words.
            let id = talk.id;
            let mut apps = self.processes.iter().filter_map(|process| process.apps.get(&id?));
            let same = |app: &&App| app.said.get(n as usize) == Some(&word) && app.said.starts_with(&talk.heard);
            talk.excuses.astray |= apps.any(|app| same(&app));
        }
        if talk.said.get(n as usize) != Some(&word) && !talk.excuses.astray {
            let said = talk.said.get(n as usize).copied();
            self.fail(format_args!(
                "G4: client {i} hears {word:x} as {n}, its owner {:?} said {said:x?}",
                self.talks[i].holder
            ));
        }
        talk.heard.push(word);
        true
    }

    /// An ACK is a promise: what it covers is part of the state, and no restart takes it back.
    pub(super) fn check_client(&self, i: usize) {
        let acked = self.clients[i].session.acked().0;
        let talk = &self.talks[i];
        if acked > talk.taken && !talk.client_closed() && !talk.excuses.tampered {
            self.fail(format_args!(
                "G1: client {i} was told that {acked} were taken, its owner {:?} took {}; {:?}",
                talk.holder, talk.taken, talk.excuses
            ));
        }
    }

    pub(super) fn client_event(&mut self, i: usize) -> bool {
        let Some(event) = self.clients[i].session.poll_event() else {
            return false;
        };
        let now = self.now();
        self.trace.add(now, Who::Client(i), name(&event), code(&event), 0);
        if let Err(wrong) = self.talks[i].life.see(&event) {
            self.fail(format_args!("client {i}: {wrong}"));
        }
        match &event {
            CoreEvent::Established { session, message }
                if self.talks[i].id != Some(*session) || **message != *b"welcome" =>
            {
                self.fail(format_args!("identity: client {i} is told {session}, {message:?}"));
            }
            CoreEvent::Writable => {
                self.talks[i].blocked = false;
                if !self.quiet {
                    self.client_burst(i);
                }
            }
            CoreEvent::HandoverFailed { reason, .. } if !reason.is_final() => {
                self.fail(format_args!("client {i} gave up: {reason:?}"));
            }
            CoreEvent::Closed(reason) => {
                while self.client_reads(i) {}
                self.judge_client_end(i, *reason);
            }
            CoreEvent::Authorise { .. }
            | CoreEvent::Readable
            | CoreEvent::ResumeRequest
            | CoreEvent::Restored { .. }
            | CoreEvent::SwappedOut
            | CoreEvent::SwapOutFailed
            | CoreEvent::Mail => self.fail(format_args!("client {i} got {event:?}, which is for servers")),
            _ => {}
        }
        true
    }

    /// G2: an end has a reason, and the reason is true.
    fn judge_client_end(&mut self, i: usize, reason: CloseReason) {
        let now = self.now();
        let talk = &self.talks[i];
        let excuses = talk.excuses;
        let durable = self.options.durability == Durability::Durable;
        let orphaned = talk.id.is_some_and(|id| self.store.is_orphaned(&store_key(id), now));
        let legal = match reason {
            CloseReason::Local { code } => talk.life.disconnected == Some(code),
            CloseReason::Peer { code, truncated } => {
                // A copy that a store's rollback brought back may have said less.
                if !truncated && !excuses.tampered && talk.heard.len() != talk.said.len() {
                    self.fail(format_args!(
                        "client {i} heard {} of {}",
                        talk.heard.len(),
                        talk.said.len()
                    ));
                }
                talk.closed_by_server == Some(End::Close(code))
            }
            CloseReason::OwnerCrashed => !durable && (excuses.crashed || orphaned) || excuses.tampered,
            // Its end was told to nobody in time, and is forgotten.
            CloseReason::UnknownSession => excuses.tampered || talk.closed_by_server.is_some() || excuses.unseated,
            CloseReason::RolledBack => excuses.tampered,
            CloseReason::Expired => excuses.tampered || excuses.expired,
            CloseReason::Kicked { code: USER_MOVED } => excuses.unseated,
            CloseReason::Kicked { code } => talk.closed_by_server == Some(End::Kick(code)) || talk.is_put_out(code),
            _ => false,
        };
        if !legal && !talk.is_misquoted(reason) {
            self.fail(format_args!(
                "G2: client {i} ended by {reason:?}, established {}; {excuses:?}, disconnects {:?} and {:?}; {}",
                talk.life.established,
                talk.life.disconnected,
                talk.closed_by_server,
                self.where_we_are()
            ));
        }
        let asked = matches!(reason, CloseReason::Local { .. } | CloseReason::Peer { .. });
        self.counters.reported += u64::from(!asked);
    }
}
