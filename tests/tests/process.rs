//! The real commands as processes: found beside the tests, run for a bounded time, and ended by their own id.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long one command may take, its own `--wait` included. Nothing comes near it, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The command `medipeps`.
pub fn medipeps() -> PathBuf {
    program("medipeps", "cargo build -p medipeps-server -p medipeps-client")
}

/// The command `medipeps-server`.
pub fn medipeps_server() -> PathBuf {
    program("medipeps-server", "cargo build -p medipeps-server -p medipeps-client")
}

/// The load generator.
pub fn medipeps_load() -> PathBuf {
    program("medipeps-load", "cargo build -p medipeps-server -p medipeps-load")
}

/// The command `medipeps` with its fail points switched on.
pub fn medipeps_with_fail_points() -> PathBuf {
    program("examples/medipeps_fail_points", "cargo build -p medipeps-tests --examples")
}

/// The command `medipeps-server` with its fail points switched on.
pub fn medipeps_server_with_fail_points() -> PathBuf {
    program("examples/medipeps_server_fail_points", "cargo build -p medipeps-tests --examples")
}

/// A program of the build that these tests belong to: they lie in `deps` below it.
fn program(name: &str, build: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is missing; build it: {build}", path.display());
    path
}

/// Waits until something holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "after {} s still not: {what}", PATIENCE.as_secs());
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A process that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    typed: String,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    complaints: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The command, to name it in failures.
    pub typed: String,
    pub status: ExitStatus,
    pub output: String,
    pub complaints: String,
}

impl Process {
    /// Starts a command with nothing on its standard input.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts a command with a standard input that [`Self::type_line`] writes on.
    #[track_caller]
    pub fn start_typing(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    #[track_caller]
    fn start_with(command: &mut Command, input: Stdio) -> Self {
        let typed = format!("{command:?}");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{typed}: {error}"));
        let (output, complaints) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&output)),
            collect(child.stderr.take().unwrap(), Arc::clone(&complaints)),
        ];
        Self { typed, child, output, complaints, readers }
    }

    /// Types a line on its standard input.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it was started with one");
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Its standard output so far.
    pub fn output(&self) -> String {
        text(&self.output)
    }

    /// Its standard error so far.
    pub fn complaints(&self) -> String {
        text(&self.complaints)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(self) -> Ended {
        self.wait_at_most(PATIENCE)
    }

    /// Waits longer, or less long, until it ends by itself.
    #[track_caller]
    pub fn wait_at_most(mut self, patience: Duration) -> Ended {
        let start = Instant::now();
        while !self.has_ended() {
            assert!(start.elapsed() < patience, "{} did not end.\n{}", self.typed, self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
        self.ended()
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGINT, as by ^C.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(status.success());
    }

    /// What it has said, for failures.
    pub fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.output(), self.complaints())
    }

    fn ended(&mut self) -> Ended {
        let status = self.child.wait().unwrap();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        Ended { typed: self.typed.clone(), status, output: self.output(), complaints: self.complaints() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing to a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Exit code 0 is what was expected.
    #[track_caller]
    pub fn done(self) -> Self {
        self.with_code(0)
    }

    /// This exit code is what was expected.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        let Self { typed, status, output, complaints } = &self;
        assert_eq!(status.code(), Some(code), "{typed}: {status}\nstdout:\n{output}\nstderr:\n{complaints}");
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{}: {error}:\n{}", self.typed, self.output))
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    Process::start(command).wait()
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    })
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}
