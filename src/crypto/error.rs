//! The two ways cryptography says no.

use core::fmt;

/// Something was not made by who it claims to be made by.
///
/// There is one such error and it carries nothing: which of tag, key, length or curve point was wrong is of no use to an
/// honest peer and of some use to a dishonest one (U-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthError;

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("authentication failed")
    }
}

impl core::error::Error for AuthError {}

/// A record key has sealed all the records it ever may (U-30). The link has to end; the session need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the link has used up its record numbers")
    }
}

impl core::error::Error for Exhausted {}
