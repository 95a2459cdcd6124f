//! What both ends send: a message every ten milliseconds while they talk.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::book::{Direction, Shared};

/// Time between two messages.
pub const TICK: Duration = Duration::from_millis(10);

/// The last message of a session: nothing comes after it.
pub const END: &[u8] = b"end";

/// What is wanted at the moment.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Mode {
    pub talking: bool,
    pub finishing: bool,
}

/// Sends until the mode says that it is enough, or nobody takes messages any more.
pub async fn talk(mut mode: watch::Receiver<Mode>, book: Shared, way: Direction, send: impl AsyncFn(Vec<u8>) -> bool) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = *mode.borrow_and_update();
        if now.finishing {
            return;
        }
        tokio::select! {
            biased;
            changed = mode.changed() => if changed.is_err() { return },
            _ = tick.tick(), if now.talking => if !send(book.compose(way)).await { return },
        }
    }
}
