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

/// What the server says it knows, as lines of a table: one for each device.
pub(super) fn known_table(known: &Value) -> Vec<String> {
    let mut lines = vec![format!("  {:<28} {:<16} {:>6} {:>9}", "address", "organisation", "queued", "bytes")];
    for account in known["accounts"].as_array().into_iter().flatten() {
        let text = |key: &str| account[key].as_str().unwrap_or("-").to_owned();
        for device in account["devices"].as_array().into_iter().flatten() {
            let number = |key: &str| device[key].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
            let (address, organisation) = (text("address"), text("organisation"));
            lines.push(format!("  {address:<28} {organisation:<16} {:>6} {:>9}", number("queued"), number("bytes")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_device() {
        let device = json!({"device_id": "d1", "queued": 2, "bytes": 8192});
        let known = json!({"accounts": [{"address": "a@b", "organisation": "Ward", "devices": [device, device]}, {"address": "c@b"}]});
        let lines = known_table(&known);
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].contains("a@b") && lines[1].contains("Ward") && lines[1].ends_with("2      8192"),
            "{}",
            lines[1]
        );
        assert_eq!(known_table(&Value::Null).len(), 1);
    }
}
