//! What can be chosen, and what is refused.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;

use crate::scenario::Scenario;

/// A server and many clients exchange numbered messages both ways while their connections are cut, stalled and reset at random. Nothing
/// may be lost, doubled or reordered: an independent checker counts, and the exit code tells.
#[derive(Parser, Clone, Debug)]
#[command(name = "handover", version)]
pub struct Options {
    /// All faults and all traffic are drawn from it; 0 to 2^64 - 1
    #[arg(long, default_value_t = 1, value_parser = seed, allow_hyphen_values = true)]
    pub seed: u64,
    /// Daily life instead of faults at random: two networks per client, compared with plain TCP that reconnects
    #[arg(long, value_enum, conflicts_with = "cut_every")]
    pub scenario: Option<Scenario>,
    /// Clients, each with one session and its own bad network; 1 to 2000 [with --scenario: 24, 1 to 500, each with its twin]
    #[arg(long, default_value_t = 100, default_value_if("scenario", ArgPredicate::IsPresent, "24"), value_parser = clients, allow_hyphen_values = true)]
    pub clients: u32,
    /// How long messages are sent, in seconds; 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = duration, allow_hyphen_values = true)]
    pub duration: u64,
    /// Mean time between two faults on the link of one client, in milliseconds; 50 to 600000
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = cut_every, allow_hyphen_values = true)]
    pub cut_every: u64,
    /// Where the HTML report goes
    #[arg(long, value_name = "FILE", default_value = "handover-report.html")]
    pub report: PathBuf,
    /// Print one JSON object to standard output at the end
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// How long messages are sent.
    pub fn time(&self) -> Duration {
        Duration::from_secs(self.duration)
    }
}

fn seed(text: &str) -> Result<u64, String> {
    bounded(text, 0, u64::MAX, "choose 0 to 18446744073709551615")
}

fn clients(text: &str) -> Result<u32, String> {
    let remedy = "choose 1 to 2000; for more, run several at once with different seeds";
    bounded(text, 1, 2000, remedy).map(|n| n as u32)
}

fn duration(text: &str) -> Result<u64, String> {
    bounded(text, 1, 3600, "choose 1 to 3600 seconds")
}

fn cut_every(text: &str) -> Result<u64, String> {
    let remedy = "choose 50 to 600000 milliseconds: below, no link lives long enough to be resumed; without faults the run proves nothing";
    bounded(text, 50, 600_000, remedy)
}

fn bounded(text: &str, min: u64, max: u64, remedy: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        Ok(n) => Err(format!("{n} is out of bounds; {remedy}")),
        Err(_) => Err(format!("`{text}` is not a whole number; {remedy}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_value_and_remedy() {
        for (args, value) in [
            (["--seed", "-1"], "-1"),
            (["--seed", "99999999999999999999"], "99999999999999999999"),
            (["--clients", "0"], "0"),
            (["--clients", "2001"], "2001"),
            (["--duration", "-1"], "-1"),
            (["--duration", "4000"], "4000"),
            (["--cut-every", "0"], "0"),
            (["--cut-every", "soon"], "soon"),
        ] {
            let error = Options::try_parse_from([&["handover"][..], &args].concat())
                .map(drop)
                .unwrap_err()
                .to_string();
            assert!(error.contains(value) && error.contains("choose"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_within_bounds() {
        let options = Options::try_parse_from(["handover"]).unwrap();
        assert_eq!((options.clients, options.duration), (100, 10));
        let options = Options::try_parse_from(["handover", "--scenario", "walk-out"]).unwrap();
        assert_eq!((options.clients, options.scenario), (24, Some(Scenario::WalkOut)));
    }
}
