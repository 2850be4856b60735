//! The arrows between crates and the house rules that a compiler does not hold, against `cargo metadata` and the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which crates of the workspace a crate may depend on, outside of its own tests. A crate that is not listed may be
/// depended on by none and depends on none; a new crate gets its line here.
const ARROWS: &[(&str, &[&str])] = &[
    ("medipeps-core", &[]),
    ("medipeps-client", &["medipeps-core"]),
    ("medipeps-server", &["medipeps-core"]),
    ("medipeps-ffi", &["medipeps-core", "medipeps-client"]),
    ("medipeps-bindgen", &[]),
    ("medipeps-wasm", &["medipeps-core", "medipeps-client"]),
    ("medipeps-wasm-bindgen", &[]),
    ("medipeps-wasm-bench", &["medipeps-core"]),
    ("medipeps-fuzz", &["medipeps-core", "medipeps-client"]),
    ("medipeps-peers", &["medipeps-core"]),
    ("medipeps-tests", &["medipeps-core", "medipeps-client", "medipeps-server"]),
    ("medipeps-load", &["medipeps-core", "medipeps-client"]),
    ("xtask", &["medipeps-core"]),
];

/// Crates that read a clock, a random source, a file or a socket, or run tasks; `core` has none of them, however deep.
const INPUT_OUTPUT: &[&str] = &[
    "async-std",
    "futures-executor",
    "getrandom",
    "mio",
    "native-tls",
    "quinn",
    "quinn-udp",
    "reqwest",
    "rusqlite",
    "rustls",
    "sled",
    "smol",
    "socket2",
    "time",
    "chrono",
    "tokio",
];

/// What a dependency of `core` asks for where nothing calls it: `mls-rs` switches `getrandom` on for browsers, whether or not
/// a cipher suite provider wants it. Ours takes randomness from the caller (`core/src/group/provider/randomness.rs`).
const ASKED_FOR_AND_NOT_CALLED: &[(&str, &str, &str)] = &[("wasm32-unknown-unknown", "getrandom", "mls-rs")];

/// Modules named after nothing.
const NAMED_AFTER_NOTHING: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

/// The workspace's crates that this one names as a dependency of one of these kinds.
fn arrows_of<'a>(package: &'a Package, members: &BTreeSet<&str>, kinds: &[DependencyKind]) -> BTreeSet<&'a str> {
    let dependencies = package.dependencies.iter().filter(|dependency| kinds.contains(&dependency.kind));
    dependencies.map(|dependency| dependency.name.as_str()).filter(|name| members.contains(name)).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn arrows_between_crates_go_one_way() {
    let metadata = metadata();
    let members = members(&metadata);
    let names: BTreeSet<&str> = members.iter().map(|package| package.name.as_str()).collect();
    for package in &members {
        let name = package.name.as_str();
        let allowed = ARROWS.iter().find(|(crate_name, _)| *crate_name == name);
        let allowed: BTreeSet<&str> =
            allowed.unwrap_or_else(|| panic!("{name} has no line in ARROWS")).1.iter().copied().collect();
        let normal = arrows_of(package, &names, &[DependencyKind::Normal, DependencyKind::Build]);
        let beyond: Vec<_> = normal.difference(&allowed).collect();
        // medipeps-tests is tests alone, so its development dependencies are what the arrows are about.
        let development = arrows_of(package, &names, &[DependencyKind::Development]);
        let beyond_in_tests: Vec<_> = development.difference(&allowed).filter(|depended| **depended != name).collect();
        assert!(beyond.is_empty(), "{name} must not depend on {beyond:?}");
        assert!(
            beyond_in_tests.is_empty(),
            "the tests of {name} must not depend on {beyond_in_tests:?}: they belong into tests/"
        );
    }
}

#[test]
fn nothing_but_tests_depends_on_the_server() {
    let metadata = metadata();
    let server = BTreeSet::from(["medipeps-server"]);
    let kinds = [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];
    for package in members(&metadata) {
        if !["medipeps-server", "medipeps-tests"].contains(&package.name.as_str()) {
            assert!(arrows_of(package, &server, &kinds).is_empty(), "{} depends on the server", package.name);
        }
    }
}

