//! The servers' end. One task has the connection and makes it anew when it is lost; requests that were sent and not answered by then are `Failed`,
//! and never sent again; those that were not sent wait for the next connection, and are `Unavailable` if there is none in time. If the runtime ends in which the task was begun, the
//! next request begins another.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::SinkExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use unbroken::{Owner, StoreOp, StoreReply};

use super::address::{Address, Reader, Writer};
use super::line::{Line, Sending};
use super::wire::{
    Answer, Ask, Checked, End, Frames, Greeting, Hello, MAGIC, Op, Outlet, PING_EVERY, Part, Request, VERSION, Verdict,
    feed, frames, is_proven, next, nonce, parts, proof, send, size_of_op, unbound,
};
use crate::doubts::Doubts;
use crate::mailboxes::RECEIVE_WAIT;
use crate::ticket::Ticket;
use crate::{BoxFuture, Bytes, Store, StoreError, failed, unavailable};

/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a `receive` that failed waits before it says so.
const RECEIVE_FAILED: Duration = Duration::from_secs(1);

/// A store that another process lends by `StoreServer`. Clones share the connection; when the last is dropped, it ends.
#[derive(Clone)]
pub struct RemoteStore(Arc<Inner>);

struct Inner {
    address: Address,
    secret: Vec<u8>,
    timeout: Duration,
    /// To the task that has the connection.
    line: Mutex<mpsc::Sender<Sending>>,
    trouble: Arc<Mutex<Option<String>>>,
    doubts: Doubts,
}

/// Options of a [`RemoteStore`].
#[derive(Clone)]
pub struct RemoteBuilder {
    address: String,
    secret: Vec<u8>,
    timeout: Duration,
}

/// What became of a request.
enum Outcome {
    Answered(Part),
    /// It was never sent.
    NotSent,
    Unknown,
}

impl RemoteStore {
    /// Connects with the options' defaults to `host:port` or `unix:/path`.
    ///
    /// # Errors
    /// As [`RemoteBuilder::connect`].
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        RemoteStore::builder(address).connect().await
    }

    /// Options for the store process at this address.
    pub fn builder(address: impl Into<String>) -> RemoteBuilder {
        RemoteBuilder {
            address: address.into(),
            secret: Vec::new(),
            timeout: Duration::from_secs(5),
        }
    }

    /// Puts a request into the line, now.
    fn ask(&self, ask: Ask, patience: Duration) -> impl Future<Output = Outcome> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let ticket = Ticket::new(ask);
        let not_after = Instant::now() + patience;
        let sending = Sending {
            answer,
            not_after,
            ticket: ticket.clone(),
        };
        let lined_up = self.0.line_up(sending);
        async move {
            // Counted from when it was asked: the parts of a large batch are waited for one behind the other.
            if lined_up && let Ok(Ok(part)) = timeout_at(not_after, answered).await {
                return Outcome::Answered(part);
            }
            match ticket.take() {
                Some(_) => Outcome::NotSent,
                None => Outcome::Unknown,
            }
        }
    }
}

impl RemoteBuilder {
    /// What the store process wants its clients to know.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = secret.into();
        self
    }

    /// After how long a request without an answer is given up: 5 s unless told, from 100 ms to 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects, waiting up to the time-out for the process to be there.
    ///
    /// # Errors
    /// [`StoreError::Option`] for an option out of bounds, [`StoreError::Unreachable`], [`StoreError::Refused`] if the secret or the
    /// version is another.
    pub async fn connect(self) -> Result<RemoteStore, StoreError> {
        crate::check_timeout(self.timeout)?;
        let address = Address::parse(&self.address)?;
        let deadline = Instant::now() + self.timeout;
        let connection = loop {
            let error = match timeout(self.timeout, open(&address, &self.secret)).await {
                Ok(Ok(connection)) => break connection,
                Ok(Err(error)) => error,
                Err(late) => late.into(),
            };
            if let Some(error) = in_vain(&address, &error) {
                return Err(error);
            }
            if Instant::now() + AGAIN >= deadline {
                return Err(unreachable(&address, &error.to_string()));
            }
            sleep(AGAIN).await;
        };
        let (line, requests) = Line::new();
        let inner = Inner {
            address,
            secret: self.secret,
            timeout: self.timeout,
            line: Mutex::new(line),
            trouble: Arc::default(),
            doubts: Doubts::default(),
        };
        inner.begin(Some(connection), requests);
        Ok(RemoteStore(Arc::new(inner)))
    }
}

impl Inner {
    /// Returns whether there was room.
    fn line_up(&self, sending: Sending) -> bool {
        let mut line = lock(&self.line);
        match line.try_send(sending) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            // The task has ended with the runtime in which it was begun.
            Err(TrySendError::Closed(sending)) => {
                let (fresh, requests) = Line::new();
                *line = fresh;
                self.begin(None, requests);
                line.try_send(sending).is_ok()
            }
        }
    }

    /// Begins the task that has the connection. It does not hold this, so that it ends when the last store is dropped.
    fn begin(&self, connection: Option<Connection>, requests: Line) {
        let (address, secret) = (self.address.clone(), self.secret.clone());
        let trouble = self.trouble.clone();
        tokio::spawn(keep(connection, address, secret, self.timeout, requests, trouble));
    }
}

