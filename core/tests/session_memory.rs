//! What a thousand sessions need, each with its stores of skipped keys full.

#![cfg(all(test, target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "session_schedule/model.rs"]
#[allow(dead_code, reason = "only its two sides are wanted here")]
mod model;

use medipeps_core::limits::SESSION_MEMORY_MAX;

const SESSIONS: usize = 1_000;

/// Bytes of this process that are in memory, by `/proc/self/statm`.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_thousand_full_sessions_stay_within_the_bound() {
    let full = model::full_session();
    let skipped = full.skipped_keys();
    assert_eq!(skipped, (2_000, 2_000), "both stores are full");
    let before = resident();
    let sessions: Vec<_> = (0..SESSIONS).map(|_| full.clone()).collect();
    let each = (resident() - before) / SESSIONS;
    println!("{SESSIONS} sessions: {each} bytes each");
    assert!(each <= SESSION_MEMORY_MAX, "{each}");
    assert!(each > 2 * 2_000 * 36, "{each} bytes cannot hold the keys: the measurement is wrong");
    assert_eq!(sessions.len(), SESSIONS);
}
