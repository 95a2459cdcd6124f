//! A message from any process to a session, wherever it is.

use std::time::Duration;

use bytes::Bytes;
use unbroken::{Cursor, Owner, SessionId, StoreKey, StoreOp, StoreReply, mail_note};

use crate::rules::QUEUE_MESSAGE;
use crate::{Store, StoreError};

/// Before each try to leave a note.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];

/// A message that is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Where it stands in the session's queue: 1 is the first.
    pub cursor: Cursor,
    /// Its owner was told. If not, the session is parked, or its owner is gone, and the message is read when the session is taken over; or the store did not take the note, tried three
    /// times, and it is read with the next one too.
    pub told: bool,
}

/// Queues `message` for a session, to be kept for `life`, and tells the session's owner, if it has one. The session's handler gets it once and in
/// order, however often the session moves.
///
/// Let the future come to its end: one that is dropped may leave a message that is queued and an owner that was not told, which then reads it with the next
/// one. In a task of its own it outlives its caller.
///
/// # Errors
/// [`StoreError::NoSession`], [`StoreError::QueueFull`], [`StoreError::TooLarge`], [`StoreError::Unavailable`]: it is not queued. [`StoreError::NoAnswer`]: not known.
pub async fn send_to_session(
    store: &dyn Store,
    id: SessionId,
    message: impl Into<Bytes>,
    life: Duration,
) -> Result<Sent, StoreError> {
    let (key, message) = (store_key(id), message.into());
    if message.len() > QUEUE_MESSAGE {
        return Err(StoreError::TooLarge { size: message.len() });
    }
    let (cursor, owner) = match one(store, StoreOp::Append { key, message, life }).await {
        StoreReply::Appended { cursor, owner } => (cursor, owner),
        StoreReply::NoSession => return Err(StoreError::NoSession),
        StoreReply::Conflict => return Err(StoreError::QueueFull),
        StoreReply::Unavailable => return Err(StoreError::Unavailable),
        _ => return Err(StoreError::NoAnswer),
    };
    let told = match owner {
        Some(to) => tell(store, to, mail_note(key)).await,
        None => false,
    };
    Ok(Sent { cursor, told })
}

/// Without it the message would lie there until the next one comes, as its owner has no reason to look. It may come twice.
async fn tell(store: &dyn Store, to: Owner, note: Bytes) -> bool {
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        let note = note.clone();
        match one(store, StoreOp::Send { to, note }).await {
            StoreReply::Failed | StoreReply::Unavailable => {}
            reply => return reply == StoreReply::Done,
        }
    }
    false
}

/// The key under which the store has a session.
fn store_key(id: SessionId) -> StoreKey {
    let [key @ .., _, _, _, _, _, _, _, _] = id.0;
    key
}

async fn one(store: &dyn Store, op: StoreOp) -> StoreReply {
    store.submit(vec![op]).await.pop().unwrap_or(StoreReply::Failed)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::BoxFuture;

    /// Says this, one after another.
    struct Says(Mutex<VecDeque<StoreReply>>);

    fn says(replies: &[StoreReply]) -> Says {
        Says(Mutex::new(replies.iter().cloned().collect()))
    }

    impl Store for Says {
        fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
            let mut says = self.0.lock().unwrap();
            let replies = batch.iter().map(|_| says.pop_front().unwrap()).collect();
            Box::pin(async move { replies })
        }

        fn receive(&self, _: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
            Box::pin(async { None })
        }

        fn check(&self) -> BoxFuture<Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Who hears that it is not known must not send it again if twice does harm; who hears that it is not queued may.
    #[tokio::test]
    async fn what_was_certainly_not_queued_is_told_from_what_may_be() {
        for (reply, told, words) in [
            (StoreReply::Unavailable, StoreError::Unavailable, "it is not queued"),
            (StoreReply::Failed, StoreError::NoAnswer, "may be queued or not"),
            (StoreReply::NoSession, StoreError::NoSession, "no such session"),
            (StoreReply::Conflict, StoreError::QueueFull, "send later"),
        ] {
            let sent = send(&says(&[reply])).await;
            assert!(told.to_string().contains(words), "{told}");
            assert_eq!(sent, Err(told));
        }
    }

    async fn send(store: &Says) -> Result<Sent, StoreError> {
        send_to_session(store, SessionId([1; 16]), "hello", Duration::from_secs(1)).await
    }

    /// Its owner would not look: it knows of nothing.
    #[tokio::test]
    async fn a_note_that_the_store_did_not_take_is_left_again() {
        use StoreReply::{Conflict, Done, Failed, Unavailable};
        let queued = StoreReply::Appended {
            cursor: 7,
            owner: Some(Owner([2; 16])),
        };
        for (replies, told) in [
            (vec![Unavailable, Done], true),
            (vec![Failed, Unavailable, Done], true),
            (vec![Failed, Failed, Failed], false),
            (vec![Unavailable, Conflict], false),
        ] {
            let store = says(&[std::slice::from_ref(&queued), &replies[..]].concat());
            assert_eq!(send(&store).await, Ok(Sent { cursor: 7, told }), "{replies:?}");
            assert!(store.0.lock().unwrap().is_empty(), "{replies:?}");
        }
    }
}
