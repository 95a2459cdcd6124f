//! A client's sockets, and writing to them.
//!
//! The driver reads them and waits for them. But whoever is about to wait for the peer first writes what is due itself, if nobody else is at the
//! sockets: so a lone request leaves without a change of tasks, or of threads. If somebody is, it is left to the driver, which has been woken anyway
//! and is only spared the work. What the session wants beside writing (`Io::orders`) waits for the driver in any case.

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::net::TcpStream;
use tracing::debug;
use unbroken::{Instant, LinkId, NetworkId, Output};

use super::shared::Shared;
use crate::clock;
use crate::dial::Dialing;
use crate::metrics::ClientTally;
use crate::socket::Pending;

/// Turns of a driver, and outputs, in a row before other tasks get theirs.
pub(crate) const TURNS: usize = 16;
const SCRATCH: usize = 64 << 10;

thread_local! {
    // Used within one poll only, so all clients of a thread share it.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// Lends this thread's buffer.
pub(crate) fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| work(buffer))
}

/// The same, unless it is lent already: to a driver that polls a dialer of the application, which may use another client.
pub(crate) fn try_with_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
    BUFFER.with(|buffer| buffer.try_borrow_mut().ok().map(|mut buffer| work(&mut buffer)))
}

/// See the module's head.
pub(crate) struct Io {
    pub(crate) links: Vec<Link>,
    /// What the session wanted beside writing.
    pub(crate) orders: VecDeque<Output>,
    pub(crate) tally: ClientTally,
}

pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) socket: Socket,
    /// The registered network that it was made over, once it is up.
    pub(crate) network: Option<NetworkId>,
    pub(crate) pending: Pending,
}

pub(crate) enum Socket {
    Dialing(Dialing),
    Up(TcpStream),
}

/// What writing came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    Nothing,
    /// All there was.
    All,
    /// There is something for the driver: an order, a link that broke or takes no more, or more to write.
    Unfinished,
}

impl Io {
    pub(crate) fn new() -> Self {
        Io {
            links: Vec::new(),
            orders: VecDeque::new(),
            tally: ClientTally::new(),
        }
    }

    /// Writes what the session has to send, a bounded amount.
    pub(crate) fn write_due(&mut self, shared: &Shared, buffer: &mut [u8], now: Instant) -> Wrote {
        let mut wrote = Wrote::Nothing;
        for _ in 0..TURNS {
            let output = shared.lock().session.poll_output(buffer, now);
            let done = match output {
                None if self.orders.is_empty() => return wrote,
                None => return Wrote::Unfinished,
                Some(Output::Send { link, len }) => self.write(shared, link, &buffer[..len]),
                Some(order) => {
                    self.orders.push_back(order);
                    false
                }
            };
            wrote = match (wrote, done) {
                (Wrote::Nothing | Wrote::All, true) => Wrote::All,
                _ => Wrote::Unfinished,
            };
        }
        Wrote::Unfinished
    }

    /// Returns whether the link took all of it, or is gone long since.
    fn write(&mut self, shared: &Shared, id: LinkId, bytes: &[u8]) -> bool {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return true;
        };
        let Link {
            socket: Socket::Up(stream),
            pending,
            ..
        } = &mut self.links[index]
        else {
            return true;
        };
        self.tally.sent += bytes.len() as u64;
        match pending.write(stream, bytes) {
            Ok(true) => return true,
            Ok(false) => shared.lock().session.handle_link_blocked(id),
            Err(_) => self.drop_link(shared, index),
        }
        false
    }

    /// The peer or the path ended it.
    pub(crate) fn drop_link(&mut self, shared: &Shared, index: usize) {
        let link = self.links.swap_remove(index);
        debug!(target: "unbroken::client", link = link.id.0, "link down");
        shared.lock().session.handle_link_down(link.id, clock::now());
    }
}
