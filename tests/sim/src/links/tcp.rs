//! A TCP connection as far as its timing matters: a congestion window, loss found by later segments (RACK), a tail probe, a
//! retransmission timer that backs off, delivery in order. After RFC 9293, 6298 and 8985, with Linux's constants.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use unbroken::Instant;

/// Largest payload of a segment.
pub const MSS: usize = 1400;
/// Linux's lower bound of the timer.
const RTO_MIN: Duration = Duration::from_millis(200);
const RTO_MAX: Duration = Duration::from_secs(60);
const WINDOW_MAX: usize = 2000;

/// A segment under way, at the sender.
#[derive(Clone, Debug)]
struct Segment {
    start: u64,
    bytes: Vec<u8>,
    left: Instant,
    arrived: bool,
    repeated: bool,
}

/// What a sender wants to put on the path.
#[derive(Clone, Debug)]
pub struct Departure {
    pub start: u64,
    /// Empty: the FIN.
    pub bytes: Vec<u8>,
}

/// One direction: the sender's half and the receiver's.
#[derive(Debug)]
pub struct Stream {
    // the sender
    waiting: VecDeque<u8>,
    flight: VecDeque<Segment>,
    next: u64,
    window: usize,
    srtt: Option<Duration>,
    rttvar: Duration,
    backoff: u32,
    probed: bool,
    timer: Option<Instant>,
    /// An event for the timer is under way.
    pub armed: bool,
    /// Bytes that the socket takes; beyond, the host is told that it is full.
    pub socket: usize,
    pub blocked: bool,
    fin: Option<bool>,
    // the receiver
    ahead: BTreeMap<u64, Vec<u8>>,
    wanted: u64,
}

impl Stream {
    pub fn new(rtt: Duration) -> Self {
        Stream {
            waiting: VecDeque::new(),
            flight: VecDeque::new(),
            next: 0,
            window: 10,
            srtt: Some(rtt),
            rttvar: rtt / 2,
            backoff: 0,
            probed: false,
            timer: None,
            armed: false,
            socket: 256 << 10,
            blocked: false,
            fin: None,
            ahead: BTreeMap::new(),
            wanted: 0,
        }
    }

    // ---- the sender ----

    /// Takes bytes from the host; says whether the socket is full now.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.waiting.extend(bytes);
        self.blocked = self.held() >= self.socket;
        self.blocked
    }

    pub fn close(&mut self) {
        self.fin = self.fin.or(Some(false));
    }

    fn held(&self) -> usize {
        self.waiting.len() + self.flight.iter().map(|s| s.bytes.len()).sum::<usize>()
    }

    /// What may leave now.
    pub fn departures(&mut self, now: Instant) -> Vec<Departure> {
        let mut out = Vec::new();
        while self.flight.iter().filter(|s| !s.arrived).count() < self.window {
            let size = self.waiting.len().min(MSS);
            if size == 0 && self.fin != Some(false) {
                break;
            }
            let bytes: Vec<u8> = self.waiting.drain(..size).collect();
            if bytes.is_empty() {
                self.fin = Some(true);
            }
            let start = self.next;
            self.next += bytes.len().max(1) as u64;
            self.flight.push_back(Segment {
                start,
                bytes: bytes.clone(),
                left: now,
                arrived: false,
                repeated: false,
            });
            out.push(Departure { start, bytes });
        }
        if !out.is_empty() && self.backoff == 0 {
            self.timer = Some(now + self.probe_after());
        }
        out
    }

    /// The receiver's word: all below `upto`, and the segment at `start`. Returns what must leave again, and whether the host may
    /// write again.
    pub fn acked(&mut self, upto: u64, start: u64, now: Instant) -> (Vec<Departure>, bool) {
        let mut newest = Instant::ZERO;
        let mut progress = false;
        for segment in &mut self.flight {
            if !segment.arrived && (segment.start == start || segment.start < upto) {
                segment.arrived = true;
                progress = true;
                newest = newest.max(segment.left);
                if !segment.repeated {
                    let sample = now.since(segment.left);
                    let smoothed = self.srtt.unwrap_or(sample);
                    self.rttvar = (self.rttvar * 3 + smoothed.abs_diff(sample)) / 4;
                    self.srtt = Some((smoothed * 7 + sample) / 8);
                }
            }
        }
        if !progress {
            return (Vec::new(), false);
        }
        self.backoff = 0;
        self.probed = false;
        self.window = (self.window + 1).min(WINDOW_MAX);
        while self.flight.front().is_some_and(|s| s.arrived && s.start < upto) {
            self.flight.pop_front();
        }
        let patience = self.srtt.unwrap_or_default() / 4;
        let mut out = Vec::new();
        for segment in self
            .flight
            .iter_mut()
            .filter(|s| !s.arrived && s.left + patience <= newest)
        {
            segment.left = now;
            segment.repeated = true;
            out.push(Departure {
                start: segment.start,
                bytes: segment.bytes.clone(),
            });
        }
        if !out.is_empty() {
            self.window = (self.window / 2).max(4);
        }
        self.timer = self.flight.iter().any(|s| !s.arrived).then(|| now + self.probe_after());
        let writable = self.blocked && self.held() < self.socket / 2;
        if writable {
            self.blocked = false;
        }
        (out, writable)
    }

    pub fn timer(&self) -> Option<Instant> {
        self.timer
    }

    /// The timer fired: the tail is sent again as a probe, then, with growing pauses, the first.
    pub fn expired(&mut self, now: Instant) -> Option<Departure> {
        let open = |s: &&mut Segment| !s.arrived;
        let segment = if self.probed {
            self.flight.iter_mut().find(open)
        } else {
            self.flight.iter_mut().rfind(open)
        };
        let Some(segment) = segment else {
            self.timer = None;
            return None;
        };
        segment.left = now;
        segment.repeated = true;
        let out = Departure {
            start: segment.start,
            bytes: segment.bytes.clone(),
        };
        if self.probed {
            self.backoff = (self.backoff + 1).min(10);
            // Not to one: like a stack that undoes a time-out which turns out to be spurious.
            self.window = (self.window / 2).max(4);
        }
        self.probed = true;
        self.timer = Some(now + self.timeout());
        Some(out)
    }

    fn probe_after(&self) -> Duration {
        self.srtt
            .map_or(Duration::from_secs(1), |srtt| srtt * 2 + Duration::from_millis(2))
    }

    fn timeout(&self) -> Duration {
        let base = self.srtt.unwrap_or_default() + (self.rttvar * 4).max(RTO_MIN);
        (base * (1 << self.backoff)).min(RTO_MAX)
    }

    // ---- the receiver ----

    /// A segment arrives: the bytes that are now in order, whether the FIN is among them, and what to acknowledge.
    pub fn arrives(&mut self, departure: Departure) -> (Vec<u8>, bool, u64) {
        if departure.start >= self.wanted {
            self.ahead.insert(departure.start, departure.bytes);
        }
        let (mut bytes, mut fin) = (Vec::new(), false);
        while let Some(next) = self.ahead.remove(&self.wanted) {
            fin |= next.is_empty();
            self.wanted += next.len().max(1) as u64;
            bytes.extend(next);
        }
        (bytes, fin, self.wanted)
    }
}
