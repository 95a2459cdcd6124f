//! What can go wrong in a call, with a number for programs and a text for people.

/// Why a call failed. Numbers are never given a second meaning.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
pub enum UnbrokenError {
    /// A value of the configuration cannot be used; the text names the field, the value and the bounds.
    Config {
        /// 1
        code: u32,
        /// For people.
        text: String,
    },
    /// The system gives no randomness, so there can be no keys.
    Randomness {
        /// 2
        code: u32,
        /// For people.
        text: String,
    },
    /// An earlier call broke off inside the library. The session is lost; nothing else is. Please report it.
    Poisoned {
        /// 3
        code: u32,
        /// For people.
        text: String,
    },
}

impl UnbrokenError {
    pub(crate) fn config(text: impl ToString) -> Self {
        UnbrokenError::Config {
            code: 1,
            text: text.to_string(),
        }
    }

    pub(crate) fn randomness(why: impl ToString) -> Self {
        UnbrokenError::Randomness {
            code: 2,
            text: format!("the system gives no randomness: {}", why.to_string()),
        }
    }

    pub(crate) fn poisoned() -> Self {
        UnbrokenError::Poisoned {
            code: 3,
            text: "the session broke off in an earlier call and is lost; please report it".into(),
        }
    }
}

impl std::fmt::Display for UnbrokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (UnbrokenError::Config { text, .. }
        | UnbrokenError::Randomness { text, .. }
        | UnbrokenError::Poisoned { text, .. }) = self;
        f.write_str(text)
    }
}

impl std::error::Error for UnbrokenError {}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, uniffi::Enum)]
pub enum RefusalCode {
    /// It does not fit beside what the server has not acknowledged: send it again after `Writable`.
    WouldBlock,
    /// It is larger than either end allows.
    TooLarge,
    /// The session is closed or closing.
    Closed,
    /// (unreliable only) No link is up.
    NoLink,
    /// (unreliable only) Too many wait already: drop it.
    Full,
}
