//! Events, flat: one struct of a fixed size for all kinds, and the kinds.

use bytes::Bytes;
use unbroken::{CloseReason, Event, FailReason, HandoverCause, SessionId};

/// What the application should know. `UNBROKEN_EVENT_CLOSED` comes once, last; or `UNBROKEN_EVENT_SWAPPED_OUT` instead.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_event_kind {
    /// The state changed; see `state`. For displays and logs; nothing needs to be done.
    UNBROKEN_EVENT_STATE = 1,
    /// The session stands for the first time. At the client, the data is what the server's application said with its verdict.
    UNBROKEN_EVENT_ESTABLISHED = 2,
    /// (server) A client asks to be let in; the data is its credential, at most 8192 bytes. Answer with
    /// `unbroken_endpoint_session_authorise`. Until then its messages wait.
    UNBROKEN_EVENT_AUTHORISE = 3,
    /// (server, only with `ask_on_resume`) A client wants to resume; answer with `unbroken_endpoint_session_answer_resume` before the
    /// handshake limit. Nothing is delivered before.
    UNBROKEN_EVENT_RESUME_REQUEST = 4,
    /// (server) Messages wait. Comes once until `unbroken_endpoint_session_recv` returned `UNBROKEN_EMPTY`.
    UNBROKEN_EVENT_READABLE = 5,
    /// There is room again after a send that would have blocked.
    UNBROKEN_EVENT_WRITABLE = 6,
    /// The link under the session failed, is failing or is being replaced; see `cause`. Messages wait, nothing is lost.
    UNBROKEN_EVENT_HANDOVER_BEGIN = 7,
    /// The session runs again; see `downtime_us`, `replayed_messages`, `replayed_bytes`, `same_server`.
    UNBROKEN_EVENT_HANDOVER_END = 8,
    /// The session could not be carried on; see `fail` and `acked`. After `UNBROKEN_FAIL_GAVE_UP` and `UNBROKEN_FAIL_VERSION_MISMATCH` it
    /// waits in `UNBROKEN_STATE_NONE` and `unbroken_session_retry` may be called; after anything else `UNBROKEN_EVENT_CLOSED` follows.
    UNBROKEN_EVENT_HANDOVER_FAILED = 9,
    /// The server asks to move elsewhere within `window_us`; the session does so by itself.
    UNBROKEN_EVENT_DRAINING = 10,
    /// The session ended; see `close`, `code`, `truncated`.
    UNBROKEN_EVENT_CLOSED = 11,
    /// (client) The server's application did not let the client in; see `code`, and the data is what it said, at most 1024 bytes.
    /// `UNBROKEN_EVENT_CLOSED` follows.
    UNBROKEN_EVENT_REFUSED = 12,
    /// (server, with a store) The session came from another process, or from this one before it was restarted: the first event of it here.
    /// If `has_app` is not 0, the data is the application's state, as it was given with the last snapshot; if `has_user` is not 0,
    /// `unbroken_endpoint_event_user` has the user that it is bound to. Its client was let in there, so `UNBROKEN_EVENT_ESTABLISHED` does
    /// not come again.
    UNBROKEN_EVENT_RESTORED = 13,
    /// (server, with a store) The session has left this process: the store has it, or another process. The last event of it here;
    /// `UNBROKEN_EVENT_CLOSED` does not come.
    UNBROKEN_EVENT_SWAPPED_OUT = 14,
    /// (server, with a store) The store did not take the session that was to be swapped out. It goes on here.
    UNBROKEN_EVENT_SWAP_OUT_FAILED = 15,
    /// (server, with a store) Messages from servers wait. Comes once until `unbroken_endpoint_session_recv_mail` returned `UNBROKEN_EMPTY`.
    UNBROKEN_EVENT_MAIL = 16,
}

/// Where a session stands.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_state {
    /// Created, or given up; nothing is under way.
    UNBROKEN_STATE_NONE = 0,
    /// A link was asked for and is not up. At a server: detached, waiting for the client.
    UNBROKEN_STATE_CONNECTING = 1,
    /// The first flight was sent; the keys are not agreed.
    UNBROKEN_STATE_HANDSHAKING = 2,
    /// Keys are agreed.
    UNBROKEN_STATE_CONNECTED = 3,
    /// Waiting for the peer's ACK position.
    UNBROKEN_STATE_RESTORE = 4,
    /// May send; the authorisation is outstanding.
    UNBROKEN_STATE_STANDBY = 5,
    /// Session id set and authorised.
    UNBROKEN_STATE_ESTABLISHED = 6,
    /// Ended; final.
    UNBROKEN_STATE_CLOSED = 7,
}

