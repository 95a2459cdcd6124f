//! Counters, flat. They may grow at their end; the functions that fill them take the caller's idea of their size.

use unbroken::{Counters, Endpoint, Stats};

/// Counters of one session: cumulative since it began, unless it says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_stats {
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
    /// Now: the smoothed round trip of the link in use, in microseconds; `UINT64_MAX` if it was not measured.
    pub rtt_us: u64,
}

impl From<Stats> for unbroken_stats {
    fn from(stats: Stats) -> Self {
        let Stats {
            sent_messages,
            sent_bytes,
            received_messages,
            received_bytes,
            wire_sent,
            wire_received,
            links,
            handovers,
            replayed_messages,
            replayed_bytes,
            suspicions,
            spares,
            unacked_messages,
            unacked_bytes,
            rtt,
        } = stats;
        unbroken_stats {
            sent_messages,
            sent_bytes,
            received_messages,
            received_bytes,
            wire_sent,
            wire_received,
            links,
            handovers,
            replayed_messages,
            replayed_bytes,
            suspicions,
            spares,
            unacked_messages,
            unacked_bytes,
            rtt_us: rtt.map_or(u64::MAX, |rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        }
    }
}

/// Counters of an endpoint: cumulative since it began, unless it says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_counters {
    /// Connections reported up.
    pub links_accepted: u64,
    /// Connections that ended before a first flight was accepted: nonsense, time-outs, failed authentication.
    pub links_rejected: u64,
    /// HELLOs that made a session.
    pub hellos: u64,
    /// RESUMEs accepted.
    pub resumes: u64,
    /// RESUMEs for a session that is not here.
    pub resumes_unknown: u64,
    /// RESUMEs that are forged, or meant for other secrets.
    pub resumes_forged: u64,
    /// RESUMEs with an attempt that was used before: replayed or late.
    pub resumes_stale: u64,
    /// RESUMEs from an end that lost state (either end).
    pub rollbacks: u64,
    /// RESUMEs that the application refused.
    pub vetoes: u64,
    /// QUERYs answered.
    pub queries: u64,
    /// First flights refused because too many handshakes or sessions were open.
    pub refused_busy: u64,
    /// Links ended by a record or frame that cannot be.
    pub bad_records: u64,
    /// Sessions that clients confirmed.
    pub sessions_opened: u64,
    /// Sessions that ended, for whatever reason.
    pub sessions_closed: u64,
    /// Of these, by the end of their detached life.
    pub sessions_expired: u64,
    /// Sessions that lost their last link.
    pub detached: u64,
    /// Handovers that ended well.
    pub handovers: u64,
    /// Messages sent again by them.
    pub replayed_messages: u64,
    /// Reliable messages taken from applications.
    pub sent_messages: u64,
    /// Reliable messages handed to applications.
    pub received_messages: u64,
    /// Now: sessions held, attached and detached.
    pub now_sessions: u64,
    /// Now: of these, those without a link.
    pub now_detached: u64,
    /// Now: links, those still in their handshake included.
    pub now_links: u64,
    /// Now: ended sessions remembered.
    pub now_tombstones: u64,
    /// (with a store) Sessions taken over: from another server, or from one that was.
    pub takeovers: u64,
    /// (with a store) Sessions that left this process and live on.
    pub swapped_out: u64,
    /// (with a store) Of these, those that another server had taken already.
    pub fenced: u64,
    /// (with a store) Requests that the store did not carry out, or not in time.
    pub store_failures: u64,
}

impl unbroken_counters {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        let Counters {
            links_accepted,
            links_rejected,
            hellos,
            resumes,
            resumes_unknown,
            resumes_forged,
            resumes_stale,
            rollbacks,
            vetoes,
            queries,
            refused_busy,
            bad_records,
            sessions_opened,
            sessions_closed,
            sessions_expired,
            detached,
            handovers,
            replayed_messages,
            sent_messages,
            received_messages,
            takeovers,
            swapped_out,
            fenced,
            store_failures,
        } = endpoint.counters();
        unbroken_counters {
            links_accepted,
            links_rejected,
            hellos,
            resumes,
            resumes_unknown,
            resumes_forged,
            resumes_stale,
            rollbacks,
            vetoes,
            queries,
            refused_busy,
            bad_records,
            sessions_opened,
            sessions_closed,
            sessions_expired,
            detached,
            handovers,
            replayed_messages,
            sent_messages,
            received_messages,
            now_sessions: endpoint.sessions() as u64,
            now_detached: endpoint.detached() as u64,
            now_links: endpoint.links() as u64,
            now_tombstones: endpoint.tombstones() as u64,
            takeovers,
            swapped_out,
            fenced,
            store_failures,
        }
    }
}
