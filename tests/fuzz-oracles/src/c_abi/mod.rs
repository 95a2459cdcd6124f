//! The C ABI: sessions and endpoints driven by calls that a program spells, right ones and wrong ones.
//!
//! Two clients and two servers with wires between them (or one of each in a loopback), the servers with a store that they share. The program owns the wires, the clock,
//! the store's moods and all applications; it frees what lives, uses what is freed, and calls with flaws. Each call is judged by
//! [`unbroken_c_calls`]: its status, its outputs, what was lent, who lives. What is left to be judged here is what the calls come to:
//! messages exactly once and in order across connections, takeovers and restarts; events that make sense; a failed call that changed nothing; and once the network works, that all arrives.
//!
//! | file | what |
//! |---|---|
//! | `program` | what an input says |
//! | `world` | who there is, the steps, the end |
//! | `wires` | connections |
//! | `apps` | messages and events at both ends |
//! | `servers` | snapshots, the store's requests, verbs on sessions |
//! | `store` | the store of the header |
//! | `wrong` | flaws |

mod apps;
mod program;
mod servers;
mod store;
#[cfg(test)]
mod tests;
mod wires;
mod world;
mod wrong;

use arbitrary::{Arbitrary, Unstructured};

use self::program::Program;
use self::world::World;
use crate::host;

/// The most steps of a program.
const STEPS: usize = 200;

/// Runs the program that `data` spells.
pub fn c_abi(data: &[u8]) {
    let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    run(&program);
}

/// Runs a program to its end; what became of it, for tests that it was not nothing.
fn run(program: &Program) -> world::Deeds {
    host::trace(&(&program.client.limits(), &program.server.limits(), program.flags));
    let mut world = World::new(program);
    if !program.flags.cold {
        world.exchange();
    }
    for step in program.steps.iter().take(STEPS) {
        host::trace(step);
        world.run(step);
    }
    world.heal();
    world.finish()
}
