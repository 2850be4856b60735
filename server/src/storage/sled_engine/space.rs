//! The floor of free disk space: below it nothing new is taken, so that the disk is never quite full and acknowledgements,
//! deletions and the expiry, which need a little, go on.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::storage::StorageError;

/// Tells how much free space a disk has.
pub(super) trait SpaceProbe: Debug + Send + Sync {
    /// Bytes that whoever runs the server may still write under this directory.
    fn available(&self, directory: &Path) -> io::Result<u64>;
}

/// Asks the system (POSIX `statvfs`).
#[derive(Debug)]
pub(super) struct Disk;

impl SpaceProbe for Disk {
    fn available(&self, directory: &Path) -> io::Result<u64> {
        let filesystem = rustix::fs::statvfs(directory)?;
        Ok(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
    }
}

/// Refuses while there is too little.
#[derive(Debug)]
pub(super) struct SpaceFloor {
    directory: PathBuf,
    floor: AtomicU64,
    probe: Box<dyn SpaceProbe>,
    low: AtomicBool,
}

impl SpaceFloor {
    /// A floor of so many bytes under a directory.
    pub(super) const fn new(directory: PathBuf, floor: u64, probe: Box<dyn SpaceProbe>) -> Self {
        Self { directory, floor: AtomicU64::new(floor), probe, low: AtomicBool::new(false) }
    }

    /// Sets another floor.
    pub(super) fn set_floor(&self, floor: u64) {
        self.floor.store(floor, Ordering::Relaxed);
    }

    /// Refuses below the floor, and when the system does not say how much there is.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let floor = self.floor.load(Ordering::Relaxed);
        let available = self.probe.available(&self.directory);
        let low = available.as_ref().map_or(true, |available| *available < floor);
        if self.low.swap(low, Ordering::Relaxed) != low {
            match available {
                Ok(available) if low => {
                    tracing::error!(available, floor, "too little free disk space: nothing new is taken");
                }
                Ok(available) => tracing::info!(available, "enough free disk space again"),
                Err(error) => tracing::error!(%error, "free disk space is not known: nothing new is taken"),
            }
        }
        if low { Err(StorageError::LowSpace { floor }) } else { Ok(()) }
    }
}
