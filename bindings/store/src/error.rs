//! Why a store does not work, or may not keep what it confirms.

use std::fmt;

use crate::rules::{QUEUE_MESSAGE, QUEUE_MESSAGES};

/// Why a store does not work, or may not keep what it confirms. Each names the value and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// An option cannot be used.
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong with its value, and what would be right.
        problem: String,
    },
    /// The file cannot be used.
    File {
        /// Its path.
        path: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The store cannot be reached, or does not answer in time.
    Unreachable {
        /// Where it should be.
        store: String,
        /// What happened, and what to do.
        problem: String,
    },
    /// The store answers and refuses.
    Refused {
        /// Where it is.
        store: String,
        /// What it says, and what to do.
        problem: String,
    },
    /// The store works, but by its settings it may forget what it has confirmed.
    Forgets {
        /// Where it is.
        store: String,
        /// One sentence for each setting: its value, what that means, what would be right.
        findings: Vec<String>,
    },
    /// (`send_to_session`) There is no such session, or it has ended.
    NoSession,
    /// (`send_to_session`) Too many messages wait for the session.
    QueueFull,
    /// (`send_to_session`) The message is too large for a queue.
    TooLarge {
        /// Its size, in bytes.
        size: usize,
    },
    /// (`send_to_session`) The store could not be reached, or turned the message down for now: it is certainly not queued, and can be sent again.
    Unavailable,
    /// (`send_to_session`) The store gave no answer in time: the message may be queued, or not.
    NoAnswer,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Option { option, problem } => write!(f, "store option `{option}`: {problem}"),
            StoreError::File { path, problem } => write!(f, "store file `{path}`: {problem}"),
            StoreError::Unreachable { store, problem } => write!(f, "{store} cannot be reached: {problem}"),
            StoreError::Refused { store, problem } => write!(f, "{store} refuses: {problem}"),
            StoreError::Forgets { store, findings } => {
                write!(f, "{store} may forget what it has confirmed: {}", findings.join("; "))
            }
            StoreError::NoSession => f.write_str("there is no such session, or it has ended"),
            StoreError::QueueFull => write!(f, "{QUEUE_MESSAGES} messages wait for the session already; send later"),
            StoreError::TooLarge { size } => write!(
                f,
                "a message of {size} bytes is too large for a session's queue, which takes {QUEUE_MESSAGE}; split it, or send a reference to it"
            ),
            StoreError::Unavailable => f.write_str(
                "the store could not be reached, or turned the message down, so it is not queued; send it again, and look at the store if that goes on",
            ),
            StoreError::NoAnswer => f.write_str(
                "the store gave no answer in time, so the message may be queued or not; send it again only if twice does no harm",
            ),
        }
    }
}

impl std::error::Error for StoreError {}
