//! One session and one endpoint.

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use unbroken::State;

use crate::fate::Fate;
use crate::options::Options;
use crate::world::World;

/// A world with one conversation. Without further ado its network has no faults; a test gives it a script.
pub struct Pair(pub World);

impl Pair {
    pub fn new(options: Options, seed: u64) -> Self {
        assert_eq!((options.clients, options.shards), (1, 1));
        Pair(World::new(options, seed))
    }

    /// Without faults but those of `script`: the fates of the first connections.
    pub fn calm(script: impl IntoIterator<Item = Fate>) -> Self {
        Pair::scripted(Options::calm(), script)
    }

    pub fn scripted(options: Options, script: impl IntoIterator<Item = Fate>) -> Self {
        let mut pair = Pair::new(options, 1);
        pair.script = script.into_iter().collect();
        pair
    }

    /// Runs until both ends are established.
    pub fn establish(&mut self) {
        self.run_to("that both are established", Duration::from_secs(60), |w| {
            w.clients[0].session.state() == State::Established && w.seats[0].talk.life.established
        });
    }

    /// Runs until all is delivered and acknowledged.
    pub fn deliver(&mut self) {
        self.settle_down();
    }
}

impl Deref for Pair {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Pair {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}
