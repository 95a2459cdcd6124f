//! What must be true of a client and its host whatever happens: where it dials and when, and what its state says.
//!
//! | rule | |
//! |---|---|
//! | a network that is lost | no connection on it stays, and none is asked for on it |
//! | a network that is reported | nothing under way on it is taken back for that |
//! | a link that broke in good health | says nothing against its network: the next is asked for on the wanted one |
//! | a server's advice to wait | nothing is asked for before on that network, nor a flight sent to the same address over it (U-23) |
//! | the state | Connecting has no connection that is up and waits, Handshaking has a flight under way; whoever was let in and is not Established is in a handover; whoever gave up waits in None |

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use unbroken::{Instant, LinkHealth, LinkId, NetworkEvent, NetworkId, State, Target};

use super::{ClientEnd, Node, World};

use crate::absence::Tally;
use crate::net::ConnId;

/// Bytes of a REFUSE.
const REFUSE: usize = 19;
/// The longest that a server may make a client wait, and the share of the time that its session is kept without a link.
const ADVICE_MAX: Duration = Duration::from_secs(30);
const ADVICE_SHARE: u32 = 3;

/// What a client is told of how long its session is kept: `detached_ms`, hence whole milliseconds. It knows no other measure.
fn told(detached: Duration) -> Duration {
    Duration::from_millis(u64::try_from(detached.as_millis()).unwrap_or(u64::MAX))
}

/// What the test remembers of a client's connections.
#[derive(Debug, Default)]
pub struct Watch {
    /// Networks that the host reported and did not lose, the latest first.
    up: Vec<NetworkId>,
    /// Those on which a try has failed, or may have, since they were reported last and since a new link carried the session.
    doubted: BTreeSet<NetworkId>,
    links: BTreeMap<LinkId, Link>,
    held: Option<Held>,
    /// A handover has begun since a new link carried the session, of so many.
    pub uneasy: bool,
    carried: u64,
    /// As many links had carried it when it was given bytes last: one more comes of an answer only.
    adopted: u64,
    /// The network that the next connection should be asked for on.
    wanted: Option<NetworkId>,
    /// Its last input was bytes, not a link's end or a timer.
    pub heard: bool,
    /// The host has left off asking what it wants, so it may have asked for a connection already.
    wishes: bool,
    /// The process sleeps, and nothing is tried.
    asleep: bool,
}

/// A server said to wait.
#[derive(Clone, Debug)]
pub struct Held {
    until: Instant,
    /// Where the flight had gone, and over what.
    target: Target,
    network: Option<NetworkId>,
    /// How many links there had been: another may let it in meanwhile.
    links: u64,
    /// A lazy host may not have heard yet of one connection that was asked for before. It stands, as it would with a host that had heard, unless it leads to this address over
    /// this network, which said to wait: then the wish is taken back.
    unheard: Option<(Target, Option<NetworkId>)>,
}

impl Held {
    fn forbids(&self, now: Instant, links: u64, network: Option<NetworkId>) -> bool {
        now < self.until && links == self.links && network == self.network
    }

    /// It was asked for before the advice came. At most one is, beside the one that was refused.
    fn was_asked_before(&mut self, target: &Target, network: Option<NetworkId>) -> bool {
        self.unheard
            .take()
            .is_some_and(|(refused, over)| (refused, over) != (target.clone(), network))
    }
}

#[derive(Debug)]
struct Link {
    conn: ConnId,
    network: Option<NetworkId>,
    target: Target,
    /// What came first, up to the length of a REFUSE.
    answer: Vec<u8>,
    up: bool,
    spoke: bool,
}

impl Watch {
    /// How long the REFUSE says to wait, if what came first on this link is one.
    fn advice(&mut self, link: LinkId, bytes: &[u8]) -> Option<Duration> {
        let link = self.links.get_mut(&link)?;
        if link.answer.len() >= REFUSE {
            return None;
        }
        let missing = REFUSE - link.answer.len();
        link.answer.extend(&bytes[..bytes.len().min(missing)]);
        let [
            b'U',
            b'N',
            b'B',
            _,
            4,
            0,
            _,
            _,
            _,
            _,
            0,
            7,
            code @ 1..=6,
            a,
            b,
            c,
            d,
            least,
            most,
        ] = link.answer[..]
        else {
            return None;
        };
        (least <= most && link.spoke)
            .then(|| Duration::from_millis(u32::from_be_bytes([a, b, c, d]).into()))
            .filter(|_| code > 0)
    }

    /// Something other than time may lead to a new try.
    pub fn free(&mut self) {
        (self.held, self.wanted) = (None, None);
    }
}

