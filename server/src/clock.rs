//! The time that the server goes by: the system's clock, for as long as that can be believed. `spec/storage-server.md`,
//! section "Expiry"; decision D75.
//!
//! What runs out is deleted, so a clock that is a year ahead would delete all mail at once. A step of the clock of more than a day,
//! against the time that has passed by a clock that nobody can set, is not believed: the server counts on from what it knew. When it starts,
//! it compares with the time that it noted last. Whoever runs the server can confirm a clock that is right.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::environment::{Environment, RandomnessError};
use crate::limits::{CLOCK_GAP_MAX_MS, CLOCK_STEP_MAX_MS};

/// The file in the data directory with the time noted last: milliseconds since 1970, in digits.
const FILE: &str = "clock";

/// A clock that makes no large steps.
pub(crate) struct SteadyClock {
    system: Arc<dyn Environment>,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The time that was believed last, in milliseconds since 1970.
    believed_ms: u64,
    /// The clock that nobody can set at that moment.
    at: Duration,
    /// Whether the system's clock is believed now.
    agrees: bool,
    /// Set while nothing may run out: the server was off for longer than is believed without asking.
    held: Option<Held>,
}

/// What was known before a gap.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// The time noted last; `None` if the note cannot be read.
    noted_ms: Option<u64>,
}

/// What the server thinks of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// By which the server goes, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// What the system's clock says.
    pub(crate) system_ms: u64,
    /// Whether what has run out is deleted.
    pub(crate) expiry_runs: bool,
}

