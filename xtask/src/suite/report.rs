//! What a run says: the catalogue, the plan, the headings and the totals.

use std::process::ExitCode;
use std::time::Duration;

use crate::suite::count::Counts;
use crate::suite::need::{self, Need};
use crate::suite::{BUDGET, Run, Suite};

/// How a suite's work ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Its tests.
    pub(super) counts: Counts,
    /// What a reader of the totals must know.
    pub(super) notes: Vec<String>,
}

/// A suite after its turn.
#[derive(Debug)]
pub(super) struct Outcome {
    name: &'static str,
    ended: Ended,
    took: Duration,
    /// Whether the suite could run at all.
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ran,
    /// It could not run, and that fails the whole.
    Missing,
    /// It could not run for want of something that set-up does not bring. Said, and no failure outside build machines.
    Excused,
}

impl Outcome {
    /// A suite that ran.
    pub(super) fn ran(suite: &Suite, ended: Ended, took: Duration) -> Self {
        Self { name: suite.name, ended, took, state: State::Ran }
    }

    fn failed(&self) -> bool {
        self.state == State::Missing || self.ended.counts.failed > 0
    }
}

/// Starts a part of the output.
pub(super) fn heading(text: &str) {
    println!("\n== {text}");
}

/// `--list`.
pub(super) fn print_catalogue(suites: &[&Suite]) {
    for suite in suites {
        println!("{:<18} {:>4} min  {}", suite.name, suite.minutes, suite.checks);
        for need in suite.needs {
            println!("{:<18}           needs {}", "", need.name);
        }
    }
}

/// What `--install` is about to do.
pub(super) fn print_plan(run: &Run, suites: &[&Suite]) {
    println!("Plan");
    let mut minutes = 0.0;
    for suite in suites {
        println!("  run      {:<34} about {} min", suite.name, suite.minutes);
        minutes += suite.minutes;
    }
    let mut megabytes = 0;
    for need in need::of(suites) {
        if need.is_met(run.project) {
            println!("  present  {}", need.name);
        } else if need.ways(run.project).is_empty() {
            println!("  missing  {:<34} not set up by this: {}", need.name, need.advice(run.project));
        } else {
            println!("  set up   {:<34} about {} min, {} MB", need.name, need.minutes, need.megabytes);
            println!("           $ {}", need.advice(run.project));
            minutes += need.minutes;
            megabytes += need.megabytes;
        }
    }
    println!(
        "In all about {minutes:.0} min with dependencies built (25 more from nothing) and {megabytes} MB of tools."
    );
    println!("Tools go to {}, nothing into the tree but target/.", run.project.tools().display());
}

/// A suite whose needs are not met.
pub(super) fn not_run(run: &Run, suite: &Suite, missing: &[&'static Need]) -> Outcome {
    let mut notes = Vec::new();
    for need in missing {
        notes.push(format!("not run, missing: {}; {}", need.name, need.advice(run.project)));
    }
    let by_hand = missing.iter().all(|need| need.ways(run.project).is_empty());
    if !run.install && !by_hand {
        notes.push(format!("or let set-up mend it: cargo xtask test --install {}", suite.name));
    }
    for note in &notes {
        println!("{note}");
    }
    let excused = run.install && by_hand && !run.build_machine;
    let (state, counts) = if excused {
        (State::Excused, Counts::SKIPPED)
    } else if run.install {
        (State::Missing, Counts::FAILED)
    } else {
        (State::Missing, Counts::SKIPPED)
    };
    Outcome { name: suite.name, ended: Ended { counts, notes }, took: Duration::ZERO, state }
}

/// Minutes per suite and, as the last line, the totals.
pub(super) fn print_totals(outcomes: &[Outcome]) -> ExitCode {
    heading("minutes per suite");
    let mut counts = Counts::default();
    for outcome in outcomes {
        let Counts { passed, failed, skipped } = outcome.ended.counts;
        let state = match (outcome.state, outcome.failed()) {
            (State::Missing | State::Excused, _) => "NOT RUN",
            (State::Ran, true) => "FAILED",
            (State::Ran, false) => "passed",
        };
        let minutes = outcome.took.as_secs_f64() / 60.0;
        println!(
            "{:<18} {minutes:>6.1} min  {state:<8} {passed} passed, {failed} failed, {skipped} skipped",
            outcome.name
        );
        for note in &outcome.ended.notes {
            println!("{:<18}   {note}", "");
        }
        if outcome.took > BUDGET {
            println!("{:<18}   over its budget of {} min: make it quicker or split it", "", BUDGET.as_secs() / 60);
        }
        counts += outcome.ended.counts;
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if outcomes.iter().any(Outcome::failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
