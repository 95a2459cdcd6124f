//! Requests as Redis commands, and its answers as replies.
//!
//! ```text
//!   PREFIX{hex key}:record   hash    state, blob, over (when its life is over, ms), last (number of the queue's last message)
//!   PREFIX{hex key}:queue    stream  NUMBER-0: m (message), x (when it is over, ms)
//!   PREFIX{hex owner}:lease  string
//!   PREFIX{hex owner}:mail   list
//!   PREFIX{hex user}:user    string  hex keys of the user's last sessions, the newest first
//! ```
//!
//! What a script touches has the same hash tag, so it lies in the same slot of a cluster. Each key has an expiry: nothing stays that nobody
//! wants. All times are the server's.

use std::fmt::Write;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, Value};
use tokio::time::Instant;
use unbroken::{Expect, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply};

use super::link::{Trouble, Way};
use crate::Bytes;
use crate::clock::millis;
use crate::rules::{MAILBOX_NOTES, QUEUE_MESSAGE, QUEUE_MESSAGES, USER_SESSIONS};

/// How long a mailbox is kept after its last note, in milliseconds. Whoever has not fetched it by then is not there.
const MAILBOX_LIFE: u64 = 60_000;

/// The longest time, in milliseconds: a hundred years. Redis refuses what would be past its calendar.
const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1000;

/// What an operation concerns: those with the same are done one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Session(StoreKey),
    Owner(Owner),
    User([u8; 32]),
}

impl Subject {
    pub(super) fn of(op: &StoreOp) -> Subject {
        match op {
            StoreOp::Peek { key }
            | StoreOp::Put { key, .. }
            | StoreOp::Append { key, .. }
            | StoreOp::Read { key, .. }
            | StoreOp::Trim { key, .. } => Subject::Session(*key),
            StoreOp::Lease { owner, .. } | StoreOp::Send { to: owner, .. } | StoreOp::Receive { owner } => {
                Subject::Owner(*owner)
            }
            StoreOp::Bind { user, .. } => Subject::User(*user),
        }
    }

    /// The hash tag of its keys.
    pub(super) fn tag(&self) -> String {
        match self {
            Subject::Session(key) => hex(key),
            Subject::Owner(owner) => hex(&owner.0),
            Subject::User(user) => hex(user),
        }
    }
}

/// The scripts, and the names of the keys.
pub(super) struct Ops {
    prefix: String,
    put: Lua,
    peek: Lua,
    append: Lua,
    read: Lua,
    trim: Lua,
    send: Lua,
    take: Lua,
    bind: Lua,
}

struct Lua {
    code: &'static str,
    hash: String,
}

impl Ops {
    pub(super) fn new(prefix: String) -> Self {
        Ops {
            prefix,
            put: Lua::new(include_str!("scripts/put.lua")),
            peek: Lua::new(include_str!("scripts/peek.lua")),
            append: Lua::new(include_str!("scripts/append.lua")),
            read: Lua::new(include_str!("scripts/read.lua")),
            trim: Lua::new(include_str!("scripts/trim.lua")),
            send: Lua::new(include_str!("scripts/send.lua")),
            take: Lua::new(include_str!("scripts/take.lua")),
            bind: Lua::new(include_str!("scripts/bind.lua")),
        }
    }

    /// Has one request done.
    ///
    /// # Errors
    /// It was turned down, or nobody knows.
    pub(super) async fn carry_out(&self, way: Way<'_>, op: StoreOp, deadline: Instant) -> Result<StoreReply, Trouble> {
        match op {
            StoreOp::Peek { key } => self.peek(way, key, deadline).await,
            op => self.simple(way, op, deadline).await,
        }
    }

    /// The command that waits for a note, and the script that takes the rest.
    pub(super) fn blocking_take(&self, owner: Owner, wait: Duration) -> Cmd {
        let mut command = redis::cmd("BLPOP");
        command.arg(self.name(&owner.0, "mail")).arg(wait.as_secs());
        command
    }

    pub(super) async fn take(&self, way: Way<'_>, owner: Owner, deadline: Instant) -> Result<Vec<Bytes>, Trouble> {
        let answer = self
            .take
            .call(way, &[self.name(&owner.0, "mail")], &[], deadline)
            .await?;
        Ok(Vec::from_iter(array(answer)?.into_iter().filter_map(bytes)))
    }