#[test]
fn core_stands_on_nothing_that_does_input_or_output() {
    // `cargo metadata` unites the features and targets of the whole workspace, which says more than core builds.
    for target in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
        let output = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["tree", "--package", "medipeps-core", "--edges", "normal,no-proc-macro", "--target", target])
            .args(["--prefix", "none", "--format", "{p}"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let reached: BTreeSet<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains("ed25519-dalek"), "the walk must find what core stands on: {reached:?}");
        for name in reached.into_iter().filter(|name| INPUT_OUTPUT.contains(name)) {
            let asking = ASKED_FOR_AND_NOT_CALLED.iter().filter(|(on, asked, _)| *on == target && *asked == name);
            let asking: BTreeSet<&str> = asking.map(|(_, _, by)| *by).collect();
            assert!(!asking.is_empty(), "core reaches {name} on {target}");
            assert_eq!(
                asking.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
                dependents(name, target),
                "who asks for {name} on {target}"
            );
        }
    }
}

/// The crates below `core` that name this one.
fn dependents(name: &str, target: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--package", "medipeps-core", "--edges", "normal,no-proc-macro", "--target", target])
        .args(["--prefix", "depth", "--format", " {p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (mut above, mut found) = (Vec::<&str>::new(), BTreeSet::new());
    for line in said.lines() {
        let mut words = line.split(' ');
        let (Some(Ok(depth)), Some(crate_name)) = (words.next().map(str::parse::<usize>), words.next()) else {
            continue;
        };
        above.truncate(depth);
        if let (true, Some(parent)) = (crate_name == name, above.last()) {
            found.insert((*parent).to_owned());
        }
        above.push(crate_name);
    }
    found
}

#[test]
fn the_mls_library_is_named_in_the_group_module_alone() {
    let root = root();
    let group = root.join("core/src/group");
    for package in members(&metadata()) {
        let folder = package.manifest_path.parent().unwrap().join("src");
        for file in rust_files(folder.as_std_path()).into_iter().filter(|file| !file.starts_with(&group)) {
            let source = std::fs::read_to_string(&file).unwrap();
            let names_it = source.lines().position(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.contains("mls_rs")
            });
            assert_eq!(names_it, None, "{} names a type of mls-rs", file.display());
        }
    }
}

#[test]
fn prost_is_named_in_the_wire_module_alone() {
    let root = root();
    let wire = root.join("core/src/wire");
    for package in members(&metadata()) {
        let folder = package.manifest_path.parent().unwrap().join("src");
        for file in rust_files(folder.as_std_path()) {
            if file.starts_with(&wire) {
                continue;
            }
            let source = std::fs::read_to_string(&file).unwrap();
            for (number, line) in source.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let names_it = ["prost", "proto"].iter().any(|module| {
                    code.match_indices(&format!("{module}::"))
                        // DNS has a crate with a module of this name.
                        .filter(|(at, _)| !code[..*at].ends_with("hickory_resolver::"))
                        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
                });
                assert!(!names_it, "{}:{} names a prost type", file.display(), number + 1);
            }
        }
        if package.name.as_str() != "medipeps-core" {
            let prost = package.dependencies.iter().find(|dependency| dependency.name.starts_with("prost"));
            assert!(prost.is_none(), "{} depends on prost", package.name);
        }
    }
}

#[test]
fn no_module_is_named_after_nothing() {
    for package in members(&metadata()) {
        for file in rust_files(package.manifest_path.parent().unwrap().as_std_path()) {
            let named_so = |name: &std::ffi::OsStr| NAMED_AFTER_NOTHING.iter().any(|forbidden| name == *forbidden);
            let parts_are_good =
                file.with_extension("").strip_prefix(root()).unwrap().iter().all(|part| !named_so(part));
            assert!(parts_are_good, "{} is named after nothing", file.display());
        }
    }
}

/// Crates that ask for a newer Rust than the workspace does.
const NEWER_RUST: &[&str] = &["medipeps-server", "medipeps-tests"];

#[test]
fn every_crate_inherits_the_lint_table_and_the_package_fields() {
    for package in members(&metadata()) {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
        let lints = lines.iter().position(|line| *line == "[lints]");
        let inherits = lints.and_then(|at| lines.get(at + 1)).is_some_and(|line| *line == "workspace = true");
        // UniFFI's macros expand to unsafe code, which the table forbids; its own table says so, and is the same otherwise.
        let is_ffi = package.name.as_str() == "medipeps-ffi" && lines.contains(&"unsafe_code = \"deny\"");
        assert!(inherits || is_ffi, "{} does not inherit the lint table", package.name);
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            // What stands on the server's WebTransport needs a newer Rust than the libraries do.
            if field == "rust-version" && NEWER_RUST.contains(&package.name.as_str()) {
                continue;
            }
            let line = format!("{field}.workspace = true");
            assert!(lines.contains(&line.as_str()), "{} sets its own {field}", package.name);
        }
    }
}
