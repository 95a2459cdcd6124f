//! A long run in pieces: seeds are run in blocks, and after each block all that was found so far goes to a file, from which the next call goes on.
//!
//! The file belongs to one build of the simulator, for sums over different code would say nothing about either. A violation is written down and
//! the campaign goes on: it has failed, but the other seeds are worth having.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::profile::Profile;
use crate::world::Totals;

/// Which profile a seed is run under, sixteen in turn: many of those that break most links and move most sessions in the time they take, some of
/// each other, so that all goals are reached after about as many seeds.
const MIX: [Profile; 16] = [
    Profile::Random,
    Profile::Cluster,
    Profile::Cuts,
    Profile::Random,
    Profile::Cluster,
    Profile::Hostile,
    Profile::Random,
    Profile::Cluster,
    Profile::Chaos,
    Profile::Random,
    Profile::Cluster,
    Profile::Slow,
    Profile::Random,
    Profile::Fleet,
    Profile::Idle,
    Profile::Expiry,
];

pub fn profile_of(seed: u64) -> Profile {
    MIX[(seed % MIX.len() as u64) as usize]
}

/// What a campaign is to reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Goals {
    pub seeds: u64,
    pub failures: u64,
    pub handovers: u64,
    pub rollbacks: u64,
}

impl Default for Goals {
    fn default() -> Self {
        Goals {
            seeds: 100_000,
            failures: 10_000_000,
            handovers: 100_000,
            rollbacks: 10_000,
        }
    }
}

/// All that is counted, by the name under which it is written down.
fn figures(totals: &Totals) -> [(&'static str, u64); 16] {
    let servers = &totals.servers;
    [
        ("seeds", totals.runs),
        ("virtual-seconds", totals.virtual_time.as_secs()),
        ("connections", totals.connections),
        ("link-failures", totals.failures),
        ("handovers", totals.handovers),
        ("messages", totals.messages),
        ("bytes", totals.bytes),
        ("ended-early", totals.ended_early),
        ("takeovers", servers.takeovers),
        ("fenced", servers.fenced),
        ("crashes", servers.crashes),
        ("store-requests", servers.requests),
        ("store-faults", servers.store_faults),
        ("rollbacks", servers.rollbacks),
        ("spoilt-records", servers.spoilt),
        ("ends-reported", servers.reported),
    ]
}

/// What a campaign has come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// The build it belongs to.
    pub build: String,
    /// All seeds below this one have been run.
    pub next: u64,
    sums: BTreeMap<(String, String), u64>,
    pub violations: Vec<(String, u64)>,
}

impl State {
    pub fn new(build: String) -> Self {
        State {
            build,
            ..State::default()
        }
    }

    pub fn add(&mut self, profile: Profile, totals: &Totals) {
        for (name, value) in figures(totals) {
            *self
                .sums
                .entry((profile.name().to_string(), name.to_string()))
                .or_default() += value;
        }
    }

    /// A figure over all profiles.
    pub fn sum(&self, figure: &str) -> u64 {
        self.sums
            .iter()
            .filter(|((_, name), _)| name == figure)
            .map(|(_, value)| value)
            .sum()
    }

    fn of(&self, profile: &str, figure: &str) -> u64 {
        self.sums
            .get(&(profile.to_string(), figure.to_string()))
            .copied()
            .unwrap_or(0)
    }

    /// What is still missing, in words.
    pub fn missing(&self, goals: &Goals) -> Vec<String> {
        let wanted = [
            ("seeds", goals.seeds),
            ("link-failures", goals.failures),
            ("handovers", goals.handovers),
            ("rollbacks", goals.rollbacks),
        ];
        let open = wanted.into_iter().filter(|(name, wanted)| self.sum(name) < *wanted);
        open.map(|(name, wanted)| format!("{} of {wanted} {name}", self.sum(name)))
            .collect()
    }

    /// As it goes to the file.
    pub fn save(&self) -> String {
        let mut text = format!("build {}\nnext {}\n", self.build, self.next);
        for ((profile, figure), value) in &self.sums {
            let _ = writeln!(text, "sum {profile} {figure} {value}");
        }
        for (profile, seed) in &self.violations {
            let _ = writeln!(text, "violation {profile} {seed}");
        }
        text
    }

    pub fn load(text: &str) -> Result<Self, String> {
        let mut state = State::default();
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let number = |word: &str| word.parse::<u64>().map_err(|e| format!("{line}: {e}"));
            match words[..] {
                ["build", build] => state.build = build.to_string(),
                ["next", next] => state.next = number(next)?,
                ["sum", profile, figure, value] => {
                    state
                        .sums
                        .insert((profile.to_string(), figure.to_string()), number(value)?);
                }
                ["violation", profile, seed] => state.violations.push((profile.to_string(), number(seed)?)),
                _ => return Err(format!("`{line}` is no line of a campaign")),
            }
        }
        if state.build.is_empty() {
            return Err("it does not say which build it belongs to".to_string());
        }
        Ok(state)
    }
}

/// A table: a line for each profile, and their sum.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            "seeds",
            "link-failures",
            "handovers",
            "takeovers",
            "rollbacks",
            "crashes",
            "messages",
        ];
        write!(f, "{:<9}", "profile")?;
        columns.iter().try_for_each(|name| write!(f, " {name:>13}"))?;
        writeln!(f, " {:>13}", "virtual hours")?;
        for profile in Profile::ALL.map(Profile::name) {
            write!(f, "{profile:<9}")?;
            columns
                .iter()
                .try_for_each(|name| write!(f, " {:>13}", self.of(profile, name)))?;
            writeln!(f, " {:>13}", self.of(profile, "virtual-seconds") / 3600)?;
        }
        write!(f, "{:<9}", "all")?;
        columns
            .iter()
            .try_for_each(|name| write!(f, " {:>13}", self.sum(name)))?;
        write!(f, " {:>13}", self.sum("virtual-seconds") / 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::run_seed;

    #[test]
    fn what_was_written_down_is_read_again() {
        let mut state = State::new("0123".to_string());
        for seed in 0..3 {
            state.add(Profile::Cuts, &run_seed(Profile::Cuts, seed, 0).unwrap());
        }
        state.add(Profile::Cluster, &run_seed(Profile::Cluster, 1, 0).unwrap());
        state.next = 4;
        state.violations.push(("slow".to_string(), 530));
        assert!(
            state.sum("link-failures") > 100 && state.sum("takeovers") > 0,
            "{state}"
        );
        assert_eq!(State::load(&state.save()), Ok(state));
    }

    #[test]
    fn a_file_of_something_else_is_not_taken() {
        State::load("").unwrap_err();
        State::load("build 1\nnext x\n").unwrap_err();
        State::load("build 1\nhello\n").unwrap_err();
    }

    #[test]
    fn a_goal_that_is_not_reached_is_named() {
        let mut state = State::new("0".to_string());
        assert_eq!(state.missing(&Goals::default()).len(), 4);
        let totals = Totals {
            runs: 100_000,
            failures: 10_000_000,
            handovers: 100_000,
            ..Totals::default()
        };
        state.add(Profile::Random, &totals);
        assert_eq!(state.missing(&Goals::default()), ["0 of 10000 rollbacks"]);
    }

    #[test]
    fn every_profile_with_faults_has_its_seeds() {
        for profile in Profile::ALL {
            assert!((0..16).any(|seed| profile_of(seed) == profile), "{}", profile.name());
        }
    }
}
