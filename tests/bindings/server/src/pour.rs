//! The server's application. A message `pour N` begins a round: the client and the server send each other N numbered messages at the same
//! time, each checks what comes, and the server's last word is `verdict RECEIVED WRONG`. Anything else is echoed, the
//! unreliable ones too.
//!
//! The n-th message of a round is n in 8 bytes, big-endian, then `n * 7919 % 600` bytes, the i-th of which is `(n * 31 + i) % 256`: a
//! message that was lost, doubled, moved or damaged is not the one that is due.

use bytes::{BufMut, Bytes, BytesMut};
use unbroken_tokio::{SendError, ServerSession};

pub async fn serve(session: &ServerSession) {
    while let Some(message) = session.recv().await {
        let order = std::str::from_utf8(&message.payload).ok();
        let done = match order.and_then(|text| text.strip_prefix("pour ")?.parse().ok()) {
            Some(count) => round(session, count).await,
            None if message.id.is_none() => {
                let _ = session.send_unreliable(message.payload);
                Ok(())
            }
            None => session.send(message.payload).await.map(|_| ()),
        };
        if done.is_err() {
            return;
        }
    }
}

async fn round(session: &ServerSession, count: u64) -> Result<(), SendError> {
    let send = async {
        for number in 0..count {
            session.send(numbered(number)).await?;
        }
        Ok(())
    };
    let check = async {
        let (mut received, mut wrong) = (0, 0);
        while received < count
            && let Some(message) = session.recv().await
        {
            wrong += u64::from(message.payload != numbered(received));
            received += 1;
        }
        (received, wrong)
    };
    let (sent, (received, wrong)) = tokio::join!(send, check);
    sent?;
    session.send(format!("verdict {received} {wrong}")).await.map(|_| ())
}

pub fn numbered(number: u64) -> Bytes {
    let filler = number * 7919 % 600;
    let mut message = BytesMut::with_capacity(8 + filler as usize);
    message.put_u64(number);
    message.extend((0..filler).map(|i| (number * 31 + i) as u8));
    message.freeze()
}
