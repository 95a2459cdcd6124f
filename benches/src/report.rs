//! What a run found, as JSON and as tables. Every figure comes with its backend, its spread, and what it is a multiple of.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::rounds::{Measured, Spread};

/// Our name among the contestants.
pub const OURS: &str = "unbroken";

/// All that one program found with one backend.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub backend: String,
    pub processor: String,
    pub tables: Vec<Table>,
    pub goals: Vec<Goal>,
}

/// One task and its contestants.
#[derive(Serialize, Deserialize)]
pub struct Table {
    pub task: String,
    /// What `value` counts, such as `ns` or `bytes`.
    pub unit: String,
    pub lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub value: Spread,
    /// How many times ours it is.
    pub of_ours: Option<Spread>,
}

/// What was to be reached.
#[derive(Serialize, Deserialize)]
pub struct Goal {
    pub what: String,
    pub value: Spread,
    pub bound: f64,
    /// The value must be at least, or at most, the bound.
    pub at_least: bool,
    pub unit: String,
}

impl Goal {
    pub fn at_most(what: impl Into<String>, value: Spread, bound: f64, unit: &str) -> Goal {
        Goal {
            what: what.into(),
            value,
            bound,
            at_least: false,
            unit: unit.into(),
        }
    }

    pub fn at_least(what: impl Into<String>, value: Spread, bound: f64, unit: &str) -> Goal {
        Goal {
            at_least: true,
            ..Goal::at_most(what, value, bound, unit)
        }
    }

    pub fn is_reached(&self) -> bool {
        if self.at_least {
            self.value.median >= self.bound
        } else {
            self.value.median <= self.bound
        }
    }
}