/// Why a handover began.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_cause {
    /// The link ended: FIN, reset, or an error from the host.
    UNBROKEN_CAUSE_LINK_LOST = 0,
    /// The link carries nothing although it should.
    UNBROKEN_CAUSE_LINK_SUSPECT = 1,
    /// The host reported a change of network.
    UNBROKEN_CAUSE_NETWORK_CHANGED = 2,
    /// The server asked for it.
    UNBROKEN_CAUSE_DRAIN = 3,
    /// The host woke from suspension.
    UNBROKEN_CAUSE_WAKE = 4,
    /// The link broke the protocol.
    UNBROKEN_CAUSE_BAD_INPUT = 5,
    /// The peer came with a newer link (seen at the server).
    UNBROKEN_CAUSE_PEER_MOVED = 6,
}

/// Why a handover failed.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_fail {
    /// The detached life ran out.
    UNBROKEN_FAIL_EXPIRED = 0,
    /// The server's application put the session out.
    UNBROKEN_FAIL_KICKED = 1,
    /// The server's application refused the resume.
    UNBROKEN_FAIL_REFUSED = 2,
    /// The server does not know the session.
    UNBROKEN_FAIL_UNKNOWN_SESSION = 3,
    /// One end came back with an older state.
    UNBROKEN_FAIL_ROLLED_BACK = 4,
    /// The owner died with the session's state.
    UNBROKEN_FAIL_OWNER_CRASHED = 5,
    /// No protocol version in common, as the servers say in the clear. Not final: `unbroken_session_retry` tries again.
    UNBROKEN_FAIL_VERSION_MISMATCH = 6,
    /// A bound was passed.
    UNBROKEN_FAIL_OVERFLOW = 7,
    /// No server could be reached within `give_up_after_ms`. Not final: `unbroken_session_retry` tries again.
    UNBROKEN_FAIL_GAVE_UP = 8,
    /// The session was closed by an end meanwhile.
    UNBROKEN_FAIL_CLOSED = 9,
}

/// Why a session ended.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_close {
    /// This end closed it, with `code`.
    UNBROKEN_CLOSE_LOCAL = 0,
    /// The peer closed it, with `code`. If `truncated` is not 0, it had sent more than has arrived.
    UNBROKEN_CLOSE_PEER = 1,
    /// No link came back within the detached life.
    UNBROKEN_CLOSE_EXPIRED = 2,
    /// The server's application put the session out, with `code`.
    UNBROKEN_CLOSE_KICKED = 3,
    /// Another device took the session over.
    UNBROKEN_CLOSE_SUPERSEDED = 4,
    /// The server's application refused the credential or the resume, with `code`.
    UNBROKEN_CLOSE_REFUSED = 5,
    /// The server never heard of the session, or has forgotten it.
    UNBROKEN_CLOSE_UNKNOWN_SESSION = 6,
    /// One end came back with an older state than it had shown before.
    UNBROKEN_CLOSE_ROLLED_BACK = 7,
    /// The server process that held the session died, and its state with it.
    UNBROKEN_CLOSE_OWNER_CRASHED = 8,
    /// The ends have no protocol version in common.
    UNBROKEN_CLOSE_VERSION_MISMATCH = 9,
    /// A message was larger than the peer takes, or a bound was passed that cannot be waited for.
    UNBROKEN_CLOSE_OVERFLOW = 10,
    /// A broken invariant in the library; please report it.
    UNBROKEN_CLOSE_INTERNAL = 11,
}