impl Store for RemoteStore {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let sent: Vec<_> = parts(batch, size_of_op, Op)
            .into_iter()
            .map(|part| (part.len(), self.ask(Ask::Submit(part), self.0.timeout)))
            .collect();
        Box::pin(async move {
            let mut replies = Vec::new();
            for (count, answer) in sent {
                match answer.await {
                    Outcome::Answered(Part::Replies(part)) if part.len() == count => {
                        replies.extend(part.into_iter().map(|reply| reply.0))
                    }
                    Outcome::NotSent => replies.extend(unavailable(count)),
                    _ => replies.extend(failed(count)),
                }
            }
            replies
        })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        if self.0.doubts.are_due(owner) {
            return Box::pin(ready(None));
        }
        let answer = self.ask(Ask::Receive(owner), RECEIVE_WAIT + self.0.timeout);
        let inner = self.0.clone();
        Box::pin(async move {
            match answer.await {
                Outcome::Answered(Part::Notes(notes)) => Some(notes),
                // Also if it was never sent: notes that a store process has are gone if it is another one by now.
                _ => {
                    inner.doubts.add(owner, RECEIVE_WAIT);
                    sleep(RECEIVE_FAILED).await;
                    None
                }
            }
        })
    }

    fn patience(&self) -> Duration {
        self.0.timeout
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        // The other process may be at its own store's time-out.
        let answer = self.ask(Ask::Check, 2 * self.0.timeout);
        let inner = self.0.clone();
        Box::pin(async move {
            let store = name(&inner.address);
            match answer.await {
                Outcome::Answered(Part::Checked(Checked::Fine)) => Ok(()),
                Outcome::Answered(Part::Checked(Checked::Forgets(findings))) => {
                    Err(StoreError::Forgets { store, findings })
                }
                Outcome::Answered(Part::Checked(Checked::Broken(problem))) => {
                    Err(StoreError::Refused { store, problem })
                }
                _ => {
                    let trouble = lock(&inner.trouble).clone();
                    Err(unreachable(
                        &inner.address,
                        trouble.as_deref().unwrap_or("it does not answer in time"),
                    ))
                }
            }
        })
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore")
            .field("address", &self.0.address.to_string())
            .finish_non_exhaustive()
    }
}

/// Shows no secret.
impl fmt::Debug for RemoteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBuilder")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn name(address: &Address) -> String {
    format!("the store process at {address}")
}

fn unreachable(address: &Address, problem: &str) -> StoreError {
    StoreError::Unreachable {
        store: name(address),
        problem: format!("{problem}; check the address, and that unbroken-store-server or a `StoreServer` runs there"),
    }
}

/// What another attempt would not change.
fn in_vain(address: &Address, error: &io::Error) -> Option<StoreError> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let store = name(address);
    // What the other end says is an error of ours, with words; one of the system has none.
    if error.get_ref().is_some() {
        let problem = format!("{error}; give both ends the same");
        return Some(StoreError::Refused { store, problem });
    }
    match address {
        #[cfg(unix)]
        Address::Unix(_) => {
            let problem =
                format!("{error}; its socket is for the user that it runs as: run both ends as the same user");
            Some(StoreError::Unreachable { store, problem })
        }
        Address::Tcp(_) => None,
    }
}

type Connection = (Frames<Reader>, Outlet<Writer>);

/// Connects, and lets each end show that it knows the secret.
async fn open(address: &Address, secret: &[u8]) -> io::Result<Connection> {
    let (read, write) = address.connect().await?;
    let (mut from, mut to) = frames(read, write);
    let refused = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
    let greeting: Greeting = next(&mut from).await?;
    if greeting.magic != MAGIC {
        return Err(refused("it is no store process".into()));
    }
    let own = nonce()?;
    let hello = Hello {
        version: VERSION,
        nonce: own,
        proof: proof(secret, End::Client, &greeting.nonce, &own),
    };
    send(&mut to, &hello).await?;
    match next(&mut from).await? {
        Verdict::Welcome { proof } if is_proven(&proof, secret, End::Server, &greeting.nonce, &own) => {
            unbound(&mut from, &mut to);
            Ok((from, to))
        }
        Verdict::Welcome { .. } => Err(refused("it does not know the secret itself".into())),
        Verdict::Refused { why } => Err(refused(why)),
    }
}

/// Keeps a connection until the last store is dropped. Makes it, if there is none yet.
async fn keep(
    mut connection: Option<Connection>,
    address: Address,
    secret: Vec<u8>,
    patience: Duration,
    mut line: Line,
    trouble: Arc<Mutex<Option<String>>>,
) {
    loop {
        let made = match connection.take() {
            Some(connection) => connection,
            None => loop {
                if line.is_closed() {
                    return;
                }
                line.forget();
                match timeout(patience, open(&address, &secret)).await {
                    Ok(Ok(connection)) => break connection,
                    Ok(Err(error)) => *lock(&trouble) = Some(error.to_string()),
                    Err(late) => *lock(&trouble) = Some(late.to_string()),
                }
                sleep(AGAIN).await;
            },
        };
        *lock(&trouble) = None;
        let begun = Instant::now();
        let error = match serve(made, &mut line).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::warn!(target: "unbroken::store", %address, %error, "the connection to the store process is lost");
        *lock(&trouble) = Some(error.to_string());
        // For whoever welcomes us and hangs up each time.
        sleep_until(begun + AGAIN).await;
    }
}

