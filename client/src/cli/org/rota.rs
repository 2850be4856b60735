//! Rotas out of files: CSV as spreadsheets write it, or JSON.

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::organisation::OnCallEntry;
use serde::Deserialize;

use super::read_file;
use crate::cli::{CommandError, time};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryJson {
    from: String,
    until: String,
    function: String,
    addresses: Vec<String>,
}

/// Reads a rota: JSON if the name ends in `.json`, else CSV.
pub(super) fn read(path: &Path) -> Result<Vec<OnCallEntry>, CommandError> {
    let bytes = read_file(path)?;
    let text =
        String::from_utf8(bytes).map_err(|_| CommandError::Failed(format!("{} is not UTF-8 text", path.display())))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let read = if is_json { json(&text) } else { csv(&text) };
    read.map_err(|error| CommandError::Failed(format!("{}: {error}", path.display())))
}

fn json(text: &str) -> Result<Vec<OnCallEntry>, String> {
    let entries: Vec<EntryJson> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let entry = |(number, one): (usize, &EntryJson)| {
        let addresses: Vec<&str> = one.addresses.iter().map(String::as_str).collect();
        entry(&one.from, &one.until, &one.function, &addresses)
            .map_err(|error| format!("entry {}: {error}", number + 1))
    };
    entries.iter().enumerate().map(entry).collect()
}

/// `from,until,function,addresses`, with the addresses separated by spaces; semicolons serve for commas. A first line of these
/// words is passed over, and so are empty lines and those that begin with `#`.
fn csv(text: &str) -> Result<Vec<OnCallEntry>, String> {
    let mut entries = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let separator = if line.contains(';') { ';' } else { ',' };
        let fields: Vec<&str> = line.split(separator).map(|field| field.trim().trim_matches('"').trim()).collect();
        if number == 0 && fields.first().is_some_and(|first| first.eq_ignore_ascii_case("from")) {
            continue;
        }
        let at_line = |error: String| format!("line {}: {error}", number + 1);
        let [from, until, function, addresses] = fields.as_slice() else {
            return Err(at_line(format!("there are {} fields; a line is from,until,function,addresses", fields.len())));
        };
        let addresses: Vec<&str> = addresses.split_whitespace().collect();
        entries.push(entry(from, until, function, &addresses).map_err(at_line)?);
    }
    Ok(entries)
}

fn entry(from: &str, until: &str, function: &str, addresses: &[&str]) -> Result<OnCallEntry, String> {
    let moment = |text: &str| {
        time::parse(text).ok_or_else(|| format!("\"{text}\" is no time; write 2026-12-24T20:00Z, or 2026-12-24"))
    };
    let (from, until) = (moment(from)?, moment(until)?);
    if until <= from {
        return Err("it ends before it begins".to_owned());
    }
    if function.is_empty() {
        return Err("it has no function".to_owned());
    }
    if addresses.is_empty() {
        return Err("nobody is on call in it".to_owned());
    }
    let address = |text: &&str| text.parse::<Address>().map_err(|error| format!("\"{text}\" is no address: {error}"));
    let addresses = addresses.iter().map(address).collect::<Result<_, _>>()?;
    Ok(OnCallEntry { from, until, function: function.to_owned(), addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rota_is_read_from_csv_and_from_json_alike() {
        let text = "from,until,function,addresses\n\n# Christmas\n2026-12-24T20:00Z,2026-12-25T08:00Z,cardiology,a@b.example c@b.example\n";
        let other = "From;Until;Function;Addresses\r\n2026-12-24T20:00Z;2026-12-25T08:00Z;\"cardiology\";a@b.example c@b.example\r\n";
        let object = r#"[{"from": "2026-12-24T20:00Z", "until": "2026-12-25T08:00Z", "function": "cardiology",
            "addresses": ["a@b.example", "c@b.example"]}]"#;
        let entries = csv(text).unwrap();
        assert_eq!((entries.len(), entries[0].until - entries[0].from), (1, 12 * 3_600_000));
        assert_eq!((csv(other).as_ref(), json(object).as_ref()), (Ok(&entries), Ok(&entries)));
    }

    #[test]
    fn what_is_wrong_is_said_by_its_line() {
        let line = |line: &str| csv(&format!("from,until,function,addresses\n{line}")).unwrap_err();
        assert!(line("2026-12-24,2026-12-25,surgery").starts_with("line 2: there are 3 fields"));
        assert!(line("yesterday,2026-12-25,surgery,a@b.example").starts_with("line 2: \"yesterday\" is no time"));
        assert!(line("2026-12-25,2026-12-24,surgery,a@b.example").contains("ends before"));
        assert!(line("2026-12-24,2026-12-25,surgery,").contains("nobody"));
        assert!(line("2026-12-24,2026-12-25,surgery,nobody").contains("\"nobody\" is no address"));
        assert!(json("[{}]").unwrap_err().contains("line 1"));
    }
}
