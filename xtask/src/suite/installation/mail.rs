//! Two accounts at a server that runs: one writes, the other reads.

use std::fs;
use std::path::Path;

use super::running::Running;
use super::{Checked, Installation, done, words};

/// Makes two accounts and passes a mail from one to the other.
pub(super) fn passes(installation: &Installation, server: &Running, homes: &str) -> Checked {
    let homes = installation.at(homes);
    fs::create_dir_all(&homes).map_err(words)?;
    let host = server.host();
    for (local, name) in [("claire", "Dr Claire Martin"), ("karim", "Karim Benali")] {
        let invitation = server.invite()?;
        let address = format!("{local}@clinic.example");
        let account = ["--server", &host, "--invite", &invitation, "--name", name, "--address", &address];
        client(installation, &homes.join(local), &[&["account", "create"], &account[..]].concat())?;
    }
    let claire = homes.join("claire");
    let subject = "From where it was installed";
    client(installation, &claire, &["contact", "add", "karim@clinic.example"])?;
    let body = homes.join("body.txt");
    fs::write(&body, "Can you read this?").map_err(words)?;
    let body = body.to_string_lossy();
    let mail = ["--to", "karim@clinic.example", "--subject", subject, "--body-file", &body, "--wait", "20"];
    client(installation, &claire, &[&["mail", "send"], &mail[..]].concat())?;
    let karim = homes.join("karim");
    client(installation, &karim, &["sync", "--wait", "2"])?;
    let inbox = client(installation, &karim, &["inbox", "--json"])?;
    if inbox.contains(subject) { Ok(()) } else { Err(format!("the mail did not come: {inbox}")) }
}

fn client(installation: &Installation, home: &Path, words: &[&str]) -> Checked<String> {
    let mut command = installation.run.project.command(&installation.commands.medipeps);
    command.env("MEDIPEPS_HOME", home).env("MEDIPEPS_PASSPHRASE", "a passphrase of the installation suite");
    done(command.args(words))
}
