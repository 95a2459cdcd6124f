//! The client: one session, its driver task, and the handle that the application holds.
//!
//! The session is a state machine behind a mutex. The handle's methods step it directly (a `send` is a push into its outbox, a `recv`
//! a pop from its inbox: no channel and no copy in between), and wake the driver only if that made something due earlier than
//! what the driver waits for. The driver (`driver.rs`) reads the sockets and has the timer. The sockets stand behind a mutex of their own (`io.rs`),
//! so that a task which is about to wait can write what it sent itself. Nobody holds the session's across a system call.

mod driver;
mod error;
mod events;
mod io;
pub(crate) mod network;
mod shared;
mod sleeper;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use unbroken::{
    Batch, ClientConfig, CloseReason, LinkHealth, MessageId, NetworkEvent, NetworkId, Refusal, SendError, Session,
    SessionId, State, Stats,
};

use crate::dial::{self, Dialer};
use crate::message::Message;
use crate::{clock, seed};
use driver::Driver;
use network::Networks;
use shared::{Core, Shared};

pub use error::ConnectError;
pub use events::Events;
pub use network::Binding;

/// A session to a service. Clones are handles to the same session; when the last one is dropped, the session is closed with code 0.
///
/// All methods take `&self`, and all futures may be dropped at any time without loss: a message is either fetched or not, sent or
/// not (`select!` is safe).
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Closes the session when the last [`Client`] is gone; the driver has its own reference.
struct Handle {
    shared: Arc<Shared>,
    networks: Arc<Networks>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.with(|core| core.session.disconnect(0));
    }
}

impl Client {
    /// Connects to `address` (`host:port`, resolved anew on each dial) and waits until the session stands. Needs a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    /// [`ConnectError`]: given up after `Backoff::give_up_after`, refused by the server's application, or the address is no
    /// `host:port`. Dropping the future ends the attempt.
    pub async fn connect(address: impl ToString, config: Arc<ClientConfig>) -> Result<Client, ConnectError> {
        Client::builder(address, config).connect().await
    }

    /// As [`Client::connect`], with more to choose.
    pub fn builder(address: impl ToString, config: Arc<ClientConfig>) -> Builder {
        Builder {
            address: address.to_string(),
            config,
            dialer: None,
            networks: Networks::default(),
            connect_timeout: Duration::from_secs(5),
        }
    }

    /// Sends a reliable message; waits for room while the un-ACKed limits are used up. It arrives once and in order, on this link or
    /// a later one.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] over either end's limit (before the session first stands: this end's), [`SendError::Closed`] once the
    /// session is over. Both give the message back.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let message = message.into();
        let sent = self.handle.shared.send_slice(&message).await;
        sent.map_err(|refusal| refusal.with(message))
    }

    /// As [`Client::send`], without waiting.
    ///
    /// # Errors
    /// Also [`SendError::WouldBlock`].
    pub fn try_send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let message = message.into();
        self.handle.shared.with(|core| match core.open() {
            Some(session) => session.send(message),
            None => Err(SendError::Closed(message)),
        })
    }

    /// As [`Client::send`], from bytes that the caller keeps: nothing is allocated.
    ///
    /// # Errors
    /// As there, without the message.
    pub async fn send_slice(&self, message: &[u8]) -> Result<MessageId, Refusal> {
        self.handle.shared.send_slice(message).await
    }

    /// Sends as many of these messages as there is room for, in order, all in one step; waits while there is room for none. Returns how many: at least one, unless
    /// there is none. Like a write to a socket it need not be all of them: go on with the rest, `&messages[sent..]`. Or see [`Client::send_all`].
    ///
    /// # Errors
    /// Why the first was not taken: as [`Client::send_slice`].
    pub async fn send_many<M: AsRef<[u8]>>(&self, messages: &[M]) -> Result<usize, Refusal> {
        self.handle.shared.send_many(messages).await
    }

    /// Sends all these messages, in order, in as few steps as there is room for. If the future is dropped, some of them may have been sent.
    ///
    /// # Errors
    /// As [`Client::send_many`], for the first that was not taken; those before it were.
    pub async fn send_all<M: AsRef<[u8]>>(&self, mut messages: &[M]) -> Result<(), Refusal> {
        while !messages.is_empty() {
            messages = &messages[self.send_many(messages).await?..];
        }
        Ok(())
    }

    /// Sends a message that may be lost: it is neither kept nor sent again.
    ///
    /// # Errors
    /// [`SendError::NoLink`] while no link is up, [`SendError::Full`] over `Limits::unreliable_bytes`,
    /// [`SendError::TooLarge`], [`SendError::Closed`].
    pub fn send_unreliable(&self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let message = message.into();
        self.handle.shared.with(|core| match core.open() {
            Some(session) => session.send_unreliable(message),
            None => Err(SendError::Closed(message)),
        })
    }

    /// The next message; waits for it. `None` once the session is closed and all that had arrived was fetched. With several callers,
    /// each message goes to one of them.
    pub async fn recv(&self) -> Option<Message> {
        self.handle.shared.recv().await
    }

    /// The next message, if one is there.
    pub fn try_recv(&self) -> Option<Message> {
        self.handle.shared.with(|core| core.session.recv().map(Message::from))
    }

    /// Fills `batch` with all messages that have arrived; waits for one. Nothing is copied or allocated in a steady flow, so this is the fast way to read
    /// many messages; [`Client::recv`] is for those that are kept. All of them count as delivered at once. False once the session is closed and
    /// all that had arrived was fetched. A batch that is not empty is left as it is.
    ///
    /// ```no_run
    /// # async fn run(client: unbroken_tokio::Client) {
    /// let mut batch = unbroken_tokio::Batch::new();
    /// while client.recv_batch(&mut batch).await {
    ///     batch.for_each(|message| println!("{} bytes", message.payload.len()));
    /// }
    /// # }
    /// ```
    pub async fn recv_batch(&self, batch: &mut Batch) -> bool {
        self.handle.shared.recv_batch(batch).await
    }

    /// What happens to the session, from its start on, as a stream that ends after `Event::Closed`. All streams of one client share
    /// one queue: each event goes to one of them. Of events that nobody fetches, the newest 256 are kept
    /// ([`Events::missed`] counts the others); nothing else waits for them.
    pub fn events(&self) -> Events {
        Events::new(self.handle.shared.clone())
    }

    /// Ends the session: what was sent before still arrives, if a link stands until then, at most 2 s. None is redialled for it: a server
    /// that hears nothing keeps the session for its life without a link ([`Limits::detached`](unbroken::Limits)). Returns why it ended,
    /// which is `CloseReason::Local` unless something else came first.
    pub async fn disconnect(&self, code: u32) -> CloseReason {
        self.handle.shared.with(|core| core.session.disconnect(code));
        self.closed().await
    }

    /// Waits for the end of the session.
    pub async fn closed(&self) -> CloseReason {
        self.handle.shared.closed().await
    }

    /// Tries again after a `HandoverFailed` with a reason that is not final. Otherwise nothing happens.
    pub fn retry(&self) {
        self.handle.shared.with(|core| core.session.retry(clock::now()));
    }

    /// Tells the session what the platform says about its networks. Hints only: a false one costs a second link, never a message.
    pub fn network(&self, event: NetworkEvent) {
        let lost = self.handle.networks.hint(event);
        self.handle.shared.with(|core| {
            core.session.handle_network(event, clock::now());
            if lost {
                core.driver.wake();
            }
        });
    }

    /// Where the session stands.
    pub fn state(&self) -> State {
        let state = |core: &mut Core| core.open().map_or(State::Closed, |session| session.state());
        self.handle.shared.with(state)
    }

    /// What carries the session now: while the link is suspect or lost, a second network is of use. Changes come with the events of a handover.
    /// The network is the one that the session had asked for, and none where it left that to the [registered ones](Builder::network) or to the system.
    pub fn link_health(&self) -> LinkHealth {
        let health = |core: &mut Core| core.open().map_or(LinkHealth::Idle, |session| session.link_health());
        self.handle.shared.with(health)
    }

    /// The session's name, once it stands.
    pub fn id(&self) -> Option<SessionId> {
        self.handle.shared.with(|core| core.session.id())
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.handle.shared.with(|core| core.session.stats())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id())
            .field("state", &self.state())
            .finish()
    }
}

