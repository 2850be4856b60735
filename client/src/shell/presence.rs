//! Which programs have an account's folder open, and how they are told to close it.
//!
//! Each keeps a file in `running/` that only it has locked; the system lets go of the lock when the program dies, however
//! it does. The file `lock` changes when everybody shall leave; whoever sees that it is not what it was when he came goes.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use super::home::{remove_empty_folder, remove_file};
use crate::limits::{LOCK_LOOK_INTERVAL, LOCK_WAIT};

/// The folder of those who are here.
const RUNNING: &str = "running";
/// What changes when everybody shall leave.
const LOCK_MARK: &str = "lock";

/// This program has the folder open. Dropped, it has left.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    /// Its lock is what others see.
    _file: File,
}

impl Presence {
    /// Notes that this program has the folder open.
    ///
    /// # Errors
    /// What the system says.
    pub fn announce(home: &Path) -> io::Result<Self> {
        let folder = home.join(RUNNING);
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            builder.create(&folder)?;
            let path = folder.join(format!("{}-{}", std::process::id(), random_name()?));
            let file = match options.open(&path) {
                // The last of those who were here has just left, and taken the folder along.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            file.lock()?;
            // Who looked before it was locked has taken it for a dead one's.
            if path.exists() {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // What stays is not locked any more, and is swept by the next who looks.
        let _ = fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            // The last one leaves nothing behind. Others being here is no error.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// What the mark was when a program came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockMark(Option<Vec<u8>>);

impl LockMark {
    /// As it is now.
    #[must_use]
    pub fn now(home: &Path) -> Self {
        Self(fs::read(home.join(LOCK_MARK)).ok())
    }

    /// Whether everybody who came before has been told to leave. A mark that is gone tells nobody anything.
    #[must_use]
    pub fn has_changed(&self, home: &Path) -> bool {
        let now = Self::now(home);
        now.0.is_some() && now != *self
    }

    /// Waits until it has changed.
    pub async fn changed(&self, home: &Path) {
        while !self.has_changed(home) {
            tokio::time::sleep(LOCK_LOOK_INTERVAL).await;
        }
    }
}

/// Tells every program that has the folder open to close it and end, and waits until they have. Those that have not after
/// [`LOCK_WAIT`] are returned by their numbers.
///
/// # Errors
/// What the system says.
pub fn lock(home: &Path) -> io::Result<Vec<u32>> {
    let partial = home.join(format!("{LOCK_MARK}.part"));
    fs::write(&partial, random_name()?)?;
    fs::rename(&partial, home.join(LOCK_MARK))?;
    wait_for(home, LOCK_WAIT)
}

fn wait_for(home: &Path, patience: Duration) -> io::Result<Vec<u32>> {
    let before = here(home)?;
    let begun = Instant::now();
    loop {
        let now = here(home)?;
        // Who came after the mark is none of those who were to leave.
        let left: Vec<u32> = before.iter().filter(|one| now.contains(one)).map(|(_, process)| *process).collect();
        if left.is_empty() || begun.elapsed() >= patience {
            return Ok(left);
        }
        std::thread::sleep(LOCK_LOOK_INTERVAL);
    }
}

/// The files of those who are here, with their processes. What the dead have left is removed.
fn here(home: &Path) -> io::Result<Vec<(PathBuf, u32)>> {
    let entries = match fs::read_dir(home.join(RUNNING)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut here = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Some(process) = process_of(&path) else { continue };
        // Who cannot be looked at any more has just left.
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock() {
            Ok(()) => remove_file(&path)?,
            Err(TryLockError::WouldBlock) => here.push((path, process)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(here)
}

/// `NUMBER-HEX`
fn process_of(path: &Path) -> Option<u32> {
    let (process, nonce) = path.file_name()?.to_str()?.split_once('-')?;
    nonce.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| process.parse().ok()).flatten()
}

/// Removes what is kept here.
pub(crate) fn remove(home: &Path) -> io::Result<()> {
    for name in [LOCK_MARK.to_owned(), format!("{LOCK_MARK}.part")] {
        remove_file(&home.join(name))?;
    }
    here(home)?;
    remove_empty_folder(&home.join(RUNNING))
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_here_are_seen_and_the_dead_are_not() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(here(home.path()).unwrap(), []);
        let presence = Presence::announce(home.path()).unwrap();
        // As a killed process leaves it.
        fs::write(home.path().join(RUNNING).join("4242-00ff"), b"").unwrap();
        fs::write(home.path().join(RUNNING).join("notes.txt"), b"").unwrap();
        let found = here(home.path()).unwrap();
        assert_eq!(found.iter().map(|(_, process)| *process).collect::<Vec<_>>(), [std::process::id()]);
        assert!(!home.path().join(RUNNING).join("4242-00ff").exists());
        assert_eq!(wait_for(home.path(), Duration::ZERO).unwrap(), [std::process::id()]);
        drop(presence);
        assert!(wait_for(home.path(), Duration::ZERO).unwrap().is_empty());
        assert!(home.path().join(RUNNING).join("notes.txt").exists());
    }

    #[test]
    fn a_mark_is_for_those_who_came_before_it() {
        let home = tempfile::tempdir().unwrap();
        let first = LockMark::now(home.path());
        assert!(!first.has_changed(home.path()));
        assert!(lock(home.path()).unwrap().is_empty());
        assert!(first.has_changed(home.path()));
        let second = LockMark::now(home.path());
        assert!(!second.has_changed(home.path()));
        lock(home.path()).unwrap();
        assert!(second.has_changed(home.path()));
        remove(home.path()).unwrap();
        assert!(!second.has_changed(home.path()), "a wiped folder tells nobody anything");
    }
}