impl SteadyClock {
    /// Reads what was noted last in the data directory.
    pub(crate) fn open(data_dir: &Path, system: Arc<dyn Environment>) -> Arc<Self> {
        let path = data_dir.join(FILE);
        let (system_ms, at) = (system.now_ms(), system.monotonic());
        let state = match read(&path) {
            Ok(None) => State { believed_ms: system_ms, at, agrees: true, held: None },
            Ok(Some(noted)) if system_ms.saturating_add(CLOCK_STEP_MAX_MS) < noted => {
                State { believed_ms: noted, at, agrees: false, held: None }
            }
            Ok(Some(noted)) if noted.saturating_add(CLOCK_GAP_MAX_MS) < system_ms => {
                State { believed_ms: system_ms, at, agrees: true, held: Some(Held { noted_ms: Some(noted) }) }
            }
            Ok(Some(_)) => State { believed_ms: system_ms, at, agrees: true, held: None },
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the time noted last cannot be read");
                State { believed_ms: system_ms, at, agrees: true, held: Some(Held { noted_ms: None }) }
            }
        };
        Arc::new(Self { system, path, state: Mutex::new(state) })
    }

    /// Looks at the system's clock and says what to think of it.
    pub(crate) fn read(&self) -> Reading {
        let (system_ms, monotonic) = (self.system.now_ms(), self.system.monotonic());
        let mut state = self.lock();
        state.look(system_ms, monotonic);
        Reading { now_ms: state.now_ms(monotonic), system_ms, expiry_runs: state.held.is_none() }
    }

    /// Whoever runs the server says that the system's clock is right.
    ///
    /// # Errors
    /// The time cannot be noted; it is believed until the server stops.
    pub(crate) fn confirm(&self) -> io::Result<Reading> {
        let (system_ms, at) = (self.system.now_ms(), self.system.monotonic());
        *self.lock() = State { believed_ms: system_ms, at, agrees: true, held: None };
        tracing::info!(system_ms, "the system's clock was confirmed");
        self.note()?;
        Ok(self.read())
    }

    /// Says in the log what is in doubt, if anything is.
    pub(crate) fn complain(&self) {
        let Reading { now_ms, system_ms, .. } = self.read();
        let state = self.lock();
        match (state.held, state.agrees) {
            (Some(Held { noted_ms: Some(noted_ms) }), _) => tracing::error!(noted_ms, system_ms, "{GAP}"),
            (Some(Held { noted_ms: None }), _) => tracing::error!(system_ms, "{UNREADABLE}"),
            (None, false) => tracing::error!(system_ms, believed_ms = now_ms, "{STEP}"),
            (None, true) => {}
        }
    }

    /// Notes the time for the next start; not while a gap waits to be confirmed, or another start would forget it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn note(&self) -> io::Result<()> {
        let reading = self.read();
        if !reading.expiry_runs {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        writeln!(file, "{}", reading.now_ms)?;
        // Without it a power cut may leave an empty file under the name.
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Environment for SteadyClock {
    fn now_ms(&self) -> u64 {
        self.read().now_ms
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        self.system.fill_random(bytes)
    }
}

impl State {
    fn now_ms(&self, monotonic: Duration) -> u64 {
        let passed = monotonic.saturating_sub(self.at).as_millis();
        self.believed_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn look(&mut self, system_ms: u64, monotonic: Duration) {
        let fits_the_note = self.held.is_some_and(|held| held.fits(system_ms));
        let steady_ms = self.now_ms(monotonic);
        if fits_the_note || system_ms.abs_diff(steady_ms) <= CLOCK_STEP_MAX_MS {
            if !self.agrees || fits_the_note {
                tracing::info!(system_ms, "the system's clock is believed again");
            }
            (self.believed_ms, self.at, self.agrees) = (system_ms, monotonic, true);
            self.held = self.held.filter(|_| !fits_the_note);
        } else if self.agrees {
            tracing::error!(system_ms, believed_ms = steady_ms, "{STEP}");
            self.agrees = false;
        }
    }
}

impl Held {
    /// Whether the system's clock says what it may say so long after the note: it was wrong when the server started.
    fn fits(self, system_ms: u64) -> bool {
        self.noted_ms.is_some_and(|noted| {
            let earliest = noted.saturating_sub(CLOCK_STEP_MAX_MS);
            (earliest..=noted.saturating_add(CLOCK_GAP_MAX_MS)).contains(&system_ms)
        })
    }
}

const STEP: &str = "the system's clock has made a step of more than a day, or was set back while the server was off, and is not \
    believed; if it is right, run `medipeps-server admin clock --confirm`";
const GAP: &str = "more than a week has passed since the time noted last; nothing that has run out is deleted until \
    `medipeps-server admin clock --confirm` says that the clock is right";
const UNREADABLE: &str = "the time noted last cannot be read; nothing that has run out is deleted until \
    `medipeps-server admin clock --confirm` says that the clock is right";

fn read(path: &Path) -> io::Result<Option<u64>> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    const START: u64 = 1_800_000_000_000;

    /// A machine whose clock can be set.
    #[derive(Default)]
    struct Machine {
        now_ms: AtomicU64,
        monotonic_ms: AtomicU64,
    }

    impl Environment for Machine {
        fn now_ms(&self) -> u64 {
            self.now_ms.load(Ordering::Relaxed)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.monotonic_ms.load(Ordering::Relaxed))
        }
        fn fill_random(&self, _: &mut [u8]) -> Result<(), RandomnessError> {
            Err(RandomnessError)
        }
    }

    impl Machine {
        fn at(now_ms: u64) -> Arc<Self> {
            let machine = Self::default();
            machine.set(now_ms);
            Arc::new(machine)
        }
        fn set(&self, now_ms: u64) {
            self.now_ms.store(now_ms, Ordering::Relaxed);
        }
        fn pass(&self, ms: u64) {
            self.now_ms.fetch_add(ms, Ordering::Relaxed);
            self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
        }
    }

    fn open(folder: &Path, now_ms: u64) -> (Arc<Machine>, Arc<SteadyClock>) {
        let machine = Machine::at(now_ms);
        let clock = SteadyClock::open(folder, machine.clone());
        (machine, clock)
    }

    #[test]
    fn small_steps_are_followed_and_large_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, clock) = open(folder.path(), START);
        machine.pass(HOUR);
        assert_eq!(clock.now_ms(), START + HOUR);
        machine.set(START - HOUR);
        assert_eq!(clock.now_ms(), START - HOUR, "a correction");
        for wrong in [START + YEAR, START - YEAR] {
            machine.set(wrong);
            let before = clock.now_ms();
            machine.pass(HOUR);
            assert_eq!(clock.now_ms(), before + HOUR, "time goes on");
            assert!(clock.read().expiry_runs, "by the right time");
        }
        machine.set(START + 2 * HOUR);
        assert_eq!(clock.now_ms(), START + 2 * HOUR, "set right again");
        machine.set(START + YEAR);
        clock.now_ms();
        assert_eq!(clock.confirm().unwrap().now_ms, START + YEAR);
    }

    #[test]
    fn a_long_absence_is_not_believed_without_asking() {
        let folder = tempfile::tempdir().unwrap();
        let (_, clock) = open(folder.path(), START);
        clock.note().unwrap();
        let (_, clock) = open(folder.path(), START + 6 * DAY);
        assert!(clock.read().expiry_runs, "a server may be off for some days");
        for _ in 0..2 {
            let (machine, clock) = open(folder.path(), START + YEAR);
            let reading = clock.read();
            assert_eq!((reading.now_ms, reading.expiry_runs), (START + YEAR, false), "starting again changes nothing");
            machine.pass(HOUR);
            clock.note().unwrap();
        }
        // The machine had started with a wrong clock, and now knows better.
        let (machine, clock) = open(folder.path(), START + YEAR);
        machine.set(START + 2 * HOUR);
        let reading = clock.read();
        assert_eq!((reading.now_ms, reading.expiry_runs), (START + 2 * HOUR, true));
        let (_, clock) = open(folder.path(), START + YEAR);
        assert!(clock.confirm().unwrap().expiry_runs);
        let (_, clock) = open(folder.path(), START + YEAR + HOUR);
        assert!(clock.read().expiry_runs, "what was confirmed is noted");
    }

    #[test]
    fn a_clock_that_is_behind_at_the_start_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), START).1.note().unwrap();
        let (machine, clock) = open(folder.path(), 0);
        machine.pass(HOUR);
        assert_eq!(clock.now_ms(), START + HOUR);
        machine.set(START + 2 * HOUR);
        assert_eq!(clock.now_ms(), START + 2 * HOUR, "as soon as the machine knows the time");
    }

    #[test]
    fn a_damaged_note_deletes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "").unwrap();
        let (_, clock) = open(folder.path(), START);
        assert!(!clock.read().expiry_runs);
        clock.confirm().unwrap();
        assert!(open(folder.path(), START).1.read().expiry_runs);
    }
}
