//! The crate as a library of its own: its examples run, and its package holds what it is built, tested and licensed by.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[path = "../examples/attachment.rs"]
mod attachment;
#[path = "../examples/group.rs"]
mod group;
#[path = "../examples/session.rs"]
mod session;
#[path = "../examples/tokens.rs"]
mod tokens;

#[test]
fn the_example_of_a_session_runs() {
    session::main().unwrap();
}

#[test]
fn the_example_of_a_group_runs() {
    group::main().unwrap();
}

#[test]
fn the_example_of_an_attachment_runs() {
    attachment::main().unwrap();
}

#[test]
fn the_example_of_tokens_runs() {
    tokens::main().unwrap();
}

#[test]
fn the_package_has_all_that_belongs_to_it_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: BTreeSet<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();

    let mut expected: BTreeSet<String> =
        ["Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "build.rs"]
            .map(str::to_owned)
            .into();
    for (folder, extension, at_least) in [
        ("src", "rs", 50),
        ("tests", "rs", 4),
        ("benches", "rs", 2),
        ("examples", "rs", 2),
        ("spec/proto", "proto", 10),
        ("spec/vectors", "json", 8),
    ] {
        let files = files(root, folder, extension);
        assert!(files.len() >= at_least, "{folder}: {files:?}");
        expected.extend(files);
    }
    expected.extend(files(root, "spec", "md"));
    // Only in a checkout: where the package was made from.
    let listed: BTreeSet<_> = listed.into_iter().filter(|name| name != ".cargo_vcs_info.json").collect();
    assert_eq!(listed.difference(&expected).collect::<Vec<_>>(), [""; 0], "they do not belong into the package");
    assert_eq!(expected.difference(&listed).collect::<Vec<_>>(), [""; 0], "they are missing");
}

/// The files below a folder with this extension, as the package names them.
fn files(root: &Path, folder: &str, extension: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let name = format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap());
        if root.join(&name).is_dir() {
            // Of `spec`, the folders are named one by one.
            if folder != "spec" {
                found.extend(files(root, &name, extension));
            }
        } else if Path::new(&name).extension().is_some_and(|other| other == extension) {
            found.insert(name);
        }
    }
    found
}
