//! What lies where, in the package and after it was installed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::running::Running;
use super::{Checked, Installation, done, mail, words};
use crate::package::{PROGRAM, STATE};
use crate::suite::need::{as_root, debian_root};

/// Files of the package with their modes, as dpkg writes them. All are root's.
const FILES: &[(&str, &str)] = &[
    ("-rwxr-xr-x", "./usr/bin/medipeps-server"),
    ("-rw-r-----", "./etc/medipeps-server/server.toml"),
    ("-rw-r--r--", "./usr/lib/sysusers.d/medipeps-server.conf"),
    ("-rw-r--r--", "./usr/lib/systemd/system/medipeps-server.service"),
    ("-rw-r--r--", "./usr/lib/systemd/system/medipeps-server.socket"),
    ("-rw-r--r--", "./usr/share/doc/medipeps-server/README.Debian"),
    ("-rw-r--r--", "./usr/share/doc/medipeps-server/changelog.Debian.gz"),
    ("-rw-r--r--", "./usr/share/doc/medipeps-server/copyright"),
    ("-rw-r--r--", "./usr/share/doc/medipeps-server/examples/server.toml"),
];
/// The configuration that it installs.
const CONFIGURATION: &str = "etc/medipeps-server/server.toml";
/// The user whom it makes.
const USER: &str = "medipeps-server";

/// Exactly these files, with these modes.
pub(super) fn contents(installation: &Installation) -> Checked {
    let listing = done(installation.run.project.command("dpkg-deb").arg("--contents").arg(&installation.package))?;
    let mut found: Vec<(&str, &str)> = Vec::new();
    for line in listing.lines().filter(|line| !line.starts_with('d')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, .., path] = words[..] else { return Err(format!("not a line of dpkg's: {line}")) };
        if owner != "0/0" {
            return Err(format!("{path} is not root's: {owner}"));
        }
        found.push((mode, path));
    }
    found.sort_by_key(|(_, path)| *path);
    let mut expected = FILES.to_vec();
    expected.sort_by_key(|(_, path)| *path);
    if found == expected { Ok(()) } else { Err(format!("it holds {found:?}")) }
}

/// Installs it as an operator would, runs it, purges it.
pub(super) fn fresh_debian(installation: &Installation) -> Checked {
    let debian = installation.at("debian");
    let mut copy = as_root(installation.run.project, "cp");
    done(copy.arg("-a").arg(debian_root(installation.run.project)).arg(&debian))?;
    let outcome = in_fresh_debian(installation, &debian);
    // It has files of other users, which the scratch folder could not remove by itself.
    let removed = done(as_root(installation.run.project, "rm").arg("-rf").arg(&debian));
    outcome.and(removed.map(|_| ()))
}

fn in_fresh_debian(installation: &Installation, debian: &Path) -> Checked {
    done(as_root(installation.run.project, "cp").arg(&installation.package).arg(debian.join("server.deb")))?;
    let said = done(chroot(installation, debian, &[]).args(["dpkg", "--install", "/server.deb"]))?;
    if !said.contains("set the domain") {
        return Err(format!("it does not say what to do next: {said}"));
    }
    let users = fs::read_to_string(debian.join("etc/passwd")).map_err(words)?;
    let user = users.lines().find(|line| line.starts_with(USER)).ok_or("no user was made")?;
    let number = |field: usize| user.split(':').nth(field).and_then(|text| text.parse::<u32>().ok());
    let (user_id, group_id) = number(2).zip(number(3)).ok_or_else(|| format!("not a line of passwd: {user}"))?;
    let configuration = debian.join(CONFIGURATION);
    let of_file = fs::metadata(&configuration).map_err(words)?;
    if (of_file.uid(), of_file.gid(), of_file.mode() & 0o777) != (0, group_id, 0o640) {
        return Err(format!("{CONFIGURATION}: {}:{} {:o}", of_file.uid(), of_file.gid(), of_file.mode()));
    }
    // What StateDirectory= does.
    let state = format!("/{STATE}");
    done(chroot(installation, debian, &[]).args(["install", "-d", "-m", "0700", "-o", USER, "-g", USER, &state]))?;
    let running = Running::start(installation, "debian-server", &Path::new("/").join(CONFIGURATION), |listen| {
        let edit = format!("s/^listen = .*/listen = \"{listen}\"/");
        done(chroot(installation, debian, &[]).args(["sed", "-i", &edit, &format!("/{CONFIGURATION}")]))?;
        let as_user = format!("--userspec={user_id}:{group_id}");
        let mut command = chroot(installation, debian, &[&as_user]);
        command.arg(format!("/{PROGRAM}"));
        Ok(command)
    })?;
    mail::passes(installation, &running, "debian-homes")?;
    running.stop()?;
    done(chroot(installation, debian, &[]).args(["dpkg", "--purge", "medipeps-server"]))?;
    if debian.join(PROGRAM).exists() || configuration.exists() {
        return Err("purging leaves the program or the configuration".to_owned());
    }
    if !debian.join(STATE).join("server.key").exists() {
        return Err("purging throws the mail away".to_owned());
    }
    Ok(())
}

/// A command that runs its words within a Debian.
fn chroot(installation: &Installation, debian: &Path, options: &[&str]) -> Command {
    let mut command = as_root(installation.run.project, "chroot");
    command.args(options).arg(debian);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// A path of the package, seen from outside of a folder that it was unpacked into.
pub(super) fn program(root: &Path) -> PathBuf {
    root.join(PROGRAM)
}
