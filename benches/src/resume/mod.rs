//! How long it takes to go on after a link was lost, over paths with a round trip.
//!
//! The same interruption for everybody: a connection stands and has carried a message each way. Both ends send a message that does not arrive; then the
//! connection ends, and both ends are told at that moment, which is when the clock begins. It stops twice: when the server's application
//! has the client's message, and when the client's has the server's.
//!
//! Whoever has no sessions of its own gets the least that an application could do: after reconnecting the client says at once which
//! session it is, how far it has received, and sends its message again behind that, without waiting; the server answers with its own. Keeping, numbering
//! and recognising messages is left out of that, and costs no round trip.
//!
//! | | |
//! |---|---|
//! | `path` | the round trip |
//! | `ours` | `unbroken_tokio`, client and server |
//! | `tls` | rustls over TCP, resuming by ticket; the same with an HTTP request before, as SignalR has it |
//! | `quic` | quinn, a new connection by ticket |

mod ours;
mod path;
mod quic;
mod tls;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::report::spread;
use crate::rounds::Spread;

pub use ours::Ours;
pub use quic::Quic;
pub use tls::Tls;

/// Somebody whose connection is interrupted.
pub trait Contestant {
    fn name(&self) -> &'static str;
    /// What it does not have that the others have, or the other way round.
    fn remark(&self) -> &'static str;
    /// Connects over a path with this round trip, is interrupted, and goes on. Returns the times until the first message that was sent again arrived:
    /// at the server, at the client.
    fn interrupt(&self, round_trip: Duration) -> [Duration; 2];
}

/// What one contestant needed.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub remark: String,
    pub cells: Vec<Cell>,
}

/// Milliseconds over one round trip.
#[derive(Serialize, Deserialize)]
pub struct Cell {
    /// In milliseconds.
    pub round_trip: u64,
    pub to_server: Spread,
    pub to_client: Spread,
}

impl Row {
    /// How many round trips are in it: by how much it grows when the round trip does. Taken from the quick tenth of the rounds, as a busy machine only adds.
    pub fn round_trips(&self) -> Option<[f64; 2]> {
        let (first, last) = (self.cells.first()?, self.cells.last()?);
        let longer = last
            .round_trip
            .checked_sub(first.round_trip)
            .filter(|longer| *longer > 0)? as f64;
        let count = |pick: fn(&Cell) -> &Spread| (pick(last).low - pick(first).low) / longer;
        Some([count(|cell| &cell.to_server), count(|cell| &cell.to_client)])
    }
}

/// Interrupts everybody in turn, so often over each round trip, in milliseconds. Tells of its progress on standard error.
pub fn measure(round_trips: &[u64], rounds: usize) -> Vec<Row> {
    let contestants: [Box<dyn Contestant>; 6] = [
        Box::new(Ours::start()),
        Box::new(Tls::start(tls::Flow::Resumed)),
        Box::new(Tls::start(tls::Flow::EarlyData)),
        Box::new(Tls::start(tls::Flow::SignalR)),
        Box::new(Quic::start(quic::Flow::OneRoundTrip)),
        Box::new(Quic::start(quic::Flow::EarlyData)),
    ];
    let mut rows = contestants.each_ref().map(|contestant| Row {
        name: contestant.name().into(),
        remark: contestant.remark().into(),
        cells: Vec::new(),
    });
    for round_trip in round_trips.iter().copied() {
        let mut samples = contestants.each_ref().map(|_| [Vec::new(), Vec::new()]);
        for round in 0..rounds {
            eprintln!("  round trip of {round_trip} ms, round {} of {rounds}", round + 1);
            for (contestant, samples) in contestants.iter().zip(&mut samples) {
                let times = contestant.interrupt(Duration::from_millis(round_trip));
                for (samples, time) in samples.iter_mut().zip(times) {
                    samples.push(time.as_secs_f64() * 1e3);
                }
            }
        }
        for (row, [to_server, to_client]) in rows.iter_mut().zip(samples) {
            row.cells.push(Cell {
                round_trip,
                to_server: Spread::of(to_server),
                to_client: Spread::of(to_client),
            });
        }
    }
    rows.into()
}

/// A table for each direction.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::new();
    let directions: [(&str, fn(&Cell) -> &Spread); 2] = [
        ("until the server has the client's message", |cell| &cell.to_server),
        ("until the client has the server's message", |cell| &cell.to_client),
    ];
    for (index, (heading, pick)) in directions.into_iter().enumerate() {
        out += &format!("### {heading}, ms\n\n| |");
        for cell in &rows[0].cells {
            out += &format!(" round trip {} ms |", cell.round_trip);
        }
        out += &format!(
            " in round trips | |\n|---|{}---:|---|\n",
            "---:|".repeat(rows[0].cells.len())
        );
        for row in rows {
            out += &format!("| {} |", row.name);
            for cell in &row.cells {
                out += &format!(" {} |", spread(pick(cell)));
            }
            let count = row
                .round_trips()
                .map_or("?".into(), |counts| format!("{:.2}", counts[index]));
            out += &format!(" {count} | {} |\n", row.remark);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_with_the_round_trip_is_counted_and_what_does_not_is_not() {
        let exactly = |value| Spread {
            median: value + 9.0,
            low: value,
            high: value + 90.0,
        };
        let cell = |round_trip, to_server, to_client| Cell {
            round_trip,
            to_server: exactly(to_server),
            to_client: exactly(to_client),
        };
        let mut row = Row {
            name: "t".into(),
            remark: String::new(),
            cells: vec![cell(0, 3.0, 4.0), cell(50, 80.0, 100.0), cell(200, 303.0, 404.0)],
        };
        assert_eq!(row.round_trips(), Some([1.5, 2.0]));
        row.cells.truncate(1);
        assert_eq!(row.round_trips(), None);
    }
}
