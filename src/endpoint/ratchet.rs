//! The server's two generations of resumption secrets (U-34), and the attempts it has accepted (U-13).
//!
//! The server cannot know whether its ACCEPT arrived. So it keeps the generation the client certainly has (`current`) and the
//! one it may have (`pending`), and takes a RESUME under either. Whatever proves that the client has the pending one (a record
//! under its keys, or a RESUME that uses it) makes it current and wipes the other. With one generation only, a lost ACCEPT
//! would end the session; without the attempt, an old flight could put an old pending generation back.

use crate::crypto::Resumption;

/// See the module's head.
pub struct Ratchet {
    attempt: u32,
    current: Generation,
    pending: Option<Generation>,
}

struct Generation {
    /// The attempt that made it; its handle says the same.
    number: u32,
    resumption: Resumption,
}

impl Ratchet {
    /// After the first connect.
    pub fn new(resumption: Resumption) -> Self {
        Ratchet {
            attempt: 0,
            current: Generation { number: 0, resumption },
            pending: None,
        }
    }

    /// The highest attempt accepted.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The secrets of a generation, if it is one of the two.
    pub fn find(&self, number: u32) -> Option<&Resumption> {
        [Some(&self.current), self.pending.as_ref()]
            .into_iter()
            .flatten()
            .find(|generation| generation.number == number)
            .map(|generation| &generation.resumption)
    }

    /// Whether a generation has been left behind for good.
    pub fn has_left(&self, number: u32) -> bool {
        number < self.current.number
    }

    /// A RESUME under generation `under` was accepted as `attempt` and made new secrets.
    pub fn accept(&mut self, under: u32, attempt: u32, resumption: Resumption) {
        debug_assert!(attempt > self.attempt);
        self.confirm(under);
        self.attempt = attempt;
        self.pending = Some(Generation {
            number: attempt,
            resumption,
        });
    }

    /// The client has proved that it holds generation `number`.
    pub fn confirm(&mut self, number: u32) {
        if let Some(pending) = self.pending.take_if(|pending| pending.number == number) {
            self.current = pending;
        }
    }
}
