//! A picture as SVG: bars of times. Logarithmic, because the peers are an order of magnitude apart.

use std::fmt::Write;

use crate::report::{OURS, Report, Table, number};

const WIDTH: f64 = 860.0;
const NAMES: f64 = 190.0;
const BAR: f64 = 16.0;
const TITLE: f64 = 34.0;

/// The tables of messages, each as a block of bars, one colour for each backend.
pub fn bars(reports: &[Report]) -> String {
    let mut body = String::new();
    let mut y = 44.0;
    let tasks: Vec<&Table> = reports[0]
        .tables
        .iter()
        .filter(|table| table.task.contains("per flush"))
        .collect();
    for task in tasks {
        let _ = writeln!(
            body,
            r#"<text x="8" y="{:.1}" class="title">{}, ns per message</text>"#,
            y + 20.0,
            task.task
        );
        y += TITLE;
        let same: Vec<(usize, &Table)> = reports
            .iter()
            .enumerate()
            .filter_map(|(index, report)| Some((index, report.tables.iter().find(|other| other.task == task.task)?)))
            .collect();
        let values = same
            .iter()
            .flat_map(|(_, table)| &table.lines)
            .map(|line| line.value.median);
        let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        for line in &task.lines {
            let ours = if line.name == OURS { " ours" } else { "" };
            let _ = writeln!(
                body,
                r#"<text x="{:.1}" y="{:.1}" class="name{ours}">{}</text>"#,
                NAMES - 8.0,
                y + 11.0 + BAR * (same.len() as f64 - 1.0) / 2.0,
                line.name
            );
            for (index, table) in &same {
                if let Some(line) = table.lines.iter().find(|other| other.name == line.name) {
                    let share = ((line.value.median / low).ln() + 0.3) / ((high / low).ln() + 0.3);
                    let width = share * (WIDTH - NAMES - 80.0);
                    let _ = writeln!(
                        body,
                        r#"<rect x="{NAMES}" y="{y:.1}" width="{width:.1}" height="{:.1}" class="b{index}{ours}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
                        BAR - 3.0,
                        NAMES + width + 6.0,
                        y + 11.0,
                        number(line.value.median)
                    );
                }
                y += BAR;
            }
            y += 3.0;
        }
    }
    let legend: String = reports
        .iter()
        .enumerate()
        .map(|(index, report)| {
            let x = NAMES + 180.0 * index as f64;
            format!(
                r#"<rect x="{x}" y="14" width="13" height="13" class="b{index}"/><text x="{}" y="25">core with {}</text>"#,
                x + 19.0,
                report.backend
            )
        })
        .collect();
    svg(y + 12.0, &format!("{legend}\n{body}"))
}

fn svg(height: f64, body: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" font-family="system-ui, sans-serif" font-size="12">
<style>
svg {{ background: #fff }}
text {{ fill: #222 }}
.title {{ font-size: 14px; font-weight: 600 }}
.name {{ text-anchor: end }}
.ours {{ font-weight: 700 }}
.b0 {{ fill: #9db4cc }}
.b1 {{ fill: #d8b98f }}
.b0.ours {{ fill: #1f5fa8 }}
.b1.ours {{ fill: #b4690e }}
</style>
{body}</svg>
"##
    )
}
