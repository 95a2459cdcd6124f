//! What happens on the way: connects, segments, acknowledgements, timers of TCP, and who hears of it.

use core::time::Duration;

use unbroken::{LinkId, NetworkId, Target};

use super::{Conn, Event, Road, Route, Who};
use crate::fate::Side;
use crate::links::tcp::{Departure, Stream};

impl Road {
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Connected(id) => {
                let now = self.phone_now();
                let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[0]) else {
                    return;
                };
                conn.up[0] = true;
                let link = conn.link;
                self.phone.handle_link_up(link, now);
                self.settle(Who::Phone);
            }
            Event::ConnectFailed(id) => self.down(id, Side::Client),
            Event::Accepted(id) => self.accept(id),
            Event::Segment(id, to, departure) => self.segment(id, to, departure),
            Event::Acked(id, from, upto, start) => {
                let now = self.now();
                let Some(conn) = self.conns.get_mut(&id) else { return };
                let (again, writable) = conn.streams[from.other() as usize].acked(upto, start, now);
                self.depart(id, from.other(), again);
                self.flush(id, from.other());
                if writable {
                    self.writable(id, from);
                }
            }
            Event::Timer(id, to) => {
                let now = self.now();
                let Some(conn) = self.conns.get_mut(&id) else { return };
                let stream = &mut conn.streams[to as usize];
                stream.armed = false;
                match stream.timer() {
                    Some(at) if at <= now => {
                        let again = stream.expired(now);
                        self.depart(id, to, again.into_iter().collect());
                    }
                    _ => {}
                }
                self.arm_timer(id, to);
            }
            Event::Wake(who, serial) => {
                let slot = self.slot(who);
                if self.wakes[slot].1 == serial {
                    self.wakes[slot].0 = None;
                    self.settle(who);
                }
            }
            Event::Say(side) => {
                let every = self.apps[side as usize].every;
                if !every.is_zero() {
                    self.queue.after(every, Event::Say(side));
                    self.say(side);
                }
            }
        }
    }

    pub(super) fn open(&mut self, link: LinkId, target: Target, network: Option<NetworkId>) {
        let path = network.map_or(self.default, |n| n.0 as usize);
        let route = match &target {
            Target::Configured => {
                let first = self.balancer[0];
                self.balancer.rotate_left(1);
                first
            }
            Target::Advised(address) => self.addresses.get(address).copied().unwrap_or(Route::Refused),
        };
        let now = self.now();
        self.asked.push((now, target, network));
        assert!(self.asked.len() < 100_000, "a storm of connections");
        let id = self.next;
        self.next += 1;
        let rtt = self.paths[path].delay * 2;
        let streams = [Stream::new(rtt), Stream::new(rtt)];
        let conn = Conn {
            path,
            link,
            route,
            up: [false; 2],
            gone: [false; 2],
            streams,
            stuck: false,
            said: false,
        };
        self.conns.insert(id, conn);
        if route == Route::BlackHole {
            return;
        }
        // SYN and its answer, repeated after 1, 3, 7 ... seconds.
        let mut at = now;
        for wait in [1, 2, 4, 8, 16] {
            let there = self.paths[path].cross(Side::Server, 0, at, &mut self.rng);
            let back =
                there.and_then(|there| Some((there, self.paths[path].cross(Side::Client, 0, there, &mut self.rng)?)));
            if let Some((_, back)) = back {
                if route == Route::Refused {
                    self.queue.at(back, Event::ConnectFailed(id));
                } else {
                    self.queue.at(back, Event::Connected(id));
                    let accepted = self.paths[path].cross(Side::Server, 0, back, &mut self.rng);
                    self.queue
                        .at(accepted.unwrap_or(back + Duration::from_secs(1)), Event::Accepted(id));
                }
                return;
            }
            at += Duration::from_secs(wait);
        }
    }

    fn accept(&mut self, id: u64) {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.up[1] || conn.gone[1] {
            return;
        }
        conn.up[1] = true;
        if let Route::Server(j) = conn.route {
            self.servers[j].handle_link_up(LinkId(id), now);
            self.settle(Who::Server(j));
        }
    }

    fn segment(&mut self, id: u64, to: Side, departure: Departure) {
        let now = self.now();
        if to == Side::Server {
            self.accept(id);
        }
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.stuck) else {
            return;
        };
        let path = conn.path;
        let start = departure.start;
        let (bytes, fin, upto) = conn.streams[to as usize].arrives(departure);
        if let Some(at) = self.paths[path].cross(to.other(), 40, now, &mut self.rng) {
            self.queue.at(at, Event::Acked(id, to.other(), upto, start));
        }
        if !bytes.is_empty() {
            self.input(id, to, &bytes);
        }
        if fin {
            self.down(id, to);
        }
    }

    pub(super) fn input(&mut self, id: u64, to: Side, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[to as usize]) else {
            return;
        };
        match (to, conn.route) {
            (Side::Client, _) if self.asleep => self.missed.push((id, Some(bytes.to_vec()))),
            (Side::Client, _) => {
                let link = conn.link;
                let now = self.phone_now();
                self.phone.handle_input(link, bytes, now);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) => {
                let now = self.now();
                self.servers[j].handle_input(LinkId(id), bytes, now);
                self.settle(Who::Server(j));
            }
            (Side::Server, Route::Says(words)) if !conn.said => {
                conn.said = true;
                conn.streams[0].write(words);
                self.flush(id, Side::Client);
            }
            (Side::Server, _) => {}
        }
    }

    /// `side` learns that the connection is over.
    pub(super) fn down(&mut self, id: u64, side: Side) {
        if side == Side::Client && self.asleep {
            return self.missed.push((id, None));
        }
        let now = self.now();
        let phone_now = self.phone_now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if core::mem::replace(&mut conn.gone[side as usize], true) {
            return;
        }
        match (side, conn.route) {
            (Side::Client, _) => {
                let link = conn.link;
                self.phone.handle_link_down(link, phone_now);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) if conn.up[1] => {
                self.servers[j].handle_link_down(LinkId(id), now);
                self.settle(Who::Server(j));
            }
            _ => {}
        }
        self.close(id, side);
    }

    fn writable(&mut self, id: u64, side: Side) {
        let conn = &self.conns[&id];
        match (side, conn.route) {
            (Side::Client, _) => {
                self.phone.handle_link_writable(conn.link);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) => {
                self.servers[j].handle_link_writable(LinkId(id));
                self.settle(Who::Server(j));
            }
            _ => {}
        }
    }

    // ---- the way ----

    pub(super) fn write(&mut self, id: u64, from: Side, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[from as usize]) else {
            return false;
        };
        let full = conn.streams[from.other() as usize].write(bytes);
        self.flush(id, from.other());
        full
    }

    pub(super) fn close(&mut self, id: u64, from: Side) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.gone[from as usize] = true;
            conn.streams[from.other() as usize].close();
            self.flush(id, from.other());
        }
        let over = |c: &Conn| c.gone == [true; 2] || (c.gone[0] && !c.up[0]);
        if self.conns.get(&id).is_some_and(over) {
            self.conns.remove(&id);
        }
    }

    fn flush(&mut self, id: u64, to: Side) {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.up[to.other() as usize]) else {
            return;
        };
        let departures = conn.streams[to as usize].departures(now);
        self.depart(id, to, departures);
        self.arm_timer(id, to);
    }

    fn depart(&mut self, id: u64, to: Side, departures: Vec<Departure>) {
        let now = self.now();
        let Some((path, stuck)) = self.conns.get(&id).map(|c| (c.path, c.stuck)) else {
            return;
        };
        for departure in departures {
            let arrival = self.paths[path].cross(to, departure.bytes.len() + 40, now, &mut self.rng);
            if let Some(at) = arrival.filter(|_| !stuck) {
                self.queue.at(at, Event::Segment(id, to, departure));
            }
        }
    }

    fn arm_timer(&mut self, id: u64, to: Side) {
        let Some(stream) = self.conns.get_mut(&id).map(|c| &mut c.streams[to as usize]) else {
            return;
        };
        // One event at a time: if it comes too early, it sets the next.
        if let Some(at) = stream.timer()
            && !core::mem::replace(&mut stream.armed, true)
        {
            self.queue.at(at, Event::Timer(id, to));
        }
    }
}
