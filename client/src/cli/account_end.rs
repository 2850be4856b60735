//! `medipeps account leave` and `delete`

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use medipeps_core::Address;
use medipeps_core::kind::{ReceiptsWanted, Urgency};
use medipeps_core::limits::SUBJECT_LENGTH_MAX;
use medipeps_core::wire::client_records::{MessageRecord, RecipientState};
use medipeps_core::wire::transport::ErrorCode;

use super::{CommandError, output};
use crate::engine::{EngineError, SendMail};
use crate::shell::agent::{Agent, AgentError};

#[derive(Debug, clap::Args)]
pub(super) struct Leave {
    /// Who takes over; contacts are told to write there from now on
    #[arg(long, value_name = "ADDRESS")]
    hand_over: Option<Address>,
    /// Seconds to wait until every contact's server has the notice; the account stays until then
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Tells the contacts, fetches what waits, and deletes the account. Run again, it goes on where it was stopped.
pub(super) async fn leave(home: &Path, arguments: &Leave) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let account = agent.credentials()?.ok_or(AgentError::from(EngineError::NoAccount))?;
    let address = account.address;
    if arguments.hand_over.as_ref() == Some(&address) {
        return Err(CommandError::Use("--hand-over takes another account than the one that goes".to_owned()));
    }
    if !agent.is_primary(account.device_id)? {
        return Err(AgentError::from(EngineError::NotPrimary).into());
    }
    confirm(&address, "tells your contacts that you have left, and deletes the account", arguments.yes)?;
    let name = agent.status()?.account.map(|account| account.name).unwrap_or_default();
    let notice = notice(&name, &address, arguments.hand_over.as_ref());
    let waiting = tell_contacts(&mut agent, &address, &notice, Duration::from_secs(arguments.wait)).await?;
    if !waiting.is_empty() {
        agent.close().await;
        return Err(CommandError::Failed(format!(
            "these contacts' servers do not have the notice yet: {}\n  The account is as it was; run the same command \
             again, or `account delete` to go without telling them",
            waiting.iter().map(Address::as_str).collect::<Vec<_>>().join(", ")
        )));
    }
    delete_now(agent, &address).await
}

/// Deletes the account and tells nobody.
pub(super) async fn delete(home: &Path, arguments: &Delete) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let account = agent.credentials()?.ok_or(AgentError::from(EngineError::NoAccount))?;
    confirm(&account.address, "deletes the account; your contacts are not told", arguments.yes)?;
    delete_now(agent, &account.address).await
}

async fn delete_now(mut agent: Agent, address: &Address) -> Result<(), CommandError> {
    let deleted = agent.delete_account(&mut |_| {}).await;
    agent.close().await;
    match deleted {
        Ok(()) => output::print(&format!(
            "{address} is deleted: the server has nothing of it any more. What was read here can be read and exported; `wipe`\ndestroys it.\n"
        )),
        Err(AgentError::Refused(code)) if code == ErrorCode::StatementVersion.name() => Err(CommandError::Failed(
            "another device has changed the account meanwhile; nothing was deleted, run the same command again"
                .to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// What the contacts are told, by an ordinary mail: the server does not learn that anybody leaves before he does.
fn notice(name: &str, address: &Address, successor: Option<&Address>) -> SendMail {
    let mut subject = format!("{name} has left");
    let room = (0..=SUBJECT_LENGTH_MAX).rev().find(|at| subject.is_char_boundary(*at)).unwrap_or(0);
    subject.truncate(room);
    let next = successor.map_or_else(
        || "Nobody takes over.".to_owned(),
        |successor| format!("From now on write to {successor}, after comparing safety numbers as with anybody new."),
    );
    SendMail {
        to: Vec::new(),
        cc: Vec::new(),
        subject,
        text: format!(
            "{name} has left {address}. What is written to this address is not delivered any more.\n\n{next}\n"
        ),
        html: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        receipts_wanted: ReceiptsWanted::default(),
        in_reply_to: None,
        body_copy: None,
    }
}

/// Sends the notice to each contact apart, so that none learns of the others, and empties the queue. Gives those whose
/// server does not have it.
async fn tell_contacts(
    agent: &mut Agent,
    address: &Address,
    notice: &SendMail,
    wait: Duration,
) -> Result<Vec<Address>, CommandError> {
    let settings = agent.settings()?;
    let contacts: BTreeSet<Address> = agent
        .contacts()?
        .into_iter()
        .map(|contact| contact.address)
        .filter(|contact| contact != address && !settings.is_blocked(contact))
        .collect();
    let is_notice = |message: &MessageRecord| message.sent && message.subject == notice.subject;
    let told: BTreeSet<Address> = agent
        .messages()?
        .iter()
        .filter(|one| is_notice(&one.message))
        .flat_map(|one| one.message.recipients.iter().map(|recipient| recipient.address.clone()))
        .collect();
    for contact in contacts.difference(&told) {
        let mail = SendMail { to: vec![contact.clone()], ..notice.clone() };
        agent.send_mail(mail, Vec::new(), &mut |_| {}).await?;
    }
    // It ends only once the queue was empty; what came is kept on this device.
    let begun = tokio::time::Instant::now();
    loop {
        agent.sync(Duration::ZERO, &mut |_| {}).await?;
        let queued: BTreeSet<Address> = agent
            .messages()?
            .iter()
            .filter(|one| is_notice(&one.message))
            .flat_map(|one| one.message.recipients.iter())
            .filter(|recipient| recipient.state == RecipientState::Queued)
            .map(|recipient| recipient.address.clone())
            .collect();
        if queued.is_empty() || begun.elapsed() >= wait {
            return Ok(queued.into_iter().collect());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What is to go is typed by whoever means it.
fn confirm(address: &Address, what: &str, yes: bool) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if io::stderr().is_terminal() {
        eprintln!("This {what}, for ever and on all its devices. Type {address} to do it:");
    }
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(CommandError::file("standard input"))?;
    if typed.trim() == address.as_str() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("nothing was deleted: {address} was not typed (or use --yes)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_names_who_takes_over() {
        let [claire, karim]: [Address; 2] = ["claire@a.example", "karim@a.example"].map(|text| text.parse().unwrap());
        let told = notice("Dr Claire Martin", &claire, Some(&karim));
        assert_eq!(told.subject, "Dr Claire Martin has left");
        assert!(told.text.contains("claire@a.example") && told.text.contains("write to karim@a.example"));
        assert!(notice("Claire", &claire, None).text.contains("Nobody takes over"));
        assert!(notice(&"é".repeat(SUBJECT_LENGTH_MAX), &claire, None).subject.len() <= SUBJECT_LENGTH_MAX);
    }
}
