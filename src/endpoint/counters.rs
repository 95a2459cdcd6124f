//! What an operator wants to know of an endpoint.

/// Cumulative since the endpoint began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections reported by `handle_link_up`.
    pub links_accepted: u64,
    /// Connections that ended before a first flight was accepted: nonsense, time-outs, failed authentication.
    pub links_rejected: u64,
    /// HELLOs that made a session.
    pub hellos: u64,
    /// RESUMEs accepted.
    pub resumes: u64,
    /// RESUMEs for a session that is not here.
    pub resumes_unknown: u64,
    /// RESUMEs with a wrong mac1: forged, or meant for other secrets.
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
    /// (with a store) Sessions taken over: from another server, or from one that was.
    pub takeovers: u64,
    /// (with a store) Sessions that left this process and live on.
    pub swapped_out: u64,
    /// (with a store) Of these, those that another server had taken already.
    pub fenced: u64,
    /// (with a store) Requests that the store did not carry out, or not in time.
    pub store_failures: u64,
}
