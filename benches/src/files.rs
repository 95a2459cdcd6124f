//! Open files for very many sockets.
//!
//! The system bounds the open files of a process by RLIMIT_NOFILE, a soft limit that a program may raise up to the hard one, and a hard one
//! that only an administrator may. But the limit is held against a *table* of open files, not against a process: threads share their process'
//! table until one of them asks for a table of its own (`unshare(CLONE_FILES)`, which needs no privilege; Linux). What such a
//! thread opens is in its table, and the threads that it starts share that one. So a process with `n` such threads may have `n` times as many
//! sockets. An ordinary server raises the limit instead; either way the memory and the work are the same.

use std::io;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a table has open beside sockets: standard streams, pollers, pipes of runtimes.
const BESIDE: usize = 300;

/// How the sockets of one process are spread over tables of open files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Tables {
    /// The limit suffices, or could be raised.
    One,
    /// So many threads need a table of their own.
    Several(usize),
}

impl Tables {
    /// Makes room for so many sockets; raises the limit as far as that needs and the system lets it.
    pub fn for_sockets(sockets: usize) -> Tables {
        let room = room_for(sockets).max(1);
        if sockets <= room {
            Tables::One
        } else {
            Tables::Several(sockets.div_ceil(room))
        }
    }

    pub fn count(self) -> usize {
        match self {
            Tables::One => 1,
            Tables::Several(count) => count,
        }
    }

    /// Called by each thread that holds sockets, before it opens one.
    pub fn enter(self) -> io::Result<()> {
        match self {
            Tables::One => Ok(()),
            Tables::Several(_) => own_table(),
        }
    }
}

/// Gives this thread, and those that it will start, a table of its own.
pub fn own_table() -> io::Result<()> {
    Ok(unshare(CloneFlags::CLONE_FILES)?)
}

/// How many sockets a table has room for; raises the limit as far as these need and the system lets it.
pub fn room_for(sockets: usize) -> usize {
    raise(sockets + BESIDE).saturating_sub(BESIDE)
}

/// Raises the limit to `files`, or as far as the system lets it. Returns how many may be open now.
fn raise(files: usize) -> usize {
    let now = getrlimit(Resource::Nofile);
    let wanted = files as u64;
    let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    for (current, maximum) in [
        (wanted, most(now.maximum).max(wanted)),
        (most(now.maximum), most(now.maximum)),
    ] {
        if current <= most(now.current) {
            break;
        }
        let raised = Rlimit {
            current: Some(current),
            maximum: Some(maximum).filter(|maximum| *maximum < u64::MAX),
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    usize::try_from(most(getrlimit(Resource::Nofile).current)).unwrap_or(usize::MAX)
}
