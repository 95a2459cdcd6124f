//! The process that has the store. Each connection is a task: it hands requests on in the order in which they come, and sends answers in the
//! order in which they are there.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::address::{Address, Listener, Reader, Writer};
use super::wire::{
    Answer, Ask, Checked, End, Frames, Greeting, Hello, MAGIC, Outlet, Part, Reply, Request, VERSION, Verdict, feed,
    frames, is_proven, next, nonce, parts, proof, send, size_of_reply, unbound,
};
use crate::{Bytes, Store, StoreError};

/// Requests of one connection that are under way at most. More wait in its socket.
const UNDER_WAY: usize = 4096;

/// Lends a store of this process to others, which reach it by `RemoteStore`.
pub struct StoreServer {
    listener: Listener,
    address: Address,
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    secret: Vec<u8>,
}

/// Options of a [`StoreServer`].
pub struct StoreServerBuilder(Shared);

impl StoreServer {
    /// Options for lending this store.
    pub fn builder(store: impl Store) -> StoreServerBuilder {
        StoreServerBuilder(Shared {
            store: Arc::new(store),
            secret: Vec::new(),
        })
    }

    /// Where it listens, as `RemoteStore` takes it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Serves until `end` is there. Clients that wait for answers then do not get them, and treat them as not known.
    pub async fn serve_until(self, end: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((read, write)) => {
                        connections.spawn(connection(self.shared.clone(), read, write));
                    }
                    Err(error) => {
                        tracing::warn!(target: "unbroken::store", %error, "cannot accept a connection");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

impl StoreServerBuilder {
    /// What clients must know; nothing unless told. Use at least 16 random bytes.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.0.secret = secret.into();
        self
    }

    /// Listens at `host:port` or `unix:/path`.
    ///
    /// # Errors
    /// [`StoreError::Option`] if the address is none, [`StoreError::Unreachable`] if it cannot be listened at.
    pub async fn bind(self, address: &str) -> Result<StoreServer, StoreError> {
        let address = Address::parse(address)?;
        let listening = async {
            let listener = address.listen().await?;
            Ok::<_, io::Error>((listener.address()?, listener))
        };
        let (address, listener) = listening.await.map_err(|error| StoreError::Unreachable {
            store: format!("a store process at {address}"),
            problem: format!("it cannot listen there: {error}; choose an address of this machine that is free"),
        })?;
        Ok(StoreServer {
            listener,
            address,
            shared: Arc::new(self.0),
        })
    }
}

impl fmt::Debug for StoreServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreServer")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreServerBuilder { .. }")
    }
}

async fn connection(shared: Arc<Shared>, read: Reader, write: Writer) {
    let (mut from, mut to) = frames(read, write);
    let outcome = async {
        greet(&shared.secret, &mut from, &mut to).await?;
        unbound(&mut from, &mut to);
        let (answers, queue) = mpsc::channel(UNDER_WAY);
        // Whichever ends first ends the other, and with it all that the connection still waits for.
        tokio::select! {
            read = requests(&*shared.store, &mut from, answers) => read,
            written = write_answers(queue, &mut to) => written,
        }
    };
    if let Err(error) = outcome.await {
        tracing::debug!(target: "unbroken::store", %error, "a client's connection ended");
    }
}

async fn greet(secret: &[u8], from: &mut Frames<Reader>, to: &mut Outlet<Writer>) -> io::Result<()> {
    let own = nonce()?;
    let greeting = Greeting {
        magic: MAGIC,
        version: VERSION,
        nonce: own,
    };
    send(to, &greeting).await?;
    let hello: Hello = next(from).await?;
    let why = if hello.version != VERSION {
        format!(
            "it speaks version {VERSION}, and the client {}; run the same version of both",
            hello.version
        )
    } else if !is_proven(&hello.proof, secret, End::Client, &own, &hello.nonce) {
        "the secret is another".into()
    } else {
        let proof = proof(secret, End::Server, &own, &hello.nonce);
        return send(to, &Verdict::Welcome { proof }).await;
    };
    tracing::warn!(target: "unbroken::store", why, "a client is refused");
    send(to, &Verdict::Refused { why: why.clone() }).await?;
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Hands requests on as they come: the store keeps the order of the calls.
async fn requests(store: &dyn Store, from: &mut Frames<Reader>, answers: mpsc::Sender<Answer>) -> io::Result<()> {
    let mut under_way = JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= UNDER_WAY {
            under_way.join_next().await;
        }
        let Request { id, ask } = next(from).await?;
        let answers = answers.clone();
        let answer = async move |part| {
            // Nobody to answer: the connection has ended.
            let _ = answers.send(Answer { id, part }).await;
        };
        match ask {
            Ask::Submit(ops) => {
                let replies = store.submit(ops.into_iter().map(|op| op.0).collect());
                under_way.spawn(async move {
                    for part in parts(replies.await, size_of_reply, Reply) {
                        answer(Part::Replies(part)).await;
                    }
                });
            }
            Ask::Receive(owner) => {
                let notes = store.receive(owner);
                under_way.spawn(async move { answer(notes.await.map_or(Part::NotesLost, Part::Notes)).await });
            }
            Ask::Check => {
                let check = store.check();
                under_way.spawn(async move { answer(Part::Checked(checked(check.await))).await });
            }
        }
    }
}

/// Writes what is there, and flushes when there is no more.
async fn write_answers(mut queue: mpsc::Receiver<Answer>, to: &mut Outlet<Writer>) -> io::Result<()> {
    while let Some(answer) = queue.recv().await {
        feed(to, &answer).await?;
        if queue.is_empty() {
            SinkExt::<Bytes>::flush(to).await?;
        }
    }
    Ok(())
}

fn checked(outcome: Result<(), StoreError>) -> Checked {
    match outcome {
        Ok(()) => Checked::Fine,
        Err(StoreError::Forgets { store, findings }) => Checked::Forgets(
            findings
                .into_iter()
                .map(|finding| format!("{store}: {finding}"))
                .collect(),
        ),
        Err(other) => Checked::Broken(other.to_string()),
    }
}
