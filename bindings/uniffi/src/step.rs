//! What goes into a step and what comes out of it.

use unbroken::{LinkId, NetworkEvent, NetworkId, Target};

use crate::error::RefusalCode;
use crate::event::Event;

/// One thing that happened, or that the application wants.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Input {
    /// The connection that `Output.OpenLink` asked for stands.
    LinkUp {
        /// The link's name.
        link: u64,
    },
    /// Bytes came on a link.
    Received {
        /// The link's name.
        link: u64,
        /// As they came, cut anywhere.
        bytes: Vec<u8>,
    },
    /// A connection could not be made, ended, or broke.
    LinkDown {
        /// The link's name.
        link: u64,
    },
    /// The link's socket takes no more for now: the session writes nothing to it until it is writable.
    LinkBlocked {
        /// The link's name.
        link: u64,
    },
    /// The link's socket takes bytes again.
    LinkWritable {
        /// The link's name.
        link: u64,
    },
    /// What the system says of its networks.
    Network {
        /// The hint.
        hint: NetworkHint,
    },
    /// A reliable message. If it is refused for want of room, so are all later ones of the same step: the order stays.
    Send {
        /// Its bytes.
        message: Vec<u8>,
    },
    /// A message that may be lost, never doubled; at most 16,320 bytes.
    SendUnreliable {
        /// Its bytes.
        message: Vec<u8>,
    },
    /// End the session for good; what was sent goes out first.
    Disconnect {
        /// The application's code, for the server.
        code: u32,
    },
    /// Try again after a `HandoverFailed` that was not final.
    Retry,
}

/// What the system says of its networks. Hints: a false one costs a second link, never a message. Report every network that is up, the
/// one to use last: the latest reported is the wanted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum NetworkHint {
    /// A network came up, and is the wanted one now.
    Available {
        /// As the driver numbers them.
        network: u64,
    },
    /// A network went away: links on it are as good as dead.
    Lost {
        /// As the driver numbers them.
        network: u64,
    },
    /// The default network or the device's address changed: a second link is opened at once.
    Changed {
        /// As the driver numbers them.
        network: u64,
    },
    /// The process will be frozen: no probes, no dialling, until `Wake`.
    Suspend,
    /// The process runs again; an unknown time has passed.
    Wake,
}

impl From<NetworkHint> for NetworkEvent {
    fn from(hint: NetworkHint) -> Self {
        match hint {
            NetworkHint::Available { network } => NetworkEvent::Available(NetworkId(network)),
            NetworkHint::Lost { network } => NetworkEvent::Lost(NetworkId(network)),
            NetworkHint::Changed { network } => NetworkEvent::Changed(NetworkId(network)),
            NetworkHint::Suspend => NetworkEvent::Suspend,
            NetworkHint::Wake => NetworkEvent::Wake,
        }
    }
}

/// What the driver must do next, in this order.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Output {
    /// Write to the link, after all that was to be written to it before. If the socket does not take all of it, keep the rest, report
    /// `LinkBlocked`, and `LinkWritable` when the rest is through.
    Send {
        /// The link's name.
        link: u64,
        /// At most 64 KiB.
        bytes: Vec<u8>,
    },
    /// Open a connection and report `LinkUp` or `LinkDown`.
    OpenLink {
        /// The new link's name.
        link: u64,
        /// `host:port` as the server named it, to reach that very server; else the address that was configured.
        advised: Option<String>,
        /// The network to bind to, if the platform can; else the system's choice.
        network: Option<u64>,
    },
    /// Close the connection after what was written to it before has left (a FIN, not a reset), or give up opening it.
    CloseLink {
        /// The link's name.
        link: u64,
    },
}

impl Output {
    /// `buffer` holds what is to be sent.
    pub(crate) fn of(output: unbroken::Output, buffer: &[u8]) -> Output {
        match output {
            unbroken::Output::Send { link, len } => Output::Send {
                link: link.0,
                bytes: buffer[..len].to_vec(),
            },
            unbroken::Output::OpenLink { link, target, network } => Output::OpenLink {
                link: link.0,
                advised: match target {
                    Target::Configured => None,
                    Target::Advised(address) => Some(address),
                },
                network: network.map(|network| network.0),
            },
            unbroken::Output::CloseLink { link: LinkId(link) } => Output::CloseLink { link },
        }
    }
}

/// What carries the session, for a driver that has a second network to offer: it is of use while the link is suspect or lost, and no
/// handover for another reason needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, uniffi::Enum)]
pub enum LinkHealth {
    /// No link is wanted: the session does not stand yet, is suspended, has given up, or ends.
    #[default]
    Idle,
    /// A link carries the session.
    Sound {
        /// The network it was opened on; none if that was the system's choice.
        network: Option<u64>,
    },
    /// It owes an answer for too long.
    Suspect {
        /// As in `Sound`.
        network: Option<u64>,
    },
    /// There is none.
    Lost,
}

impl From<unbroken::LinkHealth> for LinkHealth {
    fn from(health: unbroken::LinkHealth) -> Self {
        let number = |network: Option<NetworkId>| network.map(|network| network.0);
        match health {
            unbroken::LinkHealth::Idle => LinkHealth::Idle,
            unbroken::LinkHealth::Sound { network } => LinkHealth::Sound {
                network: number(network),
            },
            unbroken::LinkHealth::Suspect { network } => LinkHealth::Suspect {
                network: number(network),
            },
            unbroken::LinkHealth::Lost => LinkHealth::Lost,
        }
    }
}

/// A received message. Taking it out of the session acknowledges it.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Message {
    /// The number of a reliable message, from 0; none for an unreliable one.
    pub id: Option<u64>,
    /// What the server's application sent.
    pub payload: Vec<u8>,
}

/// An input `Send` or `SendUnreliable` that was not taken.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Refusal {
    /// Which of the step's inputs, from 0.
    pub input: u32,
    /// Why.
    pub code: RefusalCode,
    /// For people.
    pub text: String,
}

/// All that one step brought. Take the messages and events first, then carry out the outputs, then wait: whoever writes first can wait
/// for a server that waits for him.
#[derive(Clone, PartialEq, Eq, Debug, Default, uniffi::Record)]
pub struct Step {
    /// What happened.
    pub events: Vec<Event>,
    /// What came, as far as there was room for it.
    pub messages: Vec<Message>,
    /// The room was used up and more may be there: step again when there is room.
    pub more_messages: bool,
    /// Sends that were not taken.
    pub refusals: Vec<Refusal>,
    /// What to do, in order.
    pub outputs: Vec<Output>,
    /// What carries the session after this step.
    pub health: LinkHealth,
    /// Step again at this time at the latest, in microseconds of the driver's clock; none: only when something happens.
    pub deadline_us: Option<u64>,
}
