//! What a store process and its clients say to each other.
//!
//! Frames: 4 bytes of length, big endian, then that many bytes of postcard. First the greeting, then requests and answers, each in any number
//! and at any time; an answer names its request.
//!
//! ```text
//!   server ► Greeting   magic, version, nonce
//!   client ► Hello      version, nonce, proof: HMAC(secret, "client", both nonces)
//!   server ► Welcome    proof: HMAC(secret, "server", both nonces)      or Refused
//!   client ► Request    id, Submit | Receive | Check
//!   server ► Answer     id, Replies (in parts) | Notes | NotesLost | Checked
//! ```
//!
//! The proofs show that both know the secret, without telling it. What follows is neither encrypted nor authenticated: the
//! connection belongs into a network that nobody else can write to, or on a Unix socket.
//!
//! The types below with `remote` mirror the core's, which knows no serialization; they do not compile if they do not match.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use unbroken::{Cursor, Expect, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply};

pub(super) const MAGIC: [u8; 8] = *b"unbrstor";
pub(super) const VERSION: u16 = 1;

/// The largest frame before the secret is known to be shared.
const GREETING_FRAME: usize = 1024;

/// The largest frame: more than any one request or reply can be.
const FRAME: usize = 128 << 20;

/// Of what belongs together, so much goes into one frame (more if it is one piece), in bytes.
pub(super) const PART: usize = 4 << 20;

/// How often a client says something, and how long either end waits for the other to say anything.
pub(super) const PING_EVERY: Duration = Duration::from_secs(3);
pub(super) const SILENCE: Duration = Duration::from_secs(15);

