//! Users: a session that is bound to one puts his others out, and in the end he has one.

use unbroken::SessionId;

use super::{At, Event, World};

impl World {
    /// A user's key. They begin alike, and some are longer than what is kept of one.
    fn user_key(&self, user: u64) -> Vec<u8> {
        let mut key = vec![b'u'; self.options.apps.user_key as usize];
        key.extend(user.to_be_bytes());
        key
    }

    /// The application at `at` says whose session this is.
    pub(super) fn bind(&mut self, at: At, i: usize, id: SessionId) {
        let users = self.options.apps.users;
        if users == 0 {
            return;
        }
        // Most are who they always were.
        let user = if self.rng.permille(700) {
            i as u64 % users
        } else {
            self.rng.below(users)
        };
        let key = self.user_key(user);
        let Some(mut session) = self.processes[at.process].endpoint.session(id) else {
            return;
        };
        if session.is_leaving() || session.bind_user(&key).is_err() {
            return;
        }
        drop(session);
        match self.processes[at.process].apps.get_mut(&id) {
            Some(app) => app.user = Some(user),
            None => {
                self.talks[i].users_before.insert(id, user);
            }
        }
        // Which of two comes later is for the store to say.
        let also: Vec<usize> = (0..self.talks.len())
            .filter(|j| *j != i && self.talks[*j].users.contains(&user))
            .collect();
        self.talks[i].excuses.unseated |= !also.is_empty();
        also.into_iter().for_each(|j| self.talks[j].excuses.unseated = true);
        self.talks[i].users.insert(user);
        // One that the client has left may be bound later than its next.
        self.talks[i].bound.insert(id);
        self.talks[i].excuses.unseated |= self.talks[i].bound.len() > 1;
    }

    pub(super) fn on_bind(&mut self, i: usize) {
        if self.quiet {
            return;
        }
        if let (Some(at), Some(id)) = (self.talks[i].holder, self.talks[i].id)
            && self.is_there(at)
            && self.processes[at.process].asleep.is_none()
            && self.processes[at.process].apps.contains_key(&id)
        {
            self.bind(at, i, id);
            self.after_process(at.process);
        }
        let pause = self
            .rng
            .duration(core::time::Duration::ZERO..=core::time::Duration::from_secs(20));
        self.queue.after(pause, Event::Bind(i));
    }

    /// The user that a session was restored with.
    pub(super) fn is_his(&self, user: Option<&[u8]>, expected: Option<u64>) -> bool {
        match (user, expected) {
            (None, None) => true,
            (Some(user), Some(expected)) => {
                let key = self.user_key(expected);
                // Of one that is too long its beginning.
                if key.len() <= 1024 {
                    user == key
                } else {
                    user.len() == 1024 && user[..992] == key[..992]
                }
            }
            _ => false,
        }
    }

    /// Whether each user has one session. What the store has forgotten or changed nobody can know.
    pub(super) fn users_are_single(&self) -> bool {
        let mut seen = std::collections::BTreeSet::new();
        self.talks.iter().all(|talk| {
            if talk.client_closed() || talk.excuses.tampered {
                return true;
            }
            let app = talk.holder.filter(|at| self.is_there(*at)).zip(talk.id);
            let app = app.and_then(|(at, id)| self.processes[at.process].apps.get(&id));
            app.and_then(|app| app.user).is_none_or(|user| seen.insert(user))
        })
    }
}
