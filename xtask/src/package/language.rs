//! The client for other languages, as apps take it. All have the version of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use super::{PackageError, at, run_quietly};
use crate::bindings::{self, Build, LIBRARY, Language};
use crate::process::as_typed;
use crate::project::Project;

/// The folder in which JNA looks for a library on the class path, for the machine that this is.
const JNA_PLATFORM: &str = "linux-x86-64";

/// Builds the released library and packs it for a language.
pub(super) fn run(project: &Project, language: Language) -> Result<(), PackageError> {
    let out = project.target().join("package").join(language.name());
    // What an earlier version has left would be packed as well.
    if out.exists() {
        fs::remove_dir_all(&out).map_err(at(&out))?;
    }
    // A package for Swift is a folder: what is generated is laid out as one.
    let generated = out.join(if language == Language::Swift { "Medipeps" } else { "generated" });
    if !bindings::generate(project, language, Build::App, &generated)? {
        return Err(PackageError::Command(format!("cargo xtask bindings {}", language.name())));
    }
    let library = generated.join(if language == Language::Swift { "lib" } else { "" }).join(LIBRARY);
    // The names that are looked up stay; UniFFI has read the others already.
    run_quietly(project.command("strip").arg("--strip-unneeded").arg(&library))?;
    let length = fs::metadata(&library).map_err(at(&library))?.len();
    for package in match language {
        Language::Kotlin => jar(project, &generated, &out)?,
        Language::Python => vec![wheel(project, &generated, &out)?],
        Language::Swift => vec![generated],
    } {
        println!("{}", package.display());
    }
    println!("the library in it has {:.1} MB", length as f64 / 1e6);
    Ok(())
}

/// Packs the generated Python and the library beside it; both are at home in the file's name.
pub(crate) fn wheel(project: &Project, generated: &Path, out: &Path) -> Result<PathBuf, PackageError> {
    let mut pack = project.command("python3");
    pack.arg("bindings/python/make_wheel.py").arg(generated).arg(out).arg(env!("CARGO_PKG_VERSION"));
    let said = crate::process::answer(&mut pack).ok_or_else(|| PackageError::Command(as_typed(&pack)))?;
    Ok(out.join(said.trim()))
}

/// The classes with the library among them, and the sources.
fn jar(project: &Project, generated: &Path, out: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let natives = out.join("natives");
    let platform = natives.join(JNA_PLATFORM);
    fs::create_dir_all(&platform).map_err(at(&platform))?;
    fs::rename(generated.join(LIBRARY), platform.join(LIBRARY)).map_err(at(&platform))?;
    let mut maven = bindings::maven(project);
    maven.args(["--quiet", "-DskipTests", "package"]);
    for (name, folder) in [("generated", generated), ("natives", &natives), ("out", &out.join("maven"))] {
        maven.arg(format!("-D{name}={}", folder.display()));
    }
    println!("$ {}", as_typed(&maven));
    if !maven.status().is_ok_and(|status| status.success()) {
        return Err(PackageError::Command(as_typed(&maven)));
    }
    let mut packages = Vec::new();
    for end in ["", "-sources"] {
        let name = format!("medipeps-{}{end}.jar", env!("CARGO_PKG_VERSION"));
        let package = out.join(&name);
        fs::rename(out.join("maven").join(name), &package).map_err(at(&package))?;
        packages.push(package);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_step() {
        let project = Project::find().unwrap();
        let model = fs::read_to_string(project.root().join("bindings/kotlin/pom.xml")).unwrap();
        let own = format!("<artifactId>medipeps</artifactId>\n  <version>{}</version>", env!("CARGO_PKG_VERSION"));
        assert!(model.contains(&own), "pom.xml has another version than Cargo.toml");
    }
}
