//! The applications at the servers: what they are given, what they say, and whether they get back the state that they left.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{
    CloseReason, Durability, Event as CoreEvent, MessageId, NetworkEvent, Record, SendError, SessionId, USER_MOVED,
    Verdict,
};

use super::app::{App, End, START, digest, numbers, saying};
use super::{At, Event, World, store_key};
use crate::world::app::{code, name};

impl World {
    pub(super) fn process_event(&mut self, p: usize) -> bool {
        let Some((id, event)) = self.processes[p].endpoint.poll_event() else {
            return false;
        };
        let at = self.at(p);
        self.watch_event(p, &event);
        if let CoreEvent::Authorise { credential } = &event {
            self.asked_to_let_in(at, id, credential);
        }
        let Some(i) = self.talks.iter().position(|talk| talk.id == Some(id)) else {
            // One that leaves before its client has said who it is.
            let leaves = self.processes[p].retiring && event == CoreEvent::SwappedOut;
            if !leaves && !self.ghosts.contains(&id) && !matches!(event, CoreEvent::State(_)) {
                self.fail(format_args!("{event:?} of a session {id} that no client has"));
            }
            return true;
        };
        self.trace_at(p, name(&event), code(&event), i as u64);
        match &event {
            CoreEvent::Established { .. } => {
                let mut app = App::new(i);
                app.user = self.talks[i].users_before.get(&id).copied();
                self.processes[p].apps.insert(id, app);
                if self.talks[i].terms == 0 {
                    self.talks[i].holder = Some(at);
                    self.talks[i].terms = 1;
                } else if self.owner_of(id) == Some(p) && !self.talks[i].excuses.tampered {
                    self.fail(format_args!("session {id} of client {i} is established twice"));
                } else {
                    // Another took it while the store's answer was on its way here, and what this one does reaches nobody; or the store forgot that another did.
                    self.counters.begun_late += 1;
                }
            }
            CoreEvent::Restored { app, user } => self.restored(at, i, id, app.as_deref(), user.as_deref()),
            _ => {}
        }
        self.app_event(at, i, id, &event);
        true
    }

    fn asked_to_let_in(&mut self, at: At, id: SessionId, credential: &[u8]) {
        let i = (0..self.talks.len()).find(|i| *credential == *format!("client {i}").as_bytes());
        let Some(i) = i else {
            self.fail(format_args!("identity: session {id} says {credential:?}"))
        };
        let delay = self.rng.duration(Duration::ZERO..=Duration::from_millis(20));
        self.queue.after(delay, Event::Verdict(at, id));
        if self.clients[i].session.id() != Some(id) {
            // Its client has started over, or its process has slept since.
            self.ghosts.insert(id);
            return;
        }
        let talk = &mut self.talks[i];
        if let Some(old) = talk.id.replace(id).filter(|old| *old != id) {
            // One that was let in would have been found.
            if !talk.heard.is_empty() || talk.life.established || talk.taken > 0 && !talk.excuses.tampered {
                self.fail(format_args!("identity: client {i} left session {old} for {id}"));
            }
            self.ghosts.insert(old);
            for process in &mut self.processes {
                process.apps.remove(&old);
            }
            let talk = &mut self.talks[i];
            (talk.holder, talk.terms, talk.taken, talk.mail_taken) = (None, 0, 0, 0);
            // Its server may have ended that one before it was let in, and has forgotten it since.
            (talk.closed_by_server, talk.closed_by_owner) = (None, false);
            talk.parked = false;
            talk.said.clear();
            talk.said_digests.truncate(1);
            talk.mail.clear();
            talk.mail_digests.truncate(1);
        }
    }

    pub(super) fn on_verdict(&mut self, at: At, id: SessionId) {
        if self.is_there(at) {
            let whose = self.talks.iter().position(|talk| talk.id == Some(id));
            if let Some(i) = whose.filter(|_| self.options.apps.users > 0 && self.rng.coin()) {
                // Before the store has its record.
                self.bind(at, i, id);
            }
            let gives_state = self.options.apps.first_states && self.rng.coin();
            let first = whose.filter(|_| gives_state).map(|i| {
                let mut app = App::new(i);
                app.user = self.talks[i].users_before.get(&id).copied();
                // One that is too large is left out.
                let large = self.rng.permille(self.options.apps.large_first);
                let room = if large {
                    self.options.limits.snapshot.into()
                } else {
                    self.options.apps.state
                };
                app.save(room).into()
            });
            if let Some(mut session) = self.processes[at.process].endpoint.session(id) {
                let message = Bytes::from_static(b"welcome");
                session.authorise_with(Verdict::Accept { message }, first);
            }
            self.after_process(at.process);
        }
    }

