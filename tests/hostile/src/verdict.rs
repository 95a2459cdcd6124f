//! What must hold of what was seen. Each thing that does not is a line.
//!
//! No bound is a time of the machine but one: if a calm 99th percentile is so small that twice it is less than [`FLOOR_MS`], that is the bound, for then it says
//! how often two cores are shared out and not how the server takes an attack.

use crate::findings::{Findings, Met};
use crate::servers::Promise;

/// Honest clients' 99th percentile under attack, as a multiple of the calm one: the medians of windows of five seconds.
pub const RATIO: f64 = 2.0;
/// See above.
pub const FLOOR_MS: f64 = 10.0;
/// What memory may be more than before when all attackers have gone: the system's allocator keeps what stalled readers had waiting for them, some 32 times 1 MiB,
/// and all that lies between it. That nothing is leaked shows in the growth.
pub const KEPT_MIB: f64 = 64.0;
/// What memory may grow by from the third quarter of the attack to the last, whatever its length: a leak of one kibibyte for each connection would be
/// 30 MiB of the shortest trial, and sixty times that of an hour.
pub const GROWTH_MIB: f64 = 16.0;
/// What clients among hostile servers may take of one core, and grow by.
pub const PREY_CPU: f64 = 0.5;
pub const PREY_GROWTH_MIB: f64 = 4.0;

/// What does not hold.
pub fn judge(findings: &Findings) -> Vec<String> {
    let mut wrong = Vec::new();
    vacuous(findings, &mut wrong);
    honest(findings, &mut wrong);
    server(findings, &mut wrong);
    for met in &findings.hostile_servers {
        hostile_server(met, &mut wrong);
    }
    prey(findings, &mut wrong);
    wrong
}

/// A run that did not show what it is there to show.
fn vacuous(findings: &Findings, wrong: &mut Vec<String>) {
    for attack in &findings.attacks {
        if attack.total < attack.floor {
            wrong.push(format!(
                "{}: {} {}, fewer than {}: the server was not attacked",
                attack.name, attack.total, attack.unit, attack.floor
            ));
        }
        for (kind, count) in &attack.kinds {
            if *count == 0 {
                wrong.push(format!("{}: none of the kind \"{kind}\"", attack.name));
            }
        }
    }
    let honest = &findings.honest;
    for (what, count, least) in [
        (
            "round trips in calm",
            honest.calm.round_trips.samples,
            u64::from(findings.clients) * 100,
        ),
        (
            "round trips under attack",
            honest.attack.round_trips.samples,
            u64::from(findings.clients) * 100,
        ),
        ("handovers in calm", honest.calm.handovers.samples, 20),
        ("handovers under attack", honest.attack.handovers.samples, 60),
        ("newcomers under attack", honest.attack.newcomers.samples, 30),
        ("connections recorded", findings.recorded.connections, 60),
    ] {
        if count < least {
            wrong.push(format!("{count} {what}, fewer than {least}: nothing was shown"));
        }
    }
}

fn honest(findings: &Findings, wrong: &mut Vec<String>) {
    let honest = &findings.honest;
    let lost = honest.sent.saturating_sub(honest.seen.good);
    if lost + honest.seen.wrong() > 0 {
        wrong.push(format!("honest clients: {lost} messages lost, {:?}", honest.seen));
    }
    if findings.server.honest.wrong() > 0 {
        wrong.push(format!("honest messages at the server: {:?}", findings.server.honest));
    }
    if honest.failed + honest.newcomers_kept_out > 0 {
        wrong.push(format!(
            "honest sessions ended or given up: {}; newcomers not let in: {}",
            honest.failed, honest.newcomers_kept_out
        ));
    }
    let recorded = &findings.recorded;
    // Each has one message under way at the end.
    if recorded.wrong + recorded.ended > 0 || recorded.sent - recorded.in_order > recorded.clients {
        wrong.push(format!("clients whose flights were replayed: {recorded:?}"));
    }
    let (calm, attack) = (honest.calm.round_trips.steady_p99, honest.attack.round_trips.steady_p99);
    let most = p99_bound(calm);
    if calm <= 0.0 || attack <= 0.0 {
        wrong.push("no window had round trips enough for a 99th percentile".into());
    }
    if attack > most {
        wrong.push(format!(
            "the 99th percentile under attack is {attack:.2} ms, above {most:.2} ms (calm: {calm:.2} ms)"
        ));
    }
}

/// How long an honest round trip may take under attack, in ms.
pub fn p99_bound(calm: f64) -> f64 {
    (RATIO * calm).max(FLOOR_MS)
}

fn server(findings: &Findings, wrong: &mut Vec<String>) {
    let (before, after, server) = (&findings.before, &findings.after, &findings.server);
    if !after.is_like(before) {
        wrong.push(format!(
            "the server did not come back to what it was: {before:?}, then {after:?}"
        ));
    }
    if after.rss_mib > before.rss_mib + KEPT_MIB {
        wrong.push(format!(
            "the server has {:.1} MiB after the attack, {:.1} MiB before",
            after.rss_mib, before.rss_mib
        ));
    }
    let growth = findings.attack.last_quarter_mib - findings.attack.third_quarter_mib;
    if growth > GROWTH_MIB {
        wrong.push(format!(
            "the server grew by {growth:.1} MiB from the third quarter of the attack to the last"
        ));
    }
    let panics = server.panics + findings.honest.panics + findings.prey_panics;
    if panics > 0 {
        wrong.push(format!("{panics} panics"));
    }
    let tolerated: u64 = findings.attacks.iter().map(|attack| attack.tolerated).sum();
    if tolerated > 0 {
        wrong.push(format!(
            "{tolerated} links that the server should have ended and did not"
        ));
    }
    for (what, count) in [
        ("links rejected", server.links_rejected),
        ("unknown resumes", server.unknown),
        ("forged resumes", server.forged),
        ("stale resumes", server.stale),
        ("queries", server.queries),
        ("bad records", server.bad_records),
        ("expired sessions", server.expired),
    ] {
        if count == 0 {
            wrong.push(format!("the server counted no {what}"));
        }
    }
}

