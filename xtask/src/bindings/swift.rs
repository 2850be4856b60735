//! Swift: the package as apps take it, and a compiler for it, which lives in a Debian of its own outside the tree.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LIBRARY;
use crate::project::Project;

/// Where the package lies in the compiler's Debian.
pub(crate) const SHARED: &str = "/share";

/// Makes a package of what was generated into a folder and of `bindings/swift`: `Sources/medipepsFFI` with the header, and
/// `lib` with the library.
pub(super) fn lay_out(project: &Project, folder: &Path) -> io::Result<()> {
    for sources in ["Sources", "Tests"] {
        // What an earlier version has left would be compiled as well.
        match fs::remove_dir_all(folder.join(sources)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    copy_tree(&project.root().join("bindings/swift"), folder)?;
    let header = folder.join("Sources/medipepsFFI");
    let library = folder.join("lib");
    for new in [&header, &library] {
        fs::create_dir_all(new)?;
    }
    fs::rename(folder.join("medipeps.swift"), folder.join("Sources/Medipeps/medipeps.swift"))?;
    fs::rename(folder.join("medipepsFFI.h"), header.join("medipepsFFI.h"))?;
    // The name that SwiftPM and Xcode look for.
    fs::rename(folder.join("medipepsFFI.modulemap"), header.join("module.modulemap"))?;
    fs::rename(folder.join(LIBRARY), library.join(LIBRARY))
}

/// The Debian with the compiler.
pub(crate) fn compiler_root(project: &Project) -> PathBuf {
    project.tools().with_file_name("swift")
}

/// A shell's words in that Debian, in a mount namespace of its own, with a folder at [`SHARED`]. As root, by sudo where need be.
pub(crate) fn in_compiler_root(
    project: &Project,
    shared: &Path,
    script: &str,
    environment: &[(&str, &str)],
) -> Command {
    const ENTER: &str = r#"mount -t proc proc "$1/proc" && mount --bind "$2" "$1/share" && \
root=$1 script=$3 && shift 3 && exec chroot "$root" env -i HOME=/tmp PATH=/usr/bin:/bin "$@" sh -c "cd /share && $script""#;
    let mut command = crate::suite::as_root(project, "unshare");
    command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(compiler_root(project)).arg(shared).arg(script);
    command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
    command
}

/// The package's public interface, as the compiler writes it, without what is UniFFI's own.
pub(crate) fn public_interface(written: &str) -> String {
    const OWN: &[&str] = &[
        "//",
        "import ",
        "uniffi",
        "Uniffi",
        "FfiConverter",
        "RustBuffer",
        "Handle",
        "deinit",
        "==",
        "hash(",
        "hashValue",
    ];
    let mut said = String::new();
    // How far the brace is indented that ends what is left out.
    let mut until = None;
    for line in written.lines() {
        let indentation = line.len() - line.trim_start().len();
        if until.is_some() {
            until = until.filter(|end| indentation != *end || !line.trim_start().starts_with('}'));
        } else if OWN.iter().any(|own| line.contains(own)) {
            until = line.ends_with('{').then_some(indentation);
        } else {
            said.push_str(&line.replace("Medipeps.", "").replace("Swift.", "").replace("_Concurrency.", ""));
            said.push('\n');
        }
    }
    said
}

/// What is in a folder, into another one that may have more.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            fs::copy(entry.path(), target)?;
        } else if entry.file_name() != OsStr::new(".build") {
            copy_tree(&entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_apps_is_left_out_of_the_interface() {
        let written = "// swift-compiler-version\nimport Foundation\npublic enum A : Swift.Error {\n  case b(Medipeps.C)\n  \
                       public static func == (a: Medipeps.A, b: Medipeps.A) -> Swift.Bool\n  public var hashValue: Swift.Int {\n    \
                       get\n  }\n}\npublic struct FfiConverterTypeA : Converter {\n  public static func lift(_ a: UInt64)\n}\n\
                       public func FfiConverterTypeA_lift(_ buf: medipepsFFI.RustBuffer) throws -> Medipeps.A\n";
        assert_eq!(public_interface(written), "public enum A : Error {\n  case b(C)\n}\n");
    }

    #[test]
    fn a_package_has_what_swift_looks_for() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["medipeps.swift", "medipepsFFI.h", "medipepsFFI.modulemap", LIBRARY] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        lay_out(&Project::find().unwrap(), folder.path()).unwrap();
        for name in [
            "Package.swift",
            "Sources/Medipeps/medipeps.swift",
            "Sources/Medipeps/Events.swift",
            "Sources/medipepsFFI/medipepsFFI.h",
            "Sources/medipepsFFI/module.modulemap",
            "lib/libmedipeps_ffi.so",
        ] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }
}
