//! Files with secrets in the data directory: made once, mode 0600, on the disk before anything relies on them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::environment::{Environment, RandomnessError};

/// Bytes of the largest of these files, a private key in PEM with much room.
const LENGTH_MAX: u64 = 64 << 10;

/// Why a file with a secret is of no use.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("{path}: {error}")]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not what this program writes.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// No key could be drawn.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The development certificate could not be made.
    #[error("the development certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Makes the data directory, readable by its owner only, if it is not there.
pub(crate) fn create_data_directory(folder: &Path) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Io { path: folder.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // The name of a new directory is on the disk once its parent has been synced.
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    sync_directory(parent).map_err(failed)
}

/// The content of the file; `make` draws it if there is no such file. Two processes that start at once get the same.
pub(crate) fn load_or_create(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeyFileError>,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |error| KeyFileError::Io { path: path.to_owned(), error };
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(failed),
    }
    let content = make()?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let written = write(&temporary, &content)
        // A link, unlike a rename, does not replace what another process has put there meanwhile.
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| sync_directory(path.parent().unwrap_or_else(|| Path::new("."))));
    fs::remove_file(&temporary).and(written).map_err(failed)?;
    read(path).map_err(failed)
}

/// A file of exactly `N` random bytes.
pub(crate) fn load_or_draw<const N: usize>(
    path: &Path,
    environment: &dyn Environment,
) -> Result<Zeroizing<[u8; N]>, KeyFileError> {
    let content = load_or_create(path, || {
        let mut bytes = Zeroizing::new(vec![0; N]);
        environment.fill_random(&mut bytes)?;
        Ok(bytes)
    })?;
    let key = <[u8; N]>::try_from(content.as_slice());
    key.map(Zeroizing::new).map_err(|_| KeyFileError::Damaged { path: path.to_owned(), what: "the length is wrong" })
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    File::open(path)?.take(LENGTH_MAX).read_to_end(&mut content)?;
    Ok(content)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_directory(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SystemEnvironment;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_drawn_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        create_data_directory(&data).unwrap();
        let path = data.join("server.key");
        let key = load_or_draw::<32>(&path, &SystemEnvironment).unwrap();
        assert_eq!(load_or_draw::<32>(&path, &SystemEnvironment).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn a_key_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.key");
        fs::write(&path, [1; 31]).unwrap();
        let refused = load_or_draw::<32>(&path, &SystemEnvironment);
        assert!(matches!(refused, Err(KeyFileError::Damaged { .. })));
    }
}
