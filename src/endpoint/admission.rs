//! The first flight of a connection, judged step by step: what costs least comes first.
//!
//! ```text
//!   1 byte ...  magic                                          else the link ends
//!   12 bytes    prelude: type, flags, length; version, key id  REFUSE
//!   80 bytes    RESUME: handle, session, mac1, attempt         no Diffie-Hellman before, no state touched
//!   whole       Noise message 1                                then, and only then, something may change
//! ```
//!
//! A connection that is not through this holds no more than its flight, and not longer than the handshake limit. A whole flight that waits for the store
//! or for the application has that time anew, and stands last again: it is not for what others take that it would have to go.
//! If too many are under way, the oldest goes: an honest client's flight follows its connect at once, so it is never the oldest (L-16).
//!
//! One that is refused before its flight is whole is told so at once, and closed when the rest has come, which is thrown away: bytes that come to a closed
//! socket make its host answer with a reset, and what the client had not read yet is lost with it. It would come again with the same flight, for ever.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::event::LinkId;
use crate::time::Instant;
use crate::wire::flight::{self, RESUME_JUDGED, Refuse, RefuseCode, ResumeHeader};
use crate::wire::prelude::{self, FlightKind, Prelude};

/// A connection on its way to become a link.
pub struct Pending {
    /// When its time began: its place in the queue.
    since: Instant,
    pub input: Vec<u8>,
    pub stage: Stage,
    /// A REFUSE or a farewell to write before the link is closed.
    pub farewell: Vec<u8>,
    pub taken: usize,
    /// Bytes of its flight that were still to come when it was turned away.
    rest: usize,
    pub blocked: bool,
    pub ready: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Nothing judged.
    Prelude,
    /// The prelude is good; so much is wanted in all before the next judgement.
    Body { prelude: Prelude, judged: bool },
    /// Handed to a session, whose application is thinking about it.
    Held { prelude: Prelude },
    /// Turned away; closes when the farewell has left and the flight has come.
    Leaving,
}

/// What the bytes so far call for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// More bytes.
    More,
    /// Judge the RESUME's mac1 now.
    Judge,
    /// The flight is whole: so many bytes.
    Whole(Prelude, usize),
    /// The version is unknown: REFUSE.
    Version(u8, [u8; 4]),
    /// The key is unknown: REFUSE.
    Key(u8, [u8; 4]),
    /// End the link without a word.
    Reject,
}

impl Pending {
    pub fn new() -> Self {
        Pending {
            since: Instant::ZERO,
            input: Vec::new(),
            stage: Stage::Prelude,
            farewell: Vec::new(),
            taken: 0,
            rest: 0,
            blocked: false,
            ready: false,
        }
    }

    /// Takes as many bytes as the next judgement needs, and says which it is. Bytes not taken are left in `bytes`.
    // Drawn into its caller, its result is compared as one word of tag and fields, of which those were never written: that is sound, but Memcheck cannot know.
    #[inline(never)]
    pub fn feed(
        &mut self,
        bytes: &mut &[u8],
        versions: &core::ops::RangeInclusive<u8>,
        known: impl Fn([u8; 4]) -> bool,
    ) -> Step {
        loop {
            let wanted = match self.stage {
                Stage::Prelude => prelude::LEN,
                Stage::Body { prelude, judged } if prelude.kind == FlightKind::Resume && !judged => RESUME_JUDGED,
                Stage::Body { prelude, .. } => prelude::LEN + usize::from(prelude.length),
                Stage::Held { .. } => return Step::More,
                Stage::Leaving => {
                    self.rest = self.rest.saturating_sub(bytes.len());
                    *bytes = &[];
                    return Step::More;
                }
            };
            let size = wanted.saturating_sub(self.input.len()).min(bytes.len());
            self.input.extend_from_slice(&bytes[..size]);
            *bytes = &bytes[size..];
            if !prelude::magic_matches(&self.input) {
                return Step::Reject;
            }
            if self.input.len() < wanted {
                return Step::More;
            }
            match self.stage {
                Stage::Prelude => {
                    let Some(head) = self.input.first_chunk::<{ prelude::LEN }>() else {
                        return Step::Reject;
                    };
                    let Ok(prelude) = Prelude::parse(head) else {
                        return Step::Reject;
                    };
                    if !matches!(prelude.kind, FlightKind::Hello | FlightKind::Resume | FlightKind::Query) {
                        return Step::Reject;
                    }
                    if !versions.contains(&prelude.version) {
                        return Step::Version(prelude.version, prelude.key_id);
                    }
                    if !known(prelude.key_id) {
                        return Step::Key(prelude.version, prelude.key_id);
                    }
                    self.stage = Stage::Body { prelude, judged: false };
                }
                Stage::Body { prelude, judged: false } if prelude.kind == FlightKind::Resume => {
                    self.stage = Stage::Body { prelude, judged: true };
                    return Step::Judge;
                }
                Stage::Body { prelude, .. } => return Step::Whole(prelude, wanted),
                Stage::Held { .. } | Stage::Leaving => return Step::More,
            }
        }
    }

    /// The clear header of a RESUME or QUERY, once it is there.
    pub fn header(&self) -> Option<ResumeHeader> {
        ResumeHeader::parse(self.input.get(prelude::LEN..)?).ok()
    }

    pub fn prelude(&self) -> Option<Prelude> {
        match self.stage {
            Stage::Body { prelude, .. } | Stage::Held { prelude } => Some(prelude),
            Stage::Prelude | Stage::Leaving => None,
        }
    }

