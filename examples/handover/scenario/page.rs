//! Figures, verdict and report of a scenario. The page is `page.html` in the style of `report.html`.

use std::time::Duration;

use serde_json::{Value, json};

use super::flow;
use super::network::ROUND_TRIP;
use super::script::Scenario;
use super::stage::Outcome;
use crate::ledger::{Direction, Tally};
use crate::options::Options;
use crate::run::World;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("../report.html");

/// All clients stand by then; no trouble comes before.
const SETTLED: Duration = Duration::from_millis(800);

/// What a run shows.
pub struct Figures {
    scenario: Scenario,
    options: Options,
    session: Side,
    twin: Side,
    troubles: usize,
    handovers: u64,
    replayed: u64,
    total: Duration,
    ended_early: Vec<(u32, String)>,
    clients: Vec<Value>,
}

/// The sessions, or their twins.
struct Side {
    tally: Tally,
    /// The longest standstill of each trouble, ascending.
    downtimes: Vec<Duration>,
    /// Time that messages of some direction stood still, per client on average.
    still: Duration,
    /// Connections that reached the server.
    links: u64,
}

impl Figures {
    /// From the books of both worlds.
    pub fn new(options: &Options, scenario: Scenario, outcome: &Outcome) -> Self {
        let mut clients: Vec<Value> = outcome
            .scripts
            .iter()
            .map(|script| {
                let troubles = script.troubles.iter();
                json!({ "troubles": troubles.map(|t| json!([ms(t.at), ms(t.length), t.name])).collect::<Vec<_>>() })
            })
            .collect();
        let [session, twin] = [("session", 0), ("twin", 1)].map(|(name, kind)| {
            let mut downtimes = Vec::new();
            let mut still = Duration::ZERO;
            for (number, client) in (0..).zip(&mut clients) {
                let troubles = &outcome.scripts[number as usize].troubles;
                let world: &World = &outcome.worlds[kind];
                let ways = [Direction::Up, Direction::Down].map(|way| {
                    let arrivals = world.ledger.arrivals(number, way);
                    let arrivals: Vec<_> = arrivals.iter().map(|at| at.duration_since(outcome.begun)).collect();
                    flow::gaps(&arrivals, troubles, SETTLED, outcome.sending)
                });
                downtimes.extend(flow::per_trouble(&ways, troubles));
                let (sum, gaps) = flow::together(&ways);
                still += sum;
                client[name] = gaps.iter().map(|(from, to)| json!([ms(*from), ms(*to)])).collect();
            }
            downtimes.sort_unstable();
            Side {
                tally: outcome.worlds[kind].ledger.tally(),
                downtimes,
                still: still / options.clients,
                links: outcome.network[kind].links,
            }
        });
        let timeline = &outcome.worlds[0].timeline;
        Figures {
            scenario,
            options: options.clone(),
            session,
            twin,
            troubles: outcome.scripts.iter().map(|script| script.troubles.len()).sum(),
            handovers: timeline.handovers(),
            replayed: timeline.replayed(),
            total: outcome.total,
            ended_early: outcome.ended_early.clone(),
            clients,
        }
    }

    /// Whether the run shows what it should.
    pub fn verdict(&self) -> Result<(), String> {
        let t = &self.session.tally;
        let mut wrong = Vec::new();
        for (count, what) in [
            (t.lost, "lost"),
            (t.doubled, "doubled"),
            (t.reordered, "reordered"),
            (t.corrupted, "corrupted"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} messages {what}"));
            }
        }
        if let Some((client, why)) = self.ended_early.first() {
            let count = self.ended_early.len();
            wrong.push(format!(
                "{count} sessions ended early, the first of client {client}: {why}"
            ));
        }
        if t.delivered == 0 || self.troubles == 0 || self.handovers == 0 {
            wrong.push(format!(
                "{} messages, {} troubles and {} handovers: nothing was shown; raise --clients or --duration",
                t.delivered, self.troubles, self.handovers
            ));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }

    /// One object.
    pub fn to_json(&self) -> Value {
        let side = |side: &Side| {
            let t = &side.tally;
            json!({
                "sent": t.sent, "delivered": t.delivered, "lost": t.lost, "doubled": t.doubled, "reordered": t.reordered, "corrupted": t.corrupted,
                "downtime_ms": { "p50": ms(side.at(0.5)), "p99": ms(side.at(0.99)), "max": ms(side.at(1.0)) },
                "still_ms_per_client": ms(side.still), "links": side.links,
            })
        };
        json!({
            "ok": self.verdict().is_ok(),
            "scenario": self.scenario.name(),
            "session": side(&self.session), "plain_tcp": side(&self.twin),
            "troubles": self.troubles, "handovers": self.handovers, "replayed": self.replayed,
            "ended_early": self.ended_early.len(), "seconds": self.total.as_secs_f64(),
            "round_trip_ms": ms(ROUND_TRIP),
            "seed": self.options.seed, "clients": self.options.clients, "duration": self.options.duration,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let row = |name: &str, side: &Side| {
            let t = &side.tally;
            format!(
                "{name:<10} {:>8} {:>8} {:>8} {:>10} {:>12} {:>12} {:>12} {:>14}\n",
                t.sent,
                t.lost,
                t.doubled,
                t.reordered,
                human(side.at(0.5)),
                human(side.at(0.99)),
                human(side.at(1.0)),
                human(side.still),
            )
        };
        format!(
            "\n{}: {}\n{} clients, {} troubles, {} handovers; round trip {} ms\n\n{:<10} {:>8} {:>8} {:>8} {:>10} {:>12} {:>12} {:>12} {:>14}\n{}{}\n{}",
            self.scenario.name(),
            self.scenario.story(),
            self.options.clients,
            self.troubles,
            self.handovers,
            ROUND_TRIP.as_millis(),
            "",
            "sent",
            "lost",
            "doubled",
            "reordered",
            "down p50",
            "down p99",
            "down max",
            "down / client",
            row("session", &self.session),
            row("plain TCP", &self.twin),
            match self.verdict() {
                Ok(()) => "verdict: every message of the sessions arrived once and in order",
                Err(_) => "verdict: FAILED",
            }
        )
    }
}

impl Side {
    fn at(&self, share: f64) -> Duration {
        let rank = (self.downtimes.len() as f64 * share).ceil() as usize;
        self.downtimes.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// The whole report.
pub fn page(figures: &Figures, outcome: &Outcome) -> String {
    let downtimes = |side: &Side| side.downtimes.iter().map(|time| ms(*time)).collect::<Vec<_>>();
    let data = json!({
        "summary": figures.to_json(),
        "story": figures.scenario.story(),
        "verdict": figures.verdict().err(),
        "sending_ms": ms(outcome.sending),
        "normal_ms": ms(flow::NORMAL),
        "downtimes": { "session": downtimes(&figures.session), "twin": downtimes(&figures.twin) },
        "clients": figures.clients,
    });
    let style = STYLE
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"));
    // A "</script>" in the data would end it.
    PAGE.replace("/*{{style}}*/", style.map_or("", |(style, _)| style))
        .replace("\"{{data}}\"", &data.to_string().replace("</", "<\\/"))
}

/// Milliseconds with one digit.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

fn human(time: Duration) -> String {
    match time.as_millis() {
        // Shorter ones are not told from the pauses of the traffic.
        0 => format!("<{} ms", flow::NORMAL.as_millis()),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_has_its_places() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("@import"));
        assert!(PAGE.contains("/*{{style}}*/") && PAGE.contains("\"{{data}}\""));
        assert!(STYLE.contains("<style>") && STYLE.contains("</style>"));
    }
}
