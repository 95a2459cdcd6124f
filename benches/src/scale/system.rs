//! What the system says of a process and of its own sockets (Linux, `/proc`).

use std::fs;
use std::io;

/// Kernel objects of one TCP socket that a process holds and polls; a directory entry comes with each inode.
const CACHES: [&str; 4] = ["TCP", "sock_inode_cache", "filp", "eventpoll_epi"];

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub now: u64,
    /// The most since [`forget_peak`].
    pub peak: u64,
}

/// Memory of a process that is not this one.
pub fn memory(process: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let of = |field| kibibytes(&status, field).ok_or_else(|| io::Error::other(format!("no {field} in /proc")));
    Ok(Memory {
        now: of("VmRSS:")?,
        peak: of("VmHWM:")?,
    })
}

/// The peak begins anew.
pub fn forget_peak(process: u32) -> io::Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5")
}

/// What can be had without anybody being ended for it, in bytes.
pub fn available() -> io::Result<u64> {
    let all = fs::read_to_string("/proc/meminfo")?;
    kibibytes(&all, "MemAvailable:").ok_or_else(|| io::Error::other("no MemAvailable in /proc/meminfo"))
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What the kernel holds for sockets of the whole machine, in bytes.
#[derive(Clone, Copy, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Sockets {
    /// TCP sockets.
    pub count: u64,
    /// Bytes waiting in them.
    pub buffers: u64,
    /// The sockets themselves, their files and their places in pollers. Only an administrator may see it.
    pub objects: Option<u64>,
}

pub fn sockets() -> io::Result<Sockets> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or("");
    let words: Vec<&str> = line.split_whitespace().collect();
    let of = |name| {
        let pair = words.chunks_exact(2).find(|pair| pair[0] == name)?;
        pair[1].parse::<u64>().ok()
    };
    Ok(Sockets {
        count: of("alloc").unwrap_or(0),
        buffers: of("mem").unwrap_or(0) * rustix::param::page_size() as u64,
        objects: fs::read_to_string("/proc/slabinfo").ok().map(|text| objects(&text)),
    })
}

fn objects(slabs: &str) -> u64 {
    let cache = |name: &str| {
        let line = slabs
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name))?;
        let mut words = line.split_whitespace().skip(1);
        let (active, _, size) = (words.next()?, words.next()?, words.next()?);
        Some((active.parse::<u64>().ok()?, size.parse::<u64>().ok()?))
    };
    let held: u64 = CACHES
        .iter()
        .filter_map(|name| cache(name))
        .map(|(count, size)| count * size)
        .sum();
    // Others have directory entries by the million; ours are as many as inodes of sockets.
    let names = cache("sock_inode_cache").map_or(0, |(count, _)| count) * cache("dentry").map_or(0, |(_, size)| size);
    held + names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_objects_are_added_up_with_a_directory_entry_for_each_inode() {
        let slabs = "slabinfo - version: 2.1\n\
            # name <active_objs> <num_objs> <objsize>\n\
            tw_sock_TCP 32 32 256 16 1 : tunables 0 0 0\n\
            TCP 10 13 2000 13 8 : tunables 0 0 0\n\
            sock_inode_cache 20 38 800 19 4 : tunables 0 0 0\n\
            filp 30 42 200 21 1 : tunables 0 0 0\n\
            dentry 100000 100000 192 21 1 : tunables 0 0 0\n";
        assert_eq!(objects(slabs), 10 * 2000 + 20 * 800 + 30 * 200 + 20 * 192);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t 12 kB\nVmRSS:\t   7 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(12 << 10));
        assert_eq!(kibibytes(status, "VmRSS:"), Some(7 << 10));
        assert_eq!(kibibytes(status, "Vm:"), None);
    }
}
