//! Which network a link goes out on: the networks that the application registered, what it was told about them, and the order in which a
//! dial tries them.
//!
//! | the core asks for a link ... | tried in this order |
//! |---|---|
//! | after a hint (`Available`, `Changed`), until a link is up | the network of the hint, the others as registered |
//! | without one, while links are up (one is suspect, or drains) | networks without a link first: the one that has it is the one that failed |
//! | without one, with no link up | the network that the core names, if any, the others as registered |
//!
//! A network that was reported lost comes last. Each network has [`race::HEAD_START`] before the next one is tried beside it, or less if
//! it fails sooner; the first connection that stands is taken and the others are dropped. So a network that swallows everything
//! costs its head start, not the session. Without registered networks all of this is left to the system's routes.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tracing::{debug, error, warn};
use unbroken::{NetworkEvent, NetworkId};

use crate::dial::{self, Dial, Dialer, Dialing};
use crate::race;

/// How a link is tied to a network.
#[derive(Clone)]
#[non_exhaustive]
pub enum Binding {
    /// The socket's source address, on any platform. It decides the route only where the system routes by source (Linux: `ip rule
    /// add from`; Windows and Apple systems choose the interface that has the address). When the address is replaced, the
    /// network cannot be bound any more, and the next one is tried.
    Source(IpAddr),
    /// The interface's name (`SO_BINDTODEVICE`): survives a change of address and needs no routing rules. Linux before 5.7 asks for
    /// CAP_NET_RAW. Not for Android applications.
    #[cfg(target_os = "linux")]
    Device(String),
    /// The application opens the connection itself, on that network: with `Network.bindSocket` on Android, through a proxy ...
    Dialer(Dialer),
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Binding::Source(source) => write!(f, "source {source}"),
            #[cfg(target_os = "linux")]
            Binding::Device(name) => write!(f, "device {name}"),
            Binding::Dialer(_) => f.write_str("the application's dialer"),
        }
    }
}

/// See the module's head.
#[derive(Default)]
pub(crate) struct Networks {
    known: Vec<(NetworkId, Binding)>,
    hints: Mutex<Hints>,
    /// A network was lost, and the driver has not looked at its links yet.
    loss: AtomicBool,
}

#[derive(Default)]
struct Hints {
    /// The network of the newest hint, until a link is up.
    fresh: Option<NetworkId>,
    lost: Vec<NetworkId>,
    /// The newest connections, by their own addresses, and the networks they were made over.
    made: VecDeque<(SocketAddr, NetworkId)>,
}

/// More connections than a client has at once.
const MADE: usize = 16;

/// One place in the order: a network and its binding, or the system's choice.
pub(crate) type Way = Option<(NetworkId, Binding)>;

