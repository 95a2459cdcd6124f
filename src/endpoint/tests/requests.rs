//! Which request to the store it is.

use crate::store::{Record, StoreOp};

pub fn is_peek(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Peek { .. })
}

/// A session's record, as one that a process has: a creation, a commit, a claim.
pub fn is_live(op: &StoreOp) -> bool {
    matches!(
        op,
        StoreOp::Put {
            record: Record::Live { .. },
            ..
        }
    )
}

pub fn is_burial(op: &StoreOp) -> bool {
    matches!(
        op,
        StoreOp::Put {
            record: Record::Tomb { .. },
            ..
        }
    )
}
