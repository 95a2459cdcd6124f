//! The network: connections as TCP makes them look. Bytes arrive in order, late, in pieces, or not at all.
//!
//! A connection has two ends and, per direction, a pipe: the writer's host holds what the socket does not take, the socket
//! takes so many bytes until the reader has read them, segments take their time on the line.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use unbroken::Instant;

use crate::clock::Queue;
use crate::fate::{Connect, Cut, Fate, Side, When};
use crate::options::NetOptions;
use crate::rng::Rng;

pub type ConnId = u64;

/// What is to happen to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetEvent {
    Connected(ConnId),
    ConnectFailed(ConnId),
    Accepted(ConnId),
    /// The next segment reaches `Side`.
    Arrive(ConnId, Side),
    /// The host of `Side` reads.
    Read(ConnId, Side),
    /// `Side` learns that the connection is gone; whether it may still read what had arrived.
    Down(ConnId, Side, bool),
    Cut(ConnId),
}

/// What a host learns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    Up(ConnId, Side),
    Input(ConnId, Side, Vec<u8>),
    Down(ConnId, Side),
    Writable(ConnId, Side),
}

/// One direction, named by its reader.
#[derive(Debug, Default)]
struct Pipe {
    /// What the writer's host holds back.
    host: VecDeque<u8>,
    /// Under way, with times of arrival; an empty one is the FIN.
    line: VecDeque<(Instant, Vec<u8>)>,
    /// Arrived and not read.
    arrived: Vec<u8>,
    /// Bytes the socket counts: on the line or arrived.
    under_way: usize,
    written: u64,
    delivered: u64,
    line_free: Instant,
    last_arrival: Instant,
    closing: bool,
    reading: bool,
}

#[derive(Debug, Default)]
struct End {
    up: bool,
    /// Closed by its own host, or known to be down.
    gone: bool,
    /// Has asked the core to be quiet.
    blocked: bool,
}

#[derive(Debug)]
struct Conn {
    fate: Fate,
    opened: Instant,
    ends: [End; 2],
    pipes: [Pipe; 2],
    /// To the client, to the server.
    delay: [Duration; 2],
    /// Nothing arrives any more.
    broken: bool,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct NetCounters {
    pub opened: u64,
    /// Connections that were up and that a fault ended.
    pub failures: u64,
    /// Connections that never came up.
    pub not_made: u64,
    pub corrupted: u64,
    pub bytes: u64,
}

pub struct Net {
    options: NetOptions,
    rng: Rng,
    conns: BTreeMap<ConnId, Conn>,
    next: ConnId,
    pub counters: NetCounters,
    /// From now on nothing new goes wrong.
    pub healed: bool,
}

impl Net {
    pub fn new(options: NetOptions, rng: Rng) -> Self {
        Net {
            options,
            rng,
            conns: BTreeMap::new(),
            next: 1,
            counters: NetCounters::default(),
            healed: false,
        }
    }

    /// Begins a connection from the client's side.
    pub fn open(&mut self, fate: Fate, q: &mut Queue<impl From<NetEvent>>) -> ConnId {
        let id = self.next;
        self.next += 1;
        self.counters.opened += 1;
        let slower = 100 + self.rng.below(self.options.paths + 1) as u32;
        let delay = [1, 0].map(|index: usize| self.options.delay[index] * slower / 100);
        let [back, there] = delay;
        match fate.connect {
            Connect::Works => q.after(there + back, NetEvent::Connected(id).into()),
            Connect::Refused => q.after(there + back, NetEvent::ConnectFailed(id).into()),
            Connect::BlackHole => {}
        }
        if fate.connect != Connect::Works {
            self.counters.not_made += 1;
        }
        let (ends, pipes) = Default::default();
        self.conns.insert(
            id,
            Conn {
                fate,
                opened: q.now(),
                ends,
                pipes,
                delay,
                broken: false,
            },
        );
        id
    }

    pub fn fate(&self, id: ConnId) -> Option<&Fate> {
        self.conns.get(&id).map(|c| &c.fate)
    }

