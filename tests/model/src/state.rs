//! The state of the world. All of it is plain data of a fixed size: it is copied and hashed millions of times.
//!
//! Fields named `ghost_` are memories of the checker. Nobody in the model reads them; the properties do.

use crate::rules::{Mode, Rule, Takeover};
use crate::snapshot::{Covered, Generation, List, Snapshot};

/// Which of the two servers.
pub type Slot = usize;
/// A process. A slot's next process has another name.
pub type Name = u8;
/// Most RESUMEs that a client may send in a model.
pub const ATTEMPTS: usize = 4;
/// Tokens are remembered up to this one.
pub const TOKENS: usize = 8;

/// A RESUME as it was sent. Its early data is the client's messages from `acked` to `sent`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flight {
    /// Which.
    pub attempt: u8,
    /// What its mac1 and AEAD are made with.
    pub under: Generation,
    /// The attempt of the last ACCEPT.
    pub last_live: u8,
    /// The token of the last ACCEPT.
    pub last_token: u8,
    /// `recv_next`.
    pub received: u8,
    /// `send_base`.
    pub acked: u8,
    /// `send_end`.
    pub sent: u8,
}

/// A flight that a server has in hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Carried {
    /// Some RESUME of the client's, now or later, from the client or from the attacker.
    Genuine(u8),
    /// One made up by the attacker.
    Forged,
}

/// How the client's session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// The server lost state.
    RolledBack,
    /// The owner died without a snapshot.
    OwnerCrashed,
    /// No server knows it.
    Unknown,
    /// Somebody else resumed it.
    Superseded,
}

/// The client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Client {
    /// The secrets it resumes with. They name its newest link as well.
    pub generation: Generation,
    /// The link before, which is read until the server closes it.
    pub older: Option<Generation>,
    /// The highest attempt it has sent.
    pub attempt: u8,
    /// Whether that attempt has no answer yet.
    pub trying: bool,
    /// The attempt of the last ACCEPT.
    pub last_live: u8,
    /// The token of the last ACCEPT.
    pub last_token: u8,
    /// Messages that its application has sent. The n-th is called n.
    pub sent: u8,
    /// How many of them have been ACKed and are forgotten.
    pub acked: u8,
    /// Messages handed to its application.
    pub received: List,
    /// How it ended.
    pub end: Option<End>,
    /// Whose output it accepted, by token, plus one.
    pub ghost_heard: [Name; TOKENS],
    /// It accepted output of two processes with one token.
    pub ghost_split: bool,
}

/// A session in a process's memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Session {
    /// The owner's token.
    pub token: u8,
    /// What a snapshot would hold.
    pub now: Snapshot,
    /// (`Durable`) What the last confirmed snapshot covers.
    pub safe: Covered,
    /// It is being swapped out: the application neither sends nor receives.
    pub frozen: bool,
    /// It came from the store, and its new link is not confirmed.
    pub unconfirmed: bool,
    /// (Without R4) The flight that brought it here has not been judged.
    pub unjudged: Option<Carried>,
}

/// The store's record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// None.
    Absent,
    /// A process has the session.
    Live {
        /// The fence.
        token: u8,
        /// Which process.
        owner: Name,
        /// (`Durable`) Its last commit.
        blob: Option<Snapshot>,
    },
    /// Nobody has it.
    Parked {
        /// The last owner's.
        token: u8,
        /// What there is to claim.
        blob: Snapshot,
    },
}

/// A request that changes the store. Reading is no state of its own: what is read may be old as soon as it is used, in any case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// (`Durable`) Replace the snapshot of the record with this token.
    Commit(u8, Snapshot),
    /// Swap out what has this token.
    Park(u8, Snapshot),
    /// Take over what was peeked, for this flight.
    Claim(Record, Carried),
}

/// The store's answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// Written.
    Done,
    /// It was not as expected.
    Conflict,
    /// No answer.
    Lost,
}

/// A server's business with the store: one request at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Io {
    /// None.
    Idle,
    /// On its way to the store.
    Asked(Op),
    /// On its way back.
    Answered(Op, Reply),
}

/// A server: a slot in which one process follows another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Server {
    /// Its process.
    pub name: Name,
    /// Whether the store thinks that it lives.
    pub lease: bool,
    /// The session, if it believes to have it.
    pub session: Option<Session>,
    /// Its business with the store.
    pub io: Io,
    /// Another server's wish to have the session.
    pub note: Option<Carried>,
    /// Its newest link. It outlives the process: what was sent may still arrive.
    pub link: Option<Link>,
}

/// A link between a server and a client, or the attacker in his place. A stream carries a growing transcript: whoever reads its last
/// state has read all before it. What the client writes is not kept in flight, as reading it late is like its being sent late.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    /// The generation that its RESUME made; only who has it can read or write.
    pub key: Generation,
    /// ACCEPT and records, sent and unread. They outlive their sender.
    pub down: Option<Down>,
}

/// From server to client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Down {
    /// The owner's token.
    pub token: u8,
    /// Who sent it.
    pub name: Name,
    /// ACK.
    pub delivered: u8,
    /// `send_base`: messages below it are not sent again.
    pub acked: u8,
    /// All messages up to now.
    pub log: List,
}

/// What has happened of what is bounded, and what no step can undo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Past {
    /// Secrets made.
    pub secrets: u8,
    /// Messages of the server's application.
    pub server_messages: u8,
    /// See [`crate::Bounds`].
    pub drains: u8,
    /// See [`crate::Bounds`].
    pub crashes: u8,
    /// See [`crate::Bounds`].
    pub lease_losses: u8,
    /// See [`crate::Bounds`].
    pub lost_replies: u8,
    /// See [`crate::Bounds`].
    pub rollbacks: u8,
    /// See [`crate::Bounds`].
    pub forgeries: u8,
    /// A forged flight made a server ask for a change of the store.
    pub ghost_forged: bool,
}