/// An event. Fields that its kind does not mention are zero.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_event {
    /// An `unbroken_event_kind`.
    pub kind: i32,
    /// `STATE`: an `unbroken_state`.
    pub state: i32,
    /// `HANDOVER_BEGIN`: an `unbroken_cause`.
    pub cause: i32,
    /// `HANDOVER_FAILED`: an `unbroken_fail`.
    pub fail: i32,
    /// `CLOSED`: an `unbroken_close`.
    pub close: i32,
    /// `REFUSED`, `CLOSED`: the application's code, for the reasons that have one.
    pub code: u32,
    /// From an endpoint: whose event it is. From a session: `ESTABLISHED`.
    pub session: [u8; 16],
    /// `HANDOVER_END`: from the moment the old link stopped carrying until the new one was up. 0 when the new link stood before.
    pub downtime_us: u64,
    /// `HANDOVER_END`: messages sent again, because the old link may have swallowed them.
    pub replayed_messages: u64,
    /// `HANDOVER_END`: their payload, in bytes.
    pub replayed_bytes: u64,
    /// `HANDOVER_FAILED`: the first message that was never ACKed; all before it have been delivered.
    pub acked: u64,
    /// `DRAINING`: the time over which clients spread.
    pub window_us: u64,
    /// `ESTABLISHED`, `AUTHORISE`, `REFUSED`, `RESTORED`: how many bytes `unbroken_session_event_data` or `unbroken_endpoint_event_data` has.
    pub data_len: u64,
    /// `HANDOVER_END`: 1 if the same server process answered.
    pub same_server: u8,
    /// `CLOSED`: 1 if the end of the peer's messages is missing.
    pub truncated: u8,
    /// `RESTORED`: 1 if the application has a state, be it of 0 bytes.
    pub has_app: u8,
    /// `RESTORED`: 1 if the session is bound to a user.
    pub has_user: u8,
    /// `RESTORED`: how many bytes `unbroken_endpoint_event_user` has, at most 1024.
    pub user_len: u16,
    /// Zero.
    pub reserved: [u8; 10],
}

use unbroken_close::*;
use unbroken_event_kind::*;

/// What belongs to an event and has no fixed size. It stays until the next event.
#[derive(Default)]
pub(crate) struct Attached {
    pub data: Bytes,
    pub user: Bytes,
}

impl unbroken_event {
    /// The event in flat form; what does not fit goes to `attached`.
    pub(crate) fn new(whose: Option<SessionId>, event: Event, attached: &mut Attached) -> Self {
        let mut flat = unbroken_event::default();
        *attached = Attached::default();
        let Attached { data, user } = attached;
        if let Some(id) = whose {
            flat.session = id.0;
        }
        let kind = match event {
            Event::State(state) => {
                flat.state = state as i32;
                UNBROKEN_EVENT_STATE
            }
            Event::Established { session, message } => {
                flat.session = session.0;
                *data = message;
                UNBROKEN_EVENT_ESTABLISHED
            }
            Event::Authorise { credential } => {
                *data = credential.into_bytes();
                UNBROKEN_EVENT_AUTHORISE
            }
            Event::Refused { code, message } => {
                flat.code = code;
                *data = message;
                UNBROKEN_EVENT_REFUSED
            }
            Event::ResumeRequest => UNBROKEN_EVENT_RESUME_REQUEST,
            Event::Readable => UNBROKEN_EVENT_READABLE,
            Event::Writable => UNBROKEN_EVENT_WRITABLE,
            Event::HandoverBegin { cause } => {
                flat.cause = cause as i32;
                UNBROKEN_EVENT_HANDOVER_BEGIN
            }
            Event::HandoverEnd(end) => {
                flat.downtime_us = micros(end.downtime);
                flat.replayed_messages = end.replayed_messages;
                flat.replayed_bytes = end.replayed_bytes;
                flat.same_server = u8::from(end.same_server);
                UNBROKEN_EVENT_HANDOVER_END
            }
            Event::HandoverFailed { reason, acked } => {
                flat.fail = reason as i32;
                flat.acked = acked.0;
                UNBROKEN_EVENT_HANDOVER_FAILED
            }
            Event::Draining { window } => {
                flat.window_us = micros(window);
                UNBROKEN_EVENT_DRAINING
            }
            Event::Restored { app, user: bound } => {
                flat.has_app = u8::from(app.is_some());
                flat.has_user = u8::from(bound.is_some());
                *data = app.unwrap_or_default();
                *user = bound.unwrap_or_default();
                UNBROKEN_EVENT_RESTORED
            }
            Event::SwappedOut => UNBROKEN_EVENT_SWAPPED_OUT,
            Event::SwapOutFailed => UNBROKEN_EVENT_SWAP_OUT_FAILED,
            Event::Mail => UNBROKEN_EVENT_MAIL,
            Event::Closed(reason) => {
                flat.closed(reason);
                UNBROKEN_EVENT_CLOSED
            }
        };
        flat.kind = kind as i32;
        flat.data_len = data.len() as u64;
        // `unbroken_endpoint_session_bind_user` takes 1024 bytes at most.
        flat.user_len = user.len() as u16;
        flat
    }

