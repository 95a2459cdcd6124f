//! The live display, on standard error: a field of cells, one per client, and the numbers below; or a plain line per second where nobody
//! could see it move.

use std::fmt::Write;
use std::time::Duration;

use console::{Style, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unbroken_fault_proxy::Counts;

use crate::options::Options;
use crate::run::{Stage, World};
use crate::summary::span;
use crate::timeline::{PHASES, Phase};

/// Cells in a row.
const ROW: usize = 50;
/// With more clients, the census has to do.
const CELLS: usize = 400;

/// The live display.
pub struct Display {
    bar: Option<ProgressBar>,
    header: String,
    time: Duration,
    spoken: Option<u64>,
    last: (Duration, u64),
    rate: f64,
}

impl Display {
    /// Moving if standard error is a terminal.
    pub fn new(options: &Options) -> Self {
        let bar = console::user_attended_stderr().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        let header = format!(
            "{} clients, a fault on each link every {:.1} s, seed {}",
            options.clients,
            options.cut_every as f64 / 1e3,
            options.seed
        );
        if bar.is_none() {
            eprintln!("{header}");
        }
        Display {
            bar,
            header,
            time: options.time(),
            spoken: None,
            last: Default::default(),
            rate: 0.0,
        }
    }

    /// Shows how things stand.
    pub fn show(&mut self, stage: Stage, world: &World, network: &Counts, elapsed: Duration) {
        match &self.bar {
            Some(_) => self.draw(stage, world, network, elapsed),
            None => self.speak(stage, world, network, elapsed),
        }
    }

    /// Leaves the last picture standing.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }

    fn draw(&mut self, stage: Stage, world: &World, network: &Counts, elapsed: Duration) {
        let tally = world.ledger.tally();
        let since = elapsed.saturating_sub(self.last.0).as_secs_f64();
        if since >= 0.5 {
            self.rate = (tally.sent - self.last.1) as f64 / since;
            self.last = (elapsed, tally.sent);
        }
        let mut text = String::new();
        let share = (elapsed.as_secs_f64() / self.time.as_secs_f64()).min(1.0);
        let full = (share * ROW as f64) as usize;
        let what = match stage {
            Stage::Sending => format!("{:.1} of {} s", elapsed.as_secs_f64(), self.time.as_secs()),
            Stage::Draining | Stage::Over => "draining".to_owned(),
        };
        let _ = writeln!(text, "{}", style(&self.header).bold());
        let _ = writeln!(
            text,
            "{}{} {what}\n",
            style("━".repeat(full)).cyan(),
            style("━".repeat(ROW - full)).dim()
        );
        let phases = world.timeline.phases();
        if phases.len() <= CELLS {
            for row in phases.chunks(ROW) {
                for phase in row {
                    let _ = write!(text, "{}", look(*phase).apply_to("■"));
                }
                text.push('\n');
            }
            text.push('\n');
        }
        let census = world.timeline.census();
        let named = [
            (Phase::Established, "established"),
            (Phase::Dialling, "dialling"),
            (Phase::Resuming, "resuming"),
            (Phase::Starting, "starting"),
            (Phase::Closed, "closed"),
        ];
        for (phase, name) in named {
            let _ = write!(
                text,
                "{} {:<4} {name}   ",
                look(phase).apply_to("■"),
                census[phase as usize]
            );
        }
        let down = world.timeline.downtime();
        let _ = write!(
            text,
            "\n\nlinks cut  {:<8} {} FIN, {} RST; {} stalls, {} connects refused\nhandovers  {:<8} downtime p50 {}, p99 {}, max {}\nmessages   {:<8} {:.0} per second, {} under way, {} doubled, {} reordered",
            network.cut(),
            network.fin,
            network.reset,
            network.stalls,
            network.refused,
            world.timeline.handovers(),
            span(down.p50),
            span(down.p99),
            span(down.max),
            tally.sent,
            self.rate,
            tally.lost,
            tally.doubled,
            tally.reordered,
        );
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.tick();
        }
    }

    fn speak(&mut self, stage: Stage, world: &World, network: &Counts, elapsed: Duration) {
        let second = elapsed.as_secs();
        if self.spoken == Some(second) {
            return;
        }
        self.spoken = Some(second);
        let tally = world.ledger.tally();
        let census: [usize; PHASES] = world.timeline.census();
        let down = world.timeline.downtime();
        eprintln!(
            "{second:>3} s {stage:?}: {} of {} established, {} links cut, {} handovers (p50 {}, p99 {}, max {}), {} sent, {} under way",
            census[Phase::Established as usize],
            census.iter().sum::<usize>(),
            network.cut(),
            world.timeline.handovers(),
            span(down.p50),
            span(down.p99),
            span(down.max),
            tally.sent,
            tally.lost,
        );
    }
}

fn look(phase: Phase) -> Style {
    let plain = Style::new().for_stderr();
    match phase {
        Phase::Starting => plain.dim(),
        Phase::Established => plain.green(),
        Phase::Dialling => plain.red().bold(),
        Phase::Resuming => plain.yellow().bold(),
        Phase::Closed => plain.black().bright(),
    }
}