impl Report {
    pub fn new() -> Self {
        Report {
            backend: crate::BACKEND.into(),
            processor: processor(),
            tables: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Adds what another program found with the same backend.
    fn join(&mut self, other: Report) {
        self.tables.extend(other.tables);
        self.goals.extend(other.goals);
    }

    /// Adds a group that was measured, in nanoseconds per unit.
    pub fn time(&mut self, measured: &Measured) {
        self.add(measured, "ns");
    }

    /// Adds what was measured in rounds.
    pub fn add(&mut self, measured: &Measured, unit: &str) {
        let has_ours = measured.lines.iter().any(|(name, _)| *name == OURS);
        let lines = measured.lines.iter().map(|(name, samples)| Line {
            name: (*name).into(),
            value: Spread::of(samples.clone()),
            of_ours: has_ours.then(|| measured.ratio(name, OURS)),
        });
        self.tables.push(Table {
            task: measured.task.clone(),
            unit: unit.into(),
            lines: lines.collect(),
        });
    }

    /// Adds counts that do not vary.
    pub fn count(&mut self, task: &str, unit: &str, counts: &[(&str, f64)]) {
        let ours = counts.iter().find(|(name, _)| *name == OURS).map(|(_, count)| *count);
        let exactly = |value| Spread {
            median: value,
            low: value,
            high: value,
        };
        let lines = counts.iter().map(|(name, count)| Line {
            name: (*name).into(),
            value: exactly(*count),
            of_ours: ours.map(|ours| exactly(count / ours)),
        });
        self.tables.push(Table {
            task: task.into(),
            unit: unit.into(),
            lines: lines.collect(),
        });
    }

    /// One line of JSON on standard output.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("plain data"));
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

/// One JSON report from each line; those of one backend are taken together.
pub fn read(lines: impl BufRead) -> io::Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    for line in lines.lines() {
        let report: Report = serde_json::from_str(&line?)?;
        match reports.iter_mut().find(|known| known.backend == report.backend) {
            Some(known) => known.join(report),
            None => reports.push(report),
        }
    }
    Ok(reports)
}

/// Reports as Markdown: a table for each task, the backends beside each other, then the goals.
pub fn markdown(reports: &[Report]) -> String {
    let mut out = String::new();
    for table in reports.iter().flat_map(|report| &report.tables) {
        let heading = format!("### {}\n\n", table.task);
        if out.contains(&heading) {
            continue;
        }
        out += &heading;
        let with: Vec<(&str, &Table)> = reports
            .iter()
            .flat_map(|report| {
                let same = report.tables.iter().filter(|other| other.task == table.task);
                same.map(|other| (report.backend.as_str(), other))
            })
            .collect();
        out += "| |";
        for (backend, table) in &with {
            out += &format!(" {} ({backend}) | times ours |", table.unit);
        }
        out += &format!("\n|---|{}\n", "---:|---:|".repeat(with.len()));
        for line in &table.lines {
            out += &format!("| {} |", line.name);
            for (_, table) in &with {
                match table.lines.iter().find(|other| other.name == line.name) {
                    Some(line) => out += &format!(" {} | {} |", spread(&line.value), ratio(line)),
                    None => out += " | |",
                }
            }
            out.push('\n');
        }
        out.push('\n');
    }
    if reports.iter().any(|report| !report.goals.is_empty()) {
        out += "### Goals\n\n| goal | backend | bound | measured | |\n|---|---|---:|---:|---|\n";
        for report in reports {
            for goal in &report.goals {
                out += &format!(
                    "| {} | {} | {} {} {} | {} | {} |\n",
                    goal.what,
                    report.backend,
                    if goal.at_least { "≥" } else { "≤" },
                    number(goal.bound),
                    goal.unit,
                    spread(&goal.value),
                    if goal.is_reached() {
                        "reached"
                    } else {
                        "**not reached**"
                    },
                );
            }
        }
    }
    out
}

fn ratio(line: &Line) -> String {
    match &line.of_ours {
        Some(_) if line.name == OURS => "1".into(),
        Some(ratio) => spread(ratio),
        None => String::new(),
    }
}

/// The median, and the middle four fifths if they differ from it.
pub fn spread(spread: &Spread) -> String {
    let texts = [spread.median, spread.low, spread.high].map(number);
    if texts[1] == texts[0] && texts[2] == texts[0] {
        texts[0].clone()
    } else {
        format!("{} ({}-{})", texts[0], texts[1], texts[2])
    }
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

/// What the system calls the processor, and how many there are.
pub fn processor() -> String {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or(std::env::consts::ARCH, |(_, model)| model.trim());
    format!("{model}, {count} processors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let texts = [0.0, 1.5, 1.234, 12.34, 123.4, 12345.6].map(number);
        assert_eq!(texts, ["0", "1.5", "1.23", "12.3", "123", "12346"]);
    }

    #[test]
    fn a_goal_is_reached_at_its_bound_and_not_beyond() {
        let exactly = |value| Spread {
            median: value,
            low: value,
            high: value,
        };
        assert!(Goal::at_most("t", exactly(2.0), 2.0, "").is_reached());
        assert!(!Goal::at_most("t", exactly(2.1), 2.0, "").is_reached());
        assert!(Goal::at_least("t", exactly(2.0), 2.0, "").is_reached());
        assert!(!Goal::at_least("t", exactly(1.9), 2.0, "").is_reached());
    }

    #[test]
    fn what_two_programs_found_with_one_backend_is_one_report() {
        let line = |backend: &str, task: &str| {
            format!(
                r#"{{"backend":"{backend}","processor":"p","goals":[],"tables":[{{"task":"{task}","unit":"ns","lines":[]}}]}}"#
            )
        };
        let lines = [line("a", "speed"), line("a", "memory"), line("b", "speed")].join("\n");
        let reports = read(lines.as_bytes()).expect("they are reports");
        let found: Vec<_> = reports
            .iter()
            .map(|report| (report.backend.as_str(), report.tables.len()))
            .collect();
        assert_eq!(found, [("a", 2), ("b", 1)]);
        assert_eq!(crate::picture::bars(&reports).matches("core with").count(), 2);
    }
}