#[derive(Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) magic: [u8; 8],
    pub(super) version: u16,
    pub(super) nonce: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) nonce: [u8; 32],
    pub(super) proof: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(super) enum Verdict {
    Welcome { proof: [u8; 32] },
    Refused { why: String },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) ask: Ask,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    Submit(Vec<Op>),
    Receive(#[serde(with = "OwnerDef")] Owner),
    Check,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) part: Part,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Part {
    /// The next replies of a batch.
    Replies(Vec<Reply>),
    Notes(Vec<Bytes>),
    Checked(Checked),
    /// To one who waits for notes: the lent store was not reached.
    NotesLost,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Checked {
    Fine,
    Forgets(Vec<String>),
    Broken(String),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Op(#[serde(with = "OpDef")] pub(super) StoreOp);

#[derive(Serialize, Deserialize)]
pub(super) struct Reply(#[serde(with = "ReplyDef")] pub(super) StoreReply);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Owner")]
struct OwnerDef([u8; 16]);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Record")]
enum RecordDef {
    Live {
        token: u64,
        #[serde(with = "OwnerDef")]
        owner: Owner,
        blob: Bytes,
    },
    Parked {
        token: u64,
        blob: Bytes,
    },
    Tomb {
        token: u64,
        blob: Bytes,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Expect")]
enum ExpectDef {
    Absent,
    Live(u64, #[serde(with = "OwnerDef")] Owner),
    Parked(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoreOp")]
enum OpDef {
    Peek {
        key: StoreKey,
    },
    Put {
        key: StoreKey,
        #[serde(with = "ExpectDef")]
        expect: Expect,
        #[serde(with = "RecordDef")]
        record: Record,
        life: Duration,
        linger: Duration,
    },
    Lease {
        #[serde(with = "OwnerDef")]
        owner: Owner,
        life: Duration,
    },
    Send {
        #[serde(with = "OwnerDef")]
        to: Owner,
        note: Bytes,
    },
    Receive {
        #[serde(with = "OwnerDef")]
        owner: Owner,
    },
    Append {
        key: StoreKey,
        message: Bytes,
        life: Duration,
    },
    Read {
        key: StoreKey,
        after: Cursor,
        max: u32,
    },
    Trim {
        key: StoreKey,
        upto: Cursor,
    },
    Bind {
        user: [u8; 32],
        key: StoreKey,
        life: Duration,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Peeked")]
struct PeekedDef {
    #[serde(with = "RecordDef")]
    record: Record,
    expired: bool,
    owner_alive: bool,
}

#[derive(Serialize, Deserialize)]
struct PeekedWire(#[serde(with = "PeekedDef")] Peeked);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct OwnerWire(#[serde(with = "OwnerDef")] Owner);

/// Within an `Option`, a mirror needs a wrapper.
macro_rules! optional {
    ($name:ident, $wrapper:ident, $inner:ty) => {
        mod $name {
            use super::*;

            pub(super) fn serialize<S: serde::Serializer>(value: &Option<$inner>, to: S) -> Result<S::Ok, S::Error> {
                value.clone().map($wrapper).serialize(to)
            }

            pub(super) fn deserialize<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Option<$inner>, D::Error> {
                Ok(Option::<$wrapper>::deserialize(from)?.map(|wrapped| wrapped.0))
            }
        }
    };
}

optional!(maybe_peeked, PeekedWire, Peeked);
optional!(maybe_owner, OwnerWire, Owner);

#[derive(Serialize, Deserialize)]
#[serde(remote = "StoreReply")]
enum ReplyDef {
    Done,
    Conflict,
    Peeked(#[serde(with = "maybe_peeked")] Option<Peeked>),
    Notes(Vec<Bytes>),
    Appended {
        cursor: Cursor,
        #[serde(with = "maybe_owner")]
        owner: Option<Owner>,
    },
    NoSession,
    Messages(Vec<(Cursor, Bytes)>),
    Bound(Option<StoreKey>),
    Unavailable,
    Failed,
}

pub(super) type Frames<R> = FramedRead<R, LengthDelimitedCodec>;
pub(super) type Outlet<W> = FramedWrite<W, LengthDelimitedCodec>;

/// Frames both ways over a new connection, small ones only.
pub(super) fn frames<R: AsyncRead, W: AsyncWrite>(read: R, write: W) -> (Frames<R>, Outlet<W>) {
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(GREETING_FRAME)
            .new_codec()
    };
    (FramedRead::new(read, codec()), FramedWrite::new(write, codec()))
}

/// Large ones from now on.
pub(super) fn unbound<R, W>(from: &mut Frames<R>, to: &mut Outlet<W>) {
    from.decoder_mut().set_max_frame_length(FRAME);
    to.encoder_mut().set_max_frame_length(FRAME);
}

/// The next message; an error at the end, after a long silence, or if it is none.
pub(super) async fn next<T: DeserializeOwned>(from: &mut Frames<impl AsyncRead + Unpin>) -> io::Result<T> {
    let frame = tokio::time::timeout(SILENCE, from.next()).await?;
    let frame = frame.ok_or(io::ErrorKind::UnexpectedEof)??;
    postcard::from_bytes(&frame).map_err(io::Error::other)
}

pub(super) async fn send(to: &mut Outlet<impl AsyncWrite + Unpin>, message: &impl Serialize) -> io::Result<()> {
    feed(to, message).await?;
    SinkExt::<Bytes>::flush(to).await
}

/// As `send`, to be flushed together with others.
pub(super) async fn feed(to: &mut Outlet<impl AsyncWrite + Unpin>, message: &impl Serialize) -> io::Result<()> {
    let frame = postcard::to_stdvec(message).map_err(io::Error::other)?;
    to.feed(Bytes::from(frame)).await
}

/// Fresh for each connection.
pub(super) fn nonce() -> io::Result<[u8; 32]> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

/// Which end shows that it knows the secret.
#[derive(Clone, Copy)]
pub(super) enum End {
    Client,
    Server,
}

/// The proof that an end gives.
pub(super) fn proof(secret: &[u8], end: End, server: &[u8; 32], client: &[u8; 32]) -> [u8; 32] {
    mac(secret, end, server, client).finalize().into_bytes().into()
}

/// Whether the other end's proof is right, in constant time.
pub(super) fn is_proven(proof: &[u8; 32], secret: &[u8], end: End, server: &[u8; 32], client: &[u8; 32]) -> bool {
    mac(secret, end, server, client).verify_slice(proof).is_ok()
}

fn mac(secret: &[u8], end: End, server: &[u8; 32], client: &[u8; 32]) -> Hmac<Sha256> {
    let label: &[u8] = match end {
        End::Client => b"unbroken-store client",
        End::Server => b"unbroken-store server",
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is one");
    mac.update(label);
    mac.update(server);
    mac.update(client);
    mac
}

/// About how large a request is on the wire, in bytes.
pub(super) fn size_of_op(op: &StoreOp) -> usize {
    let payload = match op {
        StoreOp::Put { record, .. } => size_of_record(record),
        StoreOp::Send { note, .. } => note.len(),
        StoreOp::Append { message, .. } => message.len(),
        _ => 0,
    };
    payload + 64
}

/// About how large a reply is on the wire, in bytes.
pub(super) fn size_of_reply(reply: &StoreReply) -> usize {
    let payload = match reply {
        StoreReply::Peeked(Some(found)) => size_of_record(&found.record),
        StoreReply::Notes(notes) => notes.iter().map(Bytes::len).sum(),
        StoreReply::Messages(messages) => messages.iter().map(|(_, message)| message.len() + 16).sum(),
        _ => 0,
    };
    payload + 64
}

fn size_of_record(record: &Record) -> usize {
    match record {
        Record::Live { blob, .. } | Record::Parked { blob, .. } | Record::Tomb { blob, .. } => blob.len(),
    }
}

/// Cuts a sequence into runs of about [`PART`] bytes; one of nothing if there is nothing.
pub(super) fn parts<T, U>(all: Vec<T>, size: impl Fn(&T) -> usize, wrap: impl Fn(T) -> U) -> Vec<Vec<U>> {
    let (mut parts, mut filled) = (vec![Vec::new()], 0);
    for item in all {
        let size = size(&item);
        if filled > 0 && filled + size > PART {
            parts.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(part) = parts.last_mut() {
            part.push(wrap(item));
        }
    }
    parts
}
