//! What the bench programs measured, by id.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

/// The id of what is always 1.
pub(super) const CONSTANT: &str = "constant";

/// Values by id. Times are in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeMap<String, f64>);

impl Values {
    /// A value, if it was measured.
    pub(super) fn get(&self, id: &str) -> Option<f64> {
        if id == CONSTANT { Some(1.0) } else { self.0.get(id).copied() }
    }

    /// Takes a line `value ID NUMBER`, which is how a program reports what is no time.
    pub(super) fn see(&mut self, line: &str) {
        if let Some((id, number)) = line.strip_prefix("value ").and_then(|rest| rest.rsplit_once(' '))
            && let Ok(number) = number.parse()
        {
            self.0.insert(id.to_owned(), number);
        }
    }

    /// Takes the medians that criterion wrote below its folder since `start`: `ID/new/estimates.json`.
    pub(super) fn read_criterion(&mut self, folder: &Path, start: SystemTime) {
        self.read_criterion_below(folder, folder, start);
    }

    fn read_criterion_below(&mut self, base: &Path, folder: &Path, start: SystemTime) {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let estimates = path.join("new").join("estimates.json");
            let is_of_this_run =
                || std::fs::metadata(&estimates).and_then(|file| file.modified()).is_ok_and(|written| written >= start);
            let id = path.strip_prefix(base).ok().and_then(Path::to_str);
            if let (true, Some(id)) = (estimates.is_file() && is_of_this_run(), id) {
                let text = std::fs::read_to_string(&estimates).unwrap_or_default();
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                if let Some(median) = value["median"]["point_estimate"].as_f64() {
                    self.0.insert(id.replace(std::path::MAIN_SEPARATOR, "/"), median);
                }
            }
            if path.is_dir() {
                self.read_criterion_below(base, &path, start);
            }
        }
    }

    /// Takes every number of a JSON object, its id being the path of keys below `name`. Text around the object is left out.
    pub(super) fn read_json(&mut self, name: &str, said: &str) {
        let object = said.find('{').zip(said.rfind('}')).and_then(|(start, end)| said.get(start..=end));
        if let Some(value) = object.and_then(|text| serde_json::from_str(text).ok()) {
            self.read_numbers(name, &value);
        }
    }

    fn read_numbers(&mut self, id: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| self.read_numbers(&format!("{id}/{key}"), value))
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| self.read_numbers(&format!("{id}/{index}"), value));
            }
            _ => {
                if let Some(number) = value.as_f64() {
                    self.0.insert(id.to_owned(), number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn criterions_medians_of_this_run_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("session/encrypt/32/new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(
            new.join("estimates.json"),
            r#"{"mean":{"point_estimate":9.0},"median":{"point_estimate":7.5}}"#,
        )
        .unwrap();
        let mut values = Values::default();
        values.read_criterion(folder.path(), SystemTime::now() + Duration::from_secs(60));
        assert_eq!(values.get("session/encrypt/32"), None, "it is of an earlier run");
        values.read_criterion(folder.path(), SystemTime::UNIX_EPOCH);
        assert_eq!(values.get("session/encrypt/32"), Some(7.5));
    }

    #[test]
    fn numbers_of_json_and_of_lines_are_read() {
        let mut values = Values::default();
        values.read_json(
            "storage",
            "running 1 bench\n{\"enqueue\": {\"per_second\": 12000, \"p99_ms\": 3.5}, \"disk\": \"ext4\"}\n",
        );
        values.see("value session/bytes 2048");
        values.see("value session/bytes many");
        values.see("time: 3 ms");
        assert_eq!(values.get("storage/enqueue/per_second"), Some(12_000.0));
        assert_eq!(values.get("storage/enqueue/p99_ms"), Some(3.5));
        assert_eq!(values.get("session/bytes"), Some(2048.0));
        assert_eq!(values.get("storage/disk"), None);
    }
}
