//! How memory and probes grow with the number of sessions, as SVG: points as measured, and the straight line through the empty server and the
//! largest number. Whatever is not linear leaves that line.

use std::fmt::Write;

use super::{Found, Point};
use crate::report::number;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Of each chart: where its axes are.
const LEFT: f64 = 70.0;
const CHART: f64 = 320.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 250.0;
const BETWEEN: f64 = 110.0;

/// Two charts beside each other.
pub fn growth(found: &Found) -> String {
    let memory: Vec<(f64, f64)> = std::iter::once((0.0, found.empty as f64))
        .chain(
            found
                .points
                .iter()
                .map(|point| (point.sessions as f64, point.memory as f64)),
        )
        .map(|(sessions, bytes)| (sessions, bytes / f64::from(1 << 20)))
        .collect();
    let of = |pick: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let points = found.points.iter().map(|point| (point.sessions as f64, pick(point)));
        std::iter::once((0.0, 0.0)).chain(points).collect()
    };
    let probes = of(|point| point.cpu / point.watched * 100.0);
    let body = [
        chart(LEFT, "memory of the server process, MiB", &memory),
        chart(
            LEFT + CHART + BETWEEN,
            "its CPU time for probes, % of one processor",
            &probes,
        ),
    ];
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<style>
svg {{ background: #fff }}
text {{ fill: #222 }}
.title {{ font-size: 14px; font-weight: 600 }}
.y {{ text-anchor: end }}
.x {{ text-anchor: middle }}
.axis {{ stroke: #888; fill: none }}
.grid {{ stroke: #e4e4e4 }}
.straight {{ stroke: #b4690e; stroke-dasharray: 5 4 }}
circle {{ fill: #1f5fa8 }}
</style>
{}</svg>
"##,
        body.concat()
    )
}

fn chart(left: f64, title: &str, points: &[(f64, f64)]) -> String {
    let most = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).fold(0.0, f64::max);
    let (wide, high) = (round_up(most(|point| point.0)), round_up(most(|point| point.1)));
    let x = |sessions: f64| left + sessions / wide * CHART;
    let y = |value: f64| BOTTOM - value / high * (BOTTOM - TOP);
    let mut out = format!(r#"<text x="{left}" y="24" class="title">{title}</text>"#);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (across, up) = (x(wide * share), y(high * share));
        let _ = write!(
            out,
            r#"<line x1="{left}" x2="{:.1}" y1="{up:.1}" y2="{up:.1}" class="grid"/><text x="{:.1}" y="{:.1}" class="y">{}</text><text x="{across:.1}" y="{:.1}" class="x">{}</text>"#,
            left + CHART,
            left - 6.0,
            up + 4.0,
            number(high * share),
            BOTTOM + 18.0,
            number(wide * share)
        );
    }
    let (first, last) = (points[0], points[points.len() - 1]);
    let _ = write!(
        out,
        r#"<path d="M{left} {TOP}V{BOTTOM}H{:.1}" class="axis"/><text x="{:.1}" y="{:.1}" class="x">sessions</text><line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="straight"/>"#,
        left + CHART,
        left + CHART / 2.0,
        BOTTOM + 38.0,
        x(first.0),
        y(first.1),
        x(last.0),
        y(last.1)
    );
    for (sessions, value) in points {
        let _ = write!(out, r#"<circle cx="{:.1}" cy="{:.1}" r="4"/>"#, x(*sessions), y(*value));
    }
    out.push('\n');
    out
}

/// The next number that an axis may end with.
fn round_up(value: f64) -> f64 {
    let scale = 10_f64.powf(value.max(1e-9).log10().floor());
    let ends = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 5.0, 6.0, 8.0, 10.0];
    ends.map(|end| end * scale)
        .into_iter()
        .find(|end| *end >= value * 0.9999)
        .unwrap_or(10.0 * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_or_just_above_the_largest_value() {
        for value in [0.003, 0.7, 1.0, 7.2, 9.99, 100_000.0, 123_456.0] {
            let end = round_up(value);
            assert!(end >= value * 0.9999 && end <= value * 1.7, "{value} gave {end}");
        }
        assert_eq!(round_up(100_000.0), 100_000.0);
    }
}
