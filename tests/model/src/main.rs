//! Checks the takeover protocol.
//!
//! ```text
//! unbroken-model                       the design, with all rules
//! unbroken-model --wide                larger runs, for minutes
//! unbroken-model --rules               each rule taken away in turn: the shortest way to harm
//! unbroken-model --without fence       one of them, step by step
//! ```

use std::process::ExitCode;

use unbroken_model::Rule;
use unbroken_model::check::{Trace, run, shortest, steps};
use unbroken_model::scenarios::{self, Scenario};
use unbroken_model::state::World;

/// The least number of different states that a check of the design must see to count as one.
const WANTED: usize = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let good = match words[..] {
        [] => check_design(&scenarios::design()),
        ["--wide"] => check_design(&scenarios::wide()),
        ["--rules"] => check_rules(),
        ["--without", name] if Rule::named(name).is_some() => Rule::named(name).is_some_and(show),
        _ => {
            eprintln!("usage: unbroken-model [--wide | --rules | --without RULE]; the rules are:");
            Rule::ALL.iter().for_each(|rule| eprintln!("  {}", rule.name()));
            false
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check_design(all: &[Scenario]) -> bool {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{:<9} {:<30} {:>11} {:>11} {:>6} {:>8}",
        "mode", "with", "unique", "met", "depth", "time"
    );
    let (mut unique, mut passed, mut failed) = (0, 0, 0);
    for scenario in all {
        let report = run(scenario.model, threads);
        let (mode, seconds) = (format!("{:?}", scenario.model.mode), report.time.as_secs_f32());
        let (states, met, depth) = (report.unique, report.met, report.depth);
        println!(
            "{mode:<9} {:<30} {states:>11} {met:>11} {depth:>6} {seconds:>6.1} s",
            scenario.name
        );
        for (property, trace) in &report.failed {
            println!("  VIOLATED: {property}");
            print(trace);
        }
        if report.failed.is_empty() {
            report.missed.iter().for_each(|name| println!("  NEVER SEEN: {name}"));
        }
        unique += states;
        if report.failed.is_empty() && report.missed.is_empty() {
            passed += 1
        } else {
            failed += 1
        }
    }
    println!("{unique} unique states, at least {WANTED} wanted");
    println!("{passed} passed, {failed} failed");
    failed == 0 && unique >= WANTED
}

fn check_rules() -> bool {
    println!("{:<26} {:<9} {:>6}  property that fails", "without", "mode", "steps");
    let (mut passed, mut failed) = (0, 0);
    for rule in Rule::ALL {
        let (model, property) = scenarios::without(rule);
        let length = shortest(model, property).map(|trace| steps(&trace));
        if length.is_some() {
            passed += 1
        } else {
            failed += 1
        }
        let length = length.map_or("none".into(), |length| length.to_string());
        println!(
            "{:<26} {:<9} {length:>6}  {property}",
            rule.name(),
            format!("{:?}", model.mode)
        );
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}

fn show(rule: Rule) -> bool {
    let (model, property) = scenarios::without(rule);
    println!(
        "without {}, {:?}; servers A and B, the session is at A",
        rule.name(),
        model.mode
    );
    let Some(trace) = shortest(model, property) else {
        println!("no counterexample to: {property}");
        return false;
    };
    print(&trace);
    println!("violated: {property}");
    true
}

fn print(trace: &Trace) {
    for (number, action) in trace.clone().into_actions().iter().enumerate() {
        println!("{:>4}  {action}", number + 1);
    }
    summarise(trace.last_state());
}

fn summarise(world: &World) {
    let client = &world.client;
    let (received, acked, sent) = (client.received, client.acked, client.sent);
    println!(
        "      client: received {:?}, {acked} of {sent} ACKed, end {:?}",
        received.items(),
        client.end
    );
    for (server, name) in world.servers.iter().zip(["A", "B"]) {
        match &server.session {
            Some(session) => {
                let (log, delivered) = (session.now.log, session.now.delivered);
                println!(
                    "      {name}: token {}, delivered {delivered}, sent {:?}",
                    session.token,
                    log.items()
                );
            }
            None => println!("      {name}: no session"),
        }
    }
}
