//! What the demo says: progress for a person, one JSON object for a program.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::DemoError;

/// How many lines of a log are shown after a failure.
const TAIL_LINES: usize = 40;

/// Progress, on the standard output or, where that is for JSON, on the standard error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    on_stderr: bool,
}

impl Progress {
    /// Progress beside JSON goes to the standard error.
    pub(super) fn new(json: bool) -> Self {
        Self { on_stderr: json }
    }

    /// Says a line.
    pub(super) fn say(self, line: &str) {
        if self.on_stderr { eprintln!("{line}") } else { println!("{line}") }
    }

    /// Shows the end of a file.
    pub(super) fn tail(self, name: &str, file: &Path) {
        let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        self.say(&format!("--- the end of {name}"));
        lines[lines.len().saturating_sub(TAIL_LINES)..].iter().for_each(|line| self.say(line));
    }
}

/// The JSON of a demo that ended early.
pub(super) fn failure(error: &DemoError, took: Duration) -> Value {
    json!({ "ok": false, "seconds": took.as_secs_f64(), "error": error.to_string() })
}

/// What the server says it knows, as lines of a table: one for each device, with the size of each waiting envelope and the
/// time (UTC) at which it came.
pub(super) fn known_table(known: &Value) -> Vec<String> {
    let mut lines =
        vec![format!("  {:<28} {:<12} {:>6} {:>7}  bytes at time", "address", "organisation", "device", "queued")];
    for account in known["accounts"].as_array().into_iter().flatten() {
        let text = |key: &str| account[key].as_str().unwrap_or("-").to_owned();
        for device in account["devices"].as_array().into_iter().flatten() {
            let number = |key: &str| device[key].as_u64().unwrap_or_default();
            let waiting: Vec<String> =
                device["envelopes"].as_array().into_iter().flatten().map(size_and_time).collect();
            lines.push(format!(
                "  {:<28} {:<12} {:>6} {:>7}  {}",
                text("address"),
                text("organisation"),
                number("device_id"),
                number("queued"),
                waiting.join(", ")
            ));
        }
    }
    lines
}

fn size_and_time(envelope: &Value) -> String {
    let seconds = envelope["received_ms"].as_u64().unwrap_or_default() / 1000;
    let size = envelope["size"].as_u64().unwrap_or_default();
    format!("{size} at {:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_device() {
        let envelope = json!({"sequence": 1, "size": 8192, "received_ms": 1_795_377_661_000_u64});
        let device = json!({"device_id": 7, "queued": 1, "bytes": 8192, "envelopes": [envelope]});
        let known = json!({"accounts": [{"address": "a@b", "organisation": "Ward", "devices": [device, device]}, {"address": "c@b"}]});
        let lines = known_table(&known);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("a@b") && lines[1].contains("Ward"), "{}", lines[1]);
        assert!(lines[1].ends_with("7       1  8192 at 20:01:01"), "{}", lines[1]);
        assert_eq!(known_table(&Value::Null).len(), 1);
    }
}
