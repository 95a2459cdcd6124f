//! What each client lived through: its states over time, its handovers, and the faults its network dealt it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use unbroken_fault_proxy::Fault;
use unbroken_tokio::{CloseReason, Event, State};

/// What a row of the timeline shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// The first connect is under way.
    Starting = 0,
    /// The session runs.
    Established = 1,
    /// The link is lost or suspect; another is being dialled, or waits for its turn.
    Dialling = 2,
    /// A new link is up: keys, positions and replay are being agreed.
    Resuming = 3,
    /// Over.
    Closed = 4,
}

/// How many phases there are.
pub const PHASES: usize = 5;

/// All clients' lives.
pub struct Timeline {
    start: Instant,
    lives: Vec<Mutex<Life>>,
    handovers: AtomicU64,
    replayed: AtomicU64,
    downtimes: Mutex<Vec<Duration>>,
}

/// One client's.
pub struct Life {
    /// Each phase and when it began.
    pub phases: Vec<(Duration, Phase)>,
    /// Each handover: when it was over, and how long it lasted.
    pub handovers: Vec<(Duration, Duration)>,
    /// Each fault and when it began.
    pub faults: Vec<(Duration, Fault)>,
    /// Why it ended, once it has.
    pub ended: Option<CloseReason>,
    in_handover: bool,
}

/// Percentiles of the downtimes.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Downtime {
    /// Half were shorter.
    pub p50: Duration,
    /// One in a hundred was longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Timeline {
    /// Begins now.
    pub fn new(clients: u32) -> Self {
        let life = || Life {
            phases: vec![(Duration::ZERO, Phase::Starting)],
            handovers: Vec::new(),
            faults: Vec::new(),
            ended: None,
            in_handover: false,
        };
        Timeline {
            start: Instant::now(),
            lives: (0..clients).map(|_| Mutex::new(life())).collect(),
            handovers: AtomicU64::new(0),
            replayed: AtomicU64::new(0),
            downtimes: Mutex::default(),
        }
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Takes note of what the library told a client.
    pub fn event(&self, client: u32, event: &Event) {
        let now = self.elapsed();
        let mut life = self.life(client);
        match event {
            Event::State(state) => {
                let phase = life.phase_of(*state);
                life.enter(now, phase);
            }
            Event::Established { .. } => life.enter(now, Phase::Established),
            Event::HandoverBegin { .. } => {
                life.in_handover = true;
                life.enter(now, Phase::Dialling);
            }
            Event::HandoverEnd(end) => {
                life.in_handover = false;
                life.handovers.push((now, end.downtime));
                life.enter(now, Phase::Established);
                self.handovers.fetch_add(1, Relaxed);
                self.replayed.fetch_add(end.replayed_messages, Relaxed);
                lock(&self.downtimes).push(end.downtime);
            }
            Event::Closed(reason) => {
                life.ended = Some(*reason);
                life.enter(now, Phase::Closed);
            }
            _ => {}
        }
    }

    /// Takes note of what a client's network did.
    pub fn faults(&self, client: u32, log: Vec<(Instant, Fault)>) {
        let faults = log
            .into_iter()
            .map(|(at, fault)| (at.saturating_duration_since(self.start), fault));
        self.life(client).faults.extend(faults);
    }

    /// Interruptions survived so far.
    pub fn handovers(&self) -> u64 {
        self.handovers.load(Relaxed)
    }

    /// Messages sent again so far, by the clients.
    pub fn replayed(&self) -> u64 {
        self.replayed.load(Relaxed)
    }

    /// How many clients are in each phase.
    pub fn census(&self) -> [usize; PHASES] {
        let mut census = [0; PHASES];
        self.phases().into_iter().for_each(|phase| census[phase as usize] += 1);
        census
    }

    /// The phase of each client.
    pub fn phases(&self) -> Vec<Phase> {
        self.lives
            .iter()
            .map(|life| lock(life).phases.last().map_or(Phase::Starting, |last| last.1))
            .collect()
    }

    /// All downtimes, ascending.
    pub fn downtimes(&self) -> Vec<Duration> {
        let mut all = lock(&self.downtimes).clone();
        all.sort_unstable();
        all
    }

    /// Percentiles of the downtimes so far.
    pub fn downtime(&self) -> Downtime {
        let all = self.downtimes();
        let at = |share: f64| {
            let rank = (all.len() as f64 * share).ceil() as usize;
            all.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Downtime {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }

    /// Each client's life.
    pub fn each<T>(&self, show: impl FnMut(&Life) -> T) -> Vec<T> {
        let mut show = show;
        self.lives.iter().map(|life| show(&lock(life))).collect()
    }

    fn life(&self, client: u32) -> std::sync::MutexGuard<'_, Life> {
        lock(&self.lives[client as usize])
    }
}

impl Life {
    fn enter(&mut self, now: Duration, phase: Phase) {
        if self.phases.last().is_none_or(|last| last.1 != phase) {
            self.phases.push((now, phase));
        }
    }

    fn phase_of(&self, state: State) -> Phase {
        let started = self.phases.iter().any(|(_, phase)| *phase == Phase::Established);
        match state {
            State::Closed => Phase::Closed,
            _ if !started => Phase::Starting,
            State::None | State::Connecting => Phase::Dialling,
            State::Handshaking | State::Connected | State::Restore | State::Standby => Phase::Resuming,
            State::Established if self.in_handover => Phase::Resuming,
            State::Established => Phase::Established,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_none_one_and_many() {
        let timeline = Timeline::new(1);
        assert_eq!(timeline.downtime(), Downtime::default());
        let ms = Duration::from_millis;
        lock(&timeline.downtimes).push(ms(7));
        assert_eq!(
            timeline.downtime(),
            Downtime {
                p50: ms(7),
                p99: ms(7),
                max: ms(7)
            }
        );
        *lock(&timeline.downtimes) = (1..=100).map(ms).collect();
        assert_eq!(
            timeline.downtime(),
            Downtime {
                p50: ms(50),
                p99: ms(99),
                max: ms(100)
            }
        );
    }
}
