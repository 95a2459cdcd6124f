//! Which sessions there are and how they ended, by the credential that their client came with.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use unbroken_tokio::{CloseReason, SessionHandle};

#[derive(Default)]
pub struct Ends(Mutex<HashMap<String, Life>>);

enum Life {
    Running(SessionHandle),
    Over(CloseReason),
}

impl Ends {
    pub fn begun(&self, name: &str, handle: SessionHandle) {
        self.lives().insert(name.to_owned(), Life::Running(handle));
    }

    pub fn ended(&self, name: &str, reason: CloseReason) {
        self.lives().insert(name.to_owned(), Life::Over(reason));
    }

    /// The session of that name; waits for it to begin, as a client may know of it before the server's application does.
    pub async fn running(&self, name: &str, limit: Duration) -> Option<SessionHandle> {
        let find = || match self.lives().get(name)? {
            Life::Running(handle) => Some(handle.clone()),
            Life::Over(_) => None,
        };
        wait_for(find, limit).await
    }

    /// How the session of that name ended; waits for it.
    pub async fn end_of(&self, name: &str, limit: Duration) -> String {
        let find = || match self.lives().get(name)? {
            Life::Running(_) => None,
            Life::Over(reason) => Some(format!("{reason:?}")),
        };
        if let Some(end) = wait_for(find, limit).await {
            return end;
        }
        let known = self.lives().contains_key(name);
        if known { "running" } else { "never came" }.to_owned()
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<String, Life>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait_for<T>(find: impl Fn() -> Option<T>, limit: Duration) -> Option<T> {
    let over = Instant::now() + limit;
    loop {
        let found = find();
        if found.is_some() || Instant::now() >= over {
            return found;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
