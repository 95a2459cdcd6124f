//! Every transition of a session's state, and nothing else.
//!
//! ```text
//!            Dial         LinkUp          KeysAgreed      Positions      Position        Authorised
//!   None ─────────► Connecting ──► Handshaking ──► Connected ──► Restore ──────► Standby ──► Established
//!    ▲                ▲  │ ▲              │              │           │              │             │
//!    └── GaveUp ──────┴──┘ └── LinkLost ──┴──────────────┴───────────┴──────────────┴─────────────┘
//!                                         Close, from anywhere ──► Closed
//! ```
//!
//! The machine does not know which side it is on. A first connect and a reconnect take the same path; where nothing is
//! outstanding (no authorisation, no position) the caller feeds the next input at once, so the state passes through.
//! An input that a state does not know changes nothing; [`next`] says so by `None`, and callers that rely on a transition
//! assert it.

use crate::event::State;

/// What can happen to a session, as far as its state is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A link was asked for (client), or the session is detached and waits for one (server).
    Dial,
    /// The link is up and the first flight is under way.
    LinkUp,
    /// Message 2 was valid (client), or a record proved the client's keys (server).
    KeysAgreed,
    /// The peer's position is awaited.
    AwaitPosition,
    /// The peer's position is known, the cursor stands.
    Position,
    /// Session id set and authorised.
    Authorised,
    /// The last usable link ended, and another is wanted.
    LinkLost,
    /// A newer link took over while the old one still stood.
    Switched,
    /// Dialling stopped.
    GaveUp,
    /// The session ended.
    Close,
}

/// All states, in order.
pub const STATES: [State; 8] = [
    State::None,
    State::Connecting,
    State::Handshaking,
    State::Connected,
    State::Restore,
    State::Standby,
    State::Established,
    State::Closed,
];

/// All inputs, in order.
pub const INPUTS: [Input; 10] = [
    Input::Dial,
    Input::LinkUp,
    Input::KeysAgreed,
    Input::AwaitPosition,
    Input::Position,
    Input::Authorised,
    Input::LinkLost,
    Input::Switched,
    Input::GaveUp,
    Input::Close,
];

/// The state after `input`, or `None` where it means nothing.
pub const fn next(state: State, input: Input) -> Option<State> {
    use State::{Closed, Connected, Connecting, Established, Handshaking, None as Nothing, Restore, Standby};
    Some(match (state, input) {
        (Closed, _) => return None,
        (_, Input::Close) => Closed,
        (Nothing, Input::Dial) => Connecting,
        (Connecting, Input::LinkUp) => Handshaking,
        (Handshaking, Input::KeysAgreed) => Connected,
        (Connected, Input::AwaitPosition) => Restore,
        (Restore, Input::Position) => Standby,
        (Standby, Input::Authorised) => Established,
        // The new link was made before the old one broke: the state never left the upper half.
        (Established, Input::Switched) => Established,
        (Standby, Input::Switched) => Standby,
        (Handshaking | Connected | Restore | Standby | Established, Input::LinkLost) => Connecting,
        (Connecting | Handshaking, Input::GaveUp) => Nothing,
        _ => return None,
    })
}
