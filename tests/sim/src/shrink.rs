//! Makes a failing run simpler, as long as it goes on failing in the same way.
//!
//! A run is its seed and its setting. Each *reduction* takes one thing out of a setting or halves it: a kind of fault, clients, messages, time.
//! Those after which the run still fails are kept, and all are tried again until none helps any more. What is left is what
//! the failure needs. Reductions have names, so that a shrunk run can be repeated: `--reduce no-copy,half-time`.

use core::time::Duration;

use unbroken::{Backoff, Limits, Timing};

use crate::cluster::{Accidents, ClusterOptions};
use crate::options::{Chunks, FaultOptions, HostOptions, Options};
use crate::setting::Setting;

/// What was taken out, in this order.
pub type Reductions = Vec<&'static str>;

type Table<T> = [(&'static str, fn(&mut T))];

const SECOND: Duration = Duration::from_secs(1);

/// The largest first: what they take out need not be looked at one by one.
const FAULTS: &Table<FaultOptions> = &[
    ("no-link-faults", |f| *f = FaultOptions::default()),
    ("no-hostile", |f| f.hostile_every = Duration::ZERO),
    ("no-network", |f| f.network_every = Duration::ZERO),
    ("no-copy", |f| f.copy = 0),
    ("no-forge", |f| f.forge = 0),
    ("no-corrupt", |f| f.corrupt = 0),
    ("no-stall", |f| f.stall = 0),
    ("no-unnoticed", |f| f.unnoticed = 0),
    ("no-refused", |f| f.refused = 0),
    ("no-black-hole", |f| f.connect_black_hole = 0),
    ("no-cut-at-byte", |f| f.cut_at_byte = 0),
    ("no-cut-after", |f| f.cut_after = 0),
];

const WORLD: &Table<Options> = &[
    ("one-client", |o| o.clients = 1),
    ("one-shard", |o| o.shards = 1),
    ("half-time", |o| halve(&mut o.safety)),
    ("no-words-up", |o| o.app.messages[0] = 0),
    ("no-words-down", |o| o.app.messages[1] = 0),
    ("half-words-up", |o| o.app.messages[0] /= 2),
    ("half-words-down", |o| o.app.messages[1] /= 2),
    ("no-unreliable", |o| o.app.unreliable = 0),
    ("small-words", |o| {
        (o.app.size, o.app.rare_size) = (o.app.size.min(16), o.app.size.min(16))
    }),
    ("no-rare-words", |o| o.app.rare_size = o.app.size),
    ("quick-readers", |o| {
        (o.app.read_every, o.app.read_batch) = (Duration::ZERO, 0)
    }),
    ("quick-verdict", |o| o.app.verdict = Duration::ZERO),
    ("let-all-in", |o| {
        (o.app.authorise, o.app.ask_on_resume) = (false, false)
    }),
    ("no-refusals", |o| (o.app.refused, o.app.early_words) = (0, 0)),
    ("no-vetoes", |o| o.app.vetoes = 0),
    ("no-early-ends", |o| o.app.ends = 0),
    ("no-own-address", |o| o.net.own_address = None),
    ("calm-host", |o| {
        o.host = HostOptions {
            late: Duration::ZERO,
            lazy: 0,
            buffer: 64 << 10,
        }
    }),
    ("whole-chunks", |o| {
        (o.net.chunks, o.net.coalesce) = (Chunks::All, Duration::ZERO)
    }),
    ("wide-line", |o| {
        (o.net.bandwidth, o.net.socket, o.net.segment) = (0, 1 << 20, 1460)
    }),
    ("one-path", |o| (o.net.paths, o.net.jitter) = (0, Duration::ZERO)),
    ("lingering", |o| o.net.reset_on_closed = false),
    ("usual-client-limits", |o| o.client_limits = roomy(&o.client_limits)),
    ("usual-server-limits", |o| o.server_limits = roomy(&o.server_limits)),
    ("usual-timing", |o| o.timing = Timing::default()),
    ("usual-backoff", |o| o.backoff = usual_backoff(&o.backoff)),
];

const CLUSTER: &Table<ClusterOptions> = &[
    ("one-client", |o| o.clients = 1),
    ("two-processes", |o| o.processes = o.processes.min(2)),
    ("half-time", |o| halve(&mut o.safety)),
    ("no-accidents", |o| o.accidents = Accidents::default()),
    ("no-crash", |o| o.accidents.crash = Duration::ZERO),
    ("no-pause", |o| o.accidents.pause = Duration::ZERO),
    ("no-retire", |o| o.accidents.retire = Duration::ZERO),
    ("no-store-down", |o| o.accidents.down = Duration::ZERO),
    ("no-rollback", |o| o.accidents.rollback = Duration::ZERO),
    ("no-spoil", |o| o.accidents.spoil = Duration::ZERO),
    ("no-newer", |o| o.accidents.newer = Duration::ZERO),
    ("nobody-put-out", |o| o.accidents.put_out = Duration::ZERO),
    ("honest-store", |o| o.store = o.store.honest()),
    ("no-unavailable", |o| o.store.unavailable = 0),
    ("no-lost", |o| o.store.lost = 0),
    ("no-reply-lost", |o| o.store.reply_lost = 0),
    ("no-late", |o| o.store.late = 0),
    ("no-note-faults", |o| (o.store.note_lost, o.store.note_doubled) = (0, 0)),
    ("no-crash-at-step", |o| o.store.crash_at_step = 0),
    ("no-users", |o| o.apps.users = 0),
    ("no-swaps", |o| o.accidents.swap = Duration::ZERO),
    ("no-early-ends", |o| o.apps.ends = 0),
    ("no-large-states", |o| o.apps.large_first = 0),
    ("any-process", |o| o.sticky = 0),
    ("no-mail", |o| o.apps.mail = Duration::ZERO),
    ("half-burst", |o| o.apps.burst = o.apps.burst.div_ceil(2)),
    ("small-words", |o| {
        (o.apps.size, o.apps.state) = (o.apps.size.min(16), 0)
    }),
    ("one-path", |o| (o.net.paths, o.net.jitter) = (0, Duration::ZERO)),
    ("equal-limits", |o| o.lesser.clear()),
    ("usual-limits", |o| {
        o.limits = roomy(&o.limits);
        o.lesser.clear();
    }),
    ("usual-timing", |o| o.timing = Timing::default()),
    ("usual-backoff", |o| o.backoff = usual_backoff(&o.backoff)),
];

/// How long a session waits for its client says what ends are legal: that stays.
fn roomy(limits: &Limits) -> Limits {
    let room = limits.message.max(1 << 20);
    Limits {
        message: room,
        unacked_bytes: room,
        window_bytes: room,
        snapshot: room + (2 << 20),
        detached: limits.detached,
        tombstone: limits.tombstone,
        ..Limits::default()
    }
}

fn usual_backoff(backoff: &Backoff) -> Backoff {
    Backoff {
        give_up_after: backoff.give_up_after,
        ..Backoff::default()
    }
}

fn halve(time: &mut Duration) {
    if *time > SECOND {
        *time /= 2;
    }
}

/// Applies a reduction; `None` if there is none of this name for such a setting, or it changes nothing.
pub fn reduce(setting: &Setting, name: &str) -> Option<Setting> {
    fn find<T>(table: &Table<T>, name: &str) -> Option<fn(&mut T)> {
        table.iter().find(|(own, _)| *own == name).map(|(_, change)| *change)
    }
    let mut reduced = setting.clone();
    match &mut reduced {
        Setting::World(o) => match (find(FAULTS, name), find(WORLD, name)) {
            (Some(change), _) => change(&mut o.faults),
            (_, Some(change)) => change(o),
            _ => return None,
        },
        Setting::Cluster(o) => match (find(FAULTS, name), find(CLUSTER, name)) {
            (Some(change), _) => change(&mut o.links),
            (_, Some(change)) => change(o),
            _ => return None,
        },
    }
    (reduced.to_string() != setting.to_string()).then_some(reduced)
}

/// All reductions there are for such a setting.
pub fn names(setting: &Setting) -> Vec<&'static str> {
    let own: Vec<_> = match setting {
        Setting::World(_) => WORLD.iter().map(|(name, _)| *name).collect(),
        Setting::Cluster(_) => CLUSTER.iter().map(|(name, _)| *name).collect(),
    };
    own.into_iter().chain(FAULTS.iter().map(|(name, _)| *name)).collect()
}

/// The reduction of this name.
pub fn named(name: &str) -> Option<&'static str> {
    let all = WORLD
        .iter()
        .map(|(own, _)| *own)
        .chain(CLUSTER.iter().map(|(own, _)| *own));
    all.chain(FAULTS.iter().map(|(own, _)| *own)).find(|own| *own == name)
}

