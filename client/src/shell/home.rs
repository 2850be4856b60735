//! What lies in an account's folder, and how it goes away again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::shell::connection::NETWORKS_FILE_NAME;
use crate::shell::transfer::copy_folder::FOLDER;
use crate::store::sqlite::FILE_NAME;

/// What SQLite puts beside the store.
const BESIDE_THE_STORE: [&str; 2] = ["-wal", "-shm"];

/// The files of the store, whether they are there or not: the log goes first, so that what is left is never newer than it.
pub(crate) fn store_files(home: &Path) -> Vec<PathBuf> {
    let beside = BESIDE_THE_STORE.iter().map(|ending| home.join(format!("{FILE_NAME}{ending}")));
    beside.chain([home.join(FILE_NAME)]).collect()
}

/// Removes the store and the sealed copies. What is in the folder and is not ours stays.
///
/// # Errors
/// What the system says; a repeat goes on.
pub fn remove_store(home: &Path) -> io::Result<()> {
    for file in store_files(home) {
        remove_file(&file)?;
    }
    remove_file(&home.join(NETWORKS_FILE_NAME))?;
    remove_copies(home)
}

/// Removes the sealed copies, and their folder if nothing else is in it.
pub(crate) fn remove_copies(home: &Path) -> io::Result<()> {
    let folder = home.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(is_copy) {
            remove_file(&entry.path())?;
        }
    }
    remove_empty_folder(&folder)
}

/// `HEX`, `HEX.new`, `HEX.NUMBER-NUMBER.part`: what sealed copies are called.
fn is_copy(name: &str) -> bool {
    let (id, ending) = name.split_once('.').unwrap_or((name, ""));
    let of_numbers = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let ours = ending.is_empty() || ending == "new" || ending.strip_suffix(".part").is_some_and(of_numbers);
    matches!(id.len(), 32 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && ours
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a folder in which nothing is left; one with something else in it stays.
pub(crate) fn remove_empty_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_goes_and_what_is_not_stays() {
        let home = tempfile::tempdir().unwrap();
        let copies = home.path().join(FOLDER);
        fs::create_dir(&copies).unwrap();
        let id = "ab".repeat(16);
        let ours = [id.clone(), format!("{}.new", "0f".repeat(32)), format!("{id}.12-3456.part")];
        let foreign = ["notes.txt".to_owned(), format!("{id}.jpg"), format!("x{}", &id[1..])];
        for name in ours.iter().chain(&foreign) {
            fs::write(copies.join(name), b"x").unwrap();
        }
        for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "networks", "letter.odt"] {
            fs::write(home.path().join(name), b"x").unwrap();
        }
        remove_store(home.path()).unwrap();
        remove_store(home.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = foreign.map(std::ffi::OsString::from);
        expected.sort();
        assert_eq!(left, expected);
        assert!(home.path().join("letter.odt").exists() && !home.path().join("store.sqlite").exists());
        assert!(!home.path().join("networks").exists());
    }
}
