//! Counters of one session, for displays and operators.

use core::time::Duration;

use super::conversation::Conversation;

/// What is counted as it happens. The rest of [`Stats`] stands elsewhere: how much was sent in the outbox, how much was received in the inbox.
#[derive(Default)]
pub(crate) struct Tally {
    pub wire_sent: u64,
    pub wire_received: u64,
    pub links: u64,
    pub handovers: u64,
    pub replayed_messages: u64,
    pub replayed_bytes: u64,
    pub suspicions: u64,
    pub spares: u64,
}

/// Cumulative since the session began, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Reliable messages taken from the application.
    pub sent_messages: u64,
    /// Their payload, in bytes.
    pub sent_bytes: u64,
    /// Reliable messages handed to the application.
    pub received_messages: u64,
    /// Their payload, in bytes.
    pub received_bytes: u64,
    /// Bytes given to the host to write, first flights included.
    pub wire_sent: u64,
    /// Bytes of valid records from the host.
    pub wire_received: u64,
    /// Links that reached agreed keys.
    pub links: u64,
    /// Handovers that ended well.
    pub handovers: u64,
    /// Messages sent again by them.
    pub replayed_messages: u64,
    /// Their payload, in bytes.
    pub replayed_bytes: u64,
    /// How often a link became suspect.
    pub suspicions: u64,
    /// (client) Connections made ahead, because an answer was late.
    pub spares: u64,
    /// Now: messages sent and not ACKed.
    pub unacked_messages: u64,
    /// Now: their payload, in bytes.
    pub unacked_bytes: u64,
    /// Now: the smoothed round trip of the link in use.
    pub rtt: Option<Duration>,
}

impl Conversation {
    /// The counters, with what is true now.
    pub fn stats_now(&self) -> Stats {
        let (sent, received) = (self.outbox.taken(), self.inbox.received());
        let Tally {
            wire_sent,
            wire_received,
            links,
            handovers,
            replayed_messages,
            replayed_bytes,
            suspicions,
            spares,
        } = self.stats;
        Stats {
            sent_messages: sent.messages,
            sent_bytes: sent.bytes,
            received_messages: received.messages,
            received_bytes: received.bytes,
            wire_sent,
            wire_received,
            links,
            handovers,
            replayed_messages,
            replayed_bytes,
            suspicions,
            spares,
            unacked_messages: self.outbox.messages(),
            unacked_bytes: self.outbox.payload(),
            rtt: self
                .carrier()
                .and_then(|carrier| self.links[carrier].liveness.rtt.smoothed())
                .map(Into::into),
        }
    }
}