fn hostile_server(met: &Met, wrong: &mut Vec<String>) {
    let fate = &met.fate;
    let kept = match met.promise {
        Promise::ConnectGivesUp => fate.connects_given_up > 0 && fate.stood + fate.handovers_given_up == 0,
        Promise::HandoverGivesUp => fate.handovers_given_up > 0,
        Promise::Stands => fate.stood > 0 && fate.connects_given_up + fate.handovers_given_up == 0,
    };
    if !kept || fate.ended > 0 {
        wrong.push(format!(
            "\"{}\": not what the library promises ({:?}): {fate:?}",
            met.name, met.promise
        ));
    }
    if met.dials == 0 || met.dials > met.most_dials {
        wrong.push(format!(
            "\"{}\" was dialled {} times, 1 to {} would be right",
            met.name, met.dials, met.most_dials
        ));
    }
}

fn prey(findings: &Findings, wrong: &mut Vec<String>) {
    let prey = &findings.prey;
    if prey.cpu > PREY_CPU {
        wrong.push(format!("clients of hostile servers take {:.2} of a core", prey.cpu));
    }
    let growth = prey.last_quarter_mib - prey.third_quarter_mib;
    if growth > PREY_GROWTH_MIB {
        wrong.push(format!(
            "clients of hostile servers grew by {growth:.1} MiB in the last quarter"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Done;
    use crate::latency::Percentiles;

    /// Something that goes wrong, and what is said of it.
    type Breach = (fn(&mut Findings), &'static str);

    /// A trial in which all went well.
    fn good() -> Findings {
        let times = |samples, p99| Percentiles {
            samples,
            steady_p99: p99,
            ..Percentiles::default()
        };
        let mut good = Findings {
            clients: 1,
            ..Findings::default()
        };
        good.attacks.push(Done {
            name: "an attack",
            unit: "blows",
            kinds: vec![("a kind", 10)],
            total: 10,
            per_second: 1.0,
            floor: 10,
            failed: 0,
            tolerated: 0,
        });
        for phase in [&mut good.honest.calm, &mut good.honest.attack] {
            phase.round_trips = times(1000, 8.0);
            phase.handovers = times(100, 8.0);
            phase.newcomers = times(100, 8.0);
        }
        (good.honest.sent, good.honest.seen.good) = (1000, 1000);
        good.recorded.connections = 100;
        let server = &mut good.server;
        for count in [
            &mut server.links_rejected,
            &mut server.unknown,
            &mut server.forged,
            &mut server.stale,
            &mut server.queries,
            &mut server.bad_records,
            &mut server.expired,
        ] {
            *count = 1;
        }
        good.hostile_servers.push(Met {
            name: "a server",
            promise: Promise::ConnectGivesUp,
            dials: 5,
            most_dials: 10,
            fate: crate::prey::Fate {
                connects_given_up: 1,
                ..crate::prey::Fate::default()
            },
        });
        good
    }

    #[test]
    fn each_breach_is_seen_alone() {
        assert_eq!(judge(&good()), Vec::<String>::new());
        let breaches: [Breach; 16] = [
            (|it| it.attacks[0].total = 9, "not attacked"),
            (|it| it.attacks[0].kinds[0].1 = 0, "none of the kind"),
            (|it| it.attacks[0].tolerated = 1, "should have ended"),
            (|it| it.honest.attack.handovers.samples = 0, "nothing was shown"),
            (|it| it.honest.seen.good -= 1, "1 messages lost"),
            (|it| it.honest.seen.doubled += 1, "doubled: 1"),
            (|it| it.server.honest.ahead += 1, "ahead: 1"),
            (|it| it.honest.failed += 1, "given up: 1"),
            (|it| it.recorded.ended += 1, "flights were replayed"),
            (|it| it.honest.attack.round_trips.steady_p99 = 16.5, "above 16.00 ms"),
            (|it| it.after.sessions = 100, "did not come back"),
            (|it| it.after.rss_mib = 65.0, "MiB after the attack"),
            (|it| it.attack.last_quarter_mib = 100.0, "third quarter"),
            (|it| it.prey_panics = 1, "1 panics"),
            (|it| it.hostile_servers[0].fate.stood = 1, "promises"),
            (|it| it.hostile_servers[0].dials = 11, "dialled 11 times"),
        ];
        for (breach, says) in breaches {
            let mut bad = good();
            breach(&mut bad);
            let wrong = judge(&bad);
            assert!(wrong.len() == 1 && wrong[0].contains(says), "{says}: {wrong:?}");
        }
    }

    #[test]
    fn a_trial_without_anything_is_no_proof() {
        assert!(
            judge(&Findings::default())
                .iter()
                .any(|why| why.contains("nothing was shown"))
        );
    }
}
