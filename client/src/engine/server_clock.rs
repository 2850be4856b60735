//! What time it is where something is deleted by it: this device's clock alone must not decide that, nor a server's alone.
//!
//! A server says its time with each answer about a group's log, and when it took each entry. The earlier of its time and
//! this device's counts: a clock that is a year ahead deletes nothing that is younger, and neither does a server that lies
//! about the time. Somebody whose clock is ahead, at a server that lies, is not protected.

use zeroize::Zeroizing;

use super::records::key;
use super::transaction::{Stop, Transaction};

/// Milliseconds by which a server's time must have moved to be written down again.
const WRITTEN_STEP_MS: u64 = 60 * 1000;

/// A server says what time it is now: that is believed whatever it said before.
pub(super) fn told(transaction: &mut Transaction<'_>, domain: &str, at: u64) -> Result<(), Stop> {
    if said(transaction, domain)?.is_none_or(|before| at.abs_diff(before) >= WRITTEN_STEP_MS) {
        write(transaction, domain, at);
    }
    Ok(())
}

/// A server says when something came to it: by now it is no earlier.
pub(super) fn told_past(transaction: &mut Transaction<'_>, domain: &str, at: u64) -> Result<(), Stop> {
    if said(transaction, domain)?.is_none_or(|before| at >= before.saturating_add(WRITTEN_STEP_MS)) {
        write(transaction, domain, at);
    }
    Ok(())
}

/// The time up to which things of a server are over: the earlier of its time, when it last said, and this device's.
/// `None` if it has said nothing yet; nothing is over then.
pub(super) fn now(transaction: &mut Transaction<'_>, domain: &str) -> Result<Option<u64>, Stop> {
    Ok(said(transaction, domain)?.map(|said| said.min(transaction.now.0)))
}

fn said(transaction: &mut Transaction<'_>, domain: &str) -> Result<Option<u64>, Stop> {
    let stored = transaction.load(&key::server_time(domain))?;
    Ok(stored.and_then(|stored| stored.as_slice().try_into().ok().map(u64::from_be_bytes)))
}

fn write(transaction: &mut Transaction<'_>, domain: &str, at: u64) {
    transaction.store(&key::server_time(domain), &Zeroizing::new(at.to_be_bytes().to_vec()));
}
