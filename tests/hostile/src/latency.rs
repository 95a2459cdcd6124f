//! Round trips, and what is told of them.
//!
//! The 99th percentile is told twice: of all, and as the median of those of windows of five seconds. What else the machine does comes in bursts, and a burst
//! spoils a few windows; what an attack does to the server, as it lasts, is in all of them.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const WINDOW: Duration = Duration::from_secs(5);
/// With fewer round trips a window says nothing of one in a hundred.
const TELLING: u64 = 500;

/// Round trips of one phase.
pub struct Latency {
    all: Histogram<u64>,
    window: Histogram<u64>,
    begun: Instant,
    /// The 99th percentile of each window.
    windows: Vec<u64>,
}

/// What is told of them, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    pub samples: u64,
    pub p50: f64,
    pub p99: f64,
    /// The median of the windows' 99th percentiles; 0 without a window that tells.
    pub steady_p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Default for Latency {
    fn default() -> Self {
        // Three digits, whatever the time: they grow where they must.
        let empty = || Histogram::new(3).expect("three digits are allowed");
        Latency {
            all: empty(),
            window: empty(),
            begun: Instant::now(),
            windows: Vec::new(),
        }
    }
}

impl Latency {
    pub fn record(&mut self, time: Duration) {
        if self.begun.elapsed() >= WINDOW {
            self.windows.extend(telling(&self.window));
            self.window.reset();
            self.begun = Instant::now();
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // It grows as it must, so nothing is too long for it.
        let _ = (self.all.record(micros), self.window.record(micros));
    }

    pub fn percentiles(&self) -> Percentiles {
        let ms = |micros| micros as f64 / 1000.0;
        let mut windows = self.windows.clone();
        windows.extend(telling(&self.window));
        windows.sort_unstable();
        Percentiles {
            samples: self.all.len(),
            p50: ms(self.all.value_at_quantile(0.5)),
            p99: ms(self.all.value_at_quantile(0.99)),
            steady_p99: ms(windows.get(windows.len() / 2).copied().unwrap_or(0)),
            p999: ms(self.all.value_at_quantile(0.999)),
            max: ms(self.all.max()),
        }
    }
}

fn telling(window: &Histogram<u64>) -> Option<u64> {
    (window.len() >= TELLING).then(|| window.value_at_quantile(0.99))
}
