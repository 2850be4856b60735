//! What it costs a device to write to people with several devices, and to receive among many sessions: the engine on a
//! real store, from the input to the last commit, without the network. Beside it the same run's encryptions and commits.
//!
//! `cargo xtask bench devices` prints the ratios; `--json` alone prints what was measured.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "a program of its own")]

mod account;
mod crowd;
mod peer;
mod receiving;
mod sending;

use std::time::Instant;

use serde_json::json;

fn main() {
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    let result = json!({
        "mail": if only("receiving") { json!(null) } else { sending::measure() },
        "receive": if only("mail") { json!(null) } else { receiving::measure() },
    });
    println!("{result:#}");
}

/// Milliseconds that something takes, and what it gives.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed().as_secs_f64() * 1e3, value)
}

/// The median of so many runs.
fn median(runs: usize, mut run: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..runs).map(|_| run()).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
