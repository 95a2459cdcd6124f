//! What the applications lived through, measured from outside.

use core::fmt;
use core::time::Duration;

use unbroken::{Event, Instant};

use super::road::Road;
use crate::fate::Side;

/// A sample of times, in order.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn extend(&mut self, other: Spread) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time below which so many of a hundred lie (nearest rank).
    pub fn percentile(&self, percent: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_micros() as f64 / 1000.0;
        write!(
            f,
            "{:.0} / {:.0} / {:.0}",
            ms(self.percentile(50.0)),
            ms(self.percentile(99.0)),
            ms(self.max())
        )
    }
}

impl Road {
    /// How much longer than `normal` the slowest message sent to `side` since `from` was under way: so long did the application go
    /// without what it was due.
    pub fn worst_delay(&self, side: Side, from: Instant, normal: Duration) -> Duration {
        let sent = &self.apps[side.other() as usize].sent_at;
        let received = &self.apps[side as usize].received_at;
        let late = |(sent, received): (&Instant, &Instant)| received.since(*sent).saturating_sub(normal);
        let pairs = sent.iter().zip(received).filter(|(sent, _)| **sent >= from);
        pairs.map(late).max().unwrap_or_default()
    }

    /// In either direction.
    pub fn downtime(&self, from: Instant, normal: Duration) -> Duration {
        Side::BOTH
            .into_iter()
            .map(|side| self.worst_delay(side, from, normal))
            .max()
            .unwrap_or_default()
    }

    /// What the library told the phone's application of its handovers since `from`: the largest downtime.
    pub fn told_downtime(&self, from: Instant) -> Duration {
        let ends = self.apps[0].events.iter().filter(|(at, _)| *at >= from);
        let told = ends.filter_map(|(_, event)| match event {
            Event::HandoverEnd(end) => Some(end.downtime),
            _ => None,
        });
        told.max().unwrap_or_default()
    }
}
