//! Runs the shell blocks of README.md as a reader would: top to bottom, in one shell, as written.
//!
//! The blocks are those fenced as `sh` under the heading `Use it` and the headings below it. The shell is `bash -e`, starts in
//! the project's root, and has an empty home of its own, so `~` in a block is a scratch folder. What a block leaves running
//! in the background ends with the shell.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::process::{quoted, succeeds};
use crate::project::Project;

/// The heading whose blocks are run.
const HEADING: &str = "Use it";
/// How long all blocks together may take; they may build the release commands first.
const TIME_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Cargo's and rustup's own folders, which a new home would hide.
const HOME_FOLDERS: [(&str, &str); 2] = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];

/// Why the README is not right.
#[derive(Debug, Error)]
pub(crate) enum ReadmeError {
    /// It or the scratch folder cannot be used.
    #[error("README.md: {0}")]
    File(#[from] std::io::Error),
    /// It has no shell block under the heading.
    #[error("README.md has no sh block under the heading '{HEADING}'")]
    NoBlock,
    /// A command in a block failed.
    #[error("a command of README.md's '{HEADING}' failed (the last line above that starts with + is where)")]
    Failed,
    /// The blocks did not end in time.
    #[error("the blocks of README.md's '{HEADING}' did not end within {} minutes", TIME_LIMIT.as_secs() / 60)]
    Time,
}

/// Runs the blocks.
pub(crate) fn run(project: &Project) -> Result<(), ReadmeError> {
    let blocks = blocks(&std::fs::read_to_string(project.root().join("README.md"))?);
    if blocks.is_empty() {
        return Err(ReadmeError::NoBlock);
    }
    let home = tempfile::Builder::new().prefix("medipeps readme ").tempdir()?;
    let script = home.path().join("readme.sh");
    std::fs::write(&script, script_of(&blocks))?;
    let mut shell = project.command("bash");
    shell.arg(&script).env("HOME", home.path()).env("PS4", "+ ").stdin(Stdio::null());
    shell.env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
    shell.env_remove("XDG_STATE_HOME");
    if let Some(present) = std::env::home_dir() {
        for (name, folder) in HOME_FOLDERS {
            if std::env::var_os(name).is_none() {
                shell.env(name, present.join(folder));
            }
        }
    }
    // A group of its own, so that whatever a block started can be ended with it.
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let shell = shell.spawn()?;
    wait(project, shell, home.path())
}

fn wait(project: &Project, mut shell: Child, home: &Path) -> Result<(), ReadmeError> {
    let group = shell.id();
    let start = Instant::now();
    let done = loop {
        if let Some(status) = shell.try_wait()? {
            break if status.success() { Ok(()) } else { Err(ReadmeError::Failed) };
        }
        if start.elapsed() > TIME_LIMIT {
            break Err(ReadmeError::Time);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let end_group = |signal: &str| succeeds(&mut shell_line(project, &format!("kill -{signal} -{group}")));
    if end_group("TERM") {
        std::thread::sleep(Duration::from_secs(2));
        end_group("KILL");
    }
    let _ = shell.wait();
    if done.is_err() {
        show_logs(home);
    }
    done
}

/// What the programs that the blocks started wrote into files called `.log`, wherever below the home.
fn show_logs(folder: &Path) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            show_logs(&path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            println!("--- {}\n{}", path.display(), String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()));
        }
    }
}

fn shell_line(project: &Project, line: &str) -> Command {
    let mut command = project.command("sh");
    command.args(["-c", line]);
    command
}

/// One script of all blocks; what they leave in the background ends with it.
fn script_of(blocks: &[String]) -> String {
    let mut script = String::from(
        "set -euo pipefail\ntrap 'code=$?; set +x; for job in $(jobs -p); do kill \"$job\" 2>/dev/null || true; done; exit $code' EXIT\n",
    );
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!(
            "printf '%s\\n' {}\nset -x\n{block}{{ set +x; }} 2>/dev/null\n",
            quoted(&format!("-- block {}", number + 1))
        ));
    }
    script
}

/// The contents of the `sh` blocks under the heading, in order.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut heading_level = None;
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        if let Some((runs, block)) = &mut open {
            if line.trim_end() == "```" {
                if *runs {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            } else {
                block.push_str(line);
                block.push('\n');
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some((heading_level.is_some() && language.trim() == "sh", String::new()));
        } else if line.starts_with('#') {
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            if line.trim_start_matches('#').trim() == HEADING {
                heading_level = Some(level);
            } else if heading_level.is_some_and(|wanted| level <= wanted) {
                heading_level = None;
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shell_blocks_under_the_heading_are_run() {
        let text = "# Name\n```sh\nno\n```\n## Use it\n```sh\none\n# not a heading\n```\n```toml\nno = 1\n```\n### More\n```sh\ntwo\n\
                    ```\n## Else\n```sh\nno\n```\n";
        assert_eq!(blocks(text), ["one\n# not a heading\n", "two\n"]);
    }

    #[test]
    fn the_script_stops_at_the_first_failure_and_ends_its_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let run = |blocks: &[&str]| {
            let script = folder.path().join("s.sh");
            std::fs::write(&script, script_of(&blocks.iter().map(|block| (*block).to_owned()).collect::<Vec<_>>()))
                .unwrap();
            let output = Command::new("bash").arg(&script).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(run(&["x=1\n", "echo $x\n"]), (Some(0), "-- block 1\n-- block 2\n1\n".to_owned()));
        assert_eq!(run(&["false\n", "echo never\n"]), (Some(1), "-- block 1\n".to_owned()));
        let start = Instant::now();
        assert_eq!(run(&["sleep 600 >/dev/null 2>&1 &\n", "true\n"]).0, Some(0));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
