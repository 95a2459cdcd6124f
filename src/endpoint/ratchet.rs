//! The server's two generations of resumption secrets (U-34), and the attempts it has accepted (U-13).
//!
//! The server cannot know whether its ACCEPT arrived. So it keeps the generation the client certainly has (`current`) and the
//! one it may have (`pending`), and takes a RESUME under either. Whatever proves that the client has the pending one (a record
//! under its keys, or a RESUME that uses it) makes it current and wipes the other. With one generation only, a lost ACCEPT
//! would end the session; without the attempt, an old flight could put an old pending generation back.

use alloc::boxed::Box;

use crate::crypto::Resumption;
use crate::snapshot::v1::Generation as Kept;
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

/// See the module's head.
pub struct Ratchet {
    attempt: u32,
    current: Generation,
    /// Boxed, as there is one only from a RESUME until its client is heard.
    pending: Option<Box<Generation>>,
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

    /// As a snapshot kept it.
    pub fn restore(attempt: u32, current: Kept<'_>, pending: Option<Kept<'_>>) -> Self {
        let generation = |kept: Kept<'_>| Generation {
            number: kept.number,
            resumption: Resumption::from_bytes(*kept.secret),
        };
        Ratchet {
            attempt,
            current: generation(current),
            pending: pending.map(generation).map(Box::new),
        }
    }

    /// The current generation and the pending one, for a snapshot.
    pub fn generations(&self) -> (Kept<'_>, Option<Kept<'_>>) {
        (self.current.kept(), self.pending.as_deref().map(Generation::kept))
    }

    /// The highest attempt accepted.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The secrets of a generation, if it is one of the two.
    pub fn find(&self, number: u32) -> Option<&Resumption> {
        [Some(&self.current), self.pending.as_deref()]
            .into_iter()
            .flatten()
            .find(|generation| generation.number == number)
            .map(|generation| &generation.resumption)
    }

    /// Whether a generation has been left behind for good.
    pub fn has_left(&self, number: u32) -> bool {
        number < self.current.number
    }

    /// What a client hears who asks with this generation's handle (U-25).
    pub fn standing(&self, number: u32, send_end: u64) -> LostStatus {
        if self.find(number).is_some() {
            LostStatus::Alive
        } else if self.has_left(number) {
            // Somebody else holds the successor of these secrets, and has used it.
            LostStatus::Closed {
                kind: CloseKind::Superseded,
                code: 0,
                send_end,
            }
        } else {
            // Only a server of this cluster can have made this handle, so state was lost.
            LostStatus::RolledBack
        }
    }

    /// A RESUME under generation `under` was accepted as `attempt` and made new secrets.
    pub fn accept(&mut self, under: u32, attempt: u32, resumption: Resumption) {
        debug_assert!(attempt > self.attempt);
        self.confirm(under);
        self.attempt = attempt;
        self.pending = Some(Box::new(Generation {
            number: attempt,
            resumption,
        }));
    }

    /// The client has proved that it holds generation `number`.
    pub fn confirm(&mut self, number: u32) {
        if let Some(pending) = self.pending.take_if(|pending| pending.number == number) {
            self.current = *pending;
        }
    }
}

impl Generation {
    fn kept(&self) -> Kept<'_> {
        Kept {
            number: self.number,
            secret: self.resumption.secret(),
        }
    }
}
