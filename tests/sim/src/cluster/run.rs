//! A whole run: faults for a time, then none, and all must be well or have a reason; then a proper end.

use core::fmt;
use core::ops::AddAssign;
use core::time::Duration;

use unbroken::{CloseReason, Record, State};

use super::accidents::Accident;
use super::{App, Counters, Step, World, store_key};
use crate::world::Totals;

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.takeovers += other.takeovers;
        self.asked += other.asked;
        self.inherited += other.inherited;
        self.fenced += other.fenced;
        self.begun_late += other.begun_late;
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.retired += other.retired;
        self.requests += other.requests;
        self.store_faults += other.store_faults;
        for (own, other) in self.faults_at.iter_mut().zip(other.faults_at) {
            *own += other;
        }
        self.rollbacks += other.rollbacks;
        self.spoilt += other.spoilt;
        self.reported += other.reported;
        self.mail += other.mail;
        self.put_out += other.put_out;
    }
}

impl Counters {
    /// What never happened of all that should in a good number of runs.
    pub fn missing(&self) -> Vec<String> {
        let named = [
            ("asking", self.asked),
            ("inheriting", self.inherited),
            ("fencing", self.fenced),
            ("crash", self.crashes),
            ("sleeper", self.pauses),
            ("planned restart", self.retired),
            ("rollback", self.rollbacks),
            ("spoilt record", self.spoilt),
            ("end reported", self.reported),
            ("letter", self.mail),
            ("session put out", self.put_out),
        ];
        let named = named.into_iter().map(|(what, count)| (format!("no {what}"), count));
        // Nobody is bound by chance, and a wait for notes fails with the store only.
        let steps = Step::ALL
            .into_iter()
            .filter(|step| ![Step::Receive, Step::Bind].contains(step));
        let faults = steps.map(|step| (format!("no fault at {step:?}"), self.faults_at[step as usize]));
        named
            .chain(faults)
            .filter(|(_, count)| *count == 0)
            .map(|(what, _)| what)
            .collect()
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} takeovers ({} by asking, {} from the dead), {} fenced, {} crashes, {} sleepers, {} planned restarts, \
             {} store requests, {} store faults, {} rollbacks, {} spoilt, {} ends reported, {} letters, {} put out",
            self.takeovers,
            self.asked,
            self.inherited,
            self.fenced,
            self.crashes,
            self.pauses,
            self.retired,
            self.requests,
            self.store_faults,
            self.rollbacks,
            self.spoilt,
            self.reported,
            self.mail,
            self.put_out,
        )
    }
}

impl World {
    /// The safety phase, the liveness phase and the end. Panics at the first violation.
    pub fn run(&mut self) -> Totals {
        let start = self.now();
        Accident::ALL.into_iter().for_each(|accident| self.plan(accident));
        self.run_until(start + self.options.safety);
        self.heal();
        self.settle_down();
        // Whoever had no handover so far has one now; the balancer may send it to the same process a few times.
        for _ in 0..20 {
            self.kill_links();
            self.run_for(Duration::from_secs(1));
            self.settle_down();
            if self.counters.takeovers > 0 {
                break;
            }
        }
        self.check_not_vacuous();
        self.check_ends();
        self.end();
        self.totals(start)
    }

    /// No more faults, and nothing more to say.
    pub fn heal(&mut self) {
        self.healed = true;
        self.net.healed = true;
        self.down = None;
        self.quiet = true;
        for p in 0..self.processes.len() {
            let at = self.at(p);
            self.wake(at);
        }
        for key in self.store.keys() {
            self.mend(&key);
        }
    }

    /// All that was said is heard, all letters are read, and both know; or it has ended, and the client knows.
    pub fn is_settled(&self, i: usize) -> bool {
        let (client, talk) = (&self.clients[i], &self.talks[i]);
        if talk.client_closed() {
            return true;
        }
        let up = client.session.state() == State::Established && !talk.life.in_handover;
        if talk.excuses.astray {
            // Who owns it is not known here; that its owner and its client agree is.
            return up && client.session.stats().unacked_messages == 0;
        }
        let Some(at) = talk.holder.filter(|at| self.is_there(*at)) else {
            return false;
        };
        let Some(app) = talk.id.and_then(|id| self.processes[at.process].apps.get(&id)) else {
            return false;
        };
        let mail = talk.mail_taken == talk.mail.len() as u64 || talk.excuses.tampered;
        up && client.session.stats().unacked_messages == 0
            && talk.taken == talk.sent
            && talk.heard == talk.said
            && app.life.closed.is_none()
            && !app.life.in_handover
            && mail
    }

