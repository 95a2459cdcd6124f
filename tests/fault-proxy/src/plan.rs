//! The plan: which fault comes when, drawn from a seed.

use std::ops::Range;
use std::time::Duration;

/// What is done to a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Both sides get a FIN.
    Fin,
    /// Both sides get a reset; what was under way is lost.
    Reset,
    /// This many more bytes pass, counted over both directions, then both sides get a reset: it cuts within a record.
    CutAfter(usize),
    /// Nothing passes for this long and nobody is told; then the link is reset.
    StallThenCut(Duration),
    /// Nothing passes for this long and nobody is told; then all of it comes.
    StallThenRecover(Duration),
    /// For this long, each piece comes late by up to 50 ms.
    Delay(Duration),
    /// The link is reset and new connections are refused for this long.
    Refuse(Duration),
}

/// How often each fault is drawn, relative to the others. All zero: none ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weights {
    /// Weight of [`Fault::Fin`].
    pub fin: u32,
    /// Weight of [`Fault::Reset`].
    pub reset: u32,
    /// Weight of [`Fault::CutAfter`].
    pub cut_after: u32,
    /// Weight of [`Fault::StallThenCut`].
    pub stall_then_cut: u32,
    /// Weight of [`Fault::StallThenRecover`].
    pub stall_then_recover: u32,
    /// Weight of [`Fault::Delay`].
    pub delay: u32,
    /// Weight of [`Fault::Refuse`].
    pub refuse: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights {
            fin: 20,
            reset: 20,
            cut_after: 25,
            stall_then_cut: 12,
            stall_then_recover: 10,
            delay: 8,
            refuse: 5,
        }
    }
}

/// How often, how long, and what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Mean time between faults on one link, exponentially distributed; `None`: no faults but those ordered by hand.
    pub every: Option<Duration>,
    /// Which faults.
    pub weights: Weights,
    /// How long a stall lasts.
    pub stall: Range<Duration>,
    /// How long a link is slow.
    pub delay: Range<Duration>,
    /// How long new connections are refused.
    pub refuse: Range<Duration>,
}

impl Plan {
    /// No faults but those ordered by hand.
    pub fn none() -> Self {
        Plan {
            every: None,
            ..Plan::new(0, Duration::from_secs(1))
        }
    }

    /// All kinds of faults, on average one per `every` on each link.
    pub fn new(seed: u64, every: Duration) -> Self {
        let ms = Duration::from_millis;
        Plan {
            seed,
            every: Some(every),
            weights: Weights::default(),
            stall: ms(200)..ms(1500),
            delay: ms(100)..ms(800),
            refuse: ms(50)..ms(400),
        }
    }

    /// The faults of the n-th link.
    pub(crate) fn draw(&self, link: u64) -> Draw {
        // Two odd constants spread neighbouring seeds and links over the whole space.
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ link.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Draw {
            plan: self.clone(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }
}

/// The faults of one link, one after the other.
pub(crate) struct Draw {
    plan: Plan,
    rng: fastrand::Rng,
}

impl Draw {
    /// The time to the next fault, and what it is.
    pub(crate) fn next(&mut self) -> Option<(Duration, Fault)> {
        let mean = self.plan.every?;
        let w = self.plan.weights;
        let table = [
            w.fin,
            w.reset,
            w.cut_after,
            w.stall_then_cut,
            w.stall_then_recover,
            w.delay,
            w.refuse,
        ];
        let total: u32 = table.iter().sum();
        if total == 0 {
            return None;
        }
        // Exponential, but never longer than five times the mean: a run has to show something.
        let wait = mean.mul_f64((-(1.0 - self.rng.f64()).ln()).min(5.0));
        let mut pick = self.rng.u32(0..total);
        let index = table.iter().position(|&weight| {
            let here = pick < weight;
            pick = pick.wrapping_sub(if here { 0 } else { weight });
            here
        });
        let fault = match index.unwrap_or(0) {
            0 => Fault::Fin,
            1 => Fault::Reset,
            2 => Fault::CutAfter(self.rng.usize(1..4096)),
            3 => Fault::StallThenCut(self.span(self.plan.stall.clone())),
            4 => Fault::StallThenRecover(self.span(self.plan.stall.clone())),
            5 => Fault::Delay(self.span(self.plan.delay.clone())),
            _ => Fault::Refuse(self.span(self.plan.refuse.clone())),
        };
        Some((wait, fault))
    }

    /// How late the next piece of a delayed link comes.
    pub(crate) fn lateness(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(1..50))
    }

    fn span(&mut self, range: Range<Duration>) -> Duration {
        range.start + range.end.saturating_sub(range.start).mul_f64(self.rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let plan = Plan::new(7, Duration::from_millis(500));
        let (mut a, mut b, mut other) = (plan.draw(3), plan.draw(3), plan.draw(4));
        let first: Vec<_> = (0..50).map(|_| a.next()).collect();
        assert_eq!(first, (0..50).map(|_| b.next()).collect::<Vec<_>>());
        assert_ne!(first, (0..50).map(|_| other.next()).collect::<Vec<_>>());
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_none_without_weights() {
        let mut plan = Plan::new(1, Duration::from_millis(500));
        let mut draw = plan.draw(0);
        let kinds: std::collections::HashSet<_> = (0..1000)
            .filter_map(|_| draw.next())
            .map(|(_, fault)| std::mem::discriminant(&fault))
            .collect();
        assert_eq!(kinds.len(), 7);
        plan.weights = Weights {
            fin: 0,
            reset: 0,
            cut_after: 0,
            stall_then_cut: 0,
            stall_then_recover: 0,
            delay: 0,
            refuse: 0,
        };
        assert_eq!(plan.draw(0).next(), None);
        assert_eq!(Plan::none().draw(0).next(), None);
    }
}
