//! The verdict on one run, from the books alone.

use serde::Serialize;

use crate::book::Book;
use crate::scenario::{Figure, Record, Scenario, Times};
use crate::talk::TICK;

/// What one run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub session: Side,
    pub plain_tcp: Side,
    /// Handovers that the client's application saw end, with the downtime that the library reported, in milliseconds.
    pub handovers: Vec<(String, f64)>,
    /// From the fault, or from the mark if it was later, to the first `HandoverBegin` after the fault, in milliseconds.
    pub noticed_ms: Option<f64>,
    /// The client kept its session id, and the server saw one session.
    pub same_session: bool,
    /// Why the session ended; the client's own wish, if all went well.
    pub ended: Option<String>,
}

/// One of the two, both directions together.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize)]
pub struct Side {
    pub sent: u64,
    pub delivered: u64,
    pub lost: u64,
    pub doubled: u64,
    pub reordered: u64,
    pub corrupted: u64,
    /// In the worse direction.
    pub downtime_ms: f64,
    /// Both directions flowed again within the observation.
    pub back: bool,
}

impl Side {
    /// Each message once and in order, and there were some.
    pub fn exact(&self) -> bool {
        self.delivered > 0 && self.lost + self.doubled + self.reordered + self.corrupted == 0
    }
}

/// Judges.
pub fn check(scenario: Scenario, record: &Record) -> Run {
    let side = |client: &Book, server: &Book| {
        let ways = [
            way(scenario, &record.times, client, server),
            way(scenario, &record.times, server, client),
        ];
        ways.into_iter().reduce(together).unwrap_or_default()
    };
    let client = &record.client;
    let noticed = client
        .handovers
        .iter()
        .find(|handover| handover.begun >= record.times.fault);
    let ended = client
        .handovers
        .iter()
        .filter_map(|handover| Some((handover, handover.ended?)));
    Run {
        session: side(client, &record.server),
        plain_tcp: side(&record.plain_client, &record.plain_server),
        handovers: ended
            .map(|(handover, (_, downtime))| (handover.cause.clone(), ms(downtime)))
            .collect(),
        noticed_ms: noticed.map(|handover| {
            let Times { fault, mark, .. } = record.times;
            ms(handover.begun - if handover.begun >= mark { mark } else { fault })
        }),
        same_session: client.names.len() == 2 && client.names.iter().all(|name| record.server.names == [name.clone()]),
        ended: client.ended.clone(),
    }
}

/// One direction.
fn way(scenario: Scenario, times: &Times, from: &Book, to: &Book) -> Side {
    let sent = from.sent.len() as u64;
    let mut side = Side {
        sent,
        corrupted: to.corrupted,
        ..Side::default()
    };
    let mut seen = vec![false; from.sent.len()];
    let mut highest = None;
    for &(number, _) in &to.received {
        match seen.get_mut(number as usize) {
            None => side.corrupted += 1,
            Some(true) => side.doubled += 1,
            Some(seen) => {
                *seen = true;
                side.delivered += 1;
                side.reordered += u64::from(highest.is_some_and(|highest| number < highest));
                highest = highest.max(Some(number));
            }
        }
    }
    side.lost = sent - side.delivered;
    let arrivals: Vec<u64> = to.received.iter().map(|(_, at)| *at).collect();
    let (downtime, back) = match scenario.figure() {
        Figure::Gap => gap(&arrivals, times),
        Figure::SinceMark => {
            let first = arrivals.iter().find(|at| **at >= times.mark && **at <= times.until);
            (first.unwrap_or(&times.until) - times.mark, first.is_some())
        }
    };
    (side.downtime_ms, side.back) = (ms(downtime), back);
    side
}

/// The longest time without an arrival, from the last one before the fault to the end, beyond what lies between two anyway; and whether
/// it ended.
fn gap(arrivals: &[u64], times: &Times) -> (u64, bool) {
    let before = arrivals.iter().rfind(|at| **at < times.fault).unwrap_or(&times.fault);
    let within = arrivals.iter().filter(|at| (times.fault..times.until).contains(at));
    let points: Vec<u64> = [*before]
        .into_iter()
        .chain(within.copied())
        .chain([times.until])
        .collect();
    let mut gaps = points.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = gaps.clone().max().unwrap_or(0);
    let last = gaps.next_back().unwrap_or(0);
    (
        longest.saturating_sub(TICK.as_micros() as u64),
        last < longest || last < 200_000,
    )
}

fn together(a: Side, b: Side) -> Side {
    Side {
        sent: a.sent + b.sent,
        delivered: a.delivered + b.delivered,
        lost: a.lost + b.lost,
        doubled: a.doubled + b.doubled,
        reordered: a.reordered + b.reordered,
        corrupted: a.corrupted + b.corrupted,
        downtime_ms: a.downtime_ms.max(b.downtime_ms),
        back: a.back && b.back,
    }
}

fn ms(micros: u64) -> f64 {
    (micros as f64 / 100.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        fault: 1_000_000,
        mark: 1_500_000,
        until: 3_000_000,
    };

    fn books(received: &[(u64, u64)]) -> (Book, Book) {
        let from = Book {
            sent: vec![0; 4],
            ..Book::default()
        };
        let to = Book {
            received: received.to_vec(),
            ..Book::default()
        };
        (from, to)
    }

    #[test]
    fn lost_doubled_and_reordered_are_told_apart() {
        let (from, to) = books(&[(0, 1), (2, 2), (1, 3), (2, 4), (9, 5)]);
        let side = way(Scenario::BlackHole, &TIMES, &from, &to);
        assert_eq!((side.sent, side.delivered, side.lost), (4, 3, 1));
        assert_eq!((side.doubled, side.reordered, side.corrupted), (1, 1, 1));
        assert!(!side.exact());
    }

    #[test]
    fn downtime_is_the_longest_silence_after_the_fault() {
        let (from, to) = books(&[(0, 200_000), (1, 990_000), (2, 1_600_000), (3, 2_950_000)]);
        let side = way(Scenario::BlackHole, &TIMES, &from, &to);
        assert_eq!((side.downtime_ms, side.back, side.exact()), (1340.0, true, true));
        let side = way(Scenario::Idle { hint: true }, &TIMES, &from, &to);
        assert_eq!((side.downtime_ms, side.back), (100.0, true));
    }

    #[test]
    fn who_never_comes_back_is_seen() {
        let (from, to) = books(&[(0, 990_000), (1, 1_010_000)]);
        for scenario in [Scenario::BlackHole, Scenario::Idle { hint: true }] {
            assert!(!way(scenario, &TIMES, &from, &to).back);
        }
    }
}