impl World {
    /// A client asks for a connection.
    pub(super) fn watch_open(
        &mut self,
        i: usize,
        link: LinkId,
        conn: ConnId,
        target: &Target,
        network: Option<NetworkId>,
    ) {
        let now = self.now();
        let client = &mut self.clients[i];
        let links = client.session.stats().links;
        let beside = !matches!(client.session.link_health(), LinkHealth::Idle | LinkHealth::Lost);
        let let_in = client.talk.life.established;
        let watch = &mut client.watch;
        if let Some(held) = &mut watch.held
            && !held.was_asked_before(target, network)
            && held.forbids(now, links, network)
        {
            let until = held.until;
            self.fail(format_args!(
                "U-23: client {i} asks for a connection at {now:?} and was told to wait until {until:?}"
            ));
        }
        if let Some(network) = network
            && !watch.up.contains(&network)
        {
            self.fail(format_args!(
                "client {i} asks for a connection on {network:?}, which is not there"
            ));
        }
        if let Some(wanted) = watch.wanted.take()
            && network != Some(wanted)
        {
            self.fail(format_args!(
                "client {i} asks for a connection on {network:?} after a link broke that was sound, where {wanted:?} is wanted"
            ));
        }
        // Who is not let in yet is told of no handover, so nothing else says that one was tried. What comes of it is not seen either when the client itself gives
        // it up, for nonsense or for time: unless it is to carry the session (which makes good what failed before), the one it was tried on has had its turn.
        if beside && !let_in {
            watch.doubted.extend(network);
        }
        let target = target.clone();
        let link_of = Link {
            conn,
            network,
            target,
            answer: Vec::new(),
            up: false,
            spoke: false,
        };
        watch.links.insert(link, link_of);
    }

    /// One is up.
    pub(super) fn watch_up(&mut self, i: usize, link: LinkId) {
        if let Some(link) = self.clients[i].watch.links.get_mut(&link) {
            link.up = true;
        }
    }

    /// It writes to one.
    pub(super) fn watch_write(&mut self, i: usize, link: LinkId) {
        let now = self.now();
        let client = &mut self.clients[i];
        let watch = &mut client.watch;
        let Some(of) = watch.links.get_mut(&link) else { return };
        if !core::mem::replace(&mut of.spoke, true)
            && let Some(held) = &watch.held
            && held.forbids(now, client.session.stats().links, of.network)
            && of.target == held.target
        {
            let until = held.until;
            self.fail(format_args!(
                "U-23: client {i} sends a flight at {now:?} and was told to wait until {until:?}"
            ));
        }
    }

    /// It is about to be given these bytes; says how it has to wait, if they tell it to.
    pub(super) fn watch_input(&mut self, i: usize, link: LinkId, bytes: &[u8]) -> Option<Held> {
        let now = self.now();
        let client = &mut self.clients[i];
        let links = client.session.stats().links;
        let most = match client.session.id() {
            Some(_) => ADVICE_MAX.min(told(self.options.server_limits.detached) / ADVICE_SHARE),
            None => ADVICE_MAX,
        };
        let watch = &mut client.watch;
        watch.heard = true;
        let wait = watch.advice(link, bytes).filter(|wait| !wait.is_zero())?.min(most);
        let Link { target, network, .. } = &watch.links[&link];
        let held = Held {
            until: now + wait,
            target: target.clone(),
            network: *network,
            links,
            unheard: watch.wishes.then(|| (target.clone(), *network)),
        };
        // The longer one holds; over which network the other came is the same to it. What was said before a server let the client in is over, and no REFUSE after that
        // brings it back.
        Some(match watch.held.take() {
            Some(before) if before.until > held.until && before.links == links => Held {
                unheard: held.unheard,
                ..before
            },
            _ => held,
        })
    }

    /// It has been given them.
    pub(super) fn watch_heard(&mut self, i: usize, held: Option<Held>) {
        let client = &mut self.clients[i];
        if held.is_some() && client.talk.life.closed.is_none() {
            client.watch.held = held;
        }
        // Nothing that failed before a new link carried is held against a network.
        let links = client.session.stats().links;
        if core::mem::replace(&mut client.watch.adopted, links) != links {
            client.watch.doubted.clear();
        }
    }

    /// The host has asked what it wants, and knows all of it or left off before.
    pub(super) fn watch_drained(&mut self, i: usize, all: bool) {
        let watch = &mut self.clients[i].watch;
        watch.wishes = !all;
        if all && let Some(held) = &mut watch.held {
            held.unheard = None;
        }
    }

    /// A connection is no more.
    pub(super) fn watch_gone(&mut self, i: usize, link: LinkId) {
        self.clients[i].watch.links.remove(&link);
    }

    /// A handover has ended. If it was the old link that goes on, what was tried beside it may have failed.
    pub(super) fn watch_carried(&mut self, i: usize) {
        let client = &mut self.clients[i];
        let links = client.session.stats().links;
        if core::mem::replace(&mut client.watch.carried, links) != links {
            client.watch.uneasy = false;
        }
    }

    /// A link is about to go down.
    pub(super) fn watch_down(&mut self, i: usize, link: LinkId) {
        let client = &mut self.clients[i];
        client.watch.heard = false;
        let alone = client.host.links.len() == 1 && client.host.links.contains_key(&link);
        let sound = matches!(client.session.link_health(), LinkHealth::Sound { .. });
        client.watch.wanted = None;
        // What was tried beside another came to nothing: that speaks against its network.
        let network = client.watch.links.get(&link).and_then(|of| of.network);
        client.watch.doubted.extend(network.filter(|_| !alone));
        if alone && sound && client.talk.life.established && !client.watch.uneasy {
            let best = client.watch.up.first().copied();
            client.watch.wanted = best.filter(|best| !client.watch.doubted.contains(best));
        }
        self.watch_gone(i, link);
    }

