//! `medipeps-server admin clock`

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use medipeps_core::wire::control::{ControlClock, ControlRequest, ControlResponse};

use crate::cli::{ConfigArgument, Failure, print, store};

/// Milliseconds since 1970 from which on a clock is so wrong that no date is made of it: the year 9999.
const SHOWN_AS_DATE_BEFORE_MS: u64 = 253_370_764_800_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Say that the system's clock is right: the server goes by it from now on, and deletes what has run out.
    #[arg(long)]
    confirm: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn clock(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    match store::order(&config, ControlRequest::Clock { confirm: arguments.confirm }).await? {
        ControlResponse::Clock(clock) if arguments.json => print(&format!("{}\n", as_json(clock))),
        ControlResponse::Clock(clock) => print(&as_text(clock)),
        _ => Err(Failure::failed("the server answered something else")),
    }
}

fn as_json(clock: ControlClock) -> serde_json::Value {
    let ControlClock { now, system, expiry_runs } = clock;
    serde_json::json!({ "now_ms": now, "system_ms": system, "expiry_runs": expiry_runs })
}

fn as_text(clock: ControlClock) -> String {
    let date = |ms: u64| {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms)).filter(|_| ms < SHOWN_AS_DATE_BEFORE_MS);
        time.map_or_else(|| format!("{ms} ms since 1970"), httpdate::fmt_http_date)
    };
    let runs = if clock.expiry_runs { "is deleted" } else { "is kept until the clock is confirmed" };
    format!(
        "the server goes by: {}\nthe system's clock: {}\nwhat has run out {runs}\n",
        date(clock.now),
        date(clock.system)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told() {
        let text = as_text(ControlClock { now: 0, system: 1_800_000_000_000, expiry_runs: false });
        assert!(text.contains("goes by: Thu, 01 Jan 1970") && text.contains("Fri, 15 Jan 2027"), "{text}");
        assert!(text.contains("kept"));
        assert!(as_text(ControlClock { now: u64::MAX, system: 0, expiry_runs: true }).contains("ms since 1970"));
    }
}
