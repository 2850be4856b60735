//! The deny suite: licences, sources and bans of the whole tree, and known vulnerabilities where their database can be had.

use std::process::Stdio;

use crate::process::{self, ProcessError};
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;

/// Runs cargo-deny. The advisory database lies on another host than the crates do, so it may be out of reach where the
/// crates are not; then the advisories count as skipped, never as passed.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let mut check =
        run.project.cargo(["deny", "--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    println!("$ {}", process::as_typed(&check));
    let mut counts = Counts::one(process::stream(&mut check, |_| ())?);
    let mut notes = Vec::new();

    // Fetching writes to cargo's home, which a run without --install leaves alone.
    let fetched = !run.install || {
        let mut fetch = run.project.cargo(["deny", "fetch", "db"]);
        println!("$ {}", process::as_typed(&fetch));
        fetch.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let has_database = std::env::home_dir()
        .map(|home| std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), Into::into))
        .and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok())
        .is_some_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())));
    if fetched && has_database {
        let mut advisories = run.project.cargo(["deny", "--all-features", "check", "--disable-fetch", "advisories"]);
        println!("$ {}", process::as_typed(&advisories));
        counts += Counts::one(process::stream(&mut advisories, |_| ())?);
    } else {
        counts += Counts::SKIPPED;
        let why = if run.install { "cannot be fetched from here" } else { "is not here (`--install` fetches it)" };
        notes.push(format!(
            "advisories not checked: the RustSec database {why}; run `cargo deny check advisories` where it can"
        ));
    }
    Ok(Ended { counts, notes })
}
