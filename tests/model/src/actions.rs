//! What can happen next, and what comes of it.

use core::fmt;

use stateright::{Model, Property};

use crate::rules::{Mode, Rule, Takeover};
use crate::state::{Carried, Io, Record, Reply, Slot, World};
use crate::{client, properties, server, store, takeover};

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The client's application sends a message.
    ClientSays,
    /// The client sends a RESUME.
    ClientDials,
    /// The client reads what this server has sent.
    ClientReads(Slot),
    /// The client asks this server whether its session is gone. A forged REFUSE can make it ask at any time.
    ClientAsks(Slot),
    /// This RESUME arrives at this server: the first time, or again, or late.
    FlightArrives(u8, Slot),
    /// A made-up RESUME arrives at this server.
    ForgeryArrives(Slot),
    /// The server's application sends a message.
    ServerSays(Slot),
    /// The server writes to its link what may leave.
    ServerWrites(Slot),
    /// The server reads the client's records.
    ServerReads(Slot),
    /// The server has the store take a snapshot.
    ServerCommits(Slot),
    /// The server swaps the session out by itself.
    ServerDrains(Slot),
    /// The server hears another's note.
    ServerHearsNote(Slot),
    /// (Without R4) The server judges the flight that brought the session.
    ServerJudgesLate(Slot),
    /// The store carries out this server's request.
    StoreExecutes(Slot),
    /// The answer to this server's request is lost; it was carried out, or not.
    StoreFails(Slot, bool),
    /// The store carries out the last request of a process that has died.
    LateRequestLands,
    /// The store's answer reaches this server.
    StoreAnswers(Slot),
    /// This server's process dies.
    ServerDies(Slot),
    /// This server's lease runs out, but it goes on.
    LeaseRunsOut(Slot),
    /// The store's record is kept somewhere else as well.
    StoreIsBackedUp,
    /// The store reverts to that, or to nothing.
    StoreRollsBack,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |slot: &Slot| ["A", "B"][*slot];
        match self {
            Action::ClientSays => f.write_str("client: its application sends a message"),
            Action::ClientDials => f.write_str("client: sends the next RESUME"),
            Action::ClientReads(slot) => write!(f, "client: reads what {} has sent", name(slot)),
            Action::ClientAsks(slot) => write!(f, "client: asks {} by QUERY whether the session is gone", name(slot)),
            Action::FlightArrives(attempt, slot) => write!(f, "net: RESUME {attempt} arrives at {}", name(slot)),
            Action::ForgeryArrives(slot) => write!(f, "attacker: a RESUME he made up arrives at {}", name(slot)),
            Action::ServerSays(slot) => write!(f, "{}: its application sends a message", name(slot)),
            Action::ServerWrites(slot) => write!(f, "{}: writes to its link what may leave", name(slot)),
            Action::ServerReads(slot) => write!(f, "{}: reads the client's records", name(slot)),
            Action::ServerCommits(slot) => write!(f, "{}: asks the store to take a snapshot", name(slot)),
            Action::ServerDrains(slot) => {
                write!(f, "{}: freezes the session and asks the store to park it", name(slot))
            }
            Action::ServerHearsNote(slot) => write!(f, "{}: is asked for the session by the other server", name(slot)),
            Action::ServerJudgesLate(slot) => write!(f, "{}: judges the flight at last", name(slot)),
            Action::StoreExecutes(slot) => write!(f, "store: carries out {}'s request", name(slot)),
            Action::StoreFails(slot, true) => {
                write!(f, "store: carries out {}'s request, the answer is lost", name(slot))
            }
            Action::StoreFails(slot, false) => write!(f, "store: {}'s request is lost", name(slot)),
            Action::LateRequestLands => f.write_str("store: carries out a dead process's last request"),
            Action::StoreAnswers(slot) => write!(f, "{}: hears the store's answer, or its absence", name(slot)),
            Action::ServerDies(slot) => write!(f, "{}: dies; another process takes its place", name(slot)),
            Action::LeaseRunsOut(slot) => write!(f, "{}: its lease runs out, it does not notice", name(slot)),
            Action::StoreIsBackedUp => f.write_str("store: a replica keeps the record as it is"),
            Action::StoreRollsBack => f.write_str("store: reverts to the replica's record, or to none"),
        }
    }
}