    /// The session has come here: its application's state is what it must be.
    fn restored(&mut self, at: At, i: usize, id: SessionId, state: Option<&[u8]>, user: Option<&[u8]>) {
        if self.processes[at.process].apps.contains_key(&id) {
            self.fail(format_args!("session {id} is restored at {at:?}, where it is"));
        }
        let before = self.talks[i].holder;
        let inherits = before.is_some_and(|before| !self.is_there(before));
        let asked = before
            .is_some_and(|before| self.is_there(before) && before != at && !self.processes[before.process].retiring);
        self.counters.takeovers += 1;
        self.counters.inherited += u64::from(inherits);
        self.counters.asked += u64::from(asked);
        let Some([taken, said, mail_taken, words_digest, said_digest, mail_digest, bound]) =
            state.map_or(Some([0, 0, 0, START, START, START, 0]), numbers)
        else {
            self.fail(format_args!("session {id} of client {i} is restored with {state:?}"));
        };
        let bound = match state {
            Some(_) => bound.checked_sub(1),
            // Its owner of before had told nobody what it knew.
            None => self.talks[i]
                .users
                .iter()
                .copied()
                .find(|bound| self.is_his(user, Some(*bound))),
        };
        // A test may have bound it.
        if self.options.apps.users > 0 && !self.is_his(user, bound) {
            self.fail(format_args!(
                "session {id} of client {i} is restored for {user:x?}, its state says {bound:?}"
            ));
        }
        if self.owner_of(id) != Some(at.process) {
            // It slept between its claim and now, and another has taken the session since: what it does reaches nobody.
            let mut app = App::new(i);
            app.life.established = true;
            let talk = &self.talks[i];
            let known = talk.said_digests.get(said as usize) == Some(&said_digest);
            app.said = if known {
                talk.said[..said as usize].to_vec()
            } else {
                vec![0; said as usize]
            };
            (app.taken, app.mail_taken, app.user) = (taken, mail_taken, bound);
            app.digests = [words_digest, said_digest, mail_digest];
            self.processes[at.process].apps.insert(id, app);
            return;
        }
        let acked = self.clients[i].session.acked().0;
        let (durable, mail) = (
            self.options.durability == Durability::Durable,
            self.talks[i].mail.len() as u64,
        );
        let talk = &mut self.talks[i];
        if talk.excuses.tampered && talk.said_digests.get(said as usize) != Some(&said_digest) {
            // What another owner said, in a time that the store has forgotten.
            talk.excuses.astray = true;
        }
        let whole = taken <= talk.sent
            && (said <= talk.said.len() as u64 || talk.excuses.astray)
            && (mail_taken <= mail || talk.excuses.tampered);
        let fits = whole
            && words_digest == talk.words_digest(taken)
            && (talk.excuses.astray || said_digest == talk.said_digests[said as usize])
            // What is in a queue that went back is anybody's guess.
            && (mail_digest == talk.mail_digests.get(mail_taken as usize).copied().unwrap_or_default() || talk.excuses.tampered);
        // What was seen outside is not taken back.
        let keeps = taken >= acked && said >= talk.heard.len() as u64 || talk.client_closed();
        // After the store went back a state may come back that is older than what the client knows: it will say so, and till then its owner of before
        // may go on.
        talk.excuses.astray |= talk.excuses.tampered && !keeps;
        // Whoever left in good order left nothing behind.
        let left = taken == talk.taken && said == talk.said.len() as u64 && mail_taken == talk.mail_taken;
        let good = fits && (keeps && (left || durable && !talk.parked) || talk.excuses.tampered);
        if !good {
            let (took, spoke, read) = (talk.taken, talk.said.len(), talk.mail_taken);
            let heard = talk.heard.len();
            self.fail(format_args!(
                "G1: session {id} of client {i} is restored at {at:?} with {taken} taken, {said} said, {mail_taken} of its mail; its owner \
                 {before:?} had taken {took}, said {spoke}, read {read}; the client heard {heard} and had {acked} acknowledged; \
                 digests fit: {fits}, terms {}, parked {}",
                self.talks[i].terms, self.talks[i].parked
            ));
        }
        talk.holder = Some(at);
        talk.terms += 1;
        talk.parked = false;
        (talk.taken, talk.mail_taken) = (taken, mail_taken);
        talk.said.resize(said as usize, 0);
        talk.said_digests.resize(said as usize + 1, said_digest);
        let mut app = App::new(i);
        app.life.established = true;
        app.said = talk.said.clone();
        (app.taken, app.mail_taken, app.user) = (taken, mail_taken, bound);
        app.digests = [words_digest, said_digest, mail_digest];
        self.processes[at.process].apps.insert(id, app);
    }

