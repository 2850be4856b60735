//! What of a process' files is on the disk at a moment of its trace, and what a power cut could still take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::strace::Call;

/// A write to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// What is written and not on the disk when the call at `place` begins: each file with its writes, and each directory in
/// which a file was made.
///
/// A write is on the disk once a sync of the same file that began after the write had ended has succeeded and ended. Only
/// files that `matters` picks are looked at.
pub fn unsynced(calls: &[Call], place: usize, matters: impl Fn(&Path) -> bool) -> BTreeMap<PathBuf, Vec<Write>> {
    let mut found: BTreeMap<PathBuf, Vec<Write>> = BTreeMap::new();
    let mut known: BTreeSet<&Path> = BTreeSet::new();
    let mut ends: BTreeMap<&Path, u64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.begun < place && !call.injected) {
        let Some(path) = call.path.as_deref().filter(|path| matters(path)) else { continue };
        let (changed, write) = match call.name.as_str() {
            "openat" => {
                let made = call.arguments.contains("O_CREAT") && call.succeeded() && known.insert(path);
                // The name of a file in which there is nothing is no loss.
                let filled =
                    || calls.iter().any(|one| one.begun < place && is_write(one) && one.path.as_deref() == Some(path));
                ((made && filled()).then(|| path.parent()).flatten(), Write { offset: 0, length: 0 })
            }
            "pwrite64" => {
                let [length, offset] = [2, 3].map(|argument| call.number(argument).unwrap_or(0));
                (Some(path), Write { offset, length })
            }
            // Only new files are written without an offset, so it is where the last write ended.
            "write" => {
                let end = ends.entry(path).or_default();
                let length = call.number(2).unwrap_or(0);
                *end += length;
                (Some(path), Write { offset: *end - length, length })
            }
            "ftruncate" | "fallocate" | "writev" | "pwritev" | "pwritev2" => {
                (Some(path), Write { offset: 0, length: 0 })
            }
            _ => continue,
        };
        let Some(changed) = changed else { continue };
        if !is_synced(calls, changed, call.ended, place) {
            found.entry(changed.to_owned()).or_default().push(write);
        }
    }
    found
}

fn is_write(call: &Call) -> bool {
    ["write", "pwrite64"].contains(&call.name.as_str())
}

fn is_synced(calls: &[Call], path: &Path, after: usize, before: usize) -> bool {
    calls.iter().any(|call| {
        let syncs = ["fsync", "fdatasync"].contains(&call.name.as_str());
        syncs && call.succeeded() && call.path.as_deref() == Some(path) && call.begun > after && call.ended < before
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strace::parse;

    const TRACE: &str = "\
1 openat(AT_FDCWD</>, \"/d/new\", O_WRONLY|O_CREAT|O_EXCL, 0666) = 3</d/new>
1 fsync(4</d>) = 0
1 write(3</d/new>, \"\"..., 10) = 10
1 write(3</d/new>, \"\"..., 5) = 5
1 fdatasync(3</d/new> <unfinished ...>
2 pwrite64(5</d/old>, \"\"..., 24, 100) = 24
1 <... fdatasync resumed>) = 0
1 fsync(5</d/old>) = 0
1 exit(0) = ?
";

    fn unsynced_in(text: &str) -> Vec<(String, Vec<Write>)> {
        let calls = parse(text);
        let end = calls.last().unwrap().begun;
        let found = unsynced(&calls, end, |_| true).into_iter();
        found.map(|(path, writes)| (path.display().to_string(), writes)).collect()
    }

    #[test]
    fn each_missing_sync_is_found() {
        assert_eq!(unsynced_in(TRACE), []);
        let without = |line: &str| {
            assert!(TRACE.contains(line));
            unsynced_in(&TRACE.replace(line, "1 getpid() = 1\n"))
        };
        let write = |offset, length| Write { offset, length };
        assert_eq!(without("1 fsync(4</d>) = 0\n"), [("/d".to_owned(), vec![write(0, 0)])]);
        assert_eq!(without("1 fsync(5</d/old>) = 0\n"), [("/d/old".to_owned(), vec![write(100, 24)])]);
        let new = [("/d/new".to_owned(), vec![write(0, 10), write(10, 5)])];
        assert_eq!(without("1 <... fdatasync resumed>) = 0\n"), new);
        assert_eq!(unsynced_in(&TRACE.replace("resumed>) = 0", "resumed>) = -1 EIO (Input/output error)")), new);
        // A sync that began before the write had ended proves nothing about it.
        let early = TRACE.replace("1 write(3</d/new>, \"\"..., 5) = 5\n", "").replace(
            "2 pwrite64(5</d/old>, \"\"..., 24, 100) = 24\n",
            "2 pwrite64(5</d/old>, \"\"..., 24, 100) = 24\n2 write(3</d/new>, \"\"..., 5) = 5\n",
        );
        assert_eq!(unsynced_in(&early), [("/d/new".to_owned(), vec![write(10, 5)])]);
    }
}
