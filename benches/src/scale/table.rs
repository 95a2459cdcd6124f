//! What was found, as Markdown.

use super::{Cut, Found, Storm};
use crate::files::Tables;
use crate::report::{number, spread};

/// Two tables: the idle sessions, and those that came back.
pub fn markdown(found: &Found) -> String {
    let tables = match found.tables {
        Tables::One => "one table of open files".into(),
        Tables::Several(count) => format!("{count} tables of open files, each with a listener of its own"),
    };
    let mut out = format!(
        "One server process, {} workers, {tables}. Without sessions it takes {} MiB.\n\n### idle sessions\n\n",
        found.workers,
        mib(found.empty as f64)
    );
    out += "| sessions | server, MiB | for each session, bytes | for each session more | kernel, both ends' sockets, MiB | for each socket, bytes | \
            bytes waiting in sockets | probes/s | CPU of one processor | CPU for each probe, µs |\n";
    out += "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
    for (point, step) in found.points.iter().zip(found.steps()) {
        let sockets = point.sockets.count.max(1) as f64;
        let [objects, socket] = match point.sockets.objects {
            Some(objects) => [mib(objects as f64), number(objects as f64 / sockets)],
            None => ["?".into(), "?".into()],
        };
        out += &format!(
            "| {} | {} | {} | {} | {objects} | {socket} | {} | {} | {} % | {} |\n",
            point.sessions,
            mib(point.memory as f64),
            number(point.each()),
            number(step),
            point.sockets.buffers,
            number(point.probes as f64 / point.watched),
            number(point.cpu / point.watched * 100.0),
            number(point.cpu / point.probes.max(1) as f64 * 1e6),
        );
    }
    let Some(first) = found.storms.first() else { return out };
    let how = match found.cut {
        Cut::Reset => "both ends are told",
        Cut::Silent => "only the clients notice",
    };
    out += &format!(
        "\n### {} of {} sessions cut at once, {} times ({how})\n\n| | |\n|---|---:|\n",
        first.reconnected,
        first.sessions,
        found.storms.len()
    );
    let lines: [(&str, &str, fn(&Storm) -> f64); 10] = [
        ("until all flow again", "s", |storm| storm.all),
        ("downtime of a session, median", "s", |storm| storm.downtime[0]),
        ("downtime of a session, 99 %", "s", |storm| storm.downtime[1]),
        ("downtime of a session, longest", "s", |storm| storm.downtime[2]),
        ("connections opened for each session", "", |storm| {
            storm.dials as f64 / storm.reconnected as f64
        }),
        ("connections turned away as too many were under way", "", |storm| {
            storm.refused_busy as f64
        }),
        ("the server's CPU time for each session", "µs", |storm| {
            storm.cpu / storm.reconnected as f64 * 1e6
        }),
        ("the server's memory before", "MiB", |storm| {
            mebi(storm.memory[0] as f64)
        }),
        ("at most", "MiB", |storm| mebi(storm.memory[1] as f64)),
        ("after two probes more", "MiB", |storm| mebi(storm.memory[2] as f64)),
    ];
    for (what, unit, pick) in lines {
        out += &format!(
            "| {what} | {} |\n",
            format!("{} {unit}", spread(&found.storms(pick))).trim_end()
        );
    }
    out
}

fn mib(bytes: f64) -> String {
    number(mebi(bytes))
}

fn mebi(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
