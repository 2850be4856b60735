//! `medipeps contact block|unblock|mute|unmute`, `medipeps group mute|unmute`: what a person does not want to see or
//! hear.

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::kind::{Conversation, MUTED_FOR_EVER};

use super::{CommandError, group, output, time};
use crate::engine::Input;
use crate::shell::agent::{Agent, now};

pub(super) async fn block(home: &Path, address: &Address, blocked: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let before = agent.settings()?.is_blocked(address);
    set(agent, Input::Block { address: address.clone(), blocked }).await?;
    output::print(&match (before, blocked) {
        (false, true) => format!(
            "{address} is blocked: its mail is not shown (`inbox --blocked` shows it), gets no receipts \
             and brings no invitations;\nin groups what it says is folded away. It is not told.\n"
        ),
        (true, true) => format!("{address} was blocked already.\n"),
        (true, false) => format!("{address} is not blocked any more; what has come meanwhile is in the inbox.\n"),
        (false, false) => format!("{address} was not blocked.\n"),
    })
}

pub(super) async fn mute_contact(home: &Path, address: &Address, until: Option<u64>) -> Result<(), CommandError> {
    let agent = super::open(home)?;
    mute(agent, Conversation::Account(address.clone()), &address.to_string(), until).await
}

pub(super) async fn mute_group(home: &Path, typed: &str, until: Option<u64>) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let id = group::find(typed, &agent.groups()?)?;
    mute(agent, Conversation::Group(id), &format!("group {}", group::short(&id)), until).await
}

pub(super) async fn unmute_contact(home: &Path, address: &Address) -> Result<(), CommandError> {
    let agent = super::open(home)?;
    unmute(agent, Conversation::Account(address.clone()), &address.to_string()).await
}

pub(super) async fn unmute_group(home: &Path, typed: &str) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let id = group::find(typed, &agent.groups()?)?;
    unmute(agent, Conversation::Group(id), &format!("group {}", group::short(&id))).await
}

async fn mute(agent: Agent, conversation: Conversation, name: &str, until: Option<u64>) -> Result<(), CommandError> {
    if until.is_some_and(|until| until <= now().0) {
        return Err(CommandError::Use("that time is over already".to_owned()));
    }
    set(agent, Input::Mute { conversation, until: until.unwrap_or(MUTED_FOR_EVER) }).await?;
    let until = until.map_or("until `unmute`".to_owned(), |until| format!("until {}", time::iso(until)));
    output::print(&format!("{name} is muted {until}: everything comes as before, without ringing.\n"))
}

async fn unmute(agent: Agent, conversation: Conversation, name: &str) -> Result<(), CommandError> {
    set(agent, Input::Mute { conversation, until: 0 }).await?;
    output::print(&format!("{name} is not muted.\n"))
}

/// Stores it, and tells the account's other devices if they can be told now.
async fn set(mut agent: Agent, input: Input) -> Result<(), CommandError> {
    let done = agent.run(input, &mut |_| {}).await;
    let told = match done {
        Ok(_) => agent.send_due(&mut |_| {}).await.map(|_| ()),
        Err(error) => Err(error),
    };
    agent.close().await;
    Ok(told?)
}
