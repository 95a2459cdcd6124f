//! What the application should know, in types that every language has. The core's own enums, variant by variant: a new variant there
//! does not compile here until it has its place.

/// What happened to the session. `Closed` comes once, last.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Event {
    /// The state changed. For displays and logs; nothing needs to be done.
    StateChanged {
        /// The new one.
        state: State,
    },
    /// The session stands for the first time.
    Established {
        /// The session's id, 16 bytes.
        session: Vec<u8>,
        /// What the server's application said with its verdict.
        message: Vec<u8>,
    },
    /// The server's application did not let the client in; `Closed` follows.
    Refused {
        /// The application's code.
        code: u32,
        /// What it said; at most 1024 bytes.
        message: Vec<u8>,
    },
    /// There is room again after a message was refused for want of it.
    Writable,
    /// The link under the session failed, is failing or is being replaced. Messages wait, nothing is lost.
    HandoverBegin {
        /// Why.
        cause: HandoverCause,
    },
    /// The session runs again.
    HandoverEnd {
        /// From the moment the old link stopped carrying until the new one was up, in microseconds; 0 when the new one stood before.
        downtime_us: u64,
        /// Messages sent again, because the old link may have swallowed them.
        replayed_messages: u64,
        /// Their payload, in bytes.
        replayed_bytes: u64,
        /// Whether the same server process answered.
        same_server: bool,
    },
    /// The session could not be carried on. If it is final, `Closed` follows; else the application may retry.
    HandoverFailed {
        /// Why.
        reason: FailReason,
        /// Whether the session is over.
        is_final: bool,
        /// The first message that was never acknowledged: all before it have been delivered to the server's application.
        acked: u64,
        /// For people.
        text: String,
    },
    /// The server asks to move elsewhere; the session does so by itself.
    Draining {
        /// The time over which clients spread, in milliseconds.
        window_ms: u64,
    },
    /// The session ended.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The application's code: here, at the server, or 0 where there is none.
        code: u32,
        /// The server had sent more than has arrived: the end of the conversation is missing.
        truncated: bool,
        /// For people.
        text: String,
    },
}

/// Defines an enum without data and its translation from the core's.
macro_rules! mirror {
    ($(#[$meta:meta])* $name:ident of $core:ty { $($(#[$doc:meta])* $variant:ident $(=> $pattern:pat)?,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, uniffi::Enum)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                use $core as Core;
                match value { $(mirror!(@pattern Core, $variant $(, $pattern)?) => $name::$variant,)+ }
            }
        }
    };
    (@pattern $core:ident, $variant:ident) => { $core::$variant };
    (@pattern $core:ident, $variant:ident, $pattern:pat) => { $core::$variant { .. } };
}

mirror! {
    /// Where a session stands.
    State of unbroken::State {
        /// Created, or given up; nothing is under way.
        None,
        /// A link was asked for and is not up.
        Connecting,
        /// The first flight was sent; the keys are not agreed.
        Handshaking,
        /// Keys are agreed.
        Connected,
        /// Waiting for the server's position.
        Restore,
        /// May send; the authorisation is outstanding.
        Standby,
        /// Session id set and authorised.
        Established,
        /// Ended, with its reason; final.
        Closed,
    }
}

mirror! {
    /// Why a handover began.
    HandoverCause of unbroken::HandoverCause {
        /// The link ended.
        LinkLost,
        /// The link carries nothing although it should.
        LinkSuspect,
        /// The system reported a change of network.
        NetworkChanged,
        /// The server asked for it.
        Drain,
        /// The process woke from suspension.
        Wake,
        /// The link broke the protocol.
        BadInput,
        /// The other end came with a newer link.
        PeerMoved,
    }
}

mirror! {
    /// Why a handover failed.
    FailReason of unbroken::FailReason {
        /// The session expired while it had no link.
        Expired,
        /// The server's application put the session out.
        Kicked,
        /// The server's application refused the resume.
        Refused,
        /// The server does not know the session.
        UnknownSession,
        /// One end came back with an older state.
        RolledBack,
        /// The server process that held the session died.
        OwnerCrashed,
        /// No protocol version in common. Not final.
        VersionMismatch,
        /// A bound was passed.
        Overflow,
        /// No server could be reached in time. Not final.
        GaveUp,
        /// The session was closed by an end meanwhile.
        Closed,
    }
}

mirror! {
    /// Why a session ended.
    CloseReason of unbroken::CloseReason {
        /// This end disconnected.
        Local => _,
        /// The server disconnected.
        Peer => _,
        /// No link came back in time.
        Expired,
        /// The server's application put the session out.
        Kicked => _,
        /// Another device took the session over.
        Superseded,
        /// The server's application refused the credential or the resume.
        Refused => _,
        /// The server does not know the session (any more).
        UnknownSession,
        /// One end came back with an older state.
        RolledBack,
        /// The server process that held the session died.
        OwnerCrashed,
        /// No protocol version in common.
        VersionMismatch,
        /// A bound was passed.
        Overflow,
        /// A broken invariant in the library; please report it.
        Internal,
    }
}

impl Event {
    /// `None` for what only a server's session has to tell.
    pub(crate) fn of(event: unbroken::Event) -> Option<Event> {
        use unbroken::Event as Core;
        Some(match event {
            Core::State(state) => Event::StateChanged { state: state.into() },
            Core::Established { session, message } => Event::Established {
                session: session.0.to_vec(),
                message: message.into(),
            },
            Core::Refused { code, message } => Event::Refused {
                code,
                message: message.into(),
            },
            Core::Writable => Event::Writable,
            Core::HandoverBegin { cause } => Event::HandoverBegin { cause: cause.into() },
            Core::HandoverEnd(end) => Event::HandoverEnd {
                downtime_us: u64::try_from(end.downtime.as_micros()).unwrap_or(u64::MAX),
                replayed_messages: end.replayed_messages,
                replayed_bytes: end.replayed_bytes,
                same_server: end.same_server,
            },
            Core::HandoverFailed { reason, acked } => Event::HandoverFailed {
                reason: reason.into(),
                is_final: reason.is_final(),
                acked: acked.0,
                text: reason.to_string(),
            },
            Core::Draining { window } => Event::Draining {
                window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            },
            Core::Closed(reason) => Event::closed(reason),
            Core::Authorise { .. }
            | Core::ResumeRequest
            | Core::Readable
            | Core::Mail
            | Core::Restored { .. }
            | Core::SwappedOut
            | Core::SwapOutFailed => return None,
        })
    }

    fn closed(reason: unbroken::CloseReason) -> Event {
        use unbroken::CloseReason as Core;
        let (code, truncated) = match reason {
            Core::Peer { code, truncated } => (code, truncated),
            Core::Local { code } | Core::Kicked { code } | Core::Refused { code } => (code, false),
            _ => (0, false),
        };
        Event::Closed {
            reason: reason.into(),
            code,
            truncated,
            text: reason.to_string(),
        }
    }
}
