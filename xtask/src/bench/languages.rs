//! What a call costs from other languages: each measures in its own way of running tests, and prints `value ID NUMBER`.

use super::values::Values;
use crate::bindings::{self, Build, Language, swift};
use crate::process::{self, ProcessError, as_typed};
use crate::project::Project;

/// What the ids of these measures begin with, and the language.
const MEASURED: &[(&str, Language)] =
    &[("calls/python/", Language::Python), ("calls/kotlin/", Language::Kotlin), ("calls/swift/", Language::Swift)];

/// Measures in every language that one of the ids is of. Gives back whether all ran.
pub(super) fn run(project: &Project, ids: &[&str], values: &mut Values) -> bool {
    let mut all_ran = true;
    for (beginning, language) in MEASURED {
        if ids.iter().any(|id| id.starts_with(beginning)) {
            // Whoever has no compiler for one language still measures the rest.
            all_ran &= run_one(project, *language, values).unwrap_or_else(|error| {
                eprintln!("{}: {error}", language.name());
                false
            });
        }
    }
    all_ran
}

fn run_one(project: &Project, language: Language, values: &mut Values) -> Result<bool, ProcessError> {
    let out = project.target().join("bindings/calls").join(language.name());
    if !bindings::generate(project, language, Build::Release, &out)? {
        return Ok(false);
    }
    let mut command = match language {
        Language::Python => {
            let mut python = project.command("python3");
            python.arg("bindings/python/tests/calls.py").env("PYTHONPATH", &out);
            python
        }
        Language::Kotlin => {
            let mut maven = bindings::maven(project);
            maven.args(["test", "-Dtest=Calls"]);
            for (name, folder) in [("generated", out.clone()), ("out", out.join("maven"))] {
                maven.arg(format!("-D{name}={}", folder.display()));
            }
            maven
        }
        Language::Swift => {
            let environment = [("LD_LIBRARY_PATH", &*format!("{}/lib", swift::SHARED))];
            // Not a release build: what costs is in the library, and tests reach into a debug build alone.
            swift::in_compiler_root(project, &out, "swift test --disable-sandbox --filter CallsTests", &environment)
        }
    };
    eprintln!("$ {}", as_typed(&command));
    process::listen(&mut command, |line| {
        eprintln!("{line}");
        values.see(line.trim_end());
    })
}
