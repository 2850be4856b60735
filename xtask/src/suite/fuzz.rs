//! The fuzz suite: every target for a while, from its committed corpus, under the address sanitizer.
//!
//! cargo-fuzz builds with `RUSTC_BOOTSTRAP=1`, so that the sanitizer is had without a nightly Rust. New inputs go to a
//! scratch folder and never into the tree; a crash is kept under `fuzz/artifacts`, to become part of the corpus.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process::{self, ProcessError};
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;

/// How long one target runs, in seconds.
const SECONDS: u32 = 6;
/// The same in a nightly run.
const SECONDS_NIGHTLY: u32 = 300;
/// The longest input, in bytes: the largest envelope is 64 KiB.
const INPUT_LENGTH_MAX: u32 = 80 * 1024;

/// Builds all targets, then runs them, as many at once as there are processors.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let root = run.project.root();
    let scratch = run.project.target().join("fuzz");
    let targets = match targets(&root.join("fuzz/targets")) {
        Ok(targets) if !targets.is_empty() => targets,
        Ok(_) | Err(_) => {
            println!("there is no target under fuzz/targets");
            return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
        }
    };

    let triple = host(run);
    let mut build = build(run);
    println!("$ {}", process::as_typed(&build));
    if !process::stream(&mut build, |_| ())? {
        return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
    }

    let seconds = if run.nightly { SECONDS_NIGHTLY } else { SECONDS };
    println!("{} targets, {seconds} s each", targets.len());
    let next = AtomicUsize::new(0);
    let results: Mutex<Counts> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(name) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let program = scratch.join(&triple).join("release").join(name);
                    let passed = fuzz(run.project.command(program), root, &scratch, name, seconds);
                    if let Ok(mut results) = results.lock() {
                        *results += Counts::one(passed);
                    }
                }
            });
        }
    });
    let counts = results.into_inner().unwrap_or(Counts::FAILED);
    Ok(Ended { counts, ..Ended::default() })
}

/// Builds all targets.
pub(super) fn build(run: &Run) -> Command {
    let mut build = run.project.cargo(["fuzz", "build", "--fuzz-dir", "fuzz", "--features", "libfuzzer"]);
    build
        .args(["--target", &host(run), "--target-dir"])
        .arg(run.project.target().join("fuzz"))
        .env("RUSTC_BOOTSTRAP", "1");
    build
}

/// Runs one target and says how it went. Its own output is shown only when it found something.
fn fuzz(mut program: Command, root: &Path, scratch: &Path, name: &str, seconds: u32) -> bool {
    let found = scratch.join("corpus").join(name);
    let artifacts = root.join("fuzz/artifacts").join(name);
    let made = std::fs::create_dir_all(&found).and_then(|()| std::fs::create_dir_all(&artifacts));
    if let Err(error) = made {
        println!("{name}: cannot make its folders: {error}");
        return false;
    }
    program
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(name))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_LENGTH_MAX}"))
        .args(["-timeout=10", "-rss_limit_mb=2048"])
        .stdin(Stdio::null());
    let output = match program.output() {
        Ok(output) => output,
        Err(error) => {
            println!("{name}: cannot start: {error}");
            return false;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let runs = said.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("ended early");
    if output.status.success() {
        println!("{name}: {runs}");
    } else {
        println!("{said}\n{name}: failed; the input is under {}", artifacts.display());
    }
    let _ = std::fs::remove_dir(&artifacts); // only when it is empty
    output.status.success()
}

/// The names of the files under `fuzz/targets`, in order.
fn targets(folder: &Path) -> std::io::Result<Vec<String>> {
    let paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    let is_rust = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let mut names: Vec<String> =
        paths.iter().filter(is_rust).filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// The triple of this machine.
fn host(run: &Run) -> String {
    let said = process::answer(run.project.command("rustc").arg("-vV")).unwrap_or_default();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or("x86_64-unknown-linux-gnu").to_owned()
}
