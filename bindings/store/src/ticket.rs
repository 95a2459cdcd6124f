//! Whether a request has left for the store: then nobody knows what becomes of it, and else nothing does.
//!
//! Whoever takes the ticket first decides, and has the request: the one that sends it, or its caller who gives it up. So nothing is kept of what was given up, however long
//! its place in the line remains.

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Ticket<T>(Arc<Mutex<Option<T>>>);

impl<T> Ticket<T> {
    pub(crate) fn new(request: T) -> Self {
        Ticket(Arc::new(Mutex::new(Some(request))))
    }

    /// Takes the request, if it is still to be had.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Ticket<T> {
    fn clone(&self) -> Self {
        Ticket(self.0.clone())
    }
}
