//! One client among three processes, without any fault but those that a test plans.

use core::ops::{Deref, DerefMut};
use core::time::Duration;

use unbroken::{CloseReason, Durability, Record, SessionId, State};
use unbroken_sim::cluster::{ClusterOptions, Step, StoreFate, World, store_key};
use unbroken_sim::{Connect, Fate};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);

/// A world in which nothing happens by chance.
pub struct Stage(pub World);

impl Stage {
    pub fn new(durability: Durability) -> Self {
        Stage::with(ClusterOptions::calm(durability))
    }

    /// The first client's session stands, at process 0, and something has been said.
    pub fn with(options: ClusterOptions) -> Self {
        let clients = options.clients;
        let mut world = World::new(options, 1);
        world.routes.extend((0..clients).map(|_| 0));
        world.run_to("that all are established and have spoken", 10 * SECOND, |w| {
            w.talks
                .iter()
                .all(|talk| talk.life.established && talk.taken > 5 && talk.heard.len() > 5)
        });
        Stage(world)
    }

    /// The same, and the owner cannot renew its lease, which is over; but its commits arrive, and what it commits it acknowledges.
    pub fn orphaned() -> Self {
        let mut stage = Stage::new(Durability::Durable);
        for _ in 0..8 {
            stage.store_script.push((Some(0), Step::Lease, StoreFate::Lost));
        }
        stage.processes[0].hampered = true;
        stage.run_to("that its lease is over", 30 * SECOND, |w| {
            w.store.is_orphaned(&store_key(w.talks[0].id.unwrap()), w.now())
        });
        stage
    }

    pub fn id(&self) -> SessionId {
        self.talks[0].id.unwrap()
    }

    pub fn record(&self) -> Option<Record> {
        self.store.record(&store_key(self.id())).cloned()
    }

    /// All links die, and from now on every connection goes to process `p`.
    pub fn move_to(&mut self, p: usize) {
        self.only_to(p);
        self.kill_links();
    }

    /// The balancer knows of one process only.
    pub fn only_to(&mut self, p: usize) {
        self.routes.clear();
        self.routes.extend([p; 500]);
    }

    /// Until the session is at process `p`, and the client knows.
    pub fn arrive_at(&mut self, p: usize) {
        self.run_to("that the session has moved", 60 * SECOND, |w| {
            w.talks[0].holder == Some(w.at(p)) && is_up(w)
        });
    }

    /// The session is parked, and its client is kept away until [`Stage::let_in`].
    pub fn park(&mut self) {
        let at = self.talks[0].holder.unwrap();
        self.script.extend(vec![Fate::connect(Connect::Refused); 5000]);
        self.retire(at);
        self.run_to("that it has left", 20 * SECOND, |w| !w.is_there(at));
        assert!(matches!(self.record(), Some(Record::Parked { .. })));
    }

    pub fn let_in(&mut self) {
        self.script.clear();
    }

    /// What the store does to the first session is no fault of the servers.
    pub fn tampered(&mut self) {
        self.talks[0].excuses.tampered = true;
    }

    /// How the client's half ended.
    pub fn ends(&mut self) -> CloseReason {
        self.run_to("that the client is told of the end", 120 * SECOND, |w| {
            w.talks[0].client_closed()
        });
        self.talks[0].life.closed.unwrap()
    }

    /// Nothing was lost or doubled, and both ends know: said, heard, acknowledged.
    pub fn all_is_well(&mut self) {
        self.run_for(SECOND);
        self.quiet = true;
        self.settle_down();
        assert!(!self.talks[0].client_closed());
        assert!(self.talks[0].taken > 20 && self.talks[0].heard.len() > 20, "vacuous");
    }
}

pub const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

pub fn is_up(world: &World) -> bool {
    world.clients[0].session.state() == State::Established && !world.talks[0].life.in_handover
}

impl Deref for Stage {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}