    /// Whether `side` could still learn something of this connection.
    pub fn is_open(&self, id: ConnId, side: Side) -> bool {
        self.conns.get(&id).is_some_and(|c| !c.ends[side as usize].gone)
    }

    /// Whether `side` has learned that the connection stands; before that it may not write.
    pub fn is_up(&self, id: ConnId, side: Side) -> bool {
        self.conns.get(&id).is_some_and(|c| c.ends[side as usize].up)
    }

    pub fn open_conns(&self) -> usize {
        self.conns.len()
    }

    /// How many bytes `side` has been given by its peer so far, and how many were written to it.
    pub fn received(&self, id: ConnId, side: Side) -> (u64, u64) {
        self.conns.get(&id).map_or((0, 0), |c| {
            (c.pipes[side as usize].delivered, c.pipes[side as usize].written)
        })
    }

    /// `side` writes. Says whether the host now holds bytes back: then the core should be told.
    pub fn write(&mut self, id: ConnId, side: Side, bytes: &[u8], q: &mut Queue<impl From<NetEvent>>) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else {
            return false;
        };
        if conn.ends[side as usize].gone {
            return false;
        }
        assert!(
            conn.ends[side as usize].up,
            "{side:?} writes to connection {id} before it is up"
        );
        let pipe = &mut conn.pipes[side.other() as usize];
        pipe.host.extend(bytes);
        pipe.written += bytes.len() as u64;
        self.flush(id, side, q);
        let conn = self.conns.get_mut(&id).unwrap();
        let held = !conn.pipes[side.other() as usize].host.is_empty();
        conn.ends[side as usize].blocked = held;
        held
    }

    /// `side` closes: what it wrote leaves first, what still comes is of no interest.
    pub fn close(&mut self, id: ConnId, side: Side, q: &mut Queue<impl From<NetEvent>>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.ends[side as usize].gone {
            return;
        }
        conn.ends[side as usize].gone = true;
        conn.pipes[side.other() as usize].closing = true;
        let own = &mut conn.pipes[side as usize];
        own.under_way -= own.arrived.len();
        own.arrived.clear();
        self.flush(id, side, q);
        self.forget_if_over(id);
    }

    /// Both sides lose the connection now and see it.
    pub fn kill(&mut self, id: ConnId, q: &mut Queue<impl From<NetEvent>>) {
        match self.conns.get(&id) {
            // Half-open: now they learn of it.
            Some(conn) if conn.broken => {
                for side in Side::BOTH {
                    q.after(Duration::ZERO, NetEvent::Down(id, side, false).into());
                }
            }
            _ => self.break_off(id, [Some(Duration::ZERO); 2], true, q),
        }
    }

    /// From now on nothing arrives on this connection, and nobody learns of it.
    pub fn black_hole(&mut self, id: ConnId, q: &mut Queue<impl From<NetEvent>>) {
        self.break_off(id, [None; 2], false, q);
    }

