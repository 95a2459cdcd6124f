//! How conversations end before their time: who ends them, and that it holds.

use super::World;
use super::app::End;
use crate::trace::Who;

impl World {
    /// One of the two ends it while there are faults.
    pub(super) fn on_end(&mut self, i: usize) {
        let talk = &self.talks[i];
        if self.healed || talk.client_closed() || talk.life.disconnected.is_some() {
            return;
        }
        let code = self.fates.u64() as u32;
        let owner = talk
            .holder
            .filter(|at| talk.id.is_some_and(|id| self.owner_of(id) == Some(at.process)));
        match owner.filter(|at| self.is_there(*at) && self.processes[at.process].asleep.is_none()) {
            Some(_) if self.fates.coin() => {
                self.close_from_server(i, code);
            }
            _ => self.disconnect(i, code),
        }
    }

    /// The client's application ends the conversation.
    pub fn disconnect(&mut self, i: usize, code: u32) {
        let now = self.now();
        self.trace.add(now, Who::Client(i), "disconnects", code.into(), 0);
        self.talks[i].life.disconnected = Some(code);
        self.clients[i].session.disconnect(code);
        self.after_client(i);
    }

    /// The server's application ends it; whether it has the session that the client is connected to.
    pub fn close_from_server(&mut self, i: usize, code: u32) -> bool {
        self.end_from_server(i, End::Close(code))
    }

    fn end_from_server(&mut self, i: usize, end: End) -> bool {
        let (Some(at), Some(id)) = (self.talks[i].holder, self.talks[i].id) else {
            return false;
        };
        // After a store went back a copy may be left behind that looks whole and that no client is connected to.
        let left_behind = self.talks[i].excuses.tampered && self.owner_of(id) != Some(at.process);
        // What it was ended with first is what is told.
        let has_ended = self.talks[i].closed_by_server.is_some();
        if !self.is_there(at) || left_behind || has_ended {
            return false;
        }
        let Some(mut session) = self.processes[at.process].endpoint.session(id) else {
            return false;
        };
        let (what, code) = match end {
            End::Close(code) => {
                session.close(code);
                ("closes", code)
            }
            End::Kick(code) => {
                session.kick(code);
                ("puts out", code)
            }
        };
        drop(session);
        self.trace_at(at.process, what, code.into(), i as u64);
        self.talks[i].closed_by_server = Some(end);
        self.talks[i].closed_by_owner = self.owner_of(id) == Some(at.process);
        self.after_process(at.process);
        true
    }

    /// The application of a session puts it out or closes it, perhaps over links that have died without anybody's notice: its client may come elsewhere before the
    /// goodbye is over.
    pub(super) fn put_somebody_out(&mut self, p: usize) {
        let at = self.at(p);
        let here = |i: &usize| self.talks[*i].holder == Some(at) && self.talks[*i].closed_by_server.is_none();
        let here: Vec<usize> = (0..self.talks.len()).filter(here).collect();
        if self.processes[p].asleep.is_some() || here.is_empty() {
            return;
        }
        let i = *self.fates.pick(&here);
        if self.fates.coin() {
            for conn in self.conns_of(i) {
                self.net.black_hole(conn, &mut self.queue);
            }
        }
        let code = self.fates.u64() as u32;
        let end = if self.fates.coin() {
            End::Kick(code)
        } else {
            End::Close(code)
        };
        self.counters.put_out += u64::from(self.end_from_server(i, end));
    }

    /// Whom his server has put out is out, wherever he comes, if the processes hear each other: nobody goes on as if nothing had been said.
    pub(super) fn check_ends(&self) {
        if !self.options.store.is_honest() || self.options.accidents.hinder() {
            return;
        }
        for (i, talk) in self.talks.iter().enumerate() {
            if talk.closed_by_owner && !talk.excuses.crashed && !talk.client_closed() {
                self.fail(format_args!(
                    "G2: client {i} was put out by {:?}, and goes on at {:?}",
                    talk.closed_by_server, talk.holder
                ));
            }
        }
    }
}
