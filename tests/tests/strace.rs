//! System calls of a real process, by strace: made to fail, and read back in the order in which they happened.
//!
//! strace needs no special rights: it begins to trace the process before that runs anything, as its descendant (`-D`), so
//! that the process that a test starts and kills is the traced one itself.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::process::wait_until;

/// Calls that change what a file holds or which files there are, and those that put it on the disk.
pub const STORING: &str = "openat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,rename,renameat,renameat2,\
                           unlink,unlinkat,fsync,fdatasync";

/// How to trace one process and its threads.
#[derive(Debug)]
pub struct Strace {
    output: PathBuf,
    options: Vec<OsString>,
}

impl Strace {
    /// A trace that goes to a file.
    #[track_caller]
    pub fn into(output: &Path) -> Self {
        static WORKS: OnceLock<bool> = OnceLock::new();
        let works = *WORKS.get_or_init(|| {
            let fails =
                ["-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=write:error=EIO", "sh", "-c", "echo x || exit 42"];
            let mut probe = Command::new("strace");
            let probed = probe.args(fails).stdout(Stdio::null()).stderr(Stdio::null()).status();
            probed.is_ok_and(|status| status.code() == Some(42))
        });
        assert!(works, "strace is missing, or ptrace is forbidden here: `cargo xtask test --install end-to-end`");
        let output = output.to_owned();
        Self { output, options: Vec::new() }
    }

    /// Only these calls, separated by commas.
    pub fn calls(mut self, names: &str) -> Self {
        self.options.extend(["-e".into(), format!("trace={names}").into()]);
        self
    }

    /// Only calls on this file, which need not be there yet. Several are several files.
    pub fn on(mut self, file: &Path) -> Self {
        self.options.extend(["-P".into(), file.as_os_str().to_owned()]);
        self
    }

    /// What happens instead of these calls, or to them: `error=EIO`, `signal=KILL`, `delay_enter=MICROSECONDS`; and to
    /// which of them: `3` for the third that a thread makes, `3+` for it and all after.
    pub fn inject(mut self, names: &str, fault: &str, when: &str) -> Self {
        self.options.extend(["-e".into(), format!("inject={names}:{fault}:when={when}").into()]);
        self
    }

    /// The same command, traced.
    pub fn around(&self, command: &Command) -> Command {
        let mut traced = Command::new("strace");
        // No bytes of what is written, but the file of every descriptor.
        traced.args(["-D", "-f", "-q", "-yy", "-s", "0", "-o"]).arg(&self.output).args(&self.options).arg("--");
        traced.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => traced.env(name, value),
                None => traced.env_remove(name),
            };
        }
        traced
    }
}

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub arguments: String,
    /// The file that it is about: of its descriptor, or that it opens.
    pub path: Option<PathBuf>,
    /// What it returned; `None` if the process ended in it.
    pub result: Option<i64>,
    /// Its places in the order of things.
    pub begun: usize,
    pub ended: usize,
    pub injected: bool,
}

impl Call {
    /// Whether it came back without an error.
    pub fn succeeded(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }

    /// An argument as a number, the first being 0. Only for calls whose arguments hold no comma.
    pub fn number(&self, argument: usize) -> Option<u64> {
        self.arguments.split(", ").nth(argument)?.parse().ok()
    }
}

/// The calls of a process that has ended, in the order in which they ended. Those in which it was killed come last.
#[track_caller]
pub fn read(output: &Path) -> Vec<Call> {
    let mut text = String::new();
    // strace writes its last lines after the process is gone.
    wait_until("strace has written everything", || {
        text = std::fs::read_to_string(output).unwrap_or_default();
        text.lines().next_back().is_some_and(|line| line.contains("+++ ")) && text.ends_with('\n')
    });
    parse(&text)
}

/// Whether any call of a trace was made to fail.
pub fn was_hit(output: &Path) -> bool {
    read(output).iter().any(|call| call.injected)
}

/// The calls in what strace wrote.
pub fn parse(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    for (place, line) in text.lines().enumerate() {
        let Some((thread, said)) = line.split_once(' ') else { continue };
        let said = said.trim_start();
        if said.starts_with("+++ ") || said.starts_with("--- ") {
            continue;
        }
        if let Some(begin) = said.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (place, begin.trim_end().to_owned()));
        } else if let Some((_, rest)) = said.strip_prefix("<... ").and_then(|said| said.split_once("resumed>")) {
            if let Some((begun, begin)) = unfinished.remove(thread) {
                calls.extend(call(&format!("{begin}{rest}"), begun, place));
            }
        } else {
            calls.extend(call(said, place, place));
        }
    }
    let end = text.lines().count();
    let mut killed: Vec<_> = unfinished.into_values().collect();
    killed.sort_unstable();
    calls.extend(killed.into_iter().filter_map(|(begun, begin)| call(&begin, begun, end)));
    calls
}

fn call(said: &str, begun: usize, ended: usize) -> Option<Call> {
    let (name, rest) = said.split_once('(')?;
    let (arguments, returned) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
    let arguments = arguments.trim_end().trim_end_matches(')');
    let first_word = returned.split([' ', '<']).next()?;
    let path = if name.starts_with("open") { returned } else { arguments.split(", ").next()? };
    Some(Call {
        name: name.to_owned(),
        path: path.split_once('<').and_then(|(_, path)| path.split_once('>')).map(|(path, _)| PathBuf::from(path)),
        arguments: arguments.to_owned(),
        result: first_word.parse().ok(),
        begun,
        ended,
        injected: returned.contains("(INJECTED)"),
    })
}

#[test]
fn traces_are_read() {
    let text = "\
7     openat(AT_FDCWD</a>, \"/a/b\", O_RDWR|O_CREAT, 0666) = 9</a/b>\n\
8     pwrite64(9</a/b>, \"\"..., 24, 100 <unfinished ...>\n\
7     fsync(11</a/b>)                   = -1 EIO (Input/output error) (INJECTED)\n\
8     <... pwrite64 resumed>)           = 24\n\
8     --- SIGTERM {si_signo=SIGTERM} ---\n\
7     fdatasync(11</a/b> <unfinished ...>\n\
8     +++ killed by SIGKILL +++\n\
7     +++ killed by SIGKILL +++\n";
    let calls = parse(text);
    let seen: Vec<_> = calls.iter().map(|one| (one.name.as_str(), one.result, one.begun, one.ended)).collect();
    assert_eq!(
        seen,
        [("openat", Some(9), 0, 0), ("fsync", Some(-1), 2, 2), ("pwrite64", Some(24), 1, 3), ("fdatasync", None, 5, 8)]
    );
    assert!(calls.iter().all(|one| one.path.as_deref() == Some(Path::new("/a/b"))));
    assert_eq!((calls[2].number(2), calls[2].number(3)), (Some(24), Some(100)));
    assert!(calls[1].injected && !calls[1].succeeded() && calls[2].succeeded() && !calls[3].succeeded());
}