    /// From now on `side` receives so many bytes more, then the connection is cut and both see it.
    pub fn cut_after(&mut self, id: ConnId, side: Side, bytes: u64) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.fate.cut = Some(Cut::at_byte(side, conn.pipes[side as usize].delivered + bytes));
        }
    }

    /// Who will learn of the cut that is planned, and when.
    pub fn set_notice(&mut self, id: ConnId, notice: [Option<Duration>; 2]) {
        if let Some(cut) = self.conns.get_mut(&id).and_then(|conn| conn.fate.cut.as_mut()) {
            cut.notice = notice;
        }
    }

    pub fn handle(&mut self, event: NetEvent, q: &mut Queue<impl From<NetEvent>>, out: &mut Vec<Notice>) {
        match event {
            NetEvent::Connected(id) => self.connected(id, q, out),
            NetEvent::ConnectFailed(id) => self.down(id, Side::Client, false, out),
            NetEvent::Accepted(id) => {
                let Some(conn) = self.conns.get_mut(&id) else { return };
                if !conn.ends[Side::Server as usize].gone && !conn.broken {
                    conn.ends[Side::Server as usize].up = true;
                    out.push(Notice::Up(id, Side::Server));
                }
            }
            NetEvent::Arrive(id, side) => self.arrive(id, side, q, out),
            NetEvent::Read(id, side) => self.read(id, side, q, out),
            NetEvent::Down(id, side, reads) => {
                if reads {
                    self.read(id, side, q, out);
                }
                self.down(id, side, true, out);
            }
            NetEvent::Cut(id) => {
                if !self.healed && self.conns.get(&id).is_some_and(|c| !c.broken) {
                    self.cut(id, q);
                }
            }
        }
    }

    fn connected(&mut self, id: ConnId, q: &mut Queue<impl From<NetEvent>>, out: &mut Vec<Notice>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.opened = q.now();
        conn.ends[Side::Client as usize].up = true;
        // What the client writes arrives right behind the last segment of the TCP handshake.
        let accepted = q.now() + conn.delay[Side::Server as usize];
        conn.pipes[Side::Server as usize].last_arrival = accepted;
        q.at(accepted, NetEvent::Accepted(id).into());
        if let Some(cut) = conn.fate.cut {
            match cut.when {
                When::After(life) => q.after(life, NetEvent::Cut(id).into()),
                When::Received(side, 0) => {
                    q.at(
                        if side == Side::Server { accepted } else { q.now() },
                        NetEvent::Cut(id).into(),
                    );
                }
                When::Received(..) => {}
            }
        }
        out.push(Notice::Up(id, Side::Client));
    }

    /// Moves bytes from the writer's host into the socket and onto the line, as far as there is room.
    fn flush(&mut self, id: ConnId, writer: Side, q: &mut Queue<impl From<NetEvent>>) {
        let reader = writer.other();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let pipe = &mut conn.pipes[reader as usize];
        let options = &self.options;
        while !pipe.host.is_empty() && pipe.under_way < options.socket {
            let len = pipe
                .host
                .len()
                .min(options.segment)
                .min(options.socket - pipe.under_way);
            let bytes: Vec<u8> = pipe.host.drain(..len).collect();
            pipe.under_way += len;
            if let Some(nanos) = (len as u64 * 1_000_000).checked_div(options.bandwidth) {
                pipe.line_free = pipe.line_free.max(q.now()) + Duration::from_micros(nanos);
            }
            let jitter = self.rng.duration(Duration::ZERO..=options.jitter);
            let at = pipe.line_free.max(q.now()) + conn.delay[reader as usize] + jitter;
            pipe.last_arrival = pipe.last_arrival.max(at);
            pipe.line.push_back((pipe.last_arrival, bytes));
            q.at(pipe.last_arrival, NetEvent::Arrive(id, reader).into());
        }
        if pipe.closing && pipe.host.is_empty() {
            pipe.closing = false;
            let at = pipe.last_arrival.max(q.now() + conn.delay[reader as usize]);
            pipe.last_arrival = at;
            pipe.line.push_back((at, Vec::new()));
            q.at(at, NetEvent::Arrive(id, reader).into());
        }
    }

    fn arrive(&mut self, id: ConnId, side: Side, q: &mut Queue<impl From<NetEvent>>, out: &mut Vec<Notice>) {
        let healed = self.healed;
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.broken {
            return;
        }
        if let Some(stall) = conn.fate.stall.filter(|s| s.sides[side as usize]) {
            let from = conn.opened + stall.from;
            let until = stall.lasts.map(|lasts| from + lasts);
            if q.now() >= from && until.is_none_or(|until| q.now() < until) {
                match until {
                    Some(until) => q.at(until, NetEvent::Arrive(id, side).into()),
                    None if !healed => self.break_off(id, [None; 2], false, q),
                    // A link that is half-open stays so, whatever else has healed.
                    None => conn.broken = true,
                }
                return;
            }
        }
        let pipe = &mut conn.pipes[side as usize];
        let Some((_, mut bytes)) = pipe.line.pop_front() else {
            return;
        };
        if bytes.is_empty() {
            // The FIN: all before it is read first.
            self.read(id, side, q, out);
            self.down(id, side, true, out);
            return;
        }
        let mut cut = false;
        if let Some(c) = conn.fate.cut.filter(|_| !healed)
            && let When::Received(at, count) = c.when
            && at == side
            && pipe.delivered + bytes.len() as u64 >= count
        {
            let keep = (count - pipe.delivered) as usize;
            pipe.under_way -= bytes.len() - keep;
            bytes.truncate(keep);
            cut = true;
        }
        if let Some((_, at)) = conn.fate.corrupt.filter(|(to, _)| *to == side && !healed)
            && let Some(index) = at.checked_sub(pipe.delivered)
            && let Some(byte) = bytes.get_mut(index as usize)
        {
            *byte ^= 1 << self.rng.below(8);
            self.counters.corrupted += 1;
        }
        pipe.delivered += bytes.len() as u64;
        self.counters.bytes += bytes.len() as u64;
        if conn.ends[side as usize].gone {
            pipe.under_way -= bytes.len();
            if self.options.reset_on_closed {
                let back = conn.delay[side.other() as usize];
                q.after(back, NetEvent::Down(id, side.other(), false).into());
            }
        } else {
            pipe.arrived.extend_from_slice(&bytes);
            if self.options.coalesce.is_zero() || cut {
                self.read(id, side, q, out);
            } else if !pipe.reading {
                pipe.reading = true;
                q.after(self.options.coalesce, NetEvent::Read(id, side).into());
            }
        }
        if cut {
            self.cut(id, q);
        }
    }

    fn read(&mut self, id: ConnId, side: Side, q: &mut Queue<impl From<NetEvent>>, out: &mut Vec<Notice>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let pipe = &mut conn.pipes[side as usize];
        pipe.reading = false;
        if !conn.ends[side as usize].gone && !pipe.arrived.is_empty() {
            pipe.under_way -= pipe.arrived.len();
            out.push(Notice::Input(id, side, core::mem::take(&mut pipe.arrived)));
        }
        let writer = side.other();
        self.flush(id, writer, q);
        let conn = self.conns.get_mut(&id).unwrap();
        let end = &mut conn.ends[writer as usize];
        if end.blocked && !end.gone && conn.pipes[side as usize].host.is_empty() {
            end.blocked = false;
            out.push(Notice::Writable(id, writer));
        }
    }

    fn down(&mut self, id: ConnId, side: Side, was_up: bool, out: &mut Vec<Notice>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let end = &mut conn.ends[side as usize];
        if !end.gone && (end.up || !was_up) {
            end.gone = true;
            out.push(Notice::Down(id, side));
        }
        self.forget_if_over(id);
    }

    fn cut(&mut self, id: ConnId, q: &mut Queue<impl From<NetEvent>>) {
        let Some(cut) = self.conns.get(&id).and_then(|c| c.fate.cut) else {
            return;
        };
        self.break_off(id, cut.notice, cut.reset, q);
    }

    fn break_off(
        &mut self,
        id: ConnId,
        notice: [Option<Duration>; 2],
        reset: bool,
        q: &mut Queue<impl From<NetEvent>>,
    ) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.broken {
            return;
        }
        conn.broken = true;
        if conn.ends.iter().any(|e| e.up && !e.gone) {
            self.counters.failures += 1;
        }
        for side in Side::BOTH {
            let pipe = &mut conn.pipes[side as usize];
            if reset {
                pipe.under_way -= pipe.arrived.len();
                pipe.arrived.clear();
            }
            if let Some(after) = notice[side as usize] {
                q.after(after, NetEvent::Down(id, side, !reset).into());
            }
            if side == Side::Server && !conn.ends[1].up {
                conn.ends[1].gone = true;
            }
        }
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: ConnId) {
        // A FIN or bytes under way to an end that is gone interest nobody.
        if self
            .conns
            .get(&id)
            .is_some_and(|c| c.ends[0].gone && (c.ends[1].gone || !c.ends[0].up))
        {
            self.conns.remove(&id);
        }
    }
}