impl Takeover {
    fn client_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let client = &world.client;
        if client.sent < self.bounds.client_messages {
            actions.push(Action::ClientSays);
        }
        if client.attempt < self.bounds.attempts {
            actions.push(Action::ClientDials);
        }
        let flights = world.flights.iter().flatten().map(|flight| flight.attempt);
        for slot in 0..2 {
            actions.push(Action::ClientReads(slot));
            if client.trying {
                actions.push(Action::ClientAsks(slot));
            }
            actions.extend(flights.clone().map(|attempt| Action::FlightArrives(attempt, slot)));
            if client.attempt > 0 && world.past.forgeries < self.bounds.forgeries {
                actions.push(Action::ForgeryArrives(slot));
            }
        }
    }

    fn server_actions(&self, world: &World, slot: Slot, actions: &mut Vec<Action>) {
        let server = &world.servers[slot];
        if let Some(session) = &server.session {
            let idle = server.io == Io::Idle && !session.frozen && session.unjudged.is_none();
            actions.extend([Action::ServerWrites(slot), Action::ServerReads(slot)]);
            if world.past.server_messages < self.bounds.server_messages && server::may_say(self, session) {
                actions.push(Action::ServerSays(slot));
            }
            if idle && self.mode == Mode::Durable && session.now.covered() != session.safe {
                actions.push(Action::ServerCommits(slot));
            }
            if idle && world.past.drains < self.bounds.drains {
                actions.push(Action::ServerDrains(slot));
            }
            if idle && server.note.is_some() {
                actions.push(Action::ServerHearsNote(slot));
            }
            if session.unjudged.is_some() {
                actions.push(Action::ServerJudgesLate(slot));
            }
        }
    }

    fn store_actions(&self, world: &World, slot: Slot, actions: &mut Vec<Action>) {
        match world.servers[slot].io {
            Io::Idle => {}
            Io::Asked(_) => {
                actions.push(Action::StoreExecutes(slot));
                if world.past.lost_replies < self.bounds.lost_replies {
                    actions.extend([Action::StoreFails(slot, true), Action::StoreFails(slot, false)]);
                }
            }
            Io::Answered(..) => actions.push(Action::StoreAnswers(slot)),
        }
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        for slot in 0..2 {
            if world.past.crashes < self.bounds.crashes {
                actions.push(Action::ServerDies(slot));
            }
            if world.past.lease_losses < self.bounds.lease_losses && world.servers[slot].lease {
                actions.push(Action::LeaseRunsOut(slot));
            }
        }
        if world.late.is_some() {
            actions.push(Action::LateRequestLands);
        }
        if world.past.rollbacks < self.bounds.rollbacks {
            actions.push(Action::StoreRollsBack);
            if world.backup.is_none() {
                actions.push(Action::StoreIsBackedUp);
            }
        }
    }
}

impl Model for Takeover {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // The client has been told: whatever the servers still do, nobody hears it.
        if world.client.end.is_some() {
            return;
        }
        self.client_actions(world, actions);
        for slot in 0..2 {
            self.server_actions(world, slot, actions);
            self.store_actions(world, slot, actions);
        }
        self.faults(world, actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = *last;
        let world = &mut next;
        match action {
            Action::ClientSays => client::say(world),
            Action::ClientDials => client::dial(world),
            Action::ClientReads(slot) => client::read(self, world, slot),
            Action::ClientAsks(slot) => world.client.end = takeover::query(self, world, slot),
            Action::FlightArrives(attempt, slot) => server::hear(self, world, slot, Carried::Genuine(attempt)),
            Action::ForgeryArrives(slot) => {
                world.past.forgeries += 1;
                server::hear(self, world, slot, Carried::Forged);
            }
            Action::ServerSays(slot) => server::say(world, slot),
            Action::ServerWrites(slot) => server::tell(self, world, slot),
            Action::ServerReads(slot) => server::read(world, slot),
            Action::ServerCommits(slot) => takeover::commit(world, slot),
            Action::ServerDrains(slot) => {
                world.past.drains += 1;
                takeover::park(world, slot);
            }
            Action::ServerHearsNote(slot) => takeover::hear_note(self, world, slot),
            Action::ServerJudgesLate(slot) => takeover::judge_late(self, world, slot),
            Action::StoreExecutes(slot) => self.carry_out(world, slot, None),
            Action::StoreFails(slot, done) => self.carry_out(world, slot, Some(done)),
            Action::LateRequestLands => {
                if let Some((name, op)) = world.late.take() {
                    store::execute(self, world, name, &op);
                }
            }
            Action::StoreAnswers(slot) => {
                if let Io::Answered(op, reply) = world.servers[slot].io {
                    takeover::answered(self, world, slot, op, reply);
                }
            }
            Action::ServerDies(slot) => die(world, slot),
            Action::LeaseRunsOut(slot) => {
                world.past.lease_losses += 1;
                world.servers[slot].lease = false;
            }
            Action::StoreIsBackedUp => world.backup = Some(world.record),
            Action::StoreRollsBack => {
                world.past.rollbacks += 1;
                world.record = world.backup.unwrap_or(Record::Absent);
            }
        }
        next.tidy(self);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }

    /// Only without R2 can one flight be accepted without end.
    fn within_boundary(&self, world: &World) -> bool {
        self.has(Rule::Attempt) || world.past.secrets <= 2 * self.bounds.attempts
    }
}

impl Takeover {
    /// The store's step; `lost` says that no answer will come, and whether it was carried out.
    fn carry_out(&self, world: &mut World, slot: Slot, lost: Option<bool>) {
        let Io::Asked(op) = world.servers[slot].io else { return };
        let mut reply = Reply::Lost;
        if lost != Some(false) {
            reply = store::execute(self, world, world.servers[slot].name, &op);
        }
        if lost.is_some() {
            world.past.lost_replies += 1;
            reply = Reply::Lost;
        }
        world.servers[slot].io = Io::Answered(op, reply);
    }
}

/// The process is gone, and its memory; what it has sent may still arrive, at the client and at the store. The next one has another name.
fn die(world: &mut World, slot: Slot) {
    world.past.crashes += 1;
    server::wipe(world, slot);
    let server = &mut world.servers[slot];
    if let Io::Asked(op) = server.io {
        world.late = Some((server.name, op));
    }
    server.name += 2;
    server.lease = true;
    server.io = Io::Idle;
}
