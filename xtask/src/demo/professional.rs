//! One professional: a home of their own and the real command, one process for each thing done.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{DOMAIN, Server};
use super::{Commands, DemoError};
use crate::process::as_typed;

/// How long one command may take, its own `--wait` included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many digits a safety number has.
const SAFETY_NUMBER_DIGITS: usize = 60;

/// Someone with an account.
#[derive(Debug)]
pub(super) struct Professional {
    /// How they sign, which travels inside messages only.
    pub(super) name: &'static str,
    local: &'static str,
    program: PathBuf,
    home: PathBuf,
    scratch: PathBuf,
}

/// A mail as it is written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Addresses.
    pub(super) to: Vec<String>,
    /// Addresses.
    pub(super) cc: Vec<String>,
    /// One line.
    pub(super) subject: String,
    /// Text.
    pub(super) body: String,
    /// File name and contents.
    pub(super) attachment: Option<(String, Vec<u8>)>,
    /// The id, in the writer's own inbox, of the mail that this one answers.
    pub(super) answers: Option<String>,
}

/// A mail as its recipient reads it.
#[derive(Debug)]
pub(super) struct Letter {
    /// The sender's address.
    pub(super) from: String,
    /// As received.
    pub(super) subject: String,
    /// As received.
    pub(super) body: String,
    /// File names and contents.
    pub(super) attachments: Vec<(String, Vec<u8>)>,
}

impl Professional {
    /// Someone without an account yet.
    pub(super) fn new(commands: &Commands, folder: &Path, name: &'static str, local: &'static str) -> Self {
        Self {
            name,
            local,
            program: commands.medipeps.clone(),
            home: folder.join("homes").join(local),
            scratch: folder.join("scratch").join(local),
        }
    }

    /// The address.
    pub(super) fn address(&self) -> String {
        format!("{}@{DOMAIN}", self.local)
    }

    /// Where the account lies.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// What opens the home. A demo has no one to ask.
    pub(super) fn passphrase(&self) -> String {
        format!("demo passphrase of {}", self.local)
    }

    /// Takes up the invitation.
    pub(super) fn create_account(&self, server: &Server, invitation: &str) -> Result<(), DemoError> {
        fs::create_dir_all(&self.scratch).map_err(DemoError::system("scratch"))?;
        if let Some(parent) = self.home.parent() {
            fs::create_dir_all(parent).map_err(DemoError::system("homes"))?;
        }
        let (host, address) = (server.host(), self.address());
        let words = ["--server", &host, "--invite", invitation, "--name", self.name, "--address", &address];
        self.run(&[&["account", "create"], &words[..]].concat()).map(|_| ())
    }

    /// Adds a contact and gives back the safety number, digits only.
    pub(super) fn add_contact(&self, other: &Self) -> Result<String, DemoError> {
        let address = other.address();
        let said = self.run(&["contact", "add", &address])?;
        let problem = || DemoError::Broken(format!("`contact add {address}` printed no safety number: {said}"));
        safety_number(&said).ok_or_else(problem)
    }

    /// Writes a mail and tries for so many seconds; gives back its state, `accepted` or `queued`.
    pub(super) fn send(&self, draft: &Draft, wait_seconds: u32) -> Result<String, DemoError> {
        let mut words = self.words_of(draft, wait_seconds)?;
        if let Some((name, bytes)) = &draft.attachment {
            let file = self.scratch.join(name);
            fs::write(&file, bytes).map_err(DemoError::system(name.clone()))?;
            words.extend(["--attach".to_owned(), file.to_string_lossy().into_owned()]);
        }
        state_of(&self.run_json(&words)?)
    }

    /// Begins to send a mail with a file that is too large to be held here, and lets it run.
    pub(super) fn begin_sending(&self, draft: &Draft, file: &Path, wait_seconds: u32) -> Result<Sending, DemoError> {
        let mut words = self.words_of(draft, wait_seconds)?;
        words.extend(["--attach".to_owned(), file.to_string_lossy().into_owned()]);
        Ok(Sending(self.spawn(&words)?))
    }

