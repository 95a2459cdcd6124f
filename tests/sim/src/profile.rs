//! Families of runs.

use core::str::FromStr;

/// A family of runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// A bit of everything.
    Chaos,
    /// As many broken links as possible.
    Cuts,
    /// Small socket buffers, thin lines, large messages, slow readers.
    Slow,
    /// Garbage, replays, copies and forgeries beside honest traffic.
    Hostile,
    /// Half-open links and long silences.
    Idle,
    /// Outages longer than a session's life: endings are allowed, silent ones are not.
    Expiry,
    /// Many sessions over several shards.
    Fleet,
    /// Several server processes that share a store; see [`crate::cluster`].
    Cluster,
    /// A whole configuration, with everything that can be set; see [`crate::random`].
    Random,
    /// No fault at all: for tests that bring their own.
    Calm,
}

impl Profile {
    /// Those with faults of their own.
    pub const ALL: [Profile; 9] = [
        Profile::Chaos,
        Profile::Cuts,
        Profile::Slow,
        Profile::Hostile,
        Profile::Idle,
        Profile::Expiry,
        Profile::Fleet,
        Profile::Cluster,
        Profile::Random,
    ];

    /// The profile of a seed when none is asked for: one in eight has several processes, the others take turns.
    pub fn of(seed: u64) -> Profile {
        if seed % 8 == 7 {
            Profile::Cluster
        } else {
            Profile::ALL[(seed % 7) as usize]
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Profile::Chaos => "chaos",
            Profile::Cuts => "cuts",
            Profile::Slow => "slow",
            Profile::Hostile => "hostile",
            Profile::Idle => "idle",
            Profile::Expiry => "expiry",
            Profile::Fleet => "fleet",
            Profile::Cluster => "cluster",
            Profile::Random => "random",
            Profile::Calm => "calm",
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = Profile::ALL.iter().chain([&Profile::Calm]);
        all.clone().find(|p| p.name() == name).copied().ok_or_else(|| {
            format!(
                "no profile `{name}`; there are: {}",
                all.map(|p| p.name()).collect::<Vec<_>>().join(" ")
            )
        })
    }
}