/// What a failure is about, without its numbers: shrinking must not slip from one bug to another.
pub fn kind(what: &str) -> String {
    let line = what.lines().next().unwrap_or_default();
    let words = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.starts_with(char::is_alphabetic));
    words.take(6).collect::<Vec<_>>().join(" ")
}

/// The simplest setting that was found in at most `budget` runs, and how to come to it. `fails` runs a setting and says what went wrong.
pub fn shrink(
    setting: &Setting,
    what: &str,
    budget: usize,
    mut fails: impl FnMut(&Setting) -> Option<String>,
) -> (Setting, Reductions) {
    let (wanted, names) = (kind(what), names(setting));
    let (mut best, mut done, mut left) = (setting.clone(), Vec::new(), budget);
    loop {
        let before = done.len();
        for name in &names {
            while left > 0
                && let Some(reduced) = reduce(&best, name)
            {
                left -= 1;
                if fails(&reduced).is_none_or(|what| kind(&what) != wanted) {
                    break;
                }
                best = reduced;
                done.push(*name);
            }
        }
        if left == 0 || done.len() == before {
            return (best, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    /// Fails if bits flip on the way and there are at least ten messages up.
    fn fails(setting: &Setting) -> Option<String> {
        let Setting::World(o) = setting else { return None };
        (o.faults.corrupt > 0 && o.app.messages[0] >= 10).then(|| format!("G1: message {} is missing", o.clients))
    }

    #[test]
    fn only_what_the_failure_needs_is_left() {
        let seed = (0..).find(|seed| {
            let drawn = Setting::draw(Profile::Hostile, *seed);
            matches!(&drawn, Setting::World(o) if o.app.messages[0] > 100)
        });
        let drawn = Setting::draw(Profile::Hostile, seed.unwrap());
        let (shrunk, reductions) = shrink(&drawn, "G1: message 7 is missing", 1000, fails);
        let Setting::World(o) = &shrunk else { unreachable!() };
        assert!(o.faults.corrupt > 0 && (10..20).contains(&o.app.messages[0]), "{o}");
        assert_eq!(
            o.faults.copy + o.faults.forge + o.faults.cut_after + o.faults.stall,
            0,
            "{o}"
        );
        assert_eq!((o.app.messages[1], o.clients, o.shards), (0, 1, 1), "{o}");
        assert!(o.safety <= SECOND, "{o}");
        // The names lead to the same again.
        let again = reductions
            .iter()
            .fold(drawn, |setting, name| reduce(&setting, name).unwrap());
        assert_eq!(again.to_string(), shrunk.to_string());
    }

    #[test]
    fn another_failure_is_not_taken_for_it() {
        let drawn = Setting::draw(Profile::Hostile, 1);
        let (shrunk, reductions) = shrink(&drawn, "G1: message 7 is missing", 1000, |_| {
            Some("G2: client 0 ended by Expired".to_string())
        });
        assert_eq!((shrunk.to_string(), reductions.len()), (drawn.to_string(), 0));
    }

    #[test]
    fn the_budget_is_kept() {
        let mut runs = 0;
        shrink(&Setting::draw(Profile::Cluster, 1), "all fail", 7, |_| {
            runs += 1;
            Some("all fail".to_string())
        });
        assert_eq!(runs, 7);
    }

    #[test]
    fn every_reduction_changes_something_and_comes_to_an_end() {
        let profiles = [
            Profile::Chaos,
            Profile::Slow,
            Profile::Hostile,
            Profile::Fleet,
            Profile::Cluster,
            Profile::Random,
        ];
        let draw = |seed| profiles.map(|profile| Setting::draw(profile, seed));
        for name in [0, 4].into_iter().flat_map(|kind| names(&draw(0)[kind])) {
            let mut first = (0..300).flat_map(draw).filter_map(|drawn| reduce(&drawn, name));
            let mut setting = first.next().unwrap_or_else(|| panic!("{name} changes nothing"));
            let mut times = 1;
            while let Some(reduced) = reduce(&setting, name) {
                (setting, times) = (reduced, times + 1);
                assert!(times < 40, "{name} has no end: {setting}");
            }
        }
    }

    #[test]
    fn a_kind_is_words_without_numbers() {
        assert_eq!(kind("client 3: G1: message 17 was\nmore"), "client G1 message was");
        assert_ne!(kind("G1: lost"), kind("G2: lost"));
    }
}
