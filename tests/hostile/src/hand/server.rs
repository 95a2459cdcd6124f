//! A server's answers by hand: of one that has the key that clients pin, as a stolen or a broken one would.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unbroken::crypto::{Opener, Responder, Resumption, Sealer, Split};
use unbroken::wire::flight::{
    Accept, AcceptOk, MAC1_LEN, MAC1_OFFSET, NOISE_OVERHEAD, Position, REFUSE_LEN, Refuse, RefuseCode, Resume,
};
use unbroken::wire::frame;
use unbroken::wire::prelude::{self, FlightKind, Prelude};

use super::{Line, WINDOW, head, random};
use crate::server::key;

/// What the next RESUME of each session needs.
#[derive(Default)]
pub struct Keys(Mutex<Known>);

/// Secrets and session ids, by the handle that an ACCEPT gave.
type Known = HashMap<[u8; 16], (Resumption, [u8; 16])>;

/// What a first flight was answered with.
pub enum Answer {
    /// It carries a session now.
    Link(Line),
    /// Nothing yet: a flight that has no answer here.
    Unanswered(TcpStream),
}

/// A client's whole first flight.
pub async fn flight(stream: &mut TcpStream) -> io::Result<(Prelude, Vec<u8>)> {
    let mut flight = vec![0; prelude::LEN];
    stream.read_exact(&mut flight).await?;
    let odd = || io::Error::other("no client says that");
    let prelude = flight
        .first_chunk()
        .and_then(|head| Prelude::parse(head).ok())
        .ok_or_else(odd)?;
    flight.resize(prelude::LEN + usize::from(prelude.length), 0);
    stream.read_exact(&mut flight[prelude::LEN..]).await?;
    Ok((prelude, flight))
}

/// A REFUSE, which needs no key.
pub fn refuse(code: RefuseCode, retry_ms: u32) -> Vec<u8> {
    let mut out = head(FlightKind::Refuse, REFUSE_LEN).to_vec();
    Refuse {
        code,
        retry_ms,
        min_version: 1,
        max_version: 1,
    }
    .encode(&mut out);
    out
}

/// The prelude of an ACCEPT with so many bytes behind it.
pub fn half_accept(length: usize) -> [u8; prelude::LEN] {
    head(FlightKind::Accept, length)
}

/// What lets a client in that has sent its credential.
pub fn welcome() -> Vec<u8> {
    let mut words = Vec::new();
    frame::auth_result(&mut words, true, 0, b"");
    words
}

impl Keys {
    /// Lets anybody in who says HELLO or RESUME, if it is a flight that is let in, and tells him to go to `address` next time.
    pub async fn accept(
        &self,
        mut stream: TcpStream,
        address: &str,
        lets_in: fn(FlightKind) -> bool,
    ) -> io::Result<Answer> {
        let (prelude, flight) = flight(&mut stream).await?;
        let read = if lets_in(prelude.kind) {
            self.read(&prelude, &flight)
        } else {
            None
        };
        let Some((responder, session_id, position, send)) = read else {
            return Ok(Answer::Unanswered(stream));
        };
        let handle = random();
        let accept = Accept::Ok(AcceptOk {
            handle,
            session_id,
            token: 1,
            position,
            window: WINDOW,
            detached_ms: 30_000,
            address,
            send_base: send,
            send_end: send,
        });
        let outer = head(FlightKind::Accept, accept.encoded_len() + NOISE_OVERHEAD);
        let (mut payload, mut words) = (Vec::new(), outer.to_vec());
        accept.encode(&outer, &mut payload);
        let Ok(Split {
            client,
            server,
            resumption,
            ..
        }) = responder.finish(random(), &payload, &mut words)
        else {
            return Ok(Answer::Unanswered(stream));
        };
        self.lock().insert(handle, (resumption, session_id));
        stream.write_all(&words).await?;
        Ok(Answer::Link(Line::new(
            stream,
            Sealer::new(&server),
            Opener::new(&client),
            Vec::new(),
        )))
    }

    /// The flight opened: with the session's id, how far it says to have come with its own messages, and the server's count of its own.
    fn read(&self, prelude: &Prelude, flight: &[u8]) -> Option<(Responder, [u8; 16], Position, u64)> {
        let mut payload = Vec::new();
        let nothing = Position {
            recv_next: 0,
            recv_offset: 0,
            delivered: 0,
        };
        match prelude.kind {
            FlightKind::Hello => {
                let (header, message) = flight.split_at(prelude::LEN);
                let responder = Responder::nk(&key(), b"", header, message, &mut payload).ok()?;
                Some((responder, random(), nothing, 0))
            }
            FlightKind::Resume => {
                let handle: [u8; 16] = flight.get(prelude::LEN..prelude::LEN + 16)?.try_into().ok()?;
                let known = self.lock();
                let (resumption, id) = known.get(&handle)?;
                let (header, rest) = flight.split_at(MAC1_OFFSET);
                let message = &rest[MAC1_LEN..];
                let responder =
                    Responder::nk_psk0(&key(), resumption.psk(), b"", header, message, &mut payload).ok()?;
                let resume = Resume::parse(&payload).ok()?;
                // It claims to have all that there is.
                let end = resume.send_end;
                let position = Position {
                    recv_next: end,
                    recv_offset: 0,
                    delivered: end,
                };
                Some((responder, *id, position, resume.position.recv_next))
            }
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
