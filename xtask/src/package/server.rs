//! The server's Debian package, and the files of a container made of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{PackageError, at, run_quietly};
use crate::demo;
use crate::process::{answer, as_typed};
use crate::project::Project;

/// Under which number the server runs in a container; the Containerfile names it too.
const CONTAINER_USER: u32 = 10_001;
/// The server's program within the package.
pub(crate) const PROGRAM: &str = "usr/bin/medipeps-server";
/// Where the server keeps everything, within the package's world.
pub(crate) const STATE: &str = "var/lib/medipeps-server";

/// Builds the package, and lays out the container if asked to.
pub(super) fn run(project: &Project, container_root: Option<&Path>) -> Result<(), PackageError> {
    let package = debian_package(project)?;
    println!("{}", package.display());
    if let Some(folder) = container_root {
        container(project, &package, folder)?;
        println!("{}", folder.display());
    }
    Ok(())
}

/// Builds the released programs and packs the server's. Returns the package's path.
pub(crate) fn debian_package(project: &Project) -> Result<PathBuf, PackageError> {
    demo::build(project)?;
    // What it is made of was built just now, as the demo builds it: nothing is compiled twice.
    let mut command = project.cargo(["deb", "--no-build", "--package", "medipeps-server"]);
    let failed =
        || PackageError::Command(as_typed(&project.cargo(["deb", "--no-build", "--package", "medipeps-server"])));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|_| failed())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let path = said.lines().last().map(|line| project.root().join(line.trim()));
    path.filter(|path| output.status.success() && path.is_file()).ok_or_else(failed)
}

/// Lays out the package's files below a folder.
pub(crate) fn unpack(project: &Project, package: &Path, folder: &Path) -> Result<(), PackageError> {
    run_quietly(project.command("dpkg-deb").arg("--extract").arg(package).arg(folder))
}

/// Lays out `DIR/root` and `DIR/Containerfile`.
pub(crate) fn container(project: &Project, package: &Path, folder: &Path) -> Result<(), PackageError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    if fs::read_dir(folder).map_err(at(folder))?.next().is_some() {
        return Err(PackageError::NotEmpty(folder.to_owned()));
    }
    let root = folder.join("root");
    unpack(project, package, &root)?;
    for library in libraries(project, &root.join(PROGRAM))? {
        copy_below(&library, &root)?;
    }
    // Names are looked up without any module beside the C library itself.
    write(&root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    write(&root.join("etc/passwd"), &format!("medipeps-server:x:{CONTAINER_USER}:{CONTAINER_USER}::/{STATE}:/\n"))?;
    write(&root.join("etc/group"), &format!("medipeps-server:x:{CONTAINER_USER}:\n"))?;
    // The builder gives these to the container's user: see the Containerfile.
    let state = folder.join("state");
    fs::create_dir_all(&state).map_err(at(&state))?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).map_err(at(&state))?;
    let configuration = root.join("etc/medipeps-server/server.toml");
    fs::set_permissions(&configuration, fs::Permissions::from_mode(0o644)).map_err(at(&configuration))?;
    let recipe = project.root().join("server/packaging/Containerfile");
    fs::copy(&recipe, folder.join("Containerfile")).map_err(at(&recipe))?;
    Ok(())
}

/// The shared libraries of a program, the loader included, by their paths on this machine.
fn libraries(project: &Project, program: &Path) -> Result<BTreeSet<PathBuf>, PackageError> {
    let mut command = project.command("ldd");
    command.arg(program);
    let said = answer(&mut command).ok_or_else(|| PackageError::Command(as_typed(&command)))?;
    Ok(said.lines().filter_map(library_of).collect())
}

/// The path in a line of ldd's: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)` or `/lib64/ld-linux-x86-64.so.2 (0x...)`.
fn library_of(line: &str) -> Option<PathBuf> {
    let path = line.split_once("=>").map_or(line, |(_, path)| path).trim();
    let path = path.split(" (").next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Copies a file to the same path below `root`.
fn copy_below(file: &Path, root: &Path) -> Result<(), PackageError> {
    let below = root.join(file.strip_prefix("/").unwrap_or(file));
    if let Some(folder) = below.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    fs::copy(file, &below).map(|_| ()).map_err(at(file))
}

fn write(path: &Path, text: &str) -> Result<(), PackageError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    fs::write(path, text).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let path = |line| library_of(line).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007ffc)"), None);
        assert_eq!(
            path("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)").unwrap(),
            "/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(path("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)").unwrap(), "/lib64/ld-linux-x86-64.so.2");
        assert_eq!(path("\tstatically linked"), None);
    }

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        let project = Project::find().unwrap();
        let refused = container(&project, Path::new("/no/package.deb"), folder.path());
        assert!(matches!(refused, Err(PackageError::NotEmpty(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