    fn words_of(&self, draft: &Draft, wait_seconds: u32) -> Result<Vec<String>, DemoError> {
        let body = self.scratch.join("body.txt");
        fs::write(&body, &draft.body).map_err(DemoError::system("body.txt"))?;
        let mut words = vec!["mail".to_owned(), "send".to_owned()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        draft.to.iter().for_each(|address| option("--to", address.clone()));
        draft.cc.iter().for_each(|address| option("--cc", address.clone()));
        option("--subject", draft.subject.clone());
        option("--body-file", body.to_string_lossy().into_owned());
        if let Some(id) = &draft.answers {
            option("--reply-to", id.clone());
        }
        option("--wait", wait_seconds.to_string());
        words.push("--json".to_owned());
        Ok(words)
    }

    /// Saves the attachments of the mail with this id; gives back where they lie.
    pub(super) fn save(&self, id: &str, folder: &Path) -> Result<Vec<PathBuf>, DemoError> {
        let mail = self.run_json(&["read", id, "--json", "--save", &folder.to_string_lossy()])?;
        mail["attachments"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| text_of(one, "saved_as").map(PathBuf::from))
            .collect()
    }

    /// Sends what waits and fetches what came.
    pub(super) fn sync(&self, wait_seconds: u32) -> Result<(), DemoError> {
        self.run(&["sync", "--wait", &wait_seconds.to_string()]).map(|_| ())
    }

    /// Every mail in the inbox, read one by one, attachments saved and read back.
    pub(super) fn read_inbox(&self) -> Result<Vec<Letter>, DemoError> {
        self.inbox()?.iter().map(|entry| self.read(entry)).collect()
    }

    /// The id of the mail with this subject, once it is in the inbox.
    pub(super) fn id_of(&self, subject: &str) -> Result<Option<String>, DemoError> {
        let inbox = self.inbox()?;
        inbox.iter().find(|entry| entry["subject"] == subject).map(|entry| text_of(entry, "id")).transpose()
    }

    /// How many mails are in the inbox.
    pub(super) fn inbox_length(&self) -> Result<usize, DemoError> {
        self.inbox().map(|entries| entries.len())
    }

    /// Everything that this account holds, in plain text.
    pub(super) fn export(&self) -> Result<Vec<u8>, DemoError> {
        let file = self.scratch.join("export.jsonl");
        self.run(&["export", "--out", &file.to_string_lossy()])?;
        fs::read(&file).map_err(DemoError::system("export.jsonl"))
    }

    fn inbox(&self) -> Result<Vec<Value>, DemoError> {
        match self.run_json(&["inbox", "--json"])? {
            Value::Array(entries) => Ok(entries),
            other => Err(DemoError::Broken(format!("`inbox --json` is no array: {other}"))),
        }
    }

    fn read(&self, entry: &Value) -> Result<Letter, DemoError> {
        let id = text_of(entry, "id")?;
        let folder = self.scratch.join("saved").join(&id);
        let mail = self.run_json(&["read", &id, "--json", "--save", &folder.to_string_lossy()])?;
        let mut attachments = Vec::new();
        for attachment in mail["attachments"].as_array().into_iter().flatten() {
            let name = text_of(attachment, "name")?;
            let bytes =
                fs::read(text_of(attachment, "saved_as")?).map_err(DemoError::system(format!("the saved {name}")))?;
            if attachment["size"].as_u64() != u64::try_from(bytes.len()).ok() {
                return Err(DemoError::Broken(format!("{name} has another size than `read --json` says")));
            }
            attachments.push((name, bytes));
        }
        Ok(Letter {
            from: text_of(entry, "from")?,
            subject: text_of(entry, "subject")?,
            body: text_of(&mail, "body")?,
            attachments,
        })
    }

    /// Runs the command to its end and reads the JSON that it prints.
    pub(super) fn run_json<S: AsRef<str>>(&self, words: &[S]) -> Result<Value, DemoError> {
        let said = self.run(words)?;
        let problem =
            |error| DemoError::Broken(format!("`medipeps {}` printed no JSON ({error}): {said}", words[0].as_ref()));
        serde_json::from_str(&said).map_err(problem)
    }

    /// Runs the command to its end and gives back its standard output.
    pub(super) fn run<S: AsRef<str>>(&self, words: &[S]) -> Result<String, DemoError> {
        self.spawn(words)?.finish(PATIENCE)
    }

    fn spawn<S: AsRef<str>>(&self, words: &[S]) -> Result<Running, DemoError> {
        // Files instead of pipes: nothing blocks however much is said.
        let (said, complaints) = (self.scratch.join("stdout"), self.scratch.join("stderr"));
        let create = |path: &Path| File::create(path).map_err(DemoError::system(path.display().to_string()));
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(words.iter().map(AsRef::as_ref));
        let typed = as_typed(&command); // without the passphrase
        command.env("MEDIPEPS_PASSPHRASE", self.passphrase()).env("XDG_STATE_HOME", self.scratch.join("state"));
        command.stdin(Stdio::null()).stdout(create(&said)?).stderr(create(&complaints)?);
        let child = command.spawn().map_err(DemoError::system("medipeps"))?;
        Ok(Running { child, typed, said, complaints })
    }
}

/// A command that runs.
#[derive(Debug)]
struct Running {
    child: Child,
    typed: String,
    said: PathBuf,
    complaints: PathBuf,
}

impl Running {
    /// Waits for its end and gives back its standard output.
    fn finish(mut self, patience: Duration) -> Result<String, DemoError> {
        let failed = |problem: String| DemoError::Command { command: self.typed.clone(), problem };
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().map_err(DemoError::system("medipeps"))? {
                Some(status) => break status,
                None if start.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
                None => return Err(failed(format!("it did not end within {} s", patience.as_secs()))),
            }
        };
        let read = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
        if status.success() {
            read(&self.said).map_err(DemoError::system("stdout"))
        } else {
            Err(failed(format!("{status}: {}", read(&self.complaints).unwrap_or_default())))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A mail whose file goes up.
#[derive(Debug)]
pub(super) struct Sending(Running);

impl Sending {
    /// How far it says that it has come, in percent.
    pub(super) fn percent(&self) -> u32 {
        percent(
            &fs::read(&self.0.complaints).map(|said| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default(),
        )
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.0.child.try_wait(), Ok(None))
    }

    /// Waits for its end and gives back the mail's state.
    pub(super) fn finish(self, patience: Duration) -> Result<String, DemoError> {
        let said = self.0.finish(patience)?;
        let json = serde_json::from_str(&said);
        state_of(&json.map_err(|error| DemoError::Broken(format!("`mail send` printed no JSON ({error}): {said}")))?)
    }
}

/// The last number before a percent sign.
fn percent(said: &str) -> u32 {
    let before = said.rfind('%').map_or("", |end| said[..end].trim_end());
    let digits = before.len() - before.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    before[before.len() - digits..].parse().unwrap_or(0)
}

fn state_of(said: &Value) -> Result<String, DemoError> {
    let state = said["state"].as_str().filter(|state| ["accepted", "queued"].contains(state));
    state
        .map(str::to_owned)
        .ok_or_else(|| DemoError::Broken(format!("`mail send` said neither accepted nor queued: {said}")))
}

/// The first run of groups of digits that has as many digits as a safety number.
fn safety_number(said: &str) -> Option<String> {
    let mut digits = String::new();
    for word in said.split_whitespace() {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.push_str(word);
        } else if digits.len() != SAFETY_NUMBER_DIGITS {
            digits.clear();
        }
        if digits.len() == SAFETY_NUMBER_DIGITS {
            return Some(digits);
        }
    }
    None
}

fn text_of(value: &Value, key: &str) -> Result<String, DemoError> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| DemoError::Broken(format!("there is no text `{key}` in {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_last_percentage() {
        assert_eq!(percent("film: 10 %\nfilm: 35% of 200 MB\n"), 35);
        assert_eq!(percent("film: 7 % of"), 7);
        assert_eq!(percent("connecting\n% nothing"), 0);
        assert_eq!(percent(""), 0);
    }

    #[test]
    fn a_safety_number_is_read_however_it_is_grouped() {
        let groups = ["12345"; 12];
        let expected = Some("12345".repeat(12));
        assert_eq!(
            safety_number(&format!(
                "added a@b\nsafety number:\n  {}\n  {}\n",
                groups[..6].join(" "),
                groups[6..].join(" ")
            )),
            expected
        );
        assert_eq!(safety_number(&"12345".repeat(12)), expected);
        assert_eq!(safety_number("2 devices, 12345 12345"), None);
        assert_eq!(safety_number(""), None);
    }
}
