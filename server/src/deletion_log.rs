//! Which accounts were deleted: a file beside the store, so that a backup of before does not raise them again.
//!
//! A line is `deleted HASH TIME` or, where the store then refused the deletion, `kept HASH TIME`. The hash is over the
//! address and the time of the account's creation, so that the address alone does not give it, and an account that is made
//! under it later is not meant. The line is on the disk before the account goes: its owner has signed that it shall.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use medipeps_core::Address;
use medipeps_core::label::DELETED_ACCOUNT;
use sha2::{Digest, Sha256};

/// The file of a server, to which lines are appended.
#[derive(Debug, Clone)]
pub(crate) struct DeletionLog {
    path: PathBuf,
    writing: Arc<Mutex<()>>,
}

/// Accounts that were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeletedAccounts(HashSet<[u8; 32]>);

impl DeletionLog {
    /// The log in a file, which need not be there.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, writing: Arc::default() }
    }

    /// Notes that an account goes, or that it stays after all. On the disk when it returns.
    pub(crate) async fn note(&self, account: [u8; 32], deleted: bool, now_ms: u64) -> io::Result<()> {
        let what = if deleted { "deleted" } else { "kept" };
        self.append(format!("{what} {} {now_ms}\n", HEXLOWER.encode(&account))).await
    }

    /// Takes over what another log has, for a store that is restored from it.
    pub(crate) async fn take_over(&self, accounts: &DeletedAccounts, now_ms: u64) -> io::Result<()> {
        let known = DeletedAccounts::read(&self.path)?;
        let missing = accounts.0.difference(&known.0);
        let lines: String = missing.map(|one| format!("deleted {} {now_ms}\n", HEXLOWER.encode(one))).collect();
        if lines.is_empty() { Ok(()) } else { self.append(lines).await }
    }

    async fn append(&self, lines: String) -> io::Result<()> {
        let log = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            let _writing = log.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let new = !log.path.exists();
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&log.path)?;
            drop_torn_end(&mut file)?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            match log.path.parent() {
                Some(folder) if new => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        });
        written.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl DeletedAccounts {
    /// What a log says; nothing if there is none. A last line that was torn by a crash was never answered and is left out.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut accounts = HashSet::new();
        let mut lines = BufReader::new(file).split(b'\n').peekable();
        while let Some(line) = lines.next() {
            let line = line?;
            match parse(&line) {
                Some((account, true)) => drop(accounts.insert(account)),
                Some((account, false)) => drop(accounts.remove(&account)),
                None if lines.peek().is_none() || line.is_empty() => {}
                // One that cannot be read might be the one that matters.
                None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is not of a log of deletions")),
            }
        }
        Ok(Self(accounts))
    }

    /// Whether this account was deleted.
    pub(crate) fn contains(&self, address: &Address, created_ms: u64) -> bool {
        self.0.contains(&account(address, created_ms))
    }
}

/// A crash may have left half a line, which was never answered; the next one must not be glued to it.
fn drop_torn_end(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] {
        return Ok(());
    }
    let mut whole = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut whole)?;
    let kept = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    file.set_len(kept)
}

/// What stands for an account.
pub(crate) fn account(address: &Address, created_ms: u64) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(DELETED_ACCOUNT.prefix());
    digest.update(created_ms.to_be_bytes());
    digest.update(address.as_str().as_bytes());
    digest.finalize().into()
}

fn parse(line: &[u8]) -> Option<([u8; 32], bool)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let deleted = match words.next()? {
        "deleted" => true,
        "kept" => false,
        _ => return None,
    };
    let account = HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
    words.next()?.parse::<u64>().ok()?;
    words.next().is_none().then_some((account, deleted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_noted_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deletions.log");
        assert_eq!(DeletedAccounts::read(&path).unwrap(), DeletedAccounts::default());
        let log = DeletionLog::at(path.clone());
        let [claire, karim]: [Address; 2] = ["claire@a.example", "karim@a.example"].map(|text| text.parse().unwrap());
        log.note(account(&claire, 5), true, 1).await.unwrap();
        log.note(account(&karim, 6), true, 2).await.unwrap();
        log.note(account(&karim, 6), false, 3).await.unwrap();
        let read = DeletedAccounts::read(&path).unwrap();
        assert!(read.contains(&claire, 5));
        assert!(!read.contains(&claire, 6), "an account made later under the address is another one");
        assert!(!read.contains(&karim, 6), "its deletion was refused");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("claire"), "{text}");
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );

        let restored = DeletionLog::at(folder.path().join("restored.log"));
        restored.take_over(&read, 4).await.unwrap();
        restored.take_over(&read, 5).await.unwrap();
        assert_eq!(DeletedAccounts::read(&restored.path).unwrap(), read);
        assert_eq!(std::fs::read_to_string(&restored.path).unwrap().lines().count(), 1);
    }

    #[tokio::test]
    async fn what_comes_after_a_torn_end_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let log = DeletionLog::at(folder.path().join("deletions.log"));
        let claire: Address = "claire@a.example".parse().unwrap();
        for before in ["deleted abcd", &format!("deleted {} 1\ndeleted abcd", "ab".repeat(32))] {
            std::fs::write(&log.path, before).unwrap();
            log.note(account(&claire, 5), true, 1).await.unwrap();
            assert!(DeletedAccounts::read(&log.path).unwrap().contains(&claire, 5), "{before}");
        }
    }

    #[test]
    fn a_torn_end_is_left_out_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deletions.log");
        let whole = format!("deleted {} 1\n", "ab".repeat(32));
        std::fs::write(&path, format!("{whole}deleted abcd")).unwrap();
        assert_eq!(DeletedAccounts::read(&path).unwrap().0.len(), 1);
        std::fs::write(&path, format!("dele\n{whole}")).unwrap();
        assert!(DeletedAccounts::read(&path).is_err());
    }
}
