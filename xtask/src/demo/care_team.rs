//! A care team: a group with a reader, a server that dies while somebody writes, and a member who is taken out.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DemoError;
use super::evidence::Evidence;
use super::professional::Professional;
use super::report::Progress;
use super::server::Server;

/// What the group is called.
const NAME: &str = "Care team of bed 12";
/// What is said before the server dies, while it is away, and after a member was taken out.
const TEXTS: [&str; 4] = [
    "Potassium 6.1 this morning, please repeat it",
    "Repeated at noon: 5.2, haemolysed the first time",
    "Insulin stopped while the server was away",
    "Said after the nurse was taken out of the team",
];
/// How long what was said may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

/// What came of it, once everybody has read the same in the same order; the demo ends before if not.
#[derive(Debug)]
pub(super) struct CareTeam {
    /// The reader was not let write, nor the removed member.
    refused: bool,
    /// The removed member has nothing of what was said later.
    apart: bool,
}

impl CareTeam {
    /// Whether all that was promised held.
    pub(super) const fn passed(&self) -> bool {
        self.refused && self.apart
    }

    /// The JSON of `cargo demo --json`.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "messages": TEXTS.len(),
            "refused_where_it_must_be": self.refused,
            "removed_member_reads_nothing_more": self.apart,
        })
    }
}

/// Makes the group, talks in it, and searches what the server keeps.
pub(super) fn talk(
    [owner, member, reader]: [&Professional; 3],
    server: &mut Server,
    folder: &Path,
    evidence: &mut Evidence,
    progress: &Progress,
) -> Result<CareTeam, DemoError> {
    owner.run(&["group", "create", NAME, "--member", &member.address(), "--reader", &reader.address()])?;
    progress.say(&format!(
        "{} makes the group '{NAME}': {} may write, {} may read",
        owner.address(),
        member.address(),
        reader.address()
    ));
    wait_until("all three are in the group", || {
        for person in [member, reader] {
            person.sync(0)?;
        }
        Ok([member, reader].iter().all(|person| person.run(&["group", "show", NAME]).is_ok()))
    })?;
    owner.run(&["group", "send", NAME, TEXTS[0]])?;
    member.run(&["group", "send", NAME, TEXTS[1]])?;
    server.kill()?;
    owner.run(&["group", "send", NAME, TEXTS[2]])?;
    progress.say("  the server is killed (SIGKILL); what is said meanwhile waits");
    server.start_again()?;
    let everyone = [owner, member, reader];
    wait_until("everybody has read everything", || read_by_all(&everyone, &TEXTS[..3]))?;
    progress.say("  it runs again; all three read the same three messages in the same order");

    let reader_refused = reader.run(&["group", "send", NAME, "a reader writes"]).is_err();
    owner.run(&["group", "remove", NAME, &member.address()])?;
    owner.run(&["group", "send", NAME, TEXTS[3]])?;
    wait_until("the reader has the last message", || read_by_all(&[owner, reader], &TEXTS))?;
    let member_refused = member.run(&["group", "send", NAME, "one who was taken out writes"]).is_err();
    let apart = texts(member)? == TEXTS[..3];
    let refused = reader_refused && member_refused;
    progress.say(&format!(
        "  {} is taken out: {}; {}",
        member.address(),
        if apart { "reads nothing of what is said then" } else { "STILL READS" },
        if refused { "he cannot write, nor can the reader" } else { "WHO MAY NOT WRITE DOES" },
    ));

    let control = folder.join("scratch").join("group.json");
    let read = owner.run(&["group", "log", NAME, "--json"])? + &owner.run(&["group", "show", NAME, "--json"])?;
    fs::write(&control, read).map_err(DemoError::system("group.json"))?;
    evidence.of_lines(NAME, &TEXTS.map(str::to_owned));
    server.stop()?;
    evidence.look_at(server, folder, "after the group", progress)?;
    evidence.control_in(&[control], progress)?;
    server.start_again()?;
    Ok(CareTeam { refused, apart })
}

fn read_by_all(people: &[&Professional], expected: &[&str]) -> Result<bool, DemoError> {
    for person in people {
        person.sync(0)?;
        if texts(person)? != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What somebody has read, in order; not what could not be said.
fn texts(person: &Professional) -> Result<Vec<String>, DemoError> {
    let log = person.run_json(&["group", "log", NAME, "--json"])?;
    let read = log.as_array().into_iter().flatten().filter(|one| one["state"] == "sent");
    Ok(read.filter_map(|one| one["text"].as_str()).map(str::to_owned).collect())
}

/// Tries until it holds, so long at most.
fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool, DemoError>) -> Result<(), DemoError> {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > ARRIVAL {
            return Err(DemoError::Broken(format!("not within {} s: {what}", ARRIVAL.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
