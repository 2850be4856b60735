//! What a build machine does beside its suites: it sets up what later ones need and builds what later ones build, at the lowest
//! priority. Tests that wait for one another leave most of a processor, and a whole run has to fit into its time.

use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::process;
use crate::suite::need::{Need, is_of};
use crate::suite::{Run, Suite};

/// How far it has come.
#[derive(Debug, Default)]
struct Progress {
    /// How many suites have had their needs set up.
    ready: Mutex<usize>,
    changed: Condvar,
}

/// Does the suites' work with everything else beside it. `suites` is given what a suite calls before its turn, by its place among
/// those chosen: it returns when its needs have been tried.
pub(super) fn beside<T>(run: &Run, chosen: &[&'static Suite], suites: impl FnOnce(&dyn Fn(usize)) -> T) -> T {
    let progress = Progress::default();
    thread::scope(|scope| {
        scope.spawn(|| work(run, chosen, &progress));
        suites(&|place| progress.wait(place))
    })
}

fn work(run: &Run, chosen: &[&'static Suite], progress: &Progress) {
    for (place, suite) in chosen.iter().enumerate() {
        for need in suite.needs {
            let tried = chosen.iter().take(place).any(|earlier| is_of(need, earlier));
            if !tried && !need.is_met(run.project) && !need.ways(run.project).is_empty() {
                set_up(run, need);
            }
        }
        progress.is_ready(place);
        if let Some(build) = suite.ahead {
            // What fails here fails again in its suite, and is shown there.
            let _ = process::in_background(&build(run)).output();
        }
    }
}

fn set_up(run: &Run, need: &Need) {
    let start = Instant::now();
    let done = need.mend(run.project, &mut |command| quietly(&command));
    let seconds = start.elapsed().as_secs();
    if done {
        println!("-- beside this: {} was set up, in {seconds} s", need.name);
    } else {
        println!("-- beside this: {} could not be set up", need.name);
    }
}

/// Runs a command, and shows what it said if it fails.
fn quietly(command: &Command) -> bool {
    let output = match process::in_background(command).output() {
        Ok(output) => output,
        Err(error) => {
            println!("$ {}\n{error}", process::as_typed(command));
            return false;
        }
    };
    if !output.status.success() {
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        println!("$ {}\n{said}", process::as_typed(command));
    }
    output.status.success()
}

impl Progress {
    fn is_ready(&self, place: usize) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = place + 1;
        self.changed.notify_all();
    }

    fn wait(&self, place: usize) {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(ready, |ready| *ready <= place));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_suite_waits_for_its_needs_and_not_for_those_of_later_ones() {
        let progress = Progress::default();
        let turns = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for place in 0..2 {
                    progress.wait(place);
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            });
            progress.is_ready(0);
            while turns.load(Ordering::SeqCst) < 1 {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(turns.load(Ordering::SeqCst), 1);
            progress.is_ready(1);
        });
        assert_eq!(turns.load(Ordering::SeqCst), 2);
    }
}
