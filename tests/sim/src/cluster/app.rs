//! The applications, and what is checked of what they are given: what they know. `clients` and `servers` have what they do.
//!
//! A server's application has a state: how many messages it took and said, how many letters it read, and a digest of each row. It goes with the
//! session from process to process, and must fit what the clients said and what the store held. What it says contains a random word, so
//! that two processes that both believe to have the session never say the same; what counts is the row of the one that was restored last,
//! the *holder*: whom the store called the owner at that moment. A client that hears a word which is not the holder's has been told something by a fenced owner (G4).

use std::collections::{BTreeMap, BTreeSet};

use unbroken::{CloseReason, SessionId};

use super::{At, ClusterOptions, letters};
use crate::absence::Absence;
use crate::flow::Flow;
use crate::life::Life;

/// Why a session may end otherwise than its applications want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excuses {
    /// Its process died, or was dead to the store.
    pub crashed: bool,
    /// The store lost or changed something of it.
    pub tampered: bool,
    /// ... and an older state with words that nobody knows any more.
    pub astray: bool,
    /// Its user is elsewhere.
    pub unseated: bool,
    /// It may have been without a link for longer than its life.
    pub expired: bool,
}

/// How a server's application ends a session, with which code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Close(u32),
    Kick(u32),
}

/// A conversation: the client's half of it, and what must be true of the server's, wherever that is.
#[derive(Debug)]
pub struct Talk {
    /// The client's words; both ends know them.
    pub words: Flow,
    pub letters: Flow,
    pub life: Life,
    pub sent: u64,
    pub blocked: bool,
    /// What the client has heard.
    pub heard: Vec<u64>,
    pub id: Option<SessionId>,
    /// Who was given the session last.
    pub holder: Option<At>,
    /// How often it was.
    pub terms: u64,
    /// It left the holder in good order.
    pub parked: bool,
    /// What the holder's application took, said and read.
    pub taken: u64,
    pub said: Vec<u64>,
    pub mail_taken: u64,
    /// What stands in the queue.
    pub mail: Vec<Vec<u8>>,
    /// Digests of the first so many.
    pub(super) words_digests: Vec<u64>,
    pub(super) said_digests: Vec<u64>,
    pub(super) mail_digests: Vec<u64>,
    pub excuses: Excuses,
    /// The codes that the store's word on its end had when that had been changed.
    pub misquotes: Vec<u32>,
    /// Users that it was ever bound to, and those before it was let in.
    pub(super) users: BTreeSet<u64>,
    pub(super) users_before: BTreeMap<SessionId, u64>,
    /// Sessions of this client that were bound.
    pub(super) bound: BTreeSet<SessionId>,
    /// Where the balancer sent it last.
    pub(super) went_to: Option<usize>,
    pub closed_by_server: Option<End>,
    /// ... where the store had it.
    pub closed_by_owner: bool,
    /// How the server's half ended, if it was told.
    pub server_closed: Option<CloseReason>,
    /// ... and where.
    pub(super) closed_at: Option<At>,
    /// From whom others took the session without their having let go of it, and who have not had it again since.
    pub(super) taken_from: BTreeSet<At>,
}

/// The server's application of one session, in one process.
#[derive(Debug)]
pub struct App {
    pub client: usize,
    pub life: Life,
    pub absence: Absence,
    pub taken: u64,
    pub said: Vec<u64>,
    pub mail_taken: u64,
    /// Whose session it is.
    pub user: Option<u64>,
    pub(super) digests: [u64; 3],
    pub(super) blocked: bool,
    pub(super) readable: bool,
    pub(super) mail: bool,
    /// It was told that the session has left.
    pub swap_out_failed: u64,
}

pub(super) const START: u64 = 0xcbf2_9ce4_8422_2325;

