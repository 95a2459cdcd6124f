//! The CPU time of this thread: what others do on the machine is not in it, only what they do to its caches.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the thread began.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of a call, in nanoseconds.
pub fn timed(run: impl FnOnce()) -> u64 {
    let start = now();
    run();
    now() - start
}
