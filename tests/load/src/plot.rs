//! Plots as SVG.

use std::path::Path;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::{
    BLACK, BLUE, ChartBuilder, Color, IntoDrawingArea, IntoLogRange, LineSeries, PathElement, RED, RGBColor, Ranged,
    SVGBackend, WHITE,
};

use crate::error::LoadError;
use crate::latency::{CurvePoint, Percentiles};
use crate::report::Report;

const SIZE: (u32, u32) = (900, 480);
const GREEN: RGBColor = RGBColor(0, 128, 64);
/// Milliseconds below which the logarithmic axis of latencies does not go.
const LATENCY_MIN: f64 = 0.05;

/// One line of a plot.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// How an axis is labelled and scaled.
struct Axis {
    name: &'static str,
    label: fn(f64) -> String,
}

/// Draws what was measured; what was not has no file.
pub(crate) fn draw_all(report: &Report, folder: &Path) -> Result<(), LoadError> {
    if let Some(active) = &report.active {
        let seconds = &active.deliver_by_second;
        let line = |name, colour, of: fn(&Percentiles) -> f64| Line { name, colour, points: by_second(seconds, of) };
        let lines =
            [line("p50", GREEN, |one| one.p50), line("p99", BLUE, |one| one.p99), line("max", RED, |one| one.max)];
        let [second, ms] = [Axis { name: "second", label: whole }, Axis { name: "ms", label: short }];
        draw(
            &folder.join("latency.svg"),
            "Enqueue to deliver, second by second",
            &lines,
            Scale::Logarithmic,
            &second,
            &ms,
        )?;

        let accepted = by_second(&active.accept_by_second, |one| one.count as f64);
        let delivered = by_second(seconds, |one| one.count as f64);
        let lines = [
            Line { name: "accepted", colour: GREEN, points: accepted },
            Line { name: "delivered", colour: BLUE, points: delivered },
        ];
        let messages = Axis { name: "messages", label: whole };
        draw(&folder.join("throughput.svg"), "Messages a second", &lines, Scale::Linear, &second, &messages)?;

        let lines = [
            Line { name: "enqueue to deliver", colour: BLUE, points: curve(&active.deliver_curve) },
            Line { name: "accept", colour: GREEN, points: curve(&active.accept_curve) },
        ];
        let percentile = Axis { name: "percentile", label: nines };
        draw(&folder.join("percentiles.svg"), "Latency by percentile", &lines, Scale::Logarithmic, &percentile, &ms)?;
    }
    let samples = report.idle.as_ref().map_or(&[][..], |idle| &idle.memory);
    if samples.len() > 1 {
        let points = samples.iter().map(|one| (one.connections as f64, one.resident_bytes as f64 / f64::from(1 << 20)));
        let lines = [Line { name: "resident memory", colour: BLUE, points: points.collect() }];
        let [connections, mib] = [Axis { name: "idle clients", label: whole }, Axis { name: "MiB", label: whole }];
        draw(&folder.join("memory.svg"), "Server memory over idle clients", &lines, Scale::Linear, &connections, &mib)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

fn by_second(seconds: &[Option<Percentiles>], of: fn(&Percentiles) -> f64) -> Vec<(f64, f64)> {
    let known = seconds.iter().enumerate().filter_map(|(second, one)| Some((second as f64, of(one.as_ref()?))));
    known.collect()
}

/// By the number of nines: 90 % at 1, 99 % at 2.
fn curve(points: &[CurvePoint]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (-(1.0 - point.percentile / 100.0).log10(), point.ms)).collect()
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn short(value: f64) -> String {
    if value < 1.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn nines(value: f64) -> String {
    let percent = 100.0 - 100.0 * 10_f64.powf(-value);
    let text = format!("{percent:.5}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn draw(path: &Path, title: &str, lines: &[Line], scale: Scale, x: &Axis, y: &Axis) -> Result<(), LoadError> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_max = points().map(|point| point.0).fold(1.0, f64::max);
    let y_max = points().map(|point| point.1).fold(1.0, f64::max) * 1.05;
    match scale {
        Scale::Linear => draw_on(path, title, lines, x_max, 0.0..y_max, x, y),
        Scale::Logarithmic => draw_on(path, title, lines, x_max, (LATENCY_MIN..y_max).log_scale(), x, y),
    }
}

fn draw_on<Y>(
    path: &Path,
    title: &str,
    lines: &[Line],
    x_max: f64,
    y_range: Y,
    x: &Axis,
    y: &Axis,
) -> Result<(), LoadError>
where
    Y: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let failed = |error: &dyn std::fmt::Display| LoadError::Plot { path: path.to_owned(), problem: error.to_string() };
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..x_max, y_range);
    let mut chart = chart.map_err(|error| failed(&error))?;
    let (x_label, y_label) = (|value: &f64| (x.label)(*value), |value: &f64| (y.label)(*value));
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.name).y_desc(y.name).x_label_formatter(&x_label).y_label_formatter(&y_label);
    mesh.draw().map_err(|error| failed(&error))?;
    for line in lines {
        let style = line.colour.stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), style));
        drawn
            .map_err(|error| failed(&error))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    let mut labels = chart.configure_series_labels();
    labels.background_style(WHITE.mix(0.8)).border_style(BLACK);
    labels.draw().map_err(|error| failed(&error))?;
    area.present().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_are_percents() {
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(nines), ["0 %", "90 %", "99 %", "99.9 %"]);
        let point = CurvePoint { percentile: 99.0, ms: 7.0 };
        let [(x, y)] = curve(&[point])[..] else { panic!("one point") };
        assert!((x - 2.0).abs() < 1e-9 && (y - 7.0).abs() < 1e-9);
    }
}
