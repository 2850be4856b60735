//! What happens in the demo, in order, and what must hold at the end.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::care_team::{self, CareTeam};
use super::evidence::{Control, Evidence};
use super::large::{self, LargeFile};
use super::mails::{self, mail};
use super::post::{Post, Sent};
use super::professional::Professional;
use super::report::{Progress, known_table};
use super::server::Server;
use super::{Commands, DemoError};
use crate::process::quoted;

/// The organisation of the invitations. The server is told it.
const ORGANISATION: &str = "Clinic";

/// What came of it.
#[derive(Debug)]
pub(super) struct Story {
    mails: Vec<Sent>,
    finds: Vec<String>,
    bytes_searched: usize,
    control: Control,
    known: Value,
    care_team: CareTeam,
    large: LargeFile,
}

impl Story {
    /// Whether all that was promised held.
    pub(super) fn passed(&self) -> bool {
        self.mails.iter().all(Sent::passed)
            && self.finds.is_empty()
            && self.control.missing.is_empty()
            && self.control.expected > 0
            && self.care_team.passed()
            && self.large.passed()
    }

    /// The JSON of `cargo demo --json`.
    pub(super) fn to_json(&self, took: Duration) -> Value {
        let mail = |mail: &Sent| {
            json!({
                "from": mail.sender,
                "subject": mail.draft.subject, "to": mail.draft.to, "cc": mail.draft.cc, "when_sent": mail.state,
                "attachments": mail.draft.attachment.iter().map(|(name, bytes)| json!({"name": name, "size": bytes.len()})).collect::<Vec<_>>(),
                "arrived": mail.arrived, "whole": mail.whole,
            })
        };
        json!({
            "ok": self.passed(),
            "seconds": took.as_secs_f64(),
            "mails": self.mails.iter().map(mail).collect::<Vec<_>>(),
            "server_killed": true,
            "found_at_server": self.finds.len(),
            "finds": self.finds,
            "bytes_searched": self.bytes_searched,
            "control": {"expected": self.control.expected, "found": self.control.found(), "missing": self.control.missing},
            "server_knows": self.known,
            "care_team": self.care_team.to_json(),
            "large_file": self.large.to_json(),
        })
    }
}