pub(super) fn digest(before: u64, bytes: &[u8]) -> u64 {
    let add = |h: u64, word: u64| (h ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    bytes
        .iter()
        .fold(add(before, bytes.len() as u64), |h, b| add(h, u64::from(*b)))
}

/// What the server's application says: the number and a word that nobody can guess.
pub(super) fn saying(n: u64, word: u64, size: u64) -> Vec<u8> {
    let mut bytes = [n.to_be_bytes(), word.to_be_bytes()].concat();
    bytes.resize(16 + (word % (size + 1)) as usize, word as u8);
    bytes
}

impl Talk {
    pub fn new(seed: u64, options: &ClusterOptions, i: usize) -> Self {
        let words = Flow {
            tag: seed ^ (i as u64) << 8,
            size: options.apps.size,
            rare_size: options.apps.size,
        };
        Talk {
            words,
            letters: letters(seed, i),
            life: Life::default(),
            sent: 0,
            blocked: false,
            heard: Vec::new(),
            id: None,
            holder: None,
            terms: 0,
            parked: false,
            taken: 0,
            said: Vec::new(),
            mail_taken: 0,
            mail: Vec::new(),
            words_digests: vec![START],
            said_digests: vec![START],
            mail_digests: vec![START],
            excuses: Excuses::default(),
            misquotes: Vec::new(),
            users: BTreeSet::new(),
            users_before: BTreeMap::new(),
            bound: BTreeSet::new(),
            went_to: None,
            closed_by_server: None,
            closed_by_owner: false,
            server_closed: None,
            closed_at: None,
            taken_from: BTreeSet::new(),
        }
    }

    pub fn client_closed(&self) -> bool {
        self.life.closed.is_some()
    }

    /// Whether its end was told with this code by an owner that it was just leaving, perhaps for another: whoever has it by now is asked to put it out with that code
    /// (`docs/TAKEOVER.md`, Leaving).
    pub(super) fn is_put_out(&self, by: u32) -> bool {
        matches!(
            self.server_closed,
            Some(CloseReason::Local { code } | CloseReason::Peer { code, .. } | CloseReason::Kicked { code }) if code == by
        )
    }

    /// Whether it ended at a process from which another has taken it as the store had it. CLOSE does not wait for the store, and what one has to take from another goes on there, for as long
    /// as a session may be without a client (`docs/TAKEOVER.md`, What this does not do).
    pub fn goes_on_elsewhere(&self) -> bool {
        self.closed_at.is_some_and(|at| self.taken_from.contains(&at))
    }

    /// Whether this is what the store's word on its end says since that was changed. It is not sealed: whoever can write to the store can end sessions. What is told is
    /// what stands there, and no other code.
    pub(super) fn is_misquoted(&self, reason: CloseReason) -> bool {
        match reason {
            CloseReason::Local { .. } => false,
            CloseReason::Peer { code, .. } | CloseReason::Kicked { code } | CloseReason::Refused { code } => {
                self.misquotes.contains(&code)
            }
            _ => !self.misquotes.is_empty(),
        }
    }

    pub(super) fn push_mail(&mut self, message: &[u8]) {
        self.mail_digests
            .push(digest(*self.mail_digests.last().unwrap(), message));
        self.mail.push(message.to_vec());
    }

    pub(super) fn words_digest(&mut self, n: u64) -> u64 {
        while self.words_digests.len() as u64 <= n {
            let next = self.words.message(self.words_digests.len() as u64 - 1);
            self.words_digests
                .push(digest(*self.words_digests.last().unwrap(), &next));
        }
        self.words_digests[n as usize]
    }
}

impl App {
    pub(super) fn new(client: usize) -> Self {
        App {
            client,
            life: Life::default(),
            absence: Absence::default(),
            taken: 0,
            said: Vec::new(),
            mail_taken: 0,
            user: None,
            digests: [START; 3],
            blocked: false,
            readable: false,
            mail: false,
            swap_out_failed: 0,
        }
    }

    /// Its state, as bytes, with something beside that takes room.
    pub fn save(&self, room: u64) -> Vec<u8> {
        let numbers = [self.taken, self.said.len() as u64, self.mail_taken];
        let user = self.user.map_or(0, |user| user + 1);
        let mut bytes: Vec<u8> = numbers
            .iter()
            .chain(&self.digests)
            .chain([&user])
            .flat_map(|n| n.to_be_bytes())
            .collect();
        bytes.resize(56 + room as usize, 0xa5);
        bytes
    }
}

pub(super) fn numbers(bytes: &[u8]) -> Option<[u64; 7]> {
    let mut out = [0; 7];
    for (i, n) in out.iter_mut().enumerate() {
        *n = u64::from_be_bytes(*bytes.get(i * 8..)?.first_chunk()?);
    }
    Some(out)
}