    /// A record. Whether its owner is alive stands in another slot, and so is asked for by itself ([`Ops::is_alive`]).
    async fn peek(&self, way: Way<'_>, key: StoreKey, deadline: Instant) -> Result<StoreReply, Trouble> {
        let answer = self.peek.call(way, &[self.name(&key, "record")], &[], deadline).await?;
        let [state, blob, expired] = match answer {
            Value::Nil => return Ok(StoreReply::Peeked(None)),
            other => array(other)?.try_into().map_err(|_| unexpected())?,
        };
        let record = bytes(state)
            .zip(bytes(blob))
            .and_then(|(state, blob)| decode(&state, blob))
            .ok_or_else(unexpected)?;
        Ok(StoreReply::Peeked(Some(Peeked {
            record,
            expired: expired == Value::Int(1),
            owner_alive: false,
        })))
    }

    /// Whether an owner's lease stands.
    pub(super) async fn is_alive(&self, way: Way<'_>, owner: Owner, deadline: Instant) -> Result<bool, Trouble> {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(self.name(&owner.0, "lease"));
        Ok(way.call(&exists, deadline).await? == Value::Int(1))
    }

    async fn simple(&self, way: Way<'_>, op: StoreOp, deadline: Instant) -> Result<StoreReply, Trouble> {
        let done_or_conflict = |answer| match answer {
            Value::Int(1) => Ok(StoreReply::Done),
            Value::Int(0) => Ok(StoreReply::Conflict),
            _ => Err(unexpected().into()),
        };
        match op {
            StoreOp::Put {
                key,
                expect,
                record,
                life,
                linger,
            } => {
                let (life, linger) = (bounded(life), bounded(linger));
                let (state, blob, kept) = match &record {
                    Record::Live { token, owner, blob } => (live(*token, *owner), blob, life),
                    Record::Parked { token, blob } => (parked(*token), blob, life + linger),
                    Record::Tomb { token, blob } => (format!("T:{token}"), blob, life),
                };
                let kept = expiry(kept);
                let expected = match expect {
                    Expect::Absent => String::new(),
                    Expect::Live(token, owner) => live(token, owner),
                    Expect::Parked(token) => parked(token),
                };
                let (life, kept) = (life.to_string(), kept.to_string());
                let arguments = [
                    expected.as_bytes(),
                    state.as_bytes(),
                    blob,
                    life.as_bytes(),
                    kept.as_bytes(),
                ];
                self.put
                    .call(way, &self.session(&key), &arguments, deadline)
                    .await
                    .and_then(done_or_conflict)
            }
            StoreOp::Lease { owner, life } => {
                let (lease, mail) = (self.name(&owner.0, "lease"), self.name(&owner.0, "mail"));
                let command = match bounded(life) {
                    0 => redis::cmd("DEL").arg(lease).arg(mail).to_owned(),
                    life => redis::cmd("SET")
                        .arg(lease)
                        .arg(1)
                        .arg("PX")
                        .arg(expiry(life))
                        .to_owned(),
                };
                way.call(&command, deadline).await.map(|_| StoreReply::Done)
            }
            StoreOp::Send { to, note } => {
                let keys = [self.name(&to.0, "lease"), self.name(&to.0, "mail")];
                let (most, life) = (MAILBOX_NOTES.to_string(), MAILBOX_LIFE.to_string());
                let arguments = [&note[..], most.as_bytes(), life.as_bytes()];
                self.send
                    .call(way, &keys, &arguments, deadline)
                    .await
                    .and_then(done_or_conflict)
            }
            StoreOp::Receive { owner } => self.take(way, owner, deadline).await.map(StoreReply::Notes),
            StoreOp::Append { message, .. } if message.len() > QUEUE_MESSAGE => Ok(StoreReply::Conflict),
            StoreOp::Append { key, message, life } => {
                let (life, most) = (bounded(life).to_string(), QUEUE_MESSAGES.to_string());
                let arguments = [&message[..], life.as_bytes(), most.as_bytes()];
                let answer = self.append.call(way, &self.session(&key), &arguments, deadline).await?;
                appended(answer)
            }
            StoreOp::Read { max: 0, .. } | StoreOp::Read { after: u64::MAX, .. } => {
                Ok(StoreReply::Messages(Vec::new()))
            }
            StoreOp::Read { key, after, max } => {
                let (first, most) = ((after + 1).to_string(), max.to_string());
                let arguments = [first.as_bytes(), most.as_bytes()];
                let answer = self
                    .read
                    .call(way, &[self.name(&key, "queue")], &arguments, deadline)
                    .await?;
                messages(answer)
            }
            StoreOp::Trim { key, upto } => {
                let upto = upto.to_string();
                let answer = self
                    .trim
                    .call(way, &[self.name(&key, "queue")], &[upto.as_bytes()], deadline)
                    .await;
                answer.and_then(done_or_conflict)
            }
            StoreOp::Bind { user, key, life } => {
                let (session, life, most) = (hex(&key), expiry(bounded(life)).to_string(), USER_SESSIONS.to_string());
                let arguments = [session.as_bytes(), life.as_bytes(), most.as_bytes()];
                let answer = self
                    .bind
                    .call(way, &[self.name(&user, "user")], &arguments, deadline)
                    .await?;
                match answer {
                    Value::Int(_) => Ok(StoreReply::Conflict),
                    Value::Nil => Ok(StoreReply::Bound(None)),
                    before => {
                        let before = bytes(before).and_then(|before| unhex(&before)).ok_or_else(unexpected)?;
                        Ok(StoreReply::Bound(Some(before)))
                    }
                }
            }
            StoreOp::Peek { key } => self.peek(way, key, deadline).await,
        }
    }

