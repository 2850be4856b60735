//! A large file, made on the spot, and a server that dies while it goes up.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DemoError;
use super::evidence::Evidence;
use super::mails::{self, PATIENT};
use super::professional::Professional;
use super::report::Progress;
use super::server::Server;

/// Bytes of the file.
const LENGTH: u64 = 200_000_000;
/// Every so many bytes the file has a line of text, which is then looked for at the server.
const TEXT_EVERY: usize = 1 << 20;
/// The server is killed once so much is said to have gone up.
const KILLED_AT_PERCENT: u32 = 30;
/// How long the server stays away.
const AWAY: Duration = Duration::from_secs(2);
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// The file's name, as the recipient sees it.
const NAME: &str = "ultrasound-aubert.raw";

/// What came of it.
#[derive(Debug)]
pub(super) struct LargeFile {
    /// How much had gone up when the server was killed.
    killed_at: u32,
    sent_in: Duration,
    fetched_in: Duration,
    /// The recipient's file is the sender's.
    whole: bool,
}

impl LargeFile {
    /// Whether it arrived, and the server did die on the way.
    pub(super) fn passed(&self) -> bool {
        self.whole && self.killed_at < 100
    }

    /// The JSON of `cargo demo --json`.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "bytes": LENGTH,
            "server_killed_at_percent": self.killed_at,
            "seconds_to_send": self.sent_in.as_secs_f64(),
            "seconds_to_fetch": self.fetched_in.as_secs_f64(),
            "whole": self.whole,
        })
    }
}

/// Sends the file while the server dies and comes back, fetches it, compares, and searches what the server keeps.
pub(super) fn send(
    [from, to]: [&Professional; 2],
    server: &mut Server,
    folder: &Path,
    evidence: &mut Evidence,
    progress: &Progress,
) -> Result<LargeFile, DemoError> {
    let file = folder.join("scratch").join(NAME);
    make(&file).map_err(DemoError::system(NAME))?;
    progress.say(&format!("{} sends {NAME}, {} MB, to {}", from.address(), LENGTH / 1_000_000, to.address()));
    let subject = "Ultrasound, the whole series";
    let mut draft = mails::mail(subject, "The series that we talked about. The frames from 40 on show the valve.\n");
    draft.to = vec![to.address()];
    let start = Instant::now();
    let mut sending = from.begin_sending(&draft, &file, 120)?;
    let mut said = 0;
    while sending.percent() < KILLED_AT_PERCENT && sending.runs() && start.elapsed() < PATIENCE {
        say_progress(sending.percent(), &mut said, progress);
        std::thread::sleep(Duration::from_millis(10));
    }
    server.kill()?;
    let killed_at = sending.percent();
    progress.say(&format!("  the server is killed (SIGKILL) at {killed_at} %"));
    std::thread::sleep(AWAY);
    server.start_again()?;
    progress.say(&format!(
        "  the server runs again (process {}); the upload goes on",
        server.process().unwrap_or_default()
    ));
    said = killed_at;
    while sending.runs() && start.elapsed() < PATIENCE {
        say_progress(sending.percent(), &mut said, progress);
        std::thread::sleep(Duration::from_millis(10));
    }
    let state = sending.finish(PATIENCE)?;
    if state != "accepted" {
        return Err(DemoError::Broken(format!("the mail with the large file is {state}, not accepted")));
    }
    let sent_in = start.elapsed();

    let start = Instant::now();
    to.sync(1)?;
    let id = to
        .id_of(subject)?
        .ok_or_else(|| DemoError::Broken("the mail with the large file did not arrive".to_owned()))?;
    let saved = to.save(&id, &folder.join("scratch").join("large"))?;
    let fetched_in = start.elapsed();
    let whole = match saved.as_slice() {
        [saved] => same(&file, saved).map_err(DemoError::system("comparing the files"))?,
        _ => false,
    };
    progress.say(&format!(
        "  sent in {:.1} s with the server away for {} s, fetched in {:.1} s, {}",
        sent_in.as_secs_f32(),
        AWAY.as_secs(),
        fetched_in.as_secs_f32(),
        if whole { "the same to the last byte" } else { "NOT THE SAME" },
    ));
    evidence.of_lines(NAME, &texts());
    evidence.look_at_files(server, folder, "with the large file", progress)?;
    evidence.control_in(saved.as_slice(), progress)?;
    for path in saved.iter().chain([&file]) {
        fs::remove_file(path).map_err(DemoError::system(NAME))?;
    }
    Ok(LargeFile { killed_at, sent_in, fetched_in, whole })
}

fn say_progress(percent: u32, said: &mut u32, progress: &Progress) {
    if percent / 10 > *said / 10 {
        *said = percent;
        progress.say(&format!("  {percent} %"));
    }
}

/// The line of text in one place of the file.
fn text(number: u64) -> String {
    format!(
        "frame {number} of the ultrasound of {} {}, left atrium {} ml ",
        PATIENT.given,
        PATIENT.family,
        30 + number % 40
    )
}

/// Some of the lines: what is looked for.
fn texts() -> Vec<String> {
    let last = LENGTH / TEXT_EVERY as u64;
    [0, last / 2, last].into_iter().map(text).collect()
}

/// Bytes that do not repeat (SplitMix64), with lines of text between them.
fn make(path: &PathBuf) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut state, mut left) = (2026_u64, LENGTH);
    for number in 0.. {
        let mut block = text(number).into_bytes();
        while block.len() < TEXT_EVERY {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            block.extend_from_slice(&(word ^ (word >> 31)).to_be_bytes());
        }
        block.truncate(TEXT_EVERY.min(usize::try_from(left).unwrap_or(TEXT_EVERY)));
        file.write_all(&block)?;
        left -= block.len() as u64;
        if left == 0 {
            break;
        }
    }
    file.into_inner()?.sync_all()
}

/// Whether two files are the same to the last byte.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = one.read(&mut here)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut there[..length])?;
        if here[..length] != there[..length] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_to_the_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), vec![7; 100_000]).unwrap();
        fs::write(path("b"), vec![7; 100_000]).unwrap();
        assert!(same(&path("a"), &path("b")).unwrap());
        fs::write(path("b"), [vec![7; 99_999], vec![8]].concat()).unwrap();
        assert!(!same(&path("a"), &path("b")).unwrap());
        fs::write(path("b"), vec![7; 100_001]).unwrap();
        assert!(!same(&path("a"), &path("b")).unwrap());
    }
}
