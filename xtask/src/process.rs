//! Running other programs: asking them something quietly, or showing what they say while reading along.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

/// Why a program could not be run to its end.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// It did not start.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program's name.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its output could not be read.
    #[error("lost the output of {program}: {source}")]
    Output {
        /// The program's name.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Whether the command runs and exits with 0; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The standard output of a command that exits with 0, without white space around it.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The same command, which takes what others leave of the processor.
pub(crate) fn in_background(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// Runs a command, shows its standard output line by line as it comes, and hands every line to `see`.
///
/// True when it exits with 0.
pub(crate) fn stream(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool, ProcessError> {
    listen(command, |line| {
        println!("{line}");
        see(line);
    })
}

/// Runs a command and hands every line of its standard output to `see` as it comes. True when it exits with 0.
pub(crate) fn listen(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| ProcessError::Start { program: program.clone(), source })?;
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match output.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => see(String::from_utf8_lossy(&line).trim_end()),
                Err(source) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(ProcessError::Output { program, source });
                }
            }
        }
    }
    child.wait().map(|status| status.success()).map_err(|source| ProcessError::Output { program, source })
}

/// The command as a person would type it in the project's root.
pub(crate) fn as_typed(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| value.map(|value| (name.to_string_lossy(), value.to_string_lossy())))
        .filter(|(name, _)| name != "PATH")
        .map(|(name, value)| format!("{name}={}", quoted(&shortened(&value))))
        .collect();
    let program = Path::new(command.get_program());
    let is_cargo = program.file_stem().is_some_and(|name| name == "cargo"); // by its path, cargo is no easier to type
    words.push(if is_cargo { "cargo".to_owned() } else { quoted(&program.to_string_lossy()) });
    words.extend(command.get_args().map(|word| quoted(&shortened(&word.to_string_lossy()))));
    words.join(" ")
}

/// A path as seen from the project's root, or from the home folder: where this machine keeps them is of no use to others.
fn shortened(word: &str) -> String {
    let below = |folder: Option<PathBuf>| {
        let rest = word.strip_prefix(folder?.to_str()?)?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    below(std::env::current_dir().ok())
        .or_else(|| below(std::env::home_dir()).map(|rest| format!("~/{rest}")))
        .unwrap_or_else(|| word.to_owned())
}

/// A word for a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,@+~".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "a b", "it's"]);
        assert_eq!(as_typed(&command), r"RUSTDOCFLAGS='-D warnings' cargo doc 'a b' 'it'\''s'");
    }

    #[test]
    fn a_command_in_the_background_is_the_same_one() {
        let mut command = Command::new("sh");
        command.args(["-c", "nice; pwd; echo $FOR"]).env("FOR", "this").current_dir("/");
        assert_eq!(answer(&mut in_background(&command)).unwrap(), "19\n/\nthis");
    }

    #[test]
    fn lines_are_seen_and_the_exit_code_kept() {
        let mut lines = Vec::new();
        let done =
            stream(Command::new("sh").args(["-c", "echo one; printf two; exit 3"]), |line| lines.push(line.to_owned()));
        assert!(!done.unwrap());
        assert_eq!(lines, ["one", "two"]);
        assert!(matches!(stream(&mut Command::new("/no/such/program"), |_| ()), Err(ProcessError::Start { .. })));
    }
}