    fn app_event(&mut self, at: At, i: usize, id: SessionId, event: &CoreEvent) {
        let (now, p) = (self.now(), at.process);
        let holds = self.talks[i].holder == Some(at);
        let Some(app) = self.processes[p].apps.get_mut(&id) else {
            match event {
                // It was never let in here.
                CoreEvent::State(_) | CoreEvent::Authorise { .. } | CoreEvent::Closed(_) | CoreEvent::SwappedOut => {
                    return;
                }
                CoreEvent::HandoverFailed { .. } => return,
                _ => self.fail(format_args!("{event:?} of session {id} at {at:?}, which is not there")),
            }
        };
        let seen = app.absence.see_event(event, self.options.limits.detached, now);
        if let Err(wrong) = app.life.see(event).and(seen) {
            self.fail(format_args!("process {at:?}, session of client {i}: {wrong}"));
        }
        match event {
            CoreEvent::Readable => app.readable = true,
            CoreEvent::Mail => app.mail = true,
            CoreEvent::Writable => app.blocked = false,
            CoreEvent::SwapOutFailed => app.swap_out_failed += 1,
            CoreEvent::SwappedOut => {
                self.processes[p].apps.remove(&id);
                if holds {
                    let parked = matches!(self.store.record(&store_key(id)), Some(Record::Parked { .. }));
                    self.talks[i].parked = parked;
                } else {
                    self.counters.fenced += 1;
                }
            }
            CoreEvent::Closed(reason) => {
                while self.app_reads(p, id) {}
                self.judge_server_end(at, i, holds, *reason);
                self.processes[p].apps.remove(&id);
            }
            CoreEvent::Draining { .. } | CoreEvent::Refused { .. } | CoreEvent::ResumeRequest => {
                self.fail(format_args!("{event:?} at a server"));
            }
            _ => {}
        }
    }

    fn judge_server_end(&mut self, at: At, i: usize, holds: bool, reason: CloseReason) {
        let talk = &mut self.talks[i];
        let excuses = talk.excuses;
        let legal = match reason {
            CloseReason::Local { code } => talk.closed_by_server == Some(End::Close(code)),
            CloseReason::Peer { code, truncated } => {
                if holds && !truncated && talk.taken != talk.sent {
                    let (taken, sent) = (talk.taken, talk.sent);
                    self.fail(format_args!(
                        "the owner {at:?} took {taken} of the {sent} words of client {i}"
                    ));
                }
                talk.life.disconnected == Some(code)
            }
            CloseReason::RolledBack => excuses.tampered,
            // Its client is elsewhere, or is no more.
            CloseReason::Expired => {
                !holds
                    || talk.client_closed()
                    || talk.life.disconnected.is_some()
                    || excuses.expired
                    || excuses.tampered
            }
            CloseReason::Kicked { code: USER_MOVED } => excuses.unseated,
            CloseReason::Kicked { code } => {
                talk.closed_by_server == Some(End::Kick(code)) || holds && talk.is_put_out(code)
            }
            _ => false,
        };
        if holds {
            (talk.server_closed, talk.closed_at) = (Some(reason), Some(at));
        }
        if !legal {
            self.fail(format_args!(
                "G2: the owner {at:?} (holds: {holds}) of client {i} is told {reason:?}; {excuses:?}"
            ));
        }
    }

    /// The applications of a process read what there is.
    pub(super) fn process_reads(&mut self, p: usize) -> bool {
        let ready = |app: &App| app.readable || app.mail;
        let ids = self.processes[p]
            .apps
            .iter()
            .filter(|(_, app)| ready(app))
            .map(|(id, _)| *id);
        let ids: Vec<SessionId> = ids.collect();
        let mut any = false;
        for id in ids {
            any |= self.app_reads(p, id) | self.app_reads_mail(p, id);
        }
        any
    }

    fn app_reads(&mut self, p: usize, id: SessionId) -> bool {
        let at = self.at(p);
        let process = &mut self.processes[p];
        let (Some(app), Some(mut session)) = (process.apps.get_mut(&id), process.endpoint.session(id)) else {
            return false;
        };
        let talk = &mut self.talks[app.client];
        let Some(message) = session.recv() else {
            app.readable = false;
            return false;
        };
        let (n, i) = (app.taken, app.client);
        let expected = talk.words.message(n);
        if message.id.map(|id| id.0) != Some(n) || n >= talk.sent || message.payload != expected {
            let (id, len) = (message.id, message.payload.len());
            drop(session);
            self.fail(format_args!(
                "G1: {at:?} got {id:?} of {len} bytes from client {i}, where {n} of {} bytes was due",
                expected.len()
            ));
        }
        app.taken += 1;
        app.digests[0] = digest(app.digests[0], &expected);
        if talk.holder == Some(at) {
            talk.taken = app.taken;
        }
        true
    }