    fn session(&self, key: &StoreKey) -> [String; 2] {
        [self.name(key, "record"), self.name(key, "queue")]
    }

    fn name(&self, tag: &[u8], what: &str) -> String {
        format!("{}{{{}}}:{what}", self.prefix, hex(tag))
    }
}

impl Lua {
    fn new(code: &'static str) -> Self {
        Lua {
            code,
            hash: Script::new(code).get_hash().to_owned(),
        }
    }

    /// By its hash; by its text if the server does not know it (any more), which it keeps then.
    async fn call(
        &self,
        way: Way<'_>,
        keys: &[String],
        arguments: &[&[u8]],
        deadline: Instant,
    ) -> Result<Value, Trouble> {
        let command = |name, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match way.call(&command("EVALSHA", &self.hash), deadline).await {
            Err(Trouble::NotDone(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                way.call(&command("EVAL", self.code), deadline).await
            }
            answer => answer,
        }
    }
}

/// `L:token:owner`
fn live(token: u64, owner: Owner) -> String {
    format!("L:{token}:{owner}")
}

/// `P:token`
fn parked(token: u64) -> String {
    format!("P:{token}")
}

fn decode(state: &[u8], blob: Bytes) -> Option<Record> {
    let mut parts = std::str::from_utf8(state).ok()?.split(':');
    let (kind, token) = (parts.next()?, parts.next()?.parse().ok()?);
    Some(match kind {
        "L" => Record::Live {
            token,
            owner: Owner(unhex(parts.next()?.as_bytes())?),
            blob,
        },
        "P" => Record::Parked { token, blob },
        "T" => Record::Tomb { token, blob },
        _ => return None,
    })
}

fn appended(answer: Value) -> Result<StoreReply, Trouble> {
    let [number, state] = match answer {
        Value::Int(0) => return Ok(StoreReply::NoSession),
        Value::Int(_) => return Ok(StoreReply::Conflict),
        other => array(other)?.try_into().map_err(|_| unexpected())?,
    };
    let cursor = bytes(number).and_then(number_of).ok_or_else(unexpected)?;
    let record = bytes(state)
        .and_then(|state| decode(&state, Bytes::new()))
        .ok_or_else(unexpected)?;
    let owner = match record {
        Record::Live { owner, .. } => Some(owner),
        _ => None,
    };
    Ok(StoreReply::Appended { cursor, owner })
}

fn messages(answer: Value) -> Result<StoreReply, Trouble> {
    let mut parts = array(answer)?.into_iter();
    let mut found = Vec::new();
    while let (Some(number), Some(message)) = (parts.next(), parts.next()) {
        let number = bytes(number).and_then(number_of);
        found.push(number.zip(bytes(message)).ok_or_else(unexpected)?);
    }
    Ok(StoreReply::Messages(found))
}

fn number_of(text: Bytes) -> Option<u64> {
    std::str::from_utf8(&text).ok()?.parse().ok()
}

fn array(answer: Value) -> Result<Vec<Value>, RedisError> {
    match answer {
        Value::Array(values) => Ok(values),
        _ => Err(unexpected()),
    }
}

fn bytes(answer: Value) -> Option<Bytes> {
    match answer {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

fn bounded(time: Duration) -> u64 {
    millis(time).min(LONGEST)
}

/// The expiry of a key that is to be there for so long. Redis keeps a key for its last millisecond, too: what lives from 0 to 100 is gone at 101, and must be at 100.
fn expiry(life: u64) -> u64 {
    match life {
        0 => 0,
        life => (life - 1).max(1),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn unexpected() -> RedisError {
    (
        ErrorKind::UnexpectedReturnType,
        "that is no answer of our scripts; another program may use the same keys",
    )
        .into()
}