/// Runs the whole story in this folder.
pub(super) fn tell(commands: &Commands, folder: &Path, progress: &Progress, keep: bool) -> Result<Story, DemoError> {
    let mut server = Server::start(commands, folder, keep)?;
    progress.say(&format!("the server runs on {} (process {})", server.host(), server.process().unwrap_or_default()));
    let people = [
        Professional::new(commands, folder, "Dr Claire Martin", "claire.martin"),
        Professional::new(commands, folder, "Karim Benali, ICU nurse", "karim.benali"),
        Professional::new(commands, folder, "Lucie Petit, medical secretary", "lucie.petit"),
    ];
    meet(&server, &people, progress)?;

    let mut post = Post::new(&people, *progress);
    let [claire, karim, lucie] = [0, 1, 2];
    post.send(claire, &[karim], &[lucie], mails::with_report()?, 20, Some("accepted"))?;
    post.send(lucie, &[claire], &[], mail("Thursday's appointments moved", mails::APPOINTMENTS), 20, Some("accepted"))?;
    let known = server.inspect()?;

    post.send_into_a_crash(claire, karim, &mut server)?;
    post.send(
        karim,
        &[claire],
        &[lucie],
        mail("Bed 12: written while the server is down", mails::WHILE_DOWN),
        1,
        Some("queued"),
    )?;

    let mut evidence = Evidence::default();
    evidence.of_what_was_written(&people, &post.sent);
    evidence.look_at(&server, folder, "after the crash", progress)?;
    server.start_again()?;
    progress.say(&format!("the server runs again (process {})", server.process().unwrap_or_default()));

    let answer = post.answer(karim, "Discharge summary for tomorrow", mails::REPLY)?;
    post.send(karim, &[claire], &[lucie], answer, 20, None)?;
    post.send(lucie, &[claire, karim], &[], mail("Transport booked for ten o'clock", mails::TRANSPORT), 20, None)?;
    post.deliver()?;
    post.compare()?;

    evidence.of_what_was_written(&people, &post.sent);
    server.stop()?;
    evidence.look_at(&server, folder, "at the end", progress)?;
    let control = evidence.control(&people, &post.sent)?;
    progress.say(&format!(
        "control: the same search of the recipients' exports finds {} of {}",
        control.found(),
        control.expected
    ));
    control.missing.iter().for_each(|missing| progress.say(&format!("  NOT FOUND: {missing}")));

    server.start_again()?;
    let team = [&people[claire], &people[karim], &people[lucie]];
    let care_team = care_team::talk(team, &mut server, folder, &mut evidence, progress)?;
    let large = large::send([&people[claire], &people[karim]], &mut server, folder, &mut evidence, progress)?;
    if !keep {
        server.stop()?;
    }

    progress.say("what the server knew while the first two mails waited (it routes by addresses; sizes are padded):");
    known_table(&known).iter().for_each(|line| progress.say(line));
    progress.say("  and: when each was sent, the network addresses of connections, which domain's members may write");
    if keep {
        say_what_next(commands, &server, &people, progress);
    }
    let story = Story {
        mails: post.sent,
        finds: evidence.finds,
        bytes_searched: evidence.bytes,
        control,
        known,
        care_team,
        large,
    };
    let (mails, copies) = (story.mails.len(), story.mails.iter().map(|mail| mail.recipients.len()).sum::<usize>());
    let arrived = story.mails.iter().filter(|mail| mail.passed()).count();
    progress.say(&format!(
        "totals: {arrived} of {mails} mails ({copies} copies) arrived whole and once; {} finds in {} bytes at the server; control {}",
        story.finds.len(),
        story.bytes_searched,
        if story.control.is_complete() { "complete" } else { "INCOMPLETE" },
    ));
    Ok(story)
}

/// Accounts by invitation, everyone a contact of everyone, and the same safety number on both sides.
fn meet(server: &Server, people: &[Professional], progress: &Progress) -> Result<(), DemoError> {
    for person in people {
        person.create_account(server, &server.invite(ORGANISATION)?)?;
        progress.say(&format!("{} has the account {}", person.name, person.address()));
    }
    for (number, one) in people.iter().enumerate() {
        for other in &people[number + 1..] {
            let (here, there) = (one.add_contact(other)?, other.add_contact(one)?);
            if here != there {
                let both = format!("{} and {}", one.address(), other.address());
                return Err(DemoError::Broken(format!("{both} see different safety numbers: {here}, {there}")));
            }
        }
    }
    progress.say("all three have pinned each other's keys; both sides of each pair see the same safety number");
    Ok(())
}

fn say_what_next(commands: &Commands, server: &Server, people: &[Professional], progress: &Progress) {
    let [medipeps, medipeps_server] =
        [&commands.medipeps, &commands.medipeps_server].map(|path| quoted(&path.to_string_lossy()));
    let (config, log) = (quoted(&server.config().to_string_lossy()), quoted(&server.log().to_string_lossy()));
    progress.say("\nthe server and the homes stay. To try next:");
    for person in people {
        let (home, passphrase) = (quoted(&person.home().to_string_lossy()), quoted(&person.passphrase()));
        progress.say(&format!("  MEDIPEPS_PASSPHRASE={passphrase} {medipeps} --home {home} inbox"));
    }
    progress.say(&format!("  {medipeps_server} inspect --config {config}"));
    progress.say(&format!("  {medipeps_server} invite --config {config} --org {ORGANISATION}"));
    progress.say(&format!("  tail {log}"));
    progress.say(&format!("  kill {}    # stops the server", server.process().unwrap_or_default()));
}
