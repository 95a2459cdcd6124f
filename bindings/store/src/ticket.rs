//! Whether a request has left for the store: then nobody knows what becomes of it, and else nothing does.
//!
//! Whoever takes the ticket first decides: the one that sends the request, or its caller who gives it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Default)]
pub(crate) struct Ticket(Arc<AtomicBool>);

impl Ticket {
    /// Takes it; whether it was still to be had.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}
