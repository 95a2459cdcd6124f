//! Memory, CPU and descriptors of a process, once in a second.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::proc::{self, Look};

/// A process being watched, until it is dropped.
pub struct Watch {
    looks: Arc<Mutex<Vec<(f64, Look)>>>,
    task: JoinHandle<()>,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Course {
    /// Memory, in MiB: the most, and the mean of the third and of the last quarter of the time.
    pub peak_mib: f64,
    pub third_quarter_mib: f64,
    pub last_quarter_mib: f64,
    /// The straight line through the second half, in MiB a minute.
    pub slope_mib_per_minute: f64,
    pub most_descriptors: u64,
    /// Of one core, on average.
    pub cpu: f64,
    pub seconds: f64,
}

impl Watch {
    pub fn start(id: u32) -> Watch {
        let looks = Arc::<Mutex<Vec<_>>>::default();
        let book = looks.clone();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let mut tick = interval(Duration::from_secs(1));
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Ok(look) = proc::look(id) {
                    lock(&book).push((begun.elapsed().as_secs_f64(), look));
                }
            }
        });
        Watch { looks, task }
    }

    /// What was seen so far.
    pub fn course(&self) -> Course {
        course(&lock(&self.looks))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn course(looks: &[(f64, Look)]) -> Course {
    let (Some((begun, first)), Some((ended, last))) = (looks.first(), looks.last()) else {
        return Course::default();
    };
    let seconds = ended - begun;
    let points: Vec<_> = looks.iter().map(|(at, look)| (*at, mib(look.rss))).collect();
    let quarter = |n: usize| mean(&points[points.len() * n / 4..points.len() * (n + 1) / 4]);
    Course {
        peak_mib: points.iter().map(|(_, mib)| *mib).fold(0.0, f64::max),
        third_quarter_mib: quarter(2),
        last_quarter_mib: quarter(3),
        slope_mib_per_minute: slope(&points[points.len() / 2..]) * 60.0,
        most_descriptors: looks.iter().map(|(_, look)| look.descriptors).max().unwrap_or(0),
        cpu: if seconds > 0.0 {
            (last.cpu - first.cpu) / seconds
        } else {
            0.0
        },
        seconds,
    }
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn mean(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, y)| y).sum::<f64>() / points.len().max(1) as f64
}

/// By least squares; 0 of fewer than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|(x, _)| x).sum::<f64>() / n, mean(points));
    let over: f64 = points.iter().map(|(px, py)| (px - x) * (py - y)).sum();
    let under: f64 = points.iter().map(|(px, _)| (px - x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(rss: impl Fn(u64) -> u64) -> Vec<(f64, Look)> {
        (0..=60)
            .map(|s| {
                (
                    s as f64,
                    Look {
                        rss: rss(s) << 20,
                        cpu: s as f64 / 4.0,
                        descriptors: 9,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn growth_is_seen_and_what_was_before_is_not_growth() {
        let grows = course(&looks(|s| 20 + s));
        assert!((grows.slope_mib_per_minute - 60.0).abs() < 1e-6, "{grows:?}");
        assert!(grows.last_quarter_mib - grows.third_quarter_mib > 14.0, "{grows:?}");
        let fills = course(&looks(|s| 20 + s.min(25)));
        assert!(fills.slope_mib_per_minute.abs() < 1e-6, "{fills:?}");
        assert_eq!((fills.peak_mib, fills.cpu, fills.most_descriptors), (45.0, 0.25, 9));
    }
}
