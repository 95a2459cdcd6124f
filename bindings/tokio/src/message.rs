//! A received message, owned.

use bytes::Bytes;
use unbroken::MessageId;

/// A received message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The number of a reliable message, from 0 without gaps; `None` for an unreliable one.
    pub id: Option<MessageId>,
    /// What the peer's application sent.
    pub payload: Bytes,
}

impl From<unbroken::Message<'_>> for Message {
    fn from(message: unbroken::Message<'_>) -> Self {
        Message {
            id: message.id,
            payload: Bytes::copy_from_slice(message.payload),
        }
    }
}
