//! Mails on their way: sending, delivering, and comparing what arrived with what was written.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::DemoError;
use super::mails;
use super::professional::{Draft, Letter, Professional};
use super::report::Progress;
use super::server::Server;

/// How long everything may take to arrive after the server is back.
const ARRIVAL: Duration = Duration::from_secs(120);
/// How many mails are being sent when the server is killed.
const MAILS_INTO_THE_CRASH: usize = 4;

/// A mail that was sent, and how it arrived.
#[derive(Debug)]
pub(super) struct Sent {
    /// Who wrote it, by number.
    pub(super) from: usize,
    /// Their address.
    pub(super) sender: String,
    /// Who must get it, by number.
    pub(super) recipients: Vec<usize>,
    /// What was written.
    pub(super) draft: Draft,
    /// `accepted` or `queued`, when it was sent.
    pub(super) state: String,
    /// How often each recipient has it.
    pub(super) arrived: BTreeMap<String, usize>,
    /// Whether every copy is what was written.
    pub(super) whole: bool,
}

impl Sent {
    /// Whether every recipient has it whole and once.
    pub(super) fn passed(&self) -> bool {
        self.whole && self.arrived.len() == self.recipients.len() && self.arrived.values().all(|times| *times == 1)
    }
}

/// The mails on their way.
#[derive(Debug)]
pub(super) struct Post<'a> {
    people: &'a [Professional],
    /// What was sent so far.
    pub(super) sent: Vec<Sent>,
    progress: Progress,
}

impl<'a> Post<'a> {
    /// Nothing is sent yet.
    pub(super) fn new(people: &'a [Professional], progress: Progress) -> Self {
        Self { people, sent: Vec::new(), progress }
    }

    /// Sends a mail, waits so many seconds at most, and holds its state to what it must be.
    pub(super) fn send(
        &mut self,
        from: usize,
        to: &[usize],
        cc: &[usize],
        mail: Draft,
        wait: u32,
        state: Option<&str>,
    ) -> Result<(), DemoError> {
        let draft = self.addressed(mail, to, cc);
        let said = self.people[from].send(&draft, wait)?;
        if state.is_some_and(|expected| expected != said) {
            return Err(DemoError::Broken(format!("'{}' is {said}, not {}", draft.subject, state.unwrap_or_default())));
        }
        self.note(from, [to, cc].concat(), draft, said);
        Ok(())
    }

    /// An answer to the mail with this subject, which its writer fetches first.
    pub(super) fn answer(&self, from: usize, subject: &str, body: &str) -> Result<Draft, DemoError> {
        let start = Instant::now();
        loop {
            self.people[from].sync(1)?;
            let answers = self.people[from].id_of(subject)?;
            if answers.is_some() {
                return Ok(Draft { answers, ..mails::mail(&format!("Re: {subject}"), body) });
            }
            if start.elapsed() > ARRIVAL {
                return Err(DemoError::Broken(format!("'{subject}' did not arrive, so it cannot be answered")));
            }
        }
    }

    /// Sends several mails one after the other, and kills the server once the first is accepted.
    pub(super) fn send_into_a_crash(&mut self, from: usize, to: usize, server: &mut Server) -> Result<(), DemoError> {
        let draft = |number: usize| {
            mails::mail(
                &format!("Night observations, round {number} of {MAILS_INTO_THE_CRASH}"),
                &mails::observations(number),
            )
        };
        let drafts: Vec<Draft> =
            (1..=MAILS_INTO_THE_CRASH).map(|number| self.addressed(draft(number), &[to], &[])).collect();
        let sender = &self.people[from];
        let states = std::thread::scope(|scope| {
            let (said, heard) = mpsc::channel();
            let drafts = &drafts;
            let sending = scope.spawn(move || -> Result<Vec<String>, DemoError> {
                drafts
                    .iter()
                    .map(|draft| {
                        let state = sender.send(draft, 2)?;
                        let _ = said.send(());
                        Ok(state)
                    })
                    .collect()
            });
            let first = heard.recv(); // an error when the sender failed; its own error says more
            let killed = if first.is_ok() { server.kill() } else { Ok(()) };
            let states =
                sending.join().unwrap_or_else(|_| Err(DemoError::Broken("the sending thread ended".to_owned())))?;
            killed.map(|()| states)
        })?;
        self.progress.say("the server is killed (SIGKILL) while mails are being sent");
        for (draft, state) in drafts.into_iter().zip(states) {
            self.note(from, vec![to], draft, state);
        }
        Ok(())
    }

