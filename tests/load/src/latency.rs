//! Latencies: percentiles over all, and over each second.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Microseconds of the longest latency that is told from longer ones: ten minutes.
const MICROSECONDS_MAX: u64 = 600_000_000;
/// Digits that are kept of a latency: a thousandth.
const DIGITS: u8 = 3;
/// Digits that are kept in the histograms of single seconds, of which there are many.
const DIGITS_OF_A_SECOND: u8 = 2;
/// Points of the percentile curve: so many for each halving of what is left to 100 %.
const CURVE_TICKS: u32 = 4;

/// Many latencies, in little memory. The histogram is there: its bounds are the constants above, which a test tries.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Option<Histogram<u64>>);

/// Latencies with the seconds in which they ended.
#[derive(Debug)]
pub(crate) struct Series {
    start: Instant,
    all: Latencies,
    seconds: Vec<Latencies>,
}

/// The percentiles that are printed, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

/// One point of the percentile curve.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CurvePoint {
    /// Percent, below 100.
    pub(crate) percentile: f64,
    /// So many milliseconds at most.
    pub(crate) ms: f64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self::with_digits(DIGITS)
    }

    fn with_digits(digits: u8) -> Self {
        Self(Histogram::new_with_bounds(1, MICROSECONDS_MAX, digits).ok())
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(MICROSECONDS_MAX);
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(microseconds.max(1));
        }
    }

    /// `None` of nothing.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Some(Percentiles {
            count: histogram.len(),
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: ms(histogram.max()),
        })
    }

    /// Percentiles, closer together towards 100 %.
    pub(crate) fn curve(&self) -> Vec<CurvePoint> {
        let points = self.0.iter().flat_map(|histogram| histogram.iter_quantiles(CURVE_TICKS));
        let points = points.map(|point| CurvePoint {
            percentile: point.quantile_iterated_to() * 100.0,
            ms: ms(point.value_iterated_to()),
        });
        points.filter(|point| point.percentile < 100.0).collect()
    }
}

impl Series {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, all: Latencies::new(), seconds: Vec::new() }
    }

    /// Something that began and ended then.
    pub(crate) fn record(&mut self, begun: Instant, ended: Instant) {
        let latency = ended.saturating_duration_since(begun);
        let second = usize::try_from(ended.saturating_duration_since(self.start).as_secs()).unwrap_or(usize::MAX);
        while self.seconds.len() <= second {
            self.seconds.push(Latencies::with_digits(DIGITS_OF_A_SECOND));
        }
        self.all.record(latency);
        if let Some(of_second) = self.seconds.get_mut(second) {
            of_second.record(latency);
        }
    }

    pub(crate) const fn all(&self) -> &Latencies {
        &self.all
    }

    /// Second by second.
    pub(crate) fn seconds(&self) -> Vec<Option<Percentiles>> {
        self.seconds.iter().map(Latencies::percentiles).collect()
    }
}

fn ms(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        assert!(latencies.percentiles().is_none());
        (1..=1000).for_each(|number| latencies.record(Duration::from_millis(number)));
        let percentiles = latencies.percentiles().unwrap();
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected / 500.0;
        assert_eq!(percentiles.count, 1000);
        assert!(near(percentiles.p50, 500.0) && near(percentiles.p99, 990.0) && near(percentiles.max, 1000.0));
        let curve = latencies.curve();
        assert!(curve.len() > 10 && curve.is_sorted_by(|one, next| one.percentile <= next.percentile));
    }

    #[test]
    fn a_series_knows_its_seconds() {
        let start = Instant::now();
        let mut series = Series::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        series.record(at(0), at(10));
        series.record(at(900), at(2100));
        let seconds = series.seconds();
        assert_eq!(seconds.iter().map(|second| second.map_or(0, |of| of.count)).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(series.all().percentiles().unwrap().count, 2);
    }
}
