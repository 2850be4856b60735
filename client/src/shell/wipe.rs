//! An account's folder destroyed: first the keys, then the rest.
//!
//! Every step may be repeated, and whoever finds the folder half wiped goes on. Once the wrapped keys are overwritten what
//! is left cannot be opened by anybody, whether it is deleted or not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::connection::NETWORKS_FILE_NAME;
use super::home::{remove_copies, remove_empty_folder, remove_file, store_files};
use super::presence;
use crate::fail_point::fail_point;
use crate::limits::WIPE_OVERWRITTEN_LENGTH;
use crate::store::sqlite::{FILE_NAME, destroy_keys};

/// Set before anything is destroyed: nobody opens the folder any more.
const WIPE_MARK: &str = "wiping";

/// What became of a wipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wiped {
    /// Everything of ours is gone; these are somebody else's and were left.
    Done(Vec<PathBuf>),
    /// These processes have the folder open and did not end: nothing was destroyed.
    InUse(Vec<u32>),
}

/// Whether a wipe was begun in this folder.
#[must_use]
pub fn is_begun(home: &Path) -> bool {
    home.join(WIPE_MARK).exists()
}

/// Ends who has the folder open, destroys the keys, and removes everything of ours.
///
/// # Errors
/// What the system says; a repeat goes on.
pub fn wipe(home: &Path) -> io::Result<Wiped> {
    let begun = is_begun(home);
    mark(home)?;
    fail_point!(AfterWipeMark);
    let left = presence::lock(home)?;
    if !left.is_empty() {
        if !begun {
            remove_file(&home.join(WIPE_MARK))?;
        }
        return Ok(Wiped::InUse(left));
    }
    if home.join(FILE_NAME).exists() {
        // A store that is damaged has no row to overwrite; its bytes are overwritten all the same.
        let _ = destroy_keys(home);
        for file in store_files(home) {
            overwrite(&file)?;
        }
    }
    fail_point!(AfterKeysDestroyed);
    for file in store_files(home) {
        remove_file(&file)?;
    }
    fail_point!(AfterStoreRemoved);
    remove_file(&home.join(NETWORKS_FILE_NAME))?;
    remove_copies(home)?;
    presence::remove(home)?;
    remove_file(&home.join(WIPE_MARK))?;
    remove_empty_folder(home)?;
    foreign(home).map(Wiped::Done)
}

fn mark(home: &Path) -> io::Result<()> {
    File::create(home.join(WIPE_MARK))?.sync_all()?;
    if cfg!(unix) { File::open(home)?.sync_all() } else { Ok(()) }
}

/// The beginning of the store, where its keys are, and the whole log: zeros, on the disk.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let is_store = path.file_name().is_some_and(|name| name == FILE_NAME);
    let mut left = if is_store { length.min(WIPE_OVERWRITTEN_LENGTH) } else { length };
    let zeros = vec![0; 1 << 16];
    while left > 0 {
        let written = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(written).unwrap_or(zeros.len())])?;
        left -= written;
    }
    file.sync_all()
}

/// What is left in the folder.
fn foreign(home: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(home) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::store::seal::{SealedStore, Unlock};
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Patch, RecordClass, RecordKey};

    /// A store with something in it; the wrapped keys as they lie in its header.
    fn store(home: &Path) -> Vec<u8> {
        let key = medipeps_core::crypto::secret::Secret::from([1; 32]);
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let backend = SqliteStore::create(home).unwrap();
        let mut store = SealedStore::create(backend, &Unlock::PlatformKey(&key), 0, &mut rng).unwrap();
        let mut patch = Patch::default();
        patch.put(RecordKey::new(RecordClass::account(1), b"a"), vec![7; 4000]);
        store.begin(0, &mut rng).unwrap().commit(&patch, &mut rng).unwrap();
        let mut backend = SqliteStore::open(home).unwrap();
        use crate::store::{Store, Transaction};
        let header = backend.begin().unwrap().head().header.clone().unwrap();
        medipeps_core::wire::client_store::ClientStoreHeader::decode(&header).unwrap().sealed_master_key.to_vec()
    }

    fn holds(home: &Path, needle: &[u8]) -> bool {
        store_files(home)
            .iter()
            .filter_map(|file| fs::read(file).ok())
            .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    }

    #[test]
    fn the_wrapped_keys_leave_the_disk_before_the_files_do() {
        let home = tempfile::tempdir().unwrap();
        let wrapped = store(home.path());
        assert!(holds(home.path(), &wrapped), "the test looks for what is there");
        destroy_keys(home.path()).unwrap();
        assert!(!holds(home.path(), &wrapped), "the statement alone takes them off");
    }

    #[test]
    fn overwriting_alone_takes_them_off_as_well() {
        let home = tempfile::tempdir().unwrap();
        let wrapped = store(home.path());
        store_files(home.path()).iter().for_each(|file| overwrite(file).unwrap());
        assert!(!holds(home.path(), &wrapped));
    }

    /// Whoever had opened a file before, or finds its blocks, finds zeros.
    #[test]
    fn a_wipe_overwrites_before_it_removes() {
        let parent = tempfile::tempdir().unwrap();
        let (home, kept) = (parent.path().join("home"), parent.path().join("kept"));
        store(&home);
        fs::hard_link(home.join(FILE_NAME), &kept).unwrap();
        wipe(&home).unwrap();
        let bytes = fs::read(&kept).unwrap();
        assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn nothing_is_destroyed_while_somebody_has_it_open_and_stays() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("home");
        store(&home);
        let presence = presence::Presence::announce(&home).unwrap();
        assert_eq!(wipe(&home).unwrap(), Wiped::InUse(vec![std::process::id()]));
        assert!(!is_begun(&home));
        assert!(SqliteStore::open(&home).is_ok());
        drop(presence);
        assert_eq!(wipe(&home).unwrap(), Wiped::Done(Vec::new()));
    }

    #[test]
    fn what_is_ours_goes_and_a_repeat_is_no_error() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("home");
        store(&home);
        assert_eq!(wipe(&home).unwrap(), Wiped::Done(Vec::new()));
        assert!(!home.exists());
        store(&home);
        fs::write(home.join("letter.odt"), b"mine").unwrap();
        assert_eq!(wipe(&home).unwrap(), Wiped::Done(vec![home.join("letter.odt")]));
        assert_eq!(wipe(&home).unwrap(), Wiped::Done(vec![home.join("letter.odt")]));
        assert_eq!(fs::read(home.join("letter.odt")).unwrap(), b"mine");
    }
}
