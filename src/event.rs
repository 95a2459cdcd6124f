//! What a session tells its host ([`Output`]), what it tells the application ([`Event`]), and what the host may tell it
//! about the network ([`NetworkEvent`]).

use alloc::string::String;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

use crate::error::{CloseReason, FailReason};
use crate::session::Credential;

/// The name of a session. It never changes, through any number of links and servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of one link, unique within its `Session` or `Endpoint`. A [`Session`](crate::Session) chooses it in
/// [`Output::OpenLink`]; at an [`Endpoint`](crate::Endpoint) the host does, and never uses one twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u64);

/// A network interface as the host numbers them: Wi-Fi, cellular ... The core only compares them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NetworkId(pub u64);

/// The number of a reliable message, from 0, per direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageId(pub u64);

/// Where a link should lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The address the application configured; usually a load balancer.
    Configured,
    /// `host:port` as a server named it (ACCEPT or DRAIN): reach that very server.
    Advised(String),
}

/// What the host must do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Write the first `len` bytes of the buffer to `link`, in order, after all that was to be written to it before.
    Send {
        /// The link to write to.
        link: LinkId,
        /// How many bytes of the buffer.
        len: usize,
    },
    /// Open a connection and report `handle_link_up` or `handle_link_down`.
    OpenLink {
        /// The new link's name.
        link: LinkId,
        /// Where to.
        target: Target,
        /// The network to bind to, if the platform can; `None` leaves it to the system.
        network: Option<NetworkId>,
    },
    /// Close the connection, after what was written to it before has left (a FIN, not a reset). The link's name is not used
    /// again; nothing that still comes from it needs to be reported. But read it and throw it away until the peer's FIN or for 2 s:
    /// bytes that come to a closed socket have it reset, and what the peer had not read yet is lost.
    CloseLink {
        /// The link to close.
        link: LinkId,
    },
}

/// What the host knows about the networks below, as hints. A false hint costs a second link, never a message.
///
/// Report every network that is up, the one to use last: the latest reported is the wanted one, and [`Output::OpenLink`] asks for it. When a link
/// goes silent, the next is asked for on another network that was reported, if there is one; what fails takes turns. Eight are
/// remembered. A host that reports none leaves the choice to the system, and walking out of a Wi-Fi's reach then costs what the system needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkEvent {
    /// A network came up, and is the wanted one now: a second link is opened on it, unless one carries the session there already.
    Available(NetworkId),
    /// A network went away: links on it are as good as dead.
    Lost(NetworkId),
    /// The default network or the device's address changed: a second link is opened at once.
    Changed(NetworkId),
    /// The process will be frozen, or must be quiet: no probes, no dialling, until [`NetworkEvent::Wake`].
    Suspend,
    /// The process runs again; an unknown time has passed, whatever the clock says.
    Wake,
}

/// Where a session stands; `docs/ARCHITECTURE.md` has the picture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum State {
    /// Created, or given up; nothing is under way. `retry()` starts anew.
    None = 0,
    /// A link was asked for and is not up. At a server: detached, waiting for the client.
    Connecting = 1,
    /// The first flight was sent; the keys are not agreed.
    Handshaking = 2,
    /// Keys are agreed.
    Connected = 3,
    /// Waiting for the peer's ACK position.
    Restore = 4,
    /// May send; the authorisation is outstanding.
    Standby = 5,
    /// Session id set and authorised.
    Established = 6,
    /// Ended, with its reason; final.
    Closed = 7,
}

/// What carries a session, for a host that has a second network to offer: it is of use while the link is [`LinkHealth::Suspect`] or
/// [`LinkHealth::Lost`], and no handover for another reason needs it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LinkHealth {
    /// No link is wanted: the session does not stand yet, is suspended, has given up, or ends.
    #[default]
    Idle,
    /// A link carries the session.
    Sound {
        /// The network it was opened on; `None` if that was the system's choice.
        network: Option<NetworkId>,
    },
    /// It owes an answer for too long.
    Suspect {
        /// As in `Sound`.
        network: Option<NetworkId>,
    },
    /// There is none.
    Lost,
}

