//! Where this machine keeps the highest generation that a store has had: outside the store's folder, so that a folder which
//! is put back to an earlier state is found out without the server. `spec/storage-client.md`, section "Generation".
//!
//! A platform with a keystore that an application cannot roll back keeps it there. Elsewhere it is a file in the folder for
//! state of the person's programs, which helps where the account's folder alone is put back, and not where the whole disk
//! is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

/// Keeps the highest generation of one device's store.
pub trait GenerationAnchor: std::fmt::Debug + Send {
    /// The highest that was ever kept; `None` if there is none, or none that can be read.
    ///
    /// # Errors
    /// What the platform says.
    fn highest(&self) -> io::Result<Option<u64>>;

    /// Keeps a generation, unless a higher one is kept already.
    ///
    /// # Errors
    /// What the platform says; what was kept before is kept still, or nothing.
    fn raise(&self, generation: u64) -> io::Result<()>;
}

/// Bytes of the file: the generation, and all its bits turned over, so that half a write is no generation.
const LENGTH: usize = 16;

/// A file of its own for each store and device.
#[derive(Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// In a folder that is made when it is needed; `name` says which store and device.
    #[must_use]
    pub fn new(folder: &Path, name: &[u8; 32]) -> Self {
        Self { path: folder.join(HEXLOWER.encode(name)) }
    }

    /// The folder by the XDG base directory specification: `medipeps/anchors` in `$XDG_STATE_HOME`, else in
    /// `$HOME/.local/state`. `None` where there is neither.
    #[must_use]
    pub fn folder() -> Option<PathBuf> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(state.join("medipeps").join("anchors"))
    }
}

impl GenerationAnchor for FileAnchor {
    fn highest(&self) -> io::Result<Option<u64>> {
        match File::open(&self.path) {
            Ok(mut file) => read(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn raise(&self, generation: u64) -> io::Result<()> {
        let mut file = self.open()?;
        // Programs that share the store take turns; the system ends the lock with the file.
        file.lock()?;
        if read(&mut file)?.is_some_and(|kept| kept >= generation) {
            return Ok(());
        }
        let bytes = [generation.to_be_bytes(), (!generation).to_be_bytes()].concat();
        file.seek(SeekFrom::Start(0))?;
        // Not brought to the disk: a power cut may leave an older generation or none, which only finds out less.
        file.write_all(&bytes)
    }
}

impl FileAnchor {
    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match (options.open(&self.path), self.path.parent()) {
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(folder)?;
                options.open(&self.path)
            }
            (file, _) => file,
        }
    }
}

fn read(file: &mut File) -> io::Result<Option<u64>> {
    let mut bytes = Vec::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    let Some((generation, inverse)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let generation = u64::from_be_bytes(*generation);
    Ok((*inverse == (!generation).to_be_bytes()).then_some(generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(folder: &tempfile::TempDir) -> FileAnchor {
        FileAnchor::new(&folder.path().join("state").join("anchors"), &[7; 32])
    }

    #[test]
    fn the_highest_generation_is_kept_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = anchor(&folder);
        assert_eq!(anchor.highest().unwrap(), None);
        for (raised, kept) in [(5, 5), (3, 5), (5, 5), (u64::MAX - 1, u64::MAX - 1), (9, u64::MAX - 1)] {
            anchor.raise(raised).unwrap();
            assert_eq!(anchor.highest().unwrap(), Some(kept));
        }
        assert_eq!(FileAnchor::new(anchor.path.parent().unwrap(), &[8; 32]).highest().unwrap(), None, "another store");
    }

    #[test]
    fn what_a_power_cut_has_left_is_no_generation() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = anchor(&folder);
        anchor.raise(5).unwrap();
        let whole = std::fs::read(&anchor.path).unwrap();
        for damaged in
            [Vec::new(), whole[..8].to_vec(), whole[..15].to_vec(), vec![0; 16], [whole.clone(), vec![0]].concat()]
        {
            std::fs::write(&anchor.path, &damaged).unwrap();
            assert_eq!(anchor.highest().unwrap(), None, "{damaged:?}");
        }
        std::fs::write(&anchor.path, &whole[..8]).unwrap();
        anchor.raise(4).unwrap();
        assert_eq!(anchor.highest().unwrap(), Some(4), "it begins anew");
    }

    #[test]
    fn of_many_who_raise_at_once_the_highest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = anchor(&folder);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let anchor = &anchor;
                scope.spawn(move || (0..200).for_each(|step| anchor.raise(step * 8 + thread).unwrap()));
            }
        });
        assert_eq!(anchor.highest().unwrap(), Some(199 * 8 + 7));
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let anchor = anchor(&folder);
        anchor.raise(1).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&anchor.path), mode(anchor.path.parent().unwrap())), (0o600, 0o700));
    }
}
