//! `cargo xtask test`: the suites, what each needs, and their run from plan to totals.

mod ahead;
mod catalogue;
mod count;
mod deny;
mod fuzz;
mod installation;
mod languages;
mod model;
mod need;
mod node;
pub(crate) mod public_api;
mod published;
mod report;
pub(crate) mod wasm;
pub(crate) mod workspace;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Args;

use crate::process::{self, ProcessError};
use crate::project::Project;
use crate::suite::count::Counts;
use crate::suite::need::Need;
pub(crate) use crate::suite::need::as_root;
use crate::suite::report::{Ended, Outcome};

/// What a suite may take before its length is itself reported.
const BUDGET: Duration = Duration::from_secs(12 * 60);

/// Flags of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Set up what the suites need first: cargo tools into the cache, system packages and Rust components where they belong.
    #[arg(long)]
    install: bool,
    /// Run longer: five minutes of fuzzing a target, ten times the property-test cases, files of 5 GB.
    #[arg(long)]
    nightly: bool,
    /// Say what the suites are and what they need, and run nothing.
    #[arg(long)]
    list: bool,
    /// Only these suites (`--list` names them); all of them by default.
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
}

/// One suite, as data.
#[derive(Debug)]
struct Suite {
    /// What a person types.
    name: &'static str,
    /// What passes when it passes.
    checks: &'static str,
    /// What must be there beyond Rust and a C compiler.
    needs: &'static [&'static Need],
    /// How long it takes on two cores with dependencies built, in minutes.
    minutes: f32,
    /// What it builds that can be built beside earlier suites: into a folder of target/ that none of them has.
    ahead: Option<fn(&Run) -> Command>,
    /// What is run.
    work: Work,
}

/// What a suite does.
#[derive(Debug)]
enum Work {
    /// Commands, all of which must exit with 0; tests are counted from what they print.
    Commands(fn(&Run) -> Vec<Command>),
    /// Tests that Node.js runs.
    Node(node::Tests),
    /// Code of its own.
    Own(fn(&Run) -> Result<Ended, ProcessError>),
}

/// What holds for all suites of one run.
#[derive(Debug)]
struct Run<'a> {
    project: &'a Project,
    install: bool,
    nightly: bool,
    /// Whether this is a build machine (`CI` is set), where a suite that cannot run is a failure.
    build_machine: bool,
}

/// Runs `cargo xtask test`.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let chosen = match choose(&arguments.suites) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("error: there is no suite called {unknown}; the suites are: {}", names(catalogue::SUITES.iter()));
            return Ok(ExitCode::from(2));
        }
    };
    if arguments.list {
        report::print_catalogue(&chosen);
        return Ok(ExitCode::SUCCESS);
    }
    let run = Run {
        project,
        install: arguments.install,
        nightly: arguments.nightly,
        build_machine: std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false"),
    };
    if run.install {
        report::print_plan(&run, &chosen);
    }
    let outcomes: Vec<Outcome> = if run.install && run.build_machine {
        ahead::beside(&run, &chosen, |wait| {
            let suites = chosen.iter().enumerate();
            suites.map(|(place, suite)| run_one(&run, suite, || wait(place))).collect()
        })
    } else {
        if run.install {
            set_up(&run, &chosen);
        }
        chosen.iter().map(|suite| run_one(&run, suite, || {})).collect()
    };
    Ok(report::print_totals(&outcomes))
}

/// The suites with these names in the order of the catalogue, or the first name that is none.
fn choose(names: &[String]) -> Result<Vec<&'static Suite>, String> {
    if let Some(unknown) = names.iter().find(|name| !catalogue::SUITES.iter().any(|suite| suite.name == **name)) {
        return Err(unknown.clone());
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(catalogue::SUITES.iter().filter(wanted).collect())
}

fn names<'a>(suites: impl Iterator<Item = &'a Suite>) -> String {
    suites.map(|suite| suite.name).collect::<Vec<_>>().join(", ")
}

/// Mends every missing need that set-up can mend. What still is missing shows when its suite is due.
fn set_up(run: &Run, chosen: &[&Suite]) {
    for need in need::of(chosen) {
        if need.is_met(run.project) || need.ways(run.project).is_empty() {
            continue;
        }
        report::heading(&format!("set-up: {}", need.name));
        let done = need.mend(run.project, &mut |mut command| {
            println!("$ {}", process::as_typed(&command));
            command.status().is_ok_and(|status| status.success())
        });
        if done {
            println!("{} is there now.", need.name);
        } else {
            println!("{} could not be set up.", need.name);
        }
    }
}

/// `wait` returns when the suite's needs have been set up, or could not be.
fn run_one(run: &Run, suite: &'static Suite, wait: impl FnOnce()) -> Outcome {
    report::heading(&format!("{}: {}", suite.name, suite.checks));
    wait();
    let missing: Vec<&'static Need> = suite.needs.iter().copied().filter(|need| !need.is_met(run.project)).collect();
    if !missing.is_empty() {
        return report::not_run(run, suite, &missing);
    }
    let start = Instant::now();
    let ended = match &suite.work {
        Work::Commands(commands) => run_commands(commands(run)),
        Work::Node(tests) => tests.run(run),
        Work::Own(own) => own(run),
    };
    let ended = ended.unwrap_or_else(|error| {
        println!("{error}");
        Ended { counts: Counts::FAILED, ..Ended::default() }
    });
    Outcome::ran(suite, ended, start.elapsed())
}

/// Runs the commands in order, a failed one too stops nothing, and counts their tests. Without counts it is one test.
fn run_commands(commands: Vec<Command>) -> Result<Ended, ProcessError> {
    let mut counts = Counts::default();
    let mut all_done = true;
    for mut command in commands {
        println!("$ {}", process::as_typed(&command));
        let mut of_command = Counts::default();
        let done = process::stream(&mut command, |line| of_command.see(line))?;
        if !done && of_command.failed == 0 {
            of_command.failed = 1; // it did not even build
        }
        all_done &= done;
        counts += of_command;
    }
    if counts == Counts::default() {
        counts = if all_done { Counts::PASSED } else { Counts::FAILED };
    }
    Ok(Ended { counts, ..Ended::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name_in_the_catalogues_order() {
        let chosen = choose(&["clippy".to_owned(), "fmt".to_owned()]).unwrap();
        assert_eq!(names(chosen.into_iter()), "fmt, clippy");
        assert_eq!(choose(&[]).unwrap().len(), catalogue::SUITES.len());
        assert_eq!(choose(&["fmt".to_owned(), "nothing".to_owned()]).unwrap_err(), "nothing");
    }

    #[test]
    fn tests_are_counted_and_a_failed_build_is_a_failure() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let line =
            "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s'";
        let counts = |commands| run_commands(commands).unwrap().counts;
        assert_eq!(counts(vec![shell(line), shell(line)]), Counts { passed: 6, failed: 0, skipped: 2 });
        assert_eq!(counts(vec![shell(line), shell("exit 101")]), Counts { passed: 3, failed: 1, skipped: 1 });
        assert_eq!(counts(vec![shell("true"), shell("true")]), Counts::PASSED);
        assert_eq!(counts(vec![shell("false"), shell("true")]), Counts::FAILED);
    }
}
