//! Whole configurations: what the other profiles leave as it is by default is drawn here, too, as wide as it may be set.
//!
//! A limit is only drawn so small that an honest session can still live under it: a run that cannot succeed proves nothing. What each
//! lower bound depends on stands beside it.

use core::time::Duration;

use unbroken::Limits;

use crate::cluster::ClusterOptions;
use crate::options::Options;
use crate::profile::Profile;
use crate::rng::Rng;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The families whose faults a random world may have.
const FAMILIES: [Profile; 6] = [
    Profile::Chaos,
    Profile::Cuts,
    Profile::Slow,
    Profile::Hostile,
    Profile::Expiry,
    Profile::Fleet,
];

/// One run in three has several processes.
pub fn has_processes(seed: u64) -> bool {
    Rng::new(seed).fork("random").below(3) == 0
}

/// A world of one server process, with one to eight workers.
pub fn world(seed: u64) -> Options {
    let mut rng = Rng::new(seed).fork("random world");
    let rng = &mut rng;
    let family = *rng.pick(&FAMILIES);
    let mut o = Options::draw(family, seed);
    if family != Profile::Fleet {
        o.clients = rng.log_range(1..=9) as usize;
        // Many conversations, each of them shorter: the time of a run stays what it is.
        o.app.messages = o.app.messages.map(|n| n.div_ceil(o.clients as u64));
    }
    o.shards = rng.range(1..=8) as u16;
    o.app.ask_on_resume = rng.coin();
    let least = o.least_handshake();
    o.timing.dead_after = (least * 2).max(500 * MS) + rng.duration(Duration::ZERO..=20 * SECOND);
    o.timing.idle_probe = rng.duration(SECOND..=60 * SECOND);
    o.timing.ack_delay = rng.duration(Duration::ZERO..=500 * MS);
    for limits in [&mut o.client_limits, &mut o.server_limits] {
        let longer = Duration::from_micros(rng.log_range(1..=50_000_000));
        limits.handshake = (least + longer).min(HANDSHAKE_MAX);
        // Each client tries two at once, and a stranger pushes out the oldest: half of them must get through.
        limits.pending_handshakes = rng.log_range(o.clients as u64 * 8..=4096) as u32;
        limits.tombstones = rng.log_range(0..=65_536) as u32;
    }
    o
}

/// The most that may be set.
const HANDSHAKE_MAX: Duration = Duration::from_secs(60);

/// A world of one to six processes that share a store.
pub fn cluster(seed: u64) -> ClusterOptions {
    let mut rng = Rng::new(seed).fork("random cluster");
    let rng = &mut rng;
    let mut o = ClusterOptions::draw(seed);
    // A run in which nobody could move is no proof, so two at least.
    o.processes = rng.range(2..=6) as usize;
    o.clients = rng.log_range(1..=9) as usize;
    o.apps.size = rng.log_range(0..=12_000);
    o.apps.state = rng.log_range(0..=16_000);
    o.limits = cluster_limits(&o, rng);
    o.lesser = lesser_limits(&o.limits, &mut Rng::new(seed).fork("lesser limits"));
    o.timing.ack_bytes = rng.log_range(1..=1 << 20) as u32;
    o.timing.idle_probe = rng.duration(SECOND..=60 * SECOND);
    o.timing.lease = rng.duration(SECOND..=20 * SECOND);
    // A store that goes back excuses much of what follows, so most runs do without, and all in which somebody is put out; those that do not have it often.
    if rng.permille(350) && o.accidents.put_out.is_zero() {
        o.accidents.rollback = rng.duration(SECOND..=8 * SECOND);
        o.accidents.rollback_by = rng.duration(100 * MS..=15 * SECOND);
    }
    o
}

