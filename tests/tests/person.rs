//! Someone with a home and the real command: one process for each thing done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{Ended, medipeps, run};
use crate::server::{DOMAIN, Server};

/// Digits of a safety number.
const SAFETY_NUMBER_DIGITS: usize = 60;

/// A person, with an account or before it.
#[derive(Debug)]
pub struct Person {
    pub name: &'static str,
    local: &'static str,
    folder: PathBuf,
    program: PathBuf,
}

/// A mail to be sent.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub subject: String,
    pub body: String,
    /// Files that exist.
    pub attach: Vec<PathBuf>,
    /// The local id of the message that this one answers.
    pub in_reply_to: Option<String>,
    /// Seconds; the command's own default where there is none.
    pub wait: Option<u32>,
}

impl Draft {
    /// To one person.
    pub fn to(person: &Person, subject: &str, body: &str) -> Self {
        Self { to: vec![person.address()], subject: subject.to_owned(), body: body.to_owned(), ..Self::default() }
    }
}

impl Person {
    /// Someone without an account.
    pub fn new(folder: &Path, name: &'static str, local: &'static str) -> Self {
        let folder = folder.join(local);
        fs::create_dir_all(&folder).unwrap();
        Self { name, local, folder, program: medipeps() }
    }

    /// Someone with an account.
    #[track_caller]
    pub fn with_account(folder: &Path, server: &Server, name: &'static str, local: &'static str) -> Self {
        let person = Self::new(folder, name, local);
        person.create_account(server, &server.invite()).done();
        person
    }

    pub fn address(&self) -> String {
        format!("{}@{DOMAIN}", self.local)
    }

    /// What opens the home.
    pub fn passphrase(&self) -> String {
        format!("passphrase of {}", self.local)
    }

    /// Where the account lies.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// What the person's programs remember outside the account's folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Where files of the person lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the person.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A command in this home, not run yet.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(self.home()).args(words);
        command.env("MEDIPEPS_PASSPHRASE", self.passphrase()).env_remove("FAILPOINTS");
        command.env("XDG_STATE_HOME", self.state()).env_remove("HTTPS_PROXY").env_remove("https_proxy");
        command
    }

    /// A command in this home, run to its end.
    #[track_caller]
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Ended {
        run(&mut self.command(words))
    }

    /// The words of `account create`.
    pub fn account_create(&self, server: &Server, invitation: &str) -> Vec<String> {
        let (host, address) = (server.host(), self.address());
        ["account", "create", "--server", &host, "--invite", invitation, "--name", self.name, "--address", &address]
            .map(str::to_owned)
            .to_vec()
    }

    #[track_caller]
    pub fn create_account(&self, server: &Server, invitation: &str) -> Ended {
        self.run(&self.account_create(server, invitation))
    }

    /// Adds a contact and gives back the digits of the safety number.
    #[track_caller]
    pub fn add_contact(&self, other: &Self) -> String {
        let said = self.run(&["contact", "add", &other.address()]).done().output;
        safety_number(&said).unwrap_or_else(|| panic!("no safety number in {said}"))
    }

    /// The words of `mail send --json`. Each draft has a body file of its own, so that several may be sent at once.
    pub fn mail_send(&self, draft: &Draft) -> Vec<String> {
        let name: String = draft.subject.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let body = self.file(&format!("body-{name}.txt"), draft.body.as_bytes());
        let mut words = vec!["mail".to_owned(), "send".to_owned()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        draft.to.iter().for_each(|address| option("--to", address.clone()));
        draft.cc.iter().for_each(|address| option("--cc", address.clone()));
        option("--subject", draft.subject.clone());
        option("--body-file", body.to_str().unwrap().to_owned());
        draft.attach.iter().for_each(|file| option("--attach", file.to_str().unwrap().to_owned()));
        draft.in_reply_to.iter().for_each(|id| option("--reply-to", id.clone()));
        draft.wait.iter().for_each(|seconds| option("--wait", seconds.to_string()));
        words.push("--json".to_owned());
        words
    }

    /// Sends a mail; what came is the JSON of `mail send`.
    #[track_caller]
    pub fn send(&self, draft: &Draft) -> Value {
        self.run(&self.mail_send(draft)).done().json()
    }

    /// Sends a mail that must be accepted at once, and gives back its id.
    #[track_caller]
    pub fn send_now(&self, draft: &Draft) -> String {
        let said = self.send(draft);
        assert_eq!(said["state"], "accepted", "{said}");
        said["id"].as_str().unwrap().to_owned()
    }

    /// Sends what waits and fetches what has come.
    #[track_caller]
    pub fn sync(&self) {
        self.run(&["sync"]).done();
    }

    /// What has come, as `inbox --json` has it.
    #[track_caller]
    pub fn inbox(&self) -> Vec<Value> {
        let said = self.run(&["inbox", "--json"]).done().json();
        said.as_array().unwrap_or_else(|| panic!("no array: {said}")).clone()
    }

    /// The subjects in the inbox, sorted.
    #[track_caller]
    pub fn subjects(&self) -> Vec<String> {
        let mut subjects: Vec<_> = self.inbox().iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect();
        subjects.sort();
        subjects
    }

    #[track_caller]
    pub fn read(&self, id: &str) -> Value {
        self.run(&["read", id, "--json"]).done().json()
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"]).done().json()
    }

    /// Syncs, and reads the only message whose subject is this one; it must be there once.
    #[track_caller]
    pub fn receive(&self, subject: &str) -> Value {
        self.sync();
        self.only(subject)
    }

    /// Reads the only message whose subject is this one; it must be there once.
    #[track_caller]
    pub fn only(&self, subject: &str) -> Value {
        let inbox = self.inbox();
        let found: Vec<_> = inbox.iter().filter(|one| one["subject"] == subject).collect();
        assert_eq!(found.len(), 1, "{subject:?} must be there once: {inbox:?}");
        self.read(found[0]["id"].as_str().unwrap())
    }

    /// The same person with another build of the command.
    pub fn with_program(&self, program: PathBuf) -> Self {
        Self { name: self.name, local: self.local, folder: self.folder.clone(), program }
    }
}

/// The first run of groups of digits that has as many digits as a safety number.
fn safety_number(said: &str) -> Option<String> {
    let mut digits = String::new();
    for word in said.split_whitespace() {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.push_str(word);
        } else {
            digits.clear();
        }
        if digits.len() == SAFETY_NUMBER_DIGITS {
            return Some(digits);
        }
    }
    None
}