    /// The host has news of its networks; all that follows at once is done.
    pub(super) fn watch_network(&mut self, i: usize, event: NetworkEvent) {
        let silent = matches!(self.clients[i].session.link_health(), LinkHealth::Suspect { .. });
        let watch = &mut self.clients[i].watch;
        watch.free();
        let mut kept = BTreeSet::new();
        let mut lost = Vec::new();
        match event {
            NetworkEvent::Available(network) | NetworkEvent::Changed(network) => {
                watch.up.retain(|up| *up != network);
                watch.up.insert(0, network);
                watch.doubted.remove(&network);
                // One whose link is silent is shunned, whatever the host says.
                if matches!(event, NetworkEvent::Available(_)) && !silent {
                    let on = |(link, of): (&LinkId, &Link)| (of.network == Some(network)).then_some(*link);
                    kept = watch.links.iter().filter_map(on).collect();
                }
            }
            NetworkEvent::Lost(network) => {
                watch.up.retain(|up| *up != network);
                let on = |of: &&Link| of.network == Some(network);
                lost = watch.links.values().filter(on).map(|of| of.conn).collect();
            }
            NetworkEvent::Suspend => watch.asleep = true,
            NetworkEvent::Wake => watch.asleep = false,
        }
        // Nobody at the other end learns of it.
        for conn in lost {
            self.net.black_hole(conn, &mut self.queue);
        }
        let now = self.now();
        self.clients[i].session.handle_network(event, now);
        self.drain(Node::Client(i), super::Only::Anything, u32::MAX);
        let watch = &self.clients[i].watch;
        if self.clients[i].talk.life.closed.is_some() {
            return;
        }
        if let Some(gone) = kept.iter().find(|link| !watch.links.contains_key(link)) {
            self.fail(format_args!(
                "client {i} takes {gone:?} back because of {event:?}, on which it is"
            ));
        }
        if let NetworkEvent::Lost(network) = event
            && let Some((link, _)) = watch.links.iter().find(|(_, of)| of.network == Some(network))
        {
            self.fail(format_args!("client {i} keeps {link:?} on {network:?}, which is lost"));
        }
    }

    /// A server was called about a connection: before, its links stood so.
    pub(super) fn watch_absence(&mut self, j: usize, conn: ConnId, before: Tally) {
        let (after, now) = (Tally::of(&self.servers[j].endpoint), self.now());
        match self.ends.get(&conn).map(|ends| &ends.client) {
            Some(&ClientEnd::Session(i, _)) if self.seats[i].server == j => {
                self.seats[i].absence.see_call(before, after, now);
            }
            // What a client wrote may come a second time on a connection of a stranger's, and before the first.
            _ if before.differs(after) => self.seats.iter_mut().for_each(|seat| seat.absence.lose_track()),
            _ => {}
        }
    }

    /// A server has nothing more to say now.
    pub(super) fn watch_told(&mut self, j: usize) {
        for i in 0..self.seats.len() {
            if self.seats[i].server == j
                && let Err(wrong) = self.seats[i].absence.see_all_told()
                && self.seats[i].closed_by_app.is_none()
            {
                self.fail(format_args!("server {j}, session of client {i}: {wrong}"));
            }
        }
    }

    /// All is drained: does the state of a client say what is true?
    pub(super) fn watch_state(&self, i: usize) {
        let client = &self.clients[i];
        let (state, life) = (client.session.state(), &client.talk.life);
        if life.closed.is_some() || life.disconnected.is_some() {
            return;
        }
        if life.resting && state != State::None {
            self.fail(format_args!("client {i} has given up, and is in {state:?}"));
        }
        if life.established
            && (State::Connecting..State::Established).contains(&state)
            && !life.in_handover
            && !life.resting
        {
            let ends = self.seats[i].closed_by_app.is_some() || self.seats[i].vetoed.is_some();
            if !ends {
                self.fail(format_args!(
                    "client {i} was let in, is in {state:?}, and no handover has begun"
                ));
            }
        }
        let is_sound = matches!(client.session.link_health(), LinkHealth::Sound { .. });
        if life.in_handover && !life.draining && !client.watch.asleep && is_sound && client.watch.links.len() == 1 {
            self.fail(format_args!(
                "client {i} is in a handover, its link carries, and nothing is tried beside it"
            ));
        }
        if state == State::Connecting
            && let Some((link, _)) = client.watch.links.iter().find(|(_, of)| of.up && !of.spoke)
        {
            self.fail(format_args!(
                "client {i} is in {state:?} though {link:?} is up and waits"
            ));
        }
        if state == State::Handshaking {
            let flies = |of: &Link| {
                of.spoke
                    && self
                        .ends
                        .get(&of.conn)
                        .is_some_and(|ends| matches!(ends.client, ClientEnd::Session(..)))
            };
            if !client.watch.links.values().any(flies) {
                self.fail(format_args!("client {i} is in {state:?} without a flight under way"));
            }
        }
    }
}
