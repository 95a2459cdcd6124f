//! What the errors say, and what they do not.

use alloc::string::ToString as _;

use crate::crypto::{AuthError, Exhausted, ZeroKey};

#[test]
fn each_error_says_what_is_wrong() {
    assert!(AuthError.to_string().contains("authentication"));
    assert!(Exhausted.to_string().contains("record numbers"));
    // Whoever reads this one can do something about it.
    assert!(ZeroKey.to_string().contains("32 random bytes"));
}
