//! A session, an endpoint, and an adversary between them who follows a program.
//!
//! The adversary owns the bytes on the way, the connections, the clock and both applications. In the end the network heals
//! ([`heal`]): then all that was sent must arrive, unless an end was told a reason that something in the program explains.

mod apps;
mod heal;
mod net;
mod program;
#[cfg(test)]
mod tests;
mod world;

use arbitrary::{Arbitrary, Unstructured};

use self::program::Program;
use self::world::World;
use crate::host;

/// The most steps of a program.
const STEPS: usize = 256;

/// Runs the program that `data` spells.
pub fn two_sessions(data: &[u8]) {
    let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    run(&program);
}

fn run(program: &Program) {
    host::trace(&(&program.client.limits(), &program.server.limits(), program.flags));
    let mut world = World::new(program);
    if !program.flags.cold {
        world.exchange(true);
    }
    for step in program.steps.iter().take(STEPS) {
        host::trace(step);
        world.run(step);
        world.check_bounds();
    }
    world.heal();
    world.say_goodbye(program.flags.server_closes);
}
