//! What survives a process: the messages, the secrets, and how far each side came.

/// Most messages per direction in a model.
pub const MESSAGES: usize = 4;

/// A short list of messages, each by what makes it unlike all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct List {
    len: u8,
    items: [u8; MESSAGES],
}

/// A generation of resumption secrets. Two accepts of one flight have the number in common, but not the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Generation {
    /// The attempt that made it; the handle says it in the clear.
    pub number: u8,
    /// Unlike all others.
    pub secret: u8,
}

/// What a snapshot holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Snapshot {
    /// The highest accepted attempt.
    pub attempt: u8,
    /// The secrets that the client certainly has, or has left.
    pub current: Generation,
    /// The secrets that the client may have.
    pub pending: Option<Generation>,
    /// The application's state: the client's messages as it saw them.
    pub app: List,
    /// `recv_next`: how many of them.
    pub delivered: u8,
    /// The server's messages, each with its number. Those below `acked` are forgotten; the model keeps them to compare.
    pub log: List,
    /// How many of them the client has ACKed.
    pub acked: u8,
}

/// How much of a session a confirmed snapshot covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Covered {
    /// Messages of the client.
    pub delivered: u8,
    /// Messages of the server.
    pub sent: u8,
    /// Accepted flights.
    pub attempt: u8,
}

impl List {
    /// How many there are.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends.
    pub fn push(&mut self, item: u8) {
        self.items[usize::from(self.len)] = item;
        self.len += 1;
    }

    /// The items.
    pub fn items(&self) -> &[u8] {
        &self.items[..usize::from(self.len)]
    }

    /// The first `len` of them.
    pub fn first(&self, len: u8) -> List {
        let mut first = List::default();
        self.items()
            .iter()
            .take(usize::from(len))
            .for_each(|item| first.push(*item));
        first
    }
}

impl Snapshot {
    /// What it covers.
    pub fn covered(&self) -> Covered {
        Covered {
            delivered: self.delivered,
            sent: self.log.len(),
            attempt: self.attempt,
        }
    }

    /// Takes in those of the client's messages from `first` to `end` that are due.
    pub fn deliver(&mut self, first: u8, end: u8) {
        for number in first..end {
            if number == self.delivered {
                self.app.push(number);
                self.delivered += 1;
            }
        }
    }

    /// The client has proved that it holds this generation (U-34).
    pub fn confirm(&mut self, generation: Generation) {
        if self.pending == Some(generation) {
            self.current = generation;
            self.pending = None;
        }
    }
}