/// Why a handover began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum HandoverCause {
    /// The link ended: FIN, reset, or an error from the host.
    LinkLost = 0,
    /// The link carries nothing although it should: silence on un-ACKed data or on a probe.
    LinkSuspect = 1,
    /// The host reported a change of network.
    NetworkChanged = 2,
    /// The server asked for it (DRAIN).
    Drain = 3,
    /// The host woke from suspension.
    Wake = 4,
    /// The link broke the protocol: a record that did not open, a frame that cannot be.
    BadInput = 5,
    /// The peer came with a newer link (seen at the server).
    PeerMoved = 6,
}

/// How a handover went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandoverEnd {
    /// From the moment the old link stopped carrying (as well as this end can know it) until the new one was up. Zero when the
    /// new link stood before the old one failed.
    pub downtime: Duration,
    /// Messages sent again, because the old link may have swallowed them.
    pub replayed_messages: u64,
    /// Their payload, in bytes.
    pub replayed_bytes: u64,
    /// Whether the same server process answered.
    pub same_server: bool,
}

/// What the application should know. [`Event::Closed`] comes once, last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The state changed. For displays and logs; nothing needs to be done.
    State(State),
    /// The session stands for the first time: it has its id and the server's verdict. At a server no [`Event::Readable`] or [`Event::Mail`] comes before it, also of
    /// a session that is ending when the verdict is given or the store has heard of it.
    Established {
        /// The id.
        session: SessionId,
        /// What the server's application said with its verdict; empty at the server.
        message: Bytes,
    },
    /// (server) A client asks to be let in; answer with `authorise`. Until then its messages wait.
    Authorise {
        /// From the client's configuration, at most 8192 bytes.
        credential: Credential,
    },
    /// (client) The server's application did not let the client in; [`Event::Closed`] follows, and but for [`Event::State`] nothing else.
    Refused {
        /// The application's code.
        code: u32,
        /// What it said; at most 1024 bytes.
        message: Bytes,
    },
    /// (server, only with `ask_on_resume`) A client wants to resume; answer with `answer_resume` before the handshake limit. Nothing
    /// is delivered before.
    ResumeRequest,
    /// (server) Messages wait in `recv`. Comes once until `recv` returned `None`.
    Readable,
    /// There is room again after a `send` that would have blocked.
    Writable,
    /// The link under the session failed, is failing or is being replaced. Messages wait, nothing is lost.
    HandoverBegin {
        /// Why.
        cause: HandoverCause,
    },
    /// The session runs again.
    HandoverEnd(HandoverEnd),
    /// The session could not be carried on. After a reason for which [`FailReason::is_final`] holds, [`Event::Closed`] follows. Else the session
    /// waits in [`State::None`] and the application may call `retry`. A first connect that is given up ends so, too, without a
    /// [`Event::HandoverBegin`] before it.
    HandoverFailed {
        /// Why.
        reason: FailReason,
        /// The first message that was never ACKed: all before it have been delivered to the peer's application.
        acked: MessageId,
    },
    /// The server asks to move elsewhere within this time; the session does so by itself.
    Draining {
        /// The time over which clients spread.
        window: Duration,
    },
    /// (server, with a store) The session came from another process, or from this one before it was restarted: the first event of it here. Its client
    /// was let in there, so [`Event::Established`] does not come again.
    Restored {
        /// The application's state, as it was given with the last snapshot; `None` if none was.
        app: Option<Bytes>,
        /// The user that it is bound to. Of a key over 1024 bytes the first 992, and then its SHA-256: see [`bind_user`](crate::SessionMut::bind_user).
        user: Option<Bytes>,
    },
    /// (server, with a store) The session has left this process: the store has it, or another process. The last event of it here;
    /// [`Event::Closed`] does not come.
    SwappedOut,
    /// (server, with a store) The store did not take the session that was to be swapped out. It goes on here.
    SwapOutFailed,
    /// (server, with a store) Messages from servers wait in `recv_mail`. Comes once until that returned `None`.
    Mail,
    /// The session ended.
    Closed(CloseReason),
}

/// A received message, borrowed from the session: copy what must stay. `Debug` tells its length only, as payloads must not end
/// up in logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The number of a reliable message; `None` for an unreliable one.
    pub id: Option<MessageId>,
    /// The bytes the peer's application sent.
    pub payload: &'a [u8],
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.id, self.payload.len())
    }
}