/// What is sent and not answered, by its number. Dropped with the connection: that fails them.
#[derive(Default)]
struct Pending(Mutex<HashMap<u64, Waiting>>);

struct Waiting {
    answer: oneshot::Sender<Part>,
    /// Of a batch: how many replies there will be, and those that are there.
    count: usize,
    replies: Vec<super::wire::Reply>,
}

/// Until the connection is lost, or (`Ok`) the last store is dropped.
async fn serve((mut from, mut to): Connection, line: &mut Line) -> io::Result<()> {
    let pending = Pending::default();
    tokio::select! {
        written = write(&mut to, line, &pending) => written,
        read = read(&mut from, &pending) => read,
    }
}

async fn write(to: &mut Outlet<Writer>, line: &mut Line, pending: &Pending) -> io::Result<()> {
    for id in 0.. {
        let ask = match timeout(PING_EVERY, line.next()).await {
            Ok(Some(sending)) if sending.not_after <= Instant::now() => None,
            Ok(Some(Sending { answer, ticket, .. })) => ticket.take().inspect(|ask| {
                let count = match ask {
                    Ask::Submit(ops) => ops.len(),
                    _ => 0,
                };
                let waiting = Waiting {
                    answer,
                    count,
                    replies: Vec::new(),
                };
                lock(&pending.0).insert(id, waiting);
            }),
            Ok(None) => return Ok(()),
            // Nothing to ask, but both ends want to hear that the other is there.
            Err(_) => Some(Ask::Submit(Vec::new())),
        };
        if let Some(ask) = ask {
            feed(to, &Request { id, ask }).await?;
        }
        // Also behind one that was given up: what stood in front of it must not wait for the next.
        if line.is_empty() {
            SinkExt::<Bytes>::flush(to).await?;
        }
    }
    Ok(())
}

async fn read(from: &mut Frames<Reader>, pending: &Pending) -> io::Result<()> {
    loop {
        let Answer { id, part } = next(from).await?;
        pending.take_in(id, part);
    }
}

impl Pending {
    fn take_in(&self, id: u64, part: Part) {
        let mut waiting = lock(&self.0);
        let whole = match part {
            Part::Replies(mut part) => {
                let Some(batch) = waiting.get_mut(&id) else {
                    return;
                };
                batch.replies.append(&mut part);
                if batch.replies.len() < batch.count {
                    return;
                }
                Part::Replies(std::mem::take(&mut batch.replies))
            }
            other => other,
        };
        if let Some(waiting) = waiting.remove(&id) {
            // Whoever asked may have given up.
            let _ = waiting.answer.send(whole);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;
    use tokio::io::{duplex, split};

    #[tokio::test]
    async fn a_request_in_front_of_one_that_was_given_up_leaves_at_once() {
        let (here, there) = duplex(1 << 10);
        let [(_, mut to), (mut from, _)] = [here, there].map(|end| {
            let (read, write) = split(end);
            frames(Box::new(read) as Reader, Box::new(write) as Writer)
        });
        let (into, mut line) = Line::new();
        let now = Instant::now();
        for not_after in [now + Duration::from_secs(60), now] {
            assert!(into.try_send(Sending::until(not_after)).is_ok());
        }
        let pending = Pending::default();
        let mut writing = pin!(write(&mut to, &mut line, &pending));
        let mut reading = pin!(next::<Request>(&mut from));
        // Not even a moment: it would be sent with the next sign of life.
        let request = std::future::poll_fn(|cx| {
            assert!(writing.as_mut().poll(cx).is_pending());
            Poll::Ready(reading.as_mut().poll(cx))
        });
        let Poll::Ready(Ok(Request { id: 0, ask: Ask::Check })) = request.await else {
            panic!("nothing was sent");
        };
    }

    /// A test that runs as root is let in everywhere, so the system's answer is made up.
    #[cfg(unix)]
    #[test]
    fn a_socket_of_another_user_is_told_from_a_wrong_secret() {
        let address = Address::parse("unix:/run/unbroken-store/socket").unwrap();
        let (denied, other) = (io::ErrorKind::PermissionDenied, io::ErrorKind::ConnectionRefused);
        let told = |error: io::Error| in_vain(&address, &error).map(|error| error.to_string());
        let by_system = told(denied.into()).unwrap();
        assert!(by_system.contains("as the same user"), "{by_system}");
        assert!(!by_system.contains("refuses"), "{by_system}");
        let by_peer = told(io::Error::new(denied, "the secret is another")).unwrap();
        assert!(
            by_peer.contains("refuses: the secret is another; give both ends the same"),
            "{by_peer}"
        );
        assert_eq!(told(other.into()), None);
    }
}
