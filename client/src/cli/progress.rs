//! How far files have come: bars on a terminal, lines elsewhere. Always on standard error.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{CommandError, output};
use crate::shell::agent::Agent;
use crate::shell::transfer::{Direction, Progress};

/// Letters of a file's name that are shown.
const NAME_LETTERS: usize = 40;
/// Where there is no terminal: a line whenever so much more has come, in percent...
const LINE_STEP: u64 = 10;
/// ... and at least so often.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Draws until it is dropped.
pub(super) struct Watched(Option<MultiProgress>);

/// Shows the transfers of an agent.
pub(super) fn watch(agent: &mut Agent) -> Watched {
    if io::stderr().is_terminal() {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let drawn = bars.clone();
        let mut of_blob = HashMap::new();
        agent.watch_transfers(Box::new(move |progress| {
            let bar = of_blob.entry(progress.blob_id).or_insert_with(|| drawn.add(bar(progress)));
            bar.set_position(progress.done);
            if progress.done >= progress.total {
                bar.finish();
            }
        }));
        return Watched(Some(bars));
    }
    let mut lines = Lines::default();
    agent.watch_transfers(Box::new(move |progress| {
        if let Some(line) = lines.line(progress, Instant::now()) {
            eprintln!("{line}");
        }
    }));
    Watched(None)
}

/// How far one piece of work has come: a bar on a terminal, elsewhere lines.
pub(super) struct Work {
    what: &'static str,
    bar: Option<ProgressBar>,
    said: Cell<(u64, Instant)>,
}

impl Work {
    /// Nothing is done yet, and nothing is said before something is.
    pub(super) fn new(what: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = "{msg} [{bar:30}] {percent} % {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style).with_message(what)
        });
        Self { what, bar, said: Cell::new((0, Instant::now())) }
    }

    /// So many bytes of so many, which may be an estimate.
    pub(super) fn at(&self, done: u64, all: u64) {
        let done = done.min(all);
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            return;
        }
        let (tenth, at) = self.said.get();
        let now = done.saturating_mul(10) / all.max(1);
        // Short work says nothing.
        if now > tenth && at.elapsed() >= LINE_INTERVAL {
            self.said.set((now, Instant::now()));
            eprintln!("{}: {done} of about {all} bytes", self.what);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits for Ctrl-C.
pub(super) async fn interrupted() -> Result<(), CommandError> {
    tokio::signal::ctrl_c().await.map_err(CommandError::file("signals"))
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(bars) = &self.0 {
            // What is printed next begins on a line of its own.
            let _ = bars.clear();
        }
    }
}

fn bar(progress: &Progress) -> ProgressBar {
    let template = "{msg} [{bar:30}] {percent} % {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(progress.total).with_style(style).with_message(what(progress))
}

/// Which transfers have said what, and when.
#[derive(Debug, Default)]
struct Lines {
    said: HashMap<[u8; 32], (u64, Instant)>,
}

impl Lines {
    /// The line that is due, if one is.
    fn line(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        let percent = progress.done.saturating_mul(100) / progress.total.max(1);
        let due = self.said.get(&progress.blob_id).is_none_or(|(before, at)| {
            // Less than before: it was begun anew.
            percent / LINE_STEP != before / LINE_STEP
                || (percent != *before && now.duration_since(*at) >= LINE_INTERVAL)
        });
        due.then(|| {
            self.said.insert(progress.blob_id, (percent, now));
            format!("{}: {percent} % of {} bytes", what(progress), progress.total)
        })
    }
}

fn what(progress: &Progress) -> String {
    let name = output::cut(&output::line(&progress.name), NAME_LETTERS);
    match progress.direction {
        Direction::Upload => format!("sending {name}"),
        Direction::Download => format!("fetching {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(id: u8, done: u64) -> Progress {
        let name = "scan\u{1b}[2J.png".to_owned();
        Progress { direction: Direction::Upload, blob_id: [id; 32], name, done, total: 1000 }
    }

    #[test]
    fn a_line_comes_with_every_tenth_and_when_it_was_quiet_for_long() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let mut said =
            |id, done, seconds| lines.line(&progress(id, done), start + Duration::from_secs(seconds)).is_some();
        assert!(said(1, 0, 0));
        assert!(!said(1, 99, 1));
        assert!(said(1, 100, 1));
        assert!(said(2, 100, 1), "another file has lines of its own");
        assert!(!said(1, 150, 5));
        assert!(said(1, 150, 6));
        assert!(!said(1, 150, 60), "nothing has moved");
        assert!(said(1, 0, 61), "it was begun anew");
        assert!(said(1, 1000, 61));
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let line = Lines::default().line(&progress(1, 450), Instant::now()).unwrap();
        assert_eq!(line, "sending scan\u{fffd}[2J.png: 45 % of 1000 bytes");
    }
}
