//! Every committed input through its target, and the four places of a target held to each other.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use medipeps_core::wire::transport::{Request, Response};
use medipeps_fuzz::TARGETS;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stems(folder: &str) -> BTreeSet<String> {
    entries(&package().join(folder)).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_input_of_the_corpora() {
    for (name, target) in TARGETS {
        let inputs = entries(&package().join("corpus").join(name));
        assert!(!inputs.is_empty(), "corpus/{name} has no input");
        for input in inputs {
            println!("{name}: {}", input.display()); // shown when the target panics
            target(&std::fs::read(&input).unwrap());
        }
    }
}

/// What is refused at its first byte leads a fuzzer nowhere.
#[test]
fn committed_requests_and_responses_can_be_read() {
    for input in entries(&package().join("corpus/request")) {
        let read = Request::decode(&std::fs::read(&input).unwrap());
        assert!(read.is_ok(), "{}: {read:?}", input.display());
    }
    for input in entries(&package().join("corpus/response")) {
        let read = Response::decode(&std::fs::read(&input).unwrap());
        assert!(read.is_ok(), "{}: {read:?}", input.display());
    }
}

#[test]
fn a_target_has_its_function_its_program_and_its_corpus() {
    let functions: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("targets"), functions, "files under targets/ beside functions in src/lib.rs");
    assert_eq!(stems("corpus"), functions, "folders under corpus/ beside functions in src/lib.rs");

    let manifest: toml::Table = std::fs::read_to_string(package().join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    let names: BTreeSet<String> = programs.iter().map(|program| program["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, functions, "[[bin]] in Cargo.toml beside functions in src/lib.rs");
    for program in programs {
        let name = program["name"].as_str().unwrap();
        assert_eq!(program["path"].as_str().unwrap(), format!("targets/{name}.rs"));
        assert_eq!(program["required-features"][0].as_str().unwrap(), "libfuzzer", "{name} would need C++ everywhere");
        let source = std::fs::read_to_string(package().join("targets").join(name).with_extension("rs")).unwrap();
        assert!(source.contains(&format!("medipeps_fuzz::{name}(data)")), "targets/{name}.rs calls another target");
    }
}
