//! Many sessions, over one or several endpoints.

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use crate::options::Options;
use crate::world::World;

/// A world with many conversations.
pub struct Fleet(pub World);

impl Fleet {
    pub fn new(options: Options, seed: u64) -> Self {
        Fleet(World::new(options, seed))
    }

    /// So many clients, a calm network.
    pub fn calm(clients: usize, shards: u16) -> Self {
        Fleet::new(
            Options {
                clients,
                shards,
                ..Options::calm()
            },
            1,
        )
    }

    /// Runs until all are established at both ends.
    pub fn establish(&mut self) {
        self.run_to("that all are established", Duration::from_secs(120), |w| {
            w.seats.iter().all(|s| s.talk.life.established)
        });
    }
}

impl Deref for Fleet {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Fleet {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}