    fn addressed(&self, mail: Draft, to: &[usize], cc: &[usize]) -> Draft {
        let addresses = |numbers: &[usize]| numbers.iter().map(|number| self.people[*number].address()).collect();
        Draft { to: addresses(to), cc: addresses(cc), ..mail }
    }

    fn note(&mut self, from: usize, recipients: Vec<usize>, draft: Draft, state: String) {
        let to = draft.to.iter().chain(&draft.cc).cloned().collect::<Vec<_>>().join(", ");
        self.progress.say(&format!("{} -> {to}: '{}' {state}", self.people[from].address(), draft.subject));
        let sender = self.people[from].address();
        self.sent.push(Sent { from, sender, recipients, draft, state, arrived: BTreeMap::new(), whole: false });
    }

    /// Everyone syncs until all has arrived, and once more, so that what would come twice comes.
    pub(super) fn deliver(&self) -> Result<(), DemoError> {
        let expected = |person: usize| self.sent.iter().filter(|mail| mail.recipients.contains(&person)).count();
        let start = Instant::now();
        loop {
            let mut complete = true;
            for (number, person) in self.people.iter().enumerate() {
                person.sync(1)?;
                complete &= person.inbox_length()? >= expected(number);
            }
            if complete {
                break;
            }
            if start.elapsed() > ARRIVAL {
                let counts = self.people.iter().enumerate().map(|(number, person)| {
                    let length = person.inbox_length().unwrap_or_default();
                    format!("{} has {length} of {}", person.address(), expected(number))
                });
                return Err(DemoError::Broken(format!(
                    "not everything arrived: {}",
                    counts.collect::<Vec<_>>().join("; ")
                )));
            }
        }
        self.people.iter().try_for_each(|person| person.sync(1))
    }

    /// Compares what was read with what was written.
    pub(super) fn compare(&mut self) -> Result<(), DemoError> {
        let inboxes: Vec<Vec<Letter>> = self.people.iter().map(Professional::read_inbox).collect::<Result<_, _>>()?;
        for sent in &mut self.sent {
            sent.whole = true;
            for recipient in &sent.recipients {
                let same_subject = inboxes[*recipient].iter().filter(|letter| letter.subject == sent.draft.subject);
                let letters: Vec<&Letter> = same_subject.collect();
                sent.arrived.insert(self.people[*recipient].address(), letters.len());
                sent.whole &= !letters.is_empty()
                    && letters.iter().all(|letter| letter.from == sent.sender && letter.holds(&sent.draft));
            }
        }
        for (number, inbox) in inboxes.iter().enumerate() {
            let expected = self.sent.iter().filter(|mail| mail.recipients.contains(&number)).count();
            if inbox.len() != expected {
                let address = self.people[number].address();
                return Err(DemoError::Broken(format!("{address} has {} mails instead of {expected}", inbox.len())));
            }
        }
        let whole = self.sent.iter().filter(|mail| mail.passed()).count();
        self.progress.say(&format!(
            "{whole} of {} mails arrived whole and once, bodies and attachments compared",
            self.sent.len()
        ));
        Ok(())
    }
}

impl Letter {
    fn holds(&self, draft: &Draft) -> bool {
        self.body == draft.body && self.attachments.iter().eq(draft.attachment.iter())
    }
}
