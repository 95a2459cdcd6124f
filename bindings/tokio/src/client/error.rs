//! Why a client could not connect.

use std::fmt;
use std::io;

use unbroken::CloseReason;

/// Why a client could not connect.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is no `host:port`.
    Address(String),
    /// No server could be reached, or none answered with a pinned key and in a version of the protocol that this client speaks, within `Backoff::give_up_after`.
    GaveUp,
    /// The server ended it: `CloseReason::Refused` carries its application's code.
    Closed(CloseReason),
    /// The system gives no randomness, or there is no tokio runtime.
    Io(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Address(address) => write!(f, "`{address}` is no address; write host:port"),
            ConnectError::GaveUp => f.write_str(
                "no server answered with a pinned key in time; check the address, the key and the realm, or raise Backoff::give_up_after",
            ),
            ConnectError::Closed(reason) => write!(f, "the session ended before it stood: {reason}"),
            ConnectError::Io(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConnectError::Io(error) => Some(error),
            _ => None,
        }
    }
}