    fn closed(&mut self, reason: CloseReason) {
        let close = match reason {
            CloseReason::Local { code } => {
                self.code = code;
                UNBROKEN_CLOSE_LOCAL
            }
            CloseReason::Peer { code, truncated } => {
                self.code = code;
                self.truncated = u8::from(truncated);
                UNBROKEN_CLOSE_PEER
            }
            CloseReason::Expired => UNBROKEN_CLOSE_EXPIRED,
            CloseReason::Kicked { code } => {
                self.code = code;
                UNBROKEN_CLOSE_KICKED
            }
            CloseReason::Superseded => UNBROKEN_CLOSE_SUPERSEDED,
            CloseReason::Refused { code } => {
                self.code = code;
                UNBROKEN_CLOSE_REFUSED
            }
            CloseReason::UnknownSession => UNBROKEN_CLOSE_UNKNOWN_SESSION,
            CloseReason::RolledBack => UNBROKEN_CLOSE_ROLLED_BACK,
            CloseReason::OwnerCrashed => UNBROKEN_CLOSE_OWNER_CRASHED,
            CloseReason::VersionMismatch => UNBROKEN_CLOSE_VERSION_MISMATCH,
            CloseReason::Overflow => UNBROKEN_CLOSE_OVERFLOW,
            CloseReason::Internal => UNBROKEN_CLOSE_INTERNAL,
        };
        self.close = close as i32;
    }
}

pub(crate) fn micros(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

// The core's numbers are C's: the casts above rely on it.
const _: () = {
    use unbroken::State;
    use unbroken_cause::*;
    use unbroken_fail::*;
    use unbroken_state::*;
    assert!(State::None as i32 == UNBROKEN_STATE_NONE as i32);
    assert!(State::Connecting as i32 == UNBROKEN_STATE_CONNECTING as i32);
    assert!(State::Handshaking as i32 == UNBROKEN_STATE_HANDSHAKING as i32);
    assert!(State::Connected as i32 == UNBROKEN_STATE_CONNECTED as i32);
    assert!(State::Restore as i32 == UNBROKEN_STATE_RESTORE as i32);
    assert!(State::Standby as i32 == UNBROKEN_STATE_STANDBY as i32);
    assert!(State::Established as i32 == UNBROKEN_STATE_ESTABLISHED as i32);
    assert!(State::Closed as i32 == UNBROKEN_STATE_CLOSED as i32);
    assert!(HandoverCause::LinkLost as i32 == UNBROKEN_CAUSE_LINK_LOST as i32);
    assert!(HandoverCause::LinkSuspect as i32 == UNBROKEN_CAUSE_LINK_SUSPECT as i32);
    assert!(HandoverCause::NetworkChanged as i32 == UNBROKEN_CAUSE_NETWORK_CHANGED as i32);
    assert!(HandoverCause::Drain as i32 == UNBROKEN_CAUSE_DRAIN as i32);
    assert!(HandoverCause::Wake as i32 == UNBROKEN_CAUSE_WAKE as i32);
    assert!(HandoverCause::BadInput as i32 == UNBROKEN_CAUSE_BAD_INPUT as i32);
    assert!(HandoverCause::PeerMoved as i32 == UNBROKEN_CAUSE_PEER_MOVED as i32);
    assert!(FailReason::Expired as i32 == UNBROKEN_FAIL_EXPIRED as i32);
    assert!(FailReason::Kicked as i32 == UNBROKEN_FAIL_KICKED as i32);
    assert!(FailReason::Refused as i32 == UNBROKEN_FAIL_REFUSED as i32);
    assert!(FailReason::UnknownSession as i32 == UNBROKEN_FAIL_UNKNOWN_SESSION as i32);
    assert!(FailReason::RolledBack as i32 == UNBROKEN_FAIL_ROLLED_BACK as i32);
    assert!(FailReason::OwnerCrashed as i32 == UNBROKEN_FAIL_OWNER_CRASHED as i32);
    assert!(FailReason::VersionMismatch as i32 == UNBROKEN_FAIL_VERSION_MISMATCH as i32);
    assert!(FailReason::Overflow as i32 == UNBROKEN_FAIL_OVERFLOW as i32);
    assert!(FailReason::GaveUp as i32 == UNBROKEN_FAIL_GAVE_UP as i32);
    assert!(FailReason::Closed as i32 == UNBROKEN_FAIL_CLOSED as i32);
};