/// The world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct World {
    /// The client.
    pub client: Client,
    /// Each flight that the client ever sent, by attempt less one. The attacker has them all.
    pub flights: [Option<Flight>; ATTEMPTS],
    /// The servers.
    pub servers: [Server; 2],
    /// The store's record.
    pub record: Record,
    /// What the store may revert to, besides none.
    pub backup: Option<Record>,
    /// A dead process's request that is still on its way.
    pub late: Option<(Name, Op)>,
    /// What has happened.
    pub past: Past,
}

impl Record {
    /// The owner's token, whatever became of it; 0 if there is none.
    pub fn token(&self) -> u8 {
        match *self {
            Record::Absent => 0,
            Record::Live { token, .. } | Record::Parked { token, .. } => token,
        }
    }

    /// What could be claimed.
    pub fn blob(&self) -> Option<Snapshot> {
        match *self {
            Record::Absent => None,
            Record::Live { blob, .. } => blob,
            Record::Parked { blob, .. } => Some(blob),
        }
    }

    /// Whether it says that this process has the session with this token.
    pub fn is_of(&self, name: Name, token: u8) -> bool {
        matches!(*self, Record::Live { token: t, owner, .. } if t == token && owner == name)
    }
}

impl Client {
    /// Whether it reads the link with this key.
    pub fn has(&self, key: Generation) -> bool {
        key == self.generation || Some(key) == self.older
    }

    /// Whether it waits for the ACCEPT on the link with this key.
    pub fn awaits(&self, key: Generation) -> bool {
        self.trying && key.number == self.attempt
    }
}

impl World {
    /// A session that the first server has just made, with nothing said yet.
    pub fn new(model: &Takeover) -> World {
        let generation = Generation { number: 0, secret: 0 };
        let now = Snapshot {
            attempt: 0,
            current: generation,
            pending: None,
            app: List::default(),
            delivered: 0,
            log: List::default(),
            acked: 0,
        };
        let session = Session {
            token: 1,
            now,
            safe: now.covered(),
            frozen: false,
            unconfirmed: false,
            unjudged: None,
        };
        let empty = |name| Server {
            name,
            lease: true,
            session: None,
            io: Io::Idle,
            note: None,
            link: None,
        };
        let mut servers = [empty(0), empty(1)];
        servers[0].session = Some(session);
        servers[0].link = Some(Link {
            key: generation,
            down: None,
        });
        let mut ghost_heard = [0; TOKENS];
        ghost_heard[1] = 1;
        World {
            client: Client {
                generation,
                older: None,
                attempt: 0,
                trying: false,
                last_live: 0,
                last_token: 1,
                sent: 0,
                acked: 0,
                received: List::default(),
                end: None,
                ghost_heard,
                ghost_split: false,
            },
            flights: [None; ATTEMPTS],
            servers,
            record: Record::Live {
                token: 1,
                owner: 0,
                blob: (model.mode == Mode::Durable).then_some(now),
            },
            backup: None,
            late: None,
            past: Past::default(),
        }
    }

    /// A flight by what carries it; none if it was made up.
    pub fn flight(&self, carried: Carried) -> Option<Flight> {
        match carried {
            Carried::Genuine(attempt) => self.flights[usize::from(attempt) - 1],
            Carried::Forged => None,
        }
    }

    /// The slot whose link has this key.
    pub fn link_of(&self, key: Generation) -> Option<Slot> {
        (0..2).find(|slot| self.servers[*slot].link.is_some_and(|link| link.key == key))
    }

    /// Forgets what can have no effect any more, so that worlds that differ by it only are one.
    pub fn tidy(&mut self, model: &Takeover) {
        let client = self.client;
        for server in &mut self.servers {
            let Some(link) = server.link.as_mut() else { continue };
            let is_read = client.has(link.key) || client.awaits(link.key);
            link.down = link.down.filter(|_| is_read);
            if server.session.is_none() && link.down.is_none() {
                server.link = None;
            }
        }
        let older = client.older.filter(|key| self.link_of(*key).is_some());
        self.client.older = older;
        if model.has(Rule::Attempt) {
            let least = self.snapshots().map(|snapshot| snapshot.attempt).min().unwrap_or(0);
            let stale = usize::from(least.min(self.client.attempt));
            self.flights[..stale].fill(None);
        }
    }

    /// All copies of the session that there are.
    fn snapshots(&self) -> impl Iterator<Item = Snapshot> {
        let in_op = |op: Op| match op {
            Op::Commit(_, blob) | Op::Park(_, blob) => Some(blob),
            Op::Claim(seen, _) => seen.blob(),
        };
        let in_io = move |io: Io| match io {
            Io::Idle => None,
            Io::Asked(op) | Io::Answered(op, _) => in_op(op),
        };
        let in_server = move |server: &Server| [server.session.map(|session| session.now), in_io(server.io)];
        let stored = [self.record.blob(), self.backup.and_then(|record| record.blob())];
        let late = self.late.and_then(|(_, op)| in_op(op));
        self.servers
            .iter()
            .flat_map(in_server)
            .chain(stored)
            .chain([late])
            .flatten()
    }

    /// Whether a process lives, as far as the store knows.
    pub fn is_alive(&self, name: Name) -> bool {
        self.servers.iter().any(|server| server.name == name && server.lease)
    }

    /// Whether the record says that this slot's process has the session with this token.
    pub fn is_owner(&self, slot: Slot, token: u8) -> bool {
        self.record.is_of(self.servers[slot].name, token)
    }
}