/// Collects what a [`Client`] is made of.
#[must_use = "a builder does nothing before `connect` or `start`"]
pub struct Builder {
    address: String,
    config: Arc<ClientConfig>,
    dialer: Option<Dialer>,
    networks: Networks,
    connect_timeout: Duration,
}

impl Builder {
    /// How long opening one connection may take, resolution included; default 5 s, at least 10 ms. Above
    /// [`Limits::handshake`](unbroken::Limits::handshake) it has no effect.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time.max(Duration::from_millis(10));
        self
    }

    /// A network that links may use, under the number that the application gives it in [`NetworkEvent`], and how a socket is tied to
    /// it. The first one registered is preferred while nothing is known. With two registered, a link that becomes suspect is
    /// replaced over the other network, with or without a hint. A network that cannot be bound is logged as an error, and the next
    /// one is tried; a link fails when none lets it through. Without any, links go where the system sends them.
    pub fn network(mut self, network: NetworkId, binding: Binding) -> Self {
        self.networks.register(network, binding);
        self
    }

    /// Opens connections in the application's own way: bound to the network that [`Dial::network`](crate::Dial) names, through a proxy ...
    /// The registered networks then only serve to fill in [`Dial::in_use`](crate::Dial), and to end links over one that is lost. A connection counts as one over the network
    /// whose [`Binding::Source`] it has, or else over the one that was asked for.
    pub fn dialer(mut self, dialer: Dialer) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// Starts the session and returns at once; messages may be sent, and leave when the session stands. Must be called within a
    /// tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The system gives no randomness, or there is no runtime.
    pub fn start(self) -> std::io::Result<Client> {
        let runtime = tokio::runtime::Handle::try_current().map_err(std::io::Error::other)?;
        let session = Session::connect(self.config, seed::fresh()?, clock::now());
        let shared = Arc::new(Shared::new(session));
        let networks = Arc::new(self.networks);
        let dialer = match self.dialer {
            Some(dialer) if networks.is_empty() => dialer,
            Some(dialer) => network::by_application(dialer, networks.clone()),
            None => dial::over(networks.clone()),
        };
        runtime.spawn(Driver::new(
            shared.clone(),
            self.address,
            dialer,
            networks.clone(),
            self.connect_timeout,
        ));
        Ok(Client {
            handle: Arc::new(Handle { shared, networks }),
        })
    }

    /// Starts the session and waits until it stands.
    ///
    /// # Errors
    /// See [`Client::connect`].
    pub async fn connect(self) -> Result<Client, ConnectError> {
        if !self
            .address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            return Err(ConnectError::Address(self.address));
        }
        let client = self.start().map_err(ConnectError::Io)?;
        pin!(client.handle.shared.established()).await?;
        Ok(client)
    }
}
