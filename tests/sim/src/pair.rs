//! One session and one endpoint.

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use unbroken::State;

use crate::fate::{Fate, Side};
use crate::net::ConnId;
use crate::options::Options;
use crate::world::{Node, World};

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

    /// The connection that is up, if there is but one.
    pub fn only_conn(&self) -> ConnId {
        let links: Vec<ConnId> = self.clients[0].host.links.values().copied().collect();
        assert_eq!(links.len(), 1, "one link");
        links[0]
    }

    /// From now on nothing arrives on this connection, and nobody learns of it.
    pub fn black_hole(&mut self, conn: ConnId) {
        let World { net, queue, .. } = &mut self.0;
        net.black_hole(conn, queue);
    }

    /// One message more than was planned.
    pub fn say_more(&mut self, i: usize, side: Side) -> bool {
        let said = self.say(i, side);
        let talk = match side {
            Side::Client => &mut self.0.clients[i].talk,
            Side::Server => &mut self.0.seats[i].talk,
        };
        talk.writer.total = talk.writer.total.max(talk.writer.sent);
        let node = match side {
            Side::Client => Node::Client(i),
            Side::Server => Node::Server(self.seats[i].server),
        };
        self.after_input(node);
        said
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
