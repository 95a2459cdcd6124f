//! How it is told.

use std::fmt::Write;

use serde_json::json;

use crate::findings::Findings;
use crate::honest::Phase;
use crate::process::Fault;
use crate::verdict;

/// One object: what was seen, and what was wrong with it.
pub fn json(findings: &Findings, wrong: &[String]) -> Result<String, Fault> {
    Ok(serde_json::to_string(
        &json!({ "findings": findings, "failed": wrong }),
    )?)
}

/// For people.
pub fn text(findings: &Findings) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = attacks(&mut out, findings).and_then(|()| honest(&mut out, findings));
    let _ = server(&mut out, findings).and_then(|()| servers(&mut out, findings));
    out
}

fn attacks(out: &mut String, findings: &Findings) -> std::fmt::Result {
    writeln!(
        out,
        "{:<62} {:>10} {:>9} {:>10} {:>7}",
        format!("attack, {:.0} s", findings.seconds),
        "count",
        "a second",
        "at least",
        "failed"
    )?;
    for attack in &findings.attacks {
        let name = format!("{}, {}", attack.name, attack.unit);
        writeln!(
            out,
            "{name:<62} {:>10} {:>9.0} {:>10} {:>7}",
            attack.total, attack.per_second, attack.floor, attack.failed
        )?;
        for (kind, count) in &attack.kinds {
            writeln!(out, "    {kind:<58} {count:>10}")?;
        }
    }
    Ok(())
}

fn honest(out: &mut String, findings: &Findings) -> std::fmt::Result {
    let honest = &findings.honest;
    if !findings.served_first {
        writeln!(
            out,
            "\nthe system did not let the server and the honest clients go first: times say more of what else runs here"
        )?;
    }
    writeln!(
        out,
        "\n{:<40} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "honest clients, ms", "count", "p50", "p99", "p99.9", "max"
    )?;
    for (name, pick) in [
        ("round trip", (|phase| phase.round_trips) as fn(&Phase) -> _),
        ("handover", |phase| phase.handovers),
        ("newcomer, connect to first answer", |phase| phase.newcomers),
    ] {
        for (when, phase) in [("calm", &honest.calm), ("attack", &honest.attack)] {
            let it = pick(phase);
            let name = format!("{name}, {when}");
            writeln!(
                out,
                "{name:<40} {:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                it.samples, it.p50, it.p99, it.p999, it.max
            )?;
        }
    }
    let (calm, attack) = (honest.calm.round_trips.steady_p99, honest.attack.round_trips.steady_p99);
    writeln!(
        out,
        "p99, median of windows of 5 s: calm {calm:.2} ms, attack {attack:.2} ms, which is {:.2} times as long; allowed are {:.2} ms",
        attack / calm,
        verdict::p99_bound(calm)
    )?;
    writeln!(
        out,
        "{} messages sent, {} came back in order, lost {}, doubled {}, ahead {}, changed {}; {} links cut, {} sessions lost, {} newcomers kept out",
        honest.sent,
        honest.seen.good,
        honest.sent.saturating_sub(honest.seen.good),
        honest.seen.doubled,
        honest.seen.ahead,
        honest.seen.changed,
        honest.links_cut,
        honest.failed,
        honest.newcomers_kept_out,
    )?;
    let recorded = &findings.recorded;
    writeln!(
        out,
        "{} more, whose flights were replayed: {} sent, {} back in order, {} wrong, {} connections recorded",
        recorded.clients, recorded.sent, recorded.in_order, recorded.wrong, recorded.connections
    )
}

fn server(out: &mut String, findings: &Findings) -> std::fmt::Result {
    let (before, after, calm, attack) = (&findings.before, &findings.after, &findings.calm, &findings.attack);
    writeln!(
        out,
        "\n{:<16} {:>9} {:>12} {:>9} {:>7} {:>6}",
        "server", "RSS, MiB", "descriptors", "sessions", "links", "CPU"
    )?;
    for (name, moment, cpu) in [("before", before, Some(calm.cpu)), ("after", after, None)] {
        let cpu = cpu.map_or_else(String::new, |cpu| format!("{cpu:.2}"));
        writeln!(
            out,
            "{name:<16} {:>9.1} {:>12} {:>9} {:>7} {cpu:>6}",
            moment.rss_mib, moment.descriptors, moment.sessions, moment.links
        )?;
    }
    writeln!(
        out,
        "{:<16} {:>9.1} {:>12} {:>9} {:>7} {:>6.2}",
        "most, attack", attack.peak_mib, attack.most_descriptors, "", "", attack.cpu
    )?;
    writeln!(
        out,
        "memory in the third and the last quarter of the attack: {:.1} and {:.1} MiB; slope of the second half {:+.2} MiB/min; as before {:.0} s after it",
        attack.third_quarter_mib, attack.last_quarter_mib, attack.slope_mib_per_minute, findings.settled_seconds
    )?;
    let it = &findings.server;
    writeln!(
        out,
        "counted: links {}, rejected {}, turned away {}, busy {}; HELLOs {}, resumes {}, unknown {}, forged {}, stale {}, queries {}, bad records {}, \
         expired {}",
        it.links_accepted,
        it.links_rejected,
        it.turned_away,
        it.busy,
        it.hellos,
        it.resumes,
        it.unknown,
        it.forged,
        it.stale,
        it.queries,
        it.bad_records,
        it.expired
    )
}

fn servers(out: &mut String, findings: &Findings) -> std::fmt::Result {
    let prey = &findings.prey;
    let head = format!(
        "hostile servers, {:.0} s, {} clients each",
        prey.seconds,
        crate::prey::CLIENTS
    );
    writeln!(
        out,
        "\n{head:<42} {:>7} {:>8} {:>7} {:>13} {:>10} {:>7}",
        "dials", "at most", "stood", "given up", "handovers", "ended"
    )?;
    for met in &findings.hostile_servers {
        let fate = &met.fate;
        let given_up = format!("{} + {}", fate.connects_given_up, fate.handovers_given_up);
        writeln!(
            out,
            "{:<42} {:>7} {:>8} {:>7} {given_up:>13} {:>10} {:>7}",
            met.name, met.dials, met.most_dials, fate.stood, fate.handovers, fate.ended
        )?;
    }
    writeln!(
        out,
        "their process: {:.2} of a core, {:.1} MiB at most, third and last quarter {:.1} and {:.1} MiB, {} descriptors at most",
        prey.cpu, prey.peak_mib, prey.third_quarter_mib, prey.last_quarter_mib, prey.most_descriptors
    )
}