impl Networks {
    /// Registers a network, or binds it differently.
    pub(crate) fn register(&mut self, network: NetworkId, binding: Binding) {
        match self.known.iter_mut().find(|(known, _)| *known == network) {
            Some((_, bound)) => *bound = binding,
            None => self.known.push((network, binding)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes note of a hint on its way to the core. Returns whether the driver must look at its links.
    pub(crate) fn hint(&self, event: NetworkEvent) -> bool {
        let mut hints = self.hints();
        match event {
            NetworkEvent::Available(network) | NetworkEvent::Changed(network) => {
                hints.lost.retain(|lost| *lost != network);
                hints.fresh = Some(network);
                false
            }
            NetworkEvent::Lost(network) => {
                // Of others there may be ever new ones, and no link is known to be on them.
                let is_known = self.known.iter().any(|(known, _)| *known == network);
                if is_known && !hints.lost.contains(&network) {
                    hints.lost.push(network);
                }
                hints.fresh = hints.fresh.filter(|fresh| *fresh != network);
                self.loss.store(true, Ordering::Relaxed);
                true
            }
            NetworkEvent::Suspend | NetworkEvent::Wake => false,
        }
    }

    /// Whether links may be on a network that was lost since the last call.
    pub(crate) fn take_loss(&self) -> bool {
        self.loss.swap(false, Ordering::Relaxed)
    }

    /// Whether a registered network was reported lost.
    pub(crate) fn is_lost(&self, network: NetworkId) -> bool {
        self.hints().lost.contains(&network)
    }

    /// A link is up: the last hint was followed.
    pub(crate) fn settle(&self) {
        self.hints().fresh = None;
    }

    /// The registered network that a connection was made over, just now: of later ones so many may come to nothing that this one is forgotten.
    pub(crate) fn of(&self, stream: &TcpStream) -> Option<NetworkId> {
        let local = stream.local_addr().ok()?;
        let hints = self.hints();
        let found = hints.made.iter().find(|(address, _)| *address == local);
        found.map(|(_, network)| *network)
    }

    fn made(&self, stream: &TcpStream, network: NetworkId) {
        if let Ok(local) = stream.local_addr() {
            let mut hints = self.hints();
            hints.made.truncate(MADE);
            hints.made.push_front((local, network));
        }
    }

    /// Takes note of a connection that the application's own dialer made: over the network whose address it has, or else the one that was asked for.
    fn made_by_application(&self, stream: &TcpStream, named: Option<NetworkId>) {
        let local = stream.local_addr().map(|local| local.ip());
        let has_address =
            |binding: &Binding| matches!((binding, &local), (Binding::Source(source), Ok(local)) if source == local);
        let bound = self.known.iter().find(|(_, binding)| has_address(binding));
        let found = bound.or_else(|| self.known.iter().find(|(known, _)| Some(*known) == named));
        if let Some((network, _)) = found {
            self.made(stream, *network);
        }
    }

    /// The order in which a dial tries the networks. `named` is what the core asks for, `in_use` where links are up.
    pub(crate) fn order(&self, named: Option<NetworkId>, in_use: &[NetworkId]) -> Vec<Way> {
        let hints = self.hints();
        let rank = |network: NetworkId| match () {
            () if hints.lost.contains(&network) => 4,
            () if hints.fresh == Some(network) => 0,
            () if in_use.contains(&network) => 3,
            () if named == Some(network) => 1,
            () => 2,
        };
        let mut order = self.known.clone();
        order.sort_by_key(|(network, _)| rank(*network));
        let mut ways: Vec<Way> = order.into_iter().map(Some).collect();
        if let Some(unknown) = named.filter(|named| self.known.iter().all(|(known, _)| known != named)) {
            warn!(target: "unbroken::client", network = unknown.0, "not a registered network: the link goes where the system sends it");
            ways.insert(0, None);
        }
        ways
    }

    fn hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens connections in the application's own way, and takes note of the network that each went over.
pub(crate) fn by_application(dialer: Dialer, networks: Arc<Networks>) -> Dialer {
    Arc::new(move |dial| {
        let (named, networks) = (dial.network, networks.clone());
        let dialing = dialer(dial);
        Box::pin(async move {
            let stream = dialing.await?;
            networks.made_by_application(&stream, named);
            Ok(stream)
        })
    })
}

/// Opens a connection over the first of these networks that lets it through.
pub(crate) fn race(dial: Dial, networks: Arc<Networks>) -> Dialing {
    let order = networks.order(dial.network, &dial.in_use);
    Box::pin(async move {
        let limit = dial.timeout;
        let tries = order.into_iter().map(|way| one(dial.clone(), way, networks.clone()));
        let all = race::first(tries, io::ErrorKind::NetworkUnreachable.into());
        timeout(limit, all)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })
}

async fn one(mut dial: Dial, way: Way, networks: Arc<Networks>) -> io::Result<TcpStream> {
    let Some((network, binding)) = way else {
        return dial::connect(dial, None).await;
    };
    let result = match &binding {
        Binding::Dialer(dialer) => {
            dial.network = Some(network);
            dialer(dial).await
        }
        bound => dial::connect(dial, Some(bound)).await,
    };
    match &result {
        Ok(stream) => networks.made(stream, network),
        Err(error) => debug!(target: "unbroken::client", network = network.0, %error, "cannot connect"),
    }
    result
}

/// One connection, bound before it is made.
pub(crate) async fn open(address: SocketAddr, binding: Option<&Binding>) -> io::Result<TcpStream> {
    let Some(binding) = binding else {
        return TcpStream::connect(address).await;
    };
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    let bound = match binding {
        Binding::Source(source) if source.is_ipv4() != address.is_ipv4() => {
            // A host with addresses of both families: the other one may fit.
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        Binding::Source(source) => socket.bind(SocketAddr::new(*source, 0)),
        #[cfg(target_os = "linux")]
        Binding::Device(name) => socket.bind_device(Some(name.as_bytes())),
        Binding::Dialer(_) => Ok(()),
    };
    if let Err(error) = bound {
        error!(target: "unbroken::client", ?binding, %error, "cannot bind a link to its network");
        return Err(error);
    }
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const WIFI: NetworkId = NetworkId(1);
    const CELLULAR: NetworkId = NetworkId(2);

    fn two() -> Networks {
        let mut networks = Networks::default();
        for (network, last) in [(WIFI, 1), (CELLULAR, 2)] {
            networks.register(network, Binding::Source(Ipv4Addr::new(127, 0, 0, last).into()));
        }
        networks
    }

    fn order(networks: &Networks, named: Option<NetworkId>, in_use: &[NetworkId]) -> Vec<Option<u64>> {
        let ways = networks.order(named, in_use).into_iter();
        ways.map(|way| way.map(|(network, _)| network.0)).collect()
    }

    #[test]
    fn the_order_follows_hints_then_failures_then_the_registration() {
        let networks = two();
        assert_eq!(order(&networks, None, &[]), [Some(1), Some(2)]);
        assert_eq!(order(&networks, Some(CELLULAR), &[]), [Some(2), Some(1)]);
        // A link is up on Wi-Fi and the core wants another: that one failed.
        assert_eq!(order(&networks, Some(WIFI), &[WIFI]), [Some(2), Some(1)]);
        // Unless it was just said that Wi-Fi is new.
        networks.hint(NetworkEvent::Changed(WIFI));
        assert_eq!(order(&networks, Some(WIFI), &[WIFI]), [Some(1), Some(2)]);
        networks.settle();
        assert_eq!(order(&networks, Some(WIFI), &[WIFI]), [Some(2), Some(1)]);
        assert!(networks.hint(NetworkEvent::Lost(CELLULAR)) && networks.take_loss() && !networks.take_loss());
        assert_eq!(order(&networks, None, &[WIFI]), [Some(1), Some(2)]);
        networks.hint(NetworkEvent::Available(CELLULAR));
        assert_eq!(order(&networks, None, &[]), [Some(2), Some(1)]);
    }

    #[test]
    fn an_unknown_network_leaves_the_choice_to_the_system() {
        assert_eq!(order(&two(), Some(NetworkId(9)), &[]), [None, Some(1), Some(2)]);
    }

    /// By its address if that is a network's, whatever it was asked for.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_of_the_application_counts_as_one_over_the_network_that_it_has_or_was_asked_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let networks = Arc::new(two());
        // Over Wi-Fi's address, and over one that is no network's.
        for (from, named, over) in [
            (1, Some(CELLULAR), Some(WIFI)),
            (1, None, Some(WIFI)),
            (9, Some(CELLULAR), Some(CELLULAR)),
            (9, None, None),
            (9, Some(NetworkId(9)), None),
        ] {
            let from = Binding::Source(Ipv4Addr::new(127, 0, 0, from).into());
            let dialer: Dialer = Arc::new(move |dial| {
                let from = from.clone();
                Box::pin(async move { dial::connect(dial, Some(&from)).await })
            });
            let dial = Dial {
                address: listener.local_addr().unwrap().to_string(),
                advised: false,
                network: named,
                in_use: Vec::new(),
                timeout: Duration::from_secs(5),
            };
            let stream = by_application(dialer, networks.clone())(dial).await.unwrap();
            assert_eq!(networks.of(&stream), over, "{named:?}");
        }
    }

    /// As platforms number networks that come and go: each time anew.
    #[test]
    fn networks_that_nobody_registered_leave_nothing_behind() {
        let networks = two();
        for number in 100..200 {
            networks.hint(NetworkEvent::Available(NetworkId(number)));
            networks.hint(NetworkEvent::Lost(NetworkId(number)));
        }
        assert_eq!(networks.hints().lost, []);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_network_that_cannot_be_bound_gives_way_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut networks = two();
        // TEST-NET-1: nobody's address.
        networks.register(WIFI, Binding::Source(Ipv4Addr::new(192, 0, 2, 1).into()));
        let dial = Dial {
            address: listener.local_addr().unwrap().to_string(),
            advised: false,
            network: None,
            in_use: Vec::new(),
            timeout: Duration::from_secs(5),
        };
        let networks = Arc::new(networks);
        let stream = race(dial, networks.clone()).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(networks.of(&stream), Some(CELLULAR));
        networks.hint(NetworkEvent::Lost(CELLULAR));
        assert!(networks.is_lost(CELLULAR) && !networks.is_lost(WIFI));
    }
}
