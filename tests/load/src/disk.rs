//! The disk beside the server: how long 4 KiB take to be written and synced, by itself and under load.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::latency::Latencies;

/// Syncs before the load.
const SAMPLES: usize = 200;
/// Pause between two syncs under load, so that the probe itself is no load.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of one write: an envelope.
const WRITE_LENGTH: usize = 4 << 10;

/// Syncs beside a load, until it is stopped.
#[derive(Debug)]
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

/// The disk below this folder, before anything else uses it.
pub(crate) fn unloaded(folder: &Path) -> Result<Latencies, LoadError> {
    let mut file = Appended::create(folder, "unloaded")?;
    let mut latencies = Latencies::new();
    for _ in 0..SAMPLES {
        latencies.record(file.sync()?);
    }
    Ok(latencies)
}

impl Probe {
    /// Begins.
    pub(crate) fn start(folder: &Path) -> Result<Self, LoadError> {
        let mut file = Appended::create(folder, "under-load")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut latencies = Latencies::new();
            while !stopped.load(Ordering::Relaxed) {
                let Ok(taken) = file.sync() else { break };
                latencies.record(taken);
                std::thread::sleep(PAUSE);
            }
            latencies
        });
        Ok(Self { stop, thread })
    }

    /// Ends, with what was measured.
    pub(crate) fn stop(self) -> Latencies {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Latencies::new())
    }
}

/// A file that grows by synced writes, and goes in the end.
struct Appended {
    file: File,
    path: PathBuf,
}

impl Appended {
    fn create(folder: &Path, name: &str) -> Result<Self, LoadError> {
        let path = folder.join(format!("fsync-{name}"));
        let file = File::create(&path).map_err(LoadError::system(path.display().to_string()))?;
        Ok(Self { file, path })
    }

    fn sync(&mut self) -> Result<Duration, LoadError> {
        let start = Instant::now();
        let written = self.file.write_all(&[0x5a; WRITE_LENGTH]).and_then(|()| self.file.sync_data());
        written.map_err(LoadError::system(self.path.display().to_string()))?;
        Ok(start.elapsed())
    }
}

impl Drop for Appended {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
