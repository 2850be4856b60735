//! What is printed: columns, ids, and received text that must not command the terminal.

use std::fmt::Write as _;
use std::io::{self, Write};

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::CommandError;
use crate::engine::LocalId;
use crate::shell::file_name::is_harmful;

/// Hexadecimal digits of an id that lists show. More are shown where these fit two messages.
const SHORT_ID_LENGTH: usize = 8;

/// Received text in one line: control characters, line breaks and marks that turn the direction of writing are replaced,
/// so that nothing received can move the cursor, rewrite the screen or show a text that is not there.
pub(super) fn line(text: &str) -> String {
    text.chars().map(|letter| if is_harmful(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Received text in several lines; line feeds and tabs stay.
pub(super) fn block(text: &str) -> String {
    let keep = |letter: char| letter == '\n' || letter == '\t' || !is_harmful(letter);
    text.replace("\r\n", "\n").chars().map(|letter| if keep(letter) { letter } else { '\u{fffd}' }).collect()
}

/// Rows of cells, each column as wide as its widest cell; the last one is not padded.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut written = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(written, "{cell:width$}  ");
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

/// A text cut to so many letters.
pub(super) fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// An id, whole.
pub(super) fn id(id: &LocalId) -> String {
    HEXLOWER.encode(id)
}

/// So many digits of an id that no other of these begins the same.
pub(super) fn short_id(id: &LocalId, all: &[LocalId]) -> String {
    let whole = HEXLOWER.encode(id);
    let others: Vec<String> = all.iter().filter(|other| *other != id).map(|other| HEXLOWER.encode(other)).collect();
    let unique = |length: &usize| !others.iter().any(|other| other.starts_with(&whole[..*length]));
    let length = (SHORT_ID_LENGTH..whole.len()).find(unique).unwrap_or(whole.len());
    whole[..length].to_owned()
}

/// The one of these ids that begins with what was typed.
pub(super) fn find_id(typed: &str, all: &[LocalId]) -> Result<LocalId, CommandError> {
    let typed = typed.trim().to_ascii_lowercase();
    if typed.is_empty() || !typed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CommandError::Use(format!("\"{}\" is no message id; `inbox` lists them", line(&typed))));
    }
    let mut found = all.iter().filter(|id| HEXLOWER.encode(*id).starts_with(&typed));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(*id),
        (None, _) => Err(CommandError::Failed(format!("there is no message {typed}; `inbox` lists them"))),
        (Some(_), Some(_)) => {
            Err(CommandError::Failed(format!("more than one message begins with {typed}; type more of the id")))
        }
    }
}

/// Prints text. A reader that has gone away (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    print_bytes(text.as_bytes())
}

/// Writes bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::file("standard output")(error)),
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CommandError::Failed(error.to_string()))?;
    print(&format!("{}\n", escaped_json(&text)))
}

/// JSON escapes only the C0 controls; the rest of what could command a terminal stands inside strings and is escaped too.
pub(super) fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter != '\n' && is_harmful(letter) {
            let _ = write!(text, "\\u{:04x}", u32::from(letter));
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_text_cannot_command_the_terminal() {
        let hostile = "a\u{1b}]0;owned\u{7}\u{9b}31m\r\nb\u{202e}c\u{2066}\u{200b}\u{2028}\td";
        assert!(line(hostile).chars().all(|letter| !is_harmful(letter)));
        assert_eq!(block("a\r\nb\tc\u{1b}[2J\rd"), "a\nb\tc\u{fffd}[2J\u{fffd}d");
        assert_eq!(line("Élodie Ὀδυσσεύς 你好 ✓"), "Élodie Ὀδυσσεύς 你好 ✓");
    }

    #[test]
    fn json_cannot_command_the_terminal_either_and_says_the_same() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\n\"é";
        let json = escaped_json(&serde_json::to_string_pretty(&[hostile]).unwrap());
        assert!(json.chars().all(|letter| letter == '\n' || !is_harmful(letter)), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [hostile]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".into(), "é".into(), "x".into()], vec!["bcd".into(), "ef".into(), String::new()]];
        assert_eq!(columns(&rows), "a    é   x\nbcd  ef\n");
        assert_eq!(columns(&[]), "");
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
    }

    #[test]
    fn ids_are_found_by_what_is_unambiguous() {
        let (one, other) = ([0xab; 16], {
            let mut id = [0xab; 16];
            id[5] = 0;
            id
        });
        let all = [one, other];
        assert_eq!(find_id("ABABABABABab", &all).unwrap(), one);
        assert_eq!(find_id("ababababab0", &all).unwrap(), other);
        assert!(matches!(find_id("ab", &all), Err(CommandError::Failed(_))));
        assert!(matches!(find_id("12", &all), Err(CommandError::Failed(_))));
        assert!(matches!(find_id("xyz", &all), Err(CommandError::Use(_))));
        assert_eq!(short_id(&one, &all), "abababababa");
        assert_eq!(short_id(&one, &[one]), "abababab");
    }
}
