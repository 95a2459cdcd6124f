//! Measuring in turns.
//!
//! The contestants of a group run one after the other for a few milliseconds each, and that is one round; a group has many
//! rounds. A ratio is taken within each round, between neighbours in time, and its median over the rounds is what counts: a
//! machine that slows down or changes its frequency in between moves both sides of the ratio.

use crate::clock;

/// How long a measurement takes.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Rounds of each group.
    pub rounds: usize,
    /// CPU time of one contestant in one round, in nanoseconds.
    pub slice: u64,
}

impl Effort {
    /// For figures.
    pub const FULL: Effort = Effort {
        rounds: 31,
        slice: 4_000_000,
    };
    /// Only shows that everything runs.
    pub const SMOKE: Effort = Effort { rounds: 3, slice: 0 };
}

/// Contestants for one task.
pub struct Group {
    /// What is done, such as `batched, 32 B`.
    pub task: String,
    entries: Vec<Entry>,
}

struct Entry {
    name: &'static str,
    /// Units (messages, handshakes) in one call.
    units: u64,
    /// Runs so many calls and returns their CPU time.
    run: Box<dyn FnMut(u64) -> u64>,
    calls: u64,
    /// Nanoseconds per unit, one for each round.
    samples: Vec<f64>,
}

impl Group {
    pub fn new(task: impl Into<String>) -> Self {
        Group {
            task: task.into(),
            entries: Vec::new(),
        }
    }

    /// A contestant whose call does `units` units of work.
    pub fn add(&mut self, name: &'static str, units: u64, mut call: impl FnMut() + 'static) {
        self.add_timed(name, units, move |calls| {
            clock::timed(|| (0..calls).for_each(|_| call()))
        });
    }

    /// A contestant that takes the time itself, because a call has parts that do not count.
    pub fn add_timed(&mut self, name: &'static str, units: u64, run: impl FnMut(u64) -> u64 + 'static) {
        self.entries.push(Entry {
            name,
            units,
            run: Box::new(run),
            calls: 1,
            samples: Vec::new(),
        });
    }

    /// Runs all rounds.
    pub fn measure(mut self, effort: Effort) -> Measured {
        for entry in &mut self.entries {
            entry.calibrate(effort.slice);
        }
        for _ in 0..effort.rounds {
            for entry in &mut self.entries {
                let time = (entry.run)(entry.calls);
                entry.samples.push(time as f64 / (entry.calls * entry.units) as f64);
            }
        }
        Measured {
            task: self.task,
            lines: self
                .entries
                .into_iter()
                .map(|entry| (entry.name, entry.samples))
                .collect(),
        }
    }
}

impl Entry {
    /// As many calls as fill the slice; this warms up, too.
    fn calibrate(&mut self, slice: u64) {
        loop {
            let time = (self.run)(self.calls);
            if time >= slice || self.calls >= 1 << 24 {
                return;
            }
            // Not past the mark at once: the first calls are the slow ones.
            let factor = (slice / time.max(1)).clamp(2, 8);
            self.calls *= factor;
        }
    }
}

/// The samples of a group.
pub struct Measured {
    pub task: String,
    pub lines: Vec<(&'static str, Vec<f64>)>,
}

/// A median and where the middle four fifths of the rounds lie.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(mut samples: Vec<f64>) -> Spread {
        assert!(!samples.is_empty(), "nothing was measured");
        samples.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
        Spread {
            median: at(0.5),
            low: at(0.1),
            high: at(0.9),
        }
    }
}

impl Measured {
    pub fn samples(&self, name: &str) -> &[f64] {
        match self.lines.iter().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples,
            None => panic!("`{}` has no contestant `{name}`", self.task),
        }
    }

    /// How many times as long `above` takes as `below`, round by round.
    pub fn ratio(&self, above: &str, below: &str) -> Spread {
        let below = self.samples(below);
        Spread::of(self.samples(above).iter().zip(below).map(|(a, b)| a / b).collect())
    }

    /// Round by round, whatever is to be made of several contestants.
    pub fn combine<const N: usize>(&self, names: [&str; N], with: impl Fn([f64; N]) -> f64) -> Spread {
        let columns = names.map(|name| self.samples(name));
        let rounds = columns[0].len();
        Spread::of(
            (0..rounds)
                .map(|round| with(columns.map(|column| column[round])))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let measured = Measured {
            task: "t".into(),
            lines: vec![("a", vec![2.0, 40.0, 6.0]), ("b", vec![1.0, 20.0, 2.0])],
        };
        let ratio = measured.ratio("a", "b");
        assert_eq!((ratio.median, ratio.low, ratio.high), (2.0, 2.0, 3.0));
        assert_eq!(measured.combine(["a", "b"], |[a, b]| a - b).median, 4.0);
    }
}
