//! Counters of one session, for displays and operators.

use core::time::Duration;

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