    fn app_reads_mail(&mut self, p: usize, id: SessionId) -> bool {
        let at = self.at(p);
        let process = &mut self.processes[p];
        let (Some(app), Some(mut session)) = (process.apps.get_mut(&id), process.endpoint.session(id)) else {
            return false;
        };
        if !app.mail {
            return false;
        }
        let Some(letter) = session.recv_mail() else {
            app.mail = false;
            return false;
        };
        let talk = &mut self.talks[app.client];
        let expected = talk.letters.message(app.mail_taken);
        // To a sleeper it may be that letters are missing which the new owner has read.
        if letter != expected && talk.holder == Some(at) && !talk.excuses.tampered {
            let (n, i, len) = (app.mail_taken, app.client, letter.len());
            drop(session);
            self.fail(format_args!(
                "mail: {at:?} got {len} bytes for client {i}, where letter {n} of {} bytes was due",
                expected.len()
            ));
        }
        app.mail_taken += 1;
        app.digests[2] = digest(app.digests[2], &letter);
        self.counters.mail += 1;
        if talk.holder == Some(at) {
            talk.mail_taken = app.mail_taken;
        }
        true
    }

    pub(super) fn on_servers_write(&mut self, i: usize) {
        if self.quiet || self.talks[i].client_closed() {
            return;
        }
        for p in 0..self.processes.len() {
            if let Some(id) = self.talks[i].id
                && self.processes[p].asleep.is_none()
            {
                for _ in 0..self.options.apps.burst {
                    if !self.server_says(p, id) {
                        break;
                    }
                }
                self.after_process(p);
            }
        }
        let pause = self.rng.duration(Duration::ZERO..=self.options.apps.interval * 2);
        self.queue.after(pause, Event::ServersWrite(i));
    }

    /// The application of a session in this process says something; whether it could.
    pub fn server_says(&mut self, p: usize, id: SessionId) -> bool {
        let at = self.at(p);
        let word = self.rng.u64();
        let process = &mut self.processes[p];
        let (Some(app), Some(mut session)) = (process.apps.get_mut(&id), process.endpoint.session(id)) else {
            return false;
        };
        if app.blocked || app.life.closed.is_some() {
            return false;
        }
        let n = app.said.len() as u64;
        let bytes = saying(n, word, self.options.apps.size);
        let talk = &mut self.talks[app.client];
        match session.send(bytes.clone().into()) {
            Ok(MessageId(given)) if given == n => {
                app.said.push(word);
                app.digests[1] = digest(app.digests[1], &bytes);
                if talk.holder == Some(at) {
                    talk.said.push(word);
                    talk.said_digests.push(app.digests[1]);
                }
                true
            }
            Err(SendError::WouldBlock(_)) => {
                app.blocked = true;
                false
            }
            Err(SendError::Closed(_)) => false,
            other => {
                drop(session);
                self.fail(format_args!("{at:?} says {n} to session {id}: {other:?}"));
            }
        }
    }

    /// Answers one wish for a session's state.
    pub(super) fn poll_snapshot(&mut self, p: usize) -> bool {
        let room = self.options.apps.state;
        let process = &mut self.processes[p];
        let Some(id) = process.endpoint.poll_snapshot() else {
            return false;
        };
        let state = process.apps.get(&id).map(|app| app.save(room));
        if let Err(error) = process.endpoint.save(id, state.as_deref()) {
            self.fail(format_args!("the state of {id} at {p} is not taken: {error}"));
        }
        true
    }

    pub(super) fn on_post(&mut self, i: usize) {
        if self.quiet || self.talks[i].client_closed() {
            return;
        }
        self.post(i);
        let pause = self.rng.duration(Duration::ZERO..=self.options.apps.mail * 2);
        self.queue.after(pause, Event::Post(i));
    }

    /// A process is looked after: after a test did something to its endpoint.
    pub fn look_after(&mut self, p: usize) {
        self.after_process(p);
    }

    /// The client's host has news of its networks.
    pub fn network(&mut self, i: usize, event: NetworkEvent) {
        let now = self.now();
        self.clients[i].session.handle_network(event, now);
        self.after_client(i);
    }
}