fn cluster_limits(o: &ClusterOptions, rng: &mut Rng) -> Limits {
    // The longest word of either application, and a letter.
    let message = (o.apps.size + 16).max(1024) as u32 + rng.log_range(0..=100_000) as u32;
    let bytes = |rng: &mut Rng| message + rng.log_range(0..=1 << 20) as u32;
    let (unacked_bytes, window_bytes) = (bytes(rng), bytes(rng));
    Limits {
        message,
        unacked_bytes,
        unacked_messages: rng.log_range(1..=8192) as u32,
        window_bytes,
        window_messages: rng.log_range(1..=8192) as u32,
        unreliable_bytes: rng.log_range(0..=64 << 10) as u32,
        // What is not ACKed, what is not read and the application's state must fit, or nobody could leave.
        snapshot: unacked_bytes + window_bytes + (128 << 10) + rng.log_range(0..=2 << 20) as u32,
        // A process that may remember no ended session cannot try again to tell a store of it that was away: here all are told in the end.
        tombstones: rng.log_range(o.clients as u64 * 16..=65_536) as u32,
        ..o.limits.clone()
    }
}

/// What other processes have, in every second world: windows that are smaller. A message and a snapshot must fit everywhere, or a session could not move.
fn lesser_limits(limits: &Limits, rng: &mut Rng) -> Vec<Limits> {
    let others = *rng.pick(&[0, 0, 1, 2]);
    let lesser = |rng: &mut Rng| {
        let bytes = |rng: &mut Rng, most: u32| rng.log_range(limits.message.into()..=most.into()) as u32;
        let messages = |rng: &mut Rng, most: u32| rng.log_range(1..=most.into()) as u32;
        Limits {
            unacked_bytes: bytes(rng, limits.unacked_bytes),
            unacked_messages: messages(rng, limits.unacked_messages),
            window_bytes: bytes(rng, limits.window_bytes),
            window_messages: messages(rng, limits.window_messages),
            ..limits.clone()
        }
    };
    (0..others).map(|_| lesser(rng)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many different values a thousand seeds give.
    fn different<T: Ord>(of: impl Fn(u64) -> T) -> usize {
        (0..1000).map(of).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// A world is made with its first clients and servers, whose configurations are checked then.
    #[test]
    fn every_configuration_that_is_drawn_is_one_that_can_be_had() {
        for seed in 0..20_000 {
            if has_processes(seed) {
                crate::cluster::World::new(cluster(seed), seed);
            } else {
                crate::World::new(world(seed), seed);
            }
        }
    }

    #[test]
    fn every_part_of_the_configuration_is_drawn() {
        let limits = [
            |l: &Limits| u64::from(l.message),
            |l: &Limits| u64::from(l.unacked_bytes),
            |l: &Limits| u64::from(l.unacked_messages),
            |l: &Limits| u64::from(l.window_bytes),
            |l: &Limits| u64::from(l.window_messages),
            |l: &Limits| u64::from(l.unreliable_bytes),
            |l: &Limits| u64::from(l.tombstones),
        ];
        for limit in limits {
            for of in [
                |s| world(s).client_limits,
                |s| world(s).server_limits,
                |s| cluster(s).limits,
            ] {
                assert!(different(|seed| limit(&of(seed))) > 100);
            }
        }
        assert!(different(|seed| world(seed).server_limits.handshake) > 900);
        assert!(different(|seed| world(seed).server_limits.pending_handshakes) > 100);
        assert!(different(|seed| cluster(seed).limits.snapshot) > 900);
        assert!(different(|seed| world(seed).timing.dead_after) > 900);
        assert!(different(|seed| cluster(seed).timing.lease) > 900);
        assert_eq!(different(|seed| world(seed).shards), 8);
        assert_eq!(different(|seed| cluster(seed).processes), 5);
        assert_eq!(different(|seed| cluster(seed).durability as u8), 2);
        assert_eq!(different(|seed| cluster(seed).lesser.len()), 3);
        assert!(different(|seed| cluster(seed).accidents.put_out) > 100);
        assert_eq!(different(|seed| world(seed).profile.name()), FAMILIES.len());
    }
}
