//! The application's part of a server, as the workers hold it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use unbroken::{SessionId, Verdict};

use super::handler::AnyFactory;
use super::session::ServerSession;

/// A future that stays in its worker.
pub(crate) type Local<T> = Pin<Box<dyn Future<Output = T>>>;

type Hook<I, O> = Arc<dyn Fn(I) -> Local<O> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Hooks {
    /// Either this, or `factory`.
    pub(crate) handler: Option<Hook<ServerSession, ()>>,
    pub(crate) factory: Option<Arc<dyn AnyFactory>>,
    pub(crate) authorise: Option<Hook<Bytes, Verdict>>,
    pub(crate) resume: Option<Hook<SessionId, Result<(), u32>>>,
}
