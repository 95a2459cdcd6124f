//! The rules and tables of `docs/PROTOCOL.md` against the code: numbers that are cited exist, numbers that are told are right.

use std::collections::BTreeSet;
use std::path::Path;

use unbroken::wire::prelude::FlightKind;
use unbroken::{Backoff, Limits, Timing};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/PROTOCOL.md")).expect("docs/PROTOCOL.md")
}

/// The numbers that stand behind a mark, such as `U-`, wherever it occurs.
fn numbers(text: &str, mark: &str) -> Vec<u32> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split(mark)
        .skip(1)
        .filter_map(|rest| digits(rest).parse().ok())
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
            found.push(std::fs::read_to_string(path).expect("a source file"));
        }
    }
}

#[test]
fn each_rule_stands_once_and_each_cited_rule_exists() {
    let document = document();
    let mut rules = numbers(&document, "**U-");
    rules.sort_unstable();
    let last = rules.last().copied().unwrap_or(0);
    assert!(last >= 55, "the document has rules 1 to 55 at least, found {last}");
    assert_eq!(
        rules,
        (1..=last).collect::<Vec<_>>(),
        "no rule is missing and none stands twice"
    );
    let mut texts = vec![document];
    for folder in ["src", "tests", "bindings"] {
        sources(&root().join(folder), &mut texts);
    }
    let cited: BTreeSet<u32> = texts.iter().flat_map(|text| numbers(text, "U-")).collect();
    assert!(cited.len() > 30, "the code cites the rules");
    assert_eq!(
        cited.iter().find(|number| !(1..=last).contains(*number)),
        None,
        "cited, and no such rule"
    );
}

#[test]
fn the_bounds_of_the_flights_are_told() {
    let document = document();
    for (name, kind) in [
        ("HELLO", FlightKind::Hello),
        ("ACCEPT", FlightKind::Accept),
        ("RESUME", FlightKind::Resume),
        ("REFUSE", FlightKind::Refuse),
        ("QUERY", FlightKind::Query),
    ] {
        let (least, most) = kind.lengths();
        let sum = if kind == FlightKind::Resume {
            "16384 + 256 = "
        } else {
            ""
        };
        let row = format!("| {name} | {least} | {sum}{most} |");
        assert!(document.contains(&row), "U-7 lacks `{row}`");
    }
}

#[test]
fn the_defaults_are_told() {
    let document = document();
    let (limits, timing, backoff) = (Limits::default(), Timing::default(), Backoff::default());
    let silent = timing.idle_probe * 3 + timing.dead_after;
    for row in [
        format!(
            "| ACK | both | {} messages, {} KiB or {} ms |",
            timing.ack_messages,
            timing.ack_bytes >> 10,
            timing.ack_delay.as_millis()
        ),
        format!("| PING on an idle link | client | {} s |", timing.idle_probe.as_secs()),
        format!("| silent idle link is given up | server | {} s |", silent.as_secs()),
        format!(
            "| link without an answer is given up | both | {} s,",
            timing.dead_after.as_secs()
        ),
        format!("from the flight | server; client | {} s |", limits.handshake.as_secs()),
        format!(
            "| first record after ACCEPT | server | {} s;",
            limits.handshake.as_secs()
        ),
        format!("| session without a link | server | {} s,", limits.detached.as_secs()),
        format!(
            "| memory of an ended session | server | {} s |",
            limits.tombstone.as_secs()
        ),
        format!(
            "else random up to {} ms, doubling up to {} s |",
            backoff.base.as_millis(),
            backoff.cap.as_secs()
        ),
        format!("| gives up | client | {} s", backoff.give_up_after.as_secs()),
    ] {
        assert!(document.contains(&row), "the table of times lacks `{row}`");
    }
}
