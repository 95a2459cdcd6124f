//! What the system says of a process.

use std::fs;
use std::io;

/// The kernel counts CPU time in these, and has for user space on every Linux: `USER_HZ`.
const TICKS_A_SECOND: f64 = 100.0;

/// A look at a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Memory in use, in bytes.
    pub rss: u64,
    /// Seconds of CPU since it began.
    pub cpu: f64,
    /// Open files, sockets among them.
    pub descriptors: u64,
}

/// Looks at a process.
pub fn look(id: u32) -> io::Result<Look> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "/proc is not as it should be");
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|rss| rss.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // Behind the name, which may have anything in it, from the state on: user and system time are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(") ").ok_or_else(broken)?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(Look {
        rss: rss.ok_or_else(broken)? * 1024,
        cpu: ticks as f64 / TICKS_A_SECOND,
        descriptors: fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64,
    })
}
