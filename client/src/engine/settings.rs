//! Whom a person has blocked and what he has muted: stored, told to the account's other devices, and asked about when
//! something comes. `spec/client-engine.md`, section "Blocked and muted".

use medipeps_core::Address;
use medipeps_core::kind::{BlockedAccount, Conversation, DeviceSync, MessageId, MutedConversation, Settings};
use medipeps_core::wire::client_records::SettingsRecord;

use super::account::OwnDevice;
use super::outcome::{EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{LocalId, delivery, device_sync};

/// A person does not want to see an account's messages, or does again.
pub(super) fn block(transaction: &mut Transaction<'_>, address: &Address, blocked: bool) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if address == own.address() {
        return Err(EngineError::OwnAddress(address.clone()).into());
    }
    let entry = BlockedAccount { address: address.clone(), blocked, at: transaction.now.0 };
    let mut settings = load(transaction)?;
    settings.block(&entry)?;
    store(transaction, settings);
    // Who is blocked may have the present key.
    if blocked && transaction.load(&key::delivery(address))?.is_some_and(|record| record.accepted_at != 0) {
        delivery::renew(transaction)?;
    }
    device_sync::note(transaction, DeviceSync { blocked: vec![entry], ..DeviceSync::default() }, true)
}

/// A conversation does not ring until a time in milliseconds since 1970, or rings again.
pub(super) fn mute(transaction: &mut Transaction<'_>, conversation: &Conversation, until: u64) -> Result<(), Stop> {
    let entry = MutedConversation { conversation: conversation.clone(), until, at: transaction.now.0 };
    let mut settings = load(transaction)?;
    settings.mute(&entry)?;
    store(transaction, settings);
    device_sync::note(transaction, DeviceSync { muted: vec![entry], ..DeviceSync::default() }, true)
}

/// What another device of the account has told.
pub(super) fn apply(transaction: &mut Transaction<'_>, sync: &DeviceSync) -> Result<(), Stop> {
    if sync.blocked.is_empty() && sync.muted.is_empty() {
        return Ok(());
    }
    let before = load(transaction)?;
    let mut settings = before.clone();
    settings.merge(sync);
    if settings != before {
        store(transaction, settings);
    }
    Ok(())
}

/// All that is set, in batches that can be sent: what a new device of the account needs.
pub(super) fn all(transaction: &mut Transaction<'_>) -> Result<Vec<DeviceSync>, Stop> {
    let (blocked, muted) = load(transaction)?.entries();
    Ok(DeviceSync { blocked, muted, ..DeviceSync::default() }.split())
}

/// Whether messages of an account are not shown.
pub(super) fn is_blocked(transaction: &mut Transaction<'_>, address: &Address) -> Result<bool, Stop> {
    Ok(load(transaction)?.is_blocked(address))
}

/// Tells that a mail has come, and whether it rings. What is blocked is kept, should it be unblocked, and told to
/// nobody.
pub(super) fn announce(
    transaction: &mut Transaction<'_>,
    id: &LocalId,
    sender: &Address,
    thread: MessageId,
) -> Result<(), Stop> {
    let (settings, now) = (load(transaction)?, transaction.now.0);
    if settings.is_blocked(sender) {
        return Ok(());
    }
    let muted = |conversation| settings.is_muted(&conversation, now);
    let silent = muted(Conversation::Account(sender.clone())) || muted(Conversation::Thread(thread));
    transaction.event(match silent {
        true => Event::MutedMessageReceived { id: *id },
        false => Event::MessageReceived { id: *id },
    });
    Ok(())
}

/// Whether what this sender says in this thread of a group comes without ringing.
pub(super) fn is_silent_in_group(
    transaction: &mut Transaction<'_>,
    group: &[u8; 32],
    (sender, thread): (&Address, MessageId),
) -> Result<bool, Stop> {
    let (settings, now) = (load(transaction)?, transaction.now.0);
    let muted = |conversation| settings.is_muted(&conversation, now);
    let silent = muted(Conversation::Group(*group)) || muted(Conversation::Thread(thread));
    Ok(silent || settings.is_blocked(sender))
}

fn load(transaction: &mut Transaction<'_>) -> Result<Settings, Stop> {
    Ok(transaction.load(&key::settings())?.unwrap_or_default().settings)
}

fn store(transaction: &mut Transaction<'_>, settings: Settings) {
    transaction.store(&key::settings(), &SettingsRecord { settings });
}