    /// The flight is with the session; what comes behind it is kept.
    pub fn hold(&mut self, prelude: Prelude, ahead: &[u8]) {
        self.stage = Stage::Held { prelude };
        self.input.extend_from_slice(ahead);
    }

    /// Turns the connection away with these last words.
    pub fn leave(&mut self, farewell: Vec<u8>) {
        // A flight that was whole has been taken out, and what a held one has here came behind it.
        let head = self.input.first_chunk().filter(|_| !self.has_shown_a_flight());
        let whole = head.and_then(|head| Prelude::parse(head).ok());
        let whole = whole.map_or(0, |prelude| prelude::LEN + usize::from(prelude.length));
        self.rest = whole.saturating_sub(self.input.len());
        self.input = Vec::new();
        self.farewell = farewell;
        self.taken = 0;
        self.stage = Stage::Leaving;
    }

    /// There are words to write, or the link is to be closed.
    pub fn has_output(&self) -> bool {
        let told = self.taken == self.farewell.len();
        self.stage == Stage::Leaving && if told { self.rest == 0 } else { !self.blocked }
    }

    fn has_shown_a_flight(&self) -> bool {
        match self.stage {
            Stage::Prelude | Stage::Body { .. } => false,
            Stage::Held { .. } => true,
            Stage::Leaving => self.rest == 0,
        }
    }
}

/// A REFUSE.
pub fn refuse(
    version: u8,
    key_id: [u8; 4],
    code: RefuseCode,
    retry_ms: u32,
    versions: &core::ops::RangeInclusive<u8>,
) -> Vec<u8> {
    let prelude = Prelude {
        version,
        kind: FlightKind::Refuse,
        key_id,
        length: flight::REFUSE_LEN as u16,
    };
    let mut out = Vec::with_capacity(prelude::LEN + flight::REFUSE_LEN);
    out.extend_from_slice(&prelude.encode());
    Refuse {
        code,
        retry_ms,
        min_version: *versions.start(),
        max_version: *versions.end(),
    }
    .encode(&mut out);
    out
}

/// The connections under way, in order of arrival.
#[derive(Default)]
pub struct Queue {
    order: VecDeque<(Instant, LinkId)>,
    pub by_link: HashMap<LinkId, Pending>,
}

impl Queue {
    pub fn push(&mut self, link: LinkId, now: Instant) {
        self.trim();
        self.order.push_back((now, link));
        let pending = Pending {
            since: now,
            ..Pending::new()
        };
        self.by_link.insert(link, pending);
    }

    /// Its time begins anew, and it stands last.
    pub fn renew(&mut self, link: LinkId, now: Instant) {
        if let Some(pending) = self.by_link.get_mut(&link)
            && pending.since != now
        {
            pending.since = now;
            self.order.push_back((now, link));
        }
        self.trim();
    }

    /// The oldest, if it has been here since before `since`.
    pub fn oldest(&mut self, since: Instant) -> Option<LinkId> {
        self.trim();
        self.order.front().filter(|(at, _)| *at <= since).map(|(_, link)| *link)
    }

    /// The oldest that has not shown a whole flight; else the oldest of all.
    pub fn least_promising(&mut self) -> Option<LinkId> {
        self.trim();
        let waits = |link: &LinkId| {
            let pending = self.by_link.get(link);
            pending.is_some_and(|pending| !pending.has_shown_a_flight())
        };
        let mut links = self.order.iter().map(|(_, link)| *link);
        links.find(waits).or_else(|| self.order.front().map(|(_, link)| *link))
    }

    /// When the oldest came.
    pub fn first(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }

    pub fn remove(&mut self, link: LinkId) -> Option<Pending> {
        let pending = self.by_link.remove(&link);
        self.trim();
        pending
    }

    fn trim(&mut self) {
        let by_link = &self.by_link;
        let stands = |(at, link): &(Instant, LinkId)| by_link.get(link).is_some_and(|pending| pending.since == *at);
        while self.order.front().is_some_and(|place| !stands(place)) {
            self.order.pop_front();
        }
        // Connections that came and went, or moved on, behind a slow one.
        if self.order.len() > 64 + by_link.len() * 2 {
            self.order.retain(stands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that says nothing stands at the front as long as a handshake may take, and any number may come and go behind it.
    #[test]
    fn what_came_and_went_behind_a_slow_connection_is_not_kept() {
        let mut queue = Queue::default();
        let slow = 10;
        for link in 0..slow {
            queue.push(LinkId(link), Instant::ZERO);
        }
        // All at once, and one by one.
        for many in [1001, 1] {
            for _ in 0..100 {
                for link in slow..slow + many {
                    queue.push(LinkId(link), Instant::ZERO);
                }
                for link in slow..slow + many {
                    queue.remove(LinkId(link));
                }
                let kept = queue.order.len();
                assert!(kept < 100, "{kept} for {slow}");
            }
        }
        assert_eq!(queue.by_link.len(), slow as usize);
    }

    /// To look through all costs as much as there are, and happens with nobody's coming or going but when it is worth it.
    #[test]
    fn who_goes_is_looked_for_among_all_only_if_half_of_them_are_gone() {
        let mut queue = Queue::default();
        for link in 0..=1000 {
            queue.push(LinkId(link), Instant::ZERO);
        }
        let (mut kept, mut looked) = (queue.order.len(), 0);
        for link in 1..=1000 {
            queue.remove(LinkId(link));
            let left = queue.order.len();
            if left < kept {
                assert!(left <= kept / 2, "{left} of {kept}");
                looked += 1;
            }
            kept = left;
        }
        assert!(looked > 0);
    }
}