    /// A store that went back may let an older copy of a session, or a late write of one, count again: then two processes believe to have it, and who was given it last
    /// need not be the one whom its client can go on with. The client knows: what it said and heard is the conversation, and a copy that is anything else is refused by its counts.
    fn find_holders(&mut self) {
        for i in 0..self.talks.len() {
            let talk = &self.talks[i];
            let (Some(id), true) = (talk.id, talk.excuses.tampered && !talk.client_closed()) else {
                continue;
            };
            let whole = |app: &&App| app.life.closed.is_none() && app.taken == talk.sent && app.said == talk.heard;
            let holders = self
                .processes
                .iter()
                .enumerate()
                .filter(|(_, process)| process.apps.get(&id).filter(whole).is_some());
            let holders: Vec<usize> = holders.map(|(p, _)| p).collect();
            // If two are whole they are the same, and either may be asked.
            let Some(p) = holders
                .iter()
                .copied()
                .find(|p| self.owner_of(id) == Some(*p))
                .or(holders.first().copied())
            else {
                continue;
            };
            let at = self.at(p);
            let app = &self.processes[p].apps[&id];
            let (taken, said, mail_taken) = (app.taken, app.said.clone(), app.mail_taken);
            let talk = &mut self.talks[i];
            if talk.holder != Some(at) {
                talk.holder = Some(at);
                (talk.taken, talk.said, talk.mail_taken) = (taken, said, mail_taken);
                // What this copy's own words looked like on the way is not known here any more.
                talk.excuses.astray = true;
            }
        }
    }

    /// Where notes are lost nobody can know of his letters otherwise.
    fn remind_all(&mut self) {
        for i in 0..self.talks.len() {
            if self.options.store.note_lost > 0 || self.talks[i].excuses.tampered {
                self.remind(i);
            }
        }
    }

    pub fn settle_down(&mut self) {
        self.remind_all();
        let mut next_look = self.now();
        let mut next_reminder = self.now() + Duration::from_secs(5);
        let until = self.now() + self.options.patience();
        loop {
            if self.now() >= next_look {
                next_look = self.now() + Duration::from_millis(20);
                self.find_holders();
                if (0..self.talks.len()).all(|i| self.is_settled(i)) && self.users_are_single() {
                    return;
                }
            }
            if self.now() >= next_reminder {
                // A note may have been lost while there were faults.
                next_reminder = self.now() + Duration::from_secs(5);
                self.remind_all();
            }
            if !self.step(until) {
                self.fail(format_args!(
                    "liveness: not all is delivered within {:?}; {}",
                    self.options.patience(),
                    self.where_we_are()
                ));
            }
        }
    }

    fn check_not_vacuous(&self) {
        let alive = self.talks.iter().any(|talk| !talk.client_closed());
        let heard: u64 = self.talks.iter().map(|talk| talk.taken + talk.heard.len() as u64).sum();
        if alive && (self.counters.takeovers == 0 || heard == 0) {
            self.fail(format_args!("vacuous: {heard} words, {}", self.counters));
        }
    }

    /// One side says goodbye, both know why, and so does the store.
    fn end(&mut self) {
        let mut by_server = Vec::new();
        let early: Vec<bool> = self.talks.iter().map(|talk| talk.client_closed()).collect();
        for i in 0..self.clients.len() {
            if self.talks[i].client_closed() {
                continue;
            }
            let code = self.rng.u64() as u32;
            if self.rng.coin() || !self.close_from_server(i, code) {
                self.disconnect(i, code);
            } else {
                by_server.push(i);
            }
        }
        self.run_to("that all have ended", Duration::from_secs(90), |w| {
            w.talks.iter().all(|talk| talk.client_closed())
        });
        for i in by_server {
            if !matches!(self.talks[i].life.closed, Some(CloseReason::Peer { .. })) {
                let reason = self.talks[i].life.closed;
                self.fail(format_args!(
                    "G8: client {i} was to be closed by the server, and is told {reason:?}"
                ));
            }
        }
        // The store hears of it, after some tries.
        self.run_for(Duration::from_secs(60));
        for (i, talk) in self.talks.iter().enumerate() {
            let Some(id) = talk.id else { continue };
            let said_goodbye = matches!(
                talk.life.closed,
                Some(CloseReason::Local { .. } | CloseReason::Peer { .. })
            );
            let record = self.store.record(&store_key(id));
            // Who said goodbye in the midst of it may have said it to nobody.
            let heard = talk.life.disconnected.is_none() || talk.server_closed.is_some() || !early[i];
            // ... and whose process died with it has a record that runs out; so has one that another took from it meanwhile.
            let kept = talk.excuses.tampered || early[i] && (talk.excuses.crashed || talk.goes_on_elsewhere());
            if said_goodbye && heard && !kept && !matches!(record, None | Some(Record::Tomb { .. })) {
                self.fail(format_args!(
                    "the session of client {i} has ended, and the store has {record:?}"
                ));
            }
        }
    }

    fn totals(&self, start: unbroken::Instant) -> Totals {
        let net = self.net.counters;
        Totals {
            runs: 1,
            connections: net.opened,
            failures: net.failures,
            not_made: net.not_made,
            handovers: self.talks.iter().map(|talk| talk.life.handovers).sum(),
            messages: self.talks.iter().map(|talk| talk.taken + talk.heard.len() as u64).sum(),
            bytes: net.bytes,
            virtual_time: self.now().since(start),
            servers: self.counters,
            digest: self.trace.digest(),
            ..Totals::default()
        }
    }
}
