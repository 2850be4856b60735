//! Where this device is woken when it is not connected: kept for all servers, and told to the account's own. What is told to the
//! servers of groups is in `group::wake`. `spec/push.md`.

use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::client_records::WakeRecord;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request};

use super::Correlation;
use super::account::OwnDevice;
use super::outbox::{is_transient, next_attempt};
use super::outcome::{Connection, Event, error_code_name};
use super::records::key;
use super::transaction::{Stop, Transaction};
use crate::limits::{WAKE_ANSWER_MS, WAKE_REFUSED_MS};

/// From now on the device is woken there, or nowhere. The servers are told with the next tick.
pub(super) fn set(transaction: &mut Transaction<'_>, endpoint: Option<PushEndpoint>) -> Result<(), Stop> {
    OwnDevice::load_working(transaction)?;
    let known = transaction.load(&key::wake())?;
    if known.is_none() && endpoint.is_none() {
        return Ok(());
    }
    // What was asked for again is told again: the server may have found that the subscription was gone.
    transaction.store(&key::wake(), &WakeRecord { endpoint, ..WakeRecord::default() });
    Ok(())
}

/// Tells the own server what it does not know yet.
pub(super) fn send_due(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let Some(mut wake) = transaction.load(&key::wake())? else { return Ok(()) };
    let now = transaction.now.0;
    // A time that is further away than anything waits comes from a clock that was wrong.
    let waits = wake.next_attempt > now && wake.next_attempt - now <= WAKE_REFUSED_MS;
    if wake.told || waits {
        return Ok(());
    }
    OwnDevice::load_working(transaction)?;
    wake.next_attempt = now.saturating_add(WAKE_ANSWER_MS);
    transaction.store(&key::wake(), &wake);
    let correlation = Correlation::SetDeviceWake(wake.endpoint.clone());
    transaction.send(Connection::Proved, Request::SetDeviceWake(wake.endpoint), correlation);
    Ok(())
}

/// What the own server has said to it.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    endpoint: Option<&PushEndpoint>,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let Some(mut wake) = transaction.load(&key::wake())? else { return Ok(()) };
    if wake.endpoint.as_ref() != endpoint {
        // Another was asked for meanwhile: it is told as soon as can be.
        return Ok(());
    }
    match result {
        Ok(()) if endpoint.is_none() => {
            transaction.delete(&key::wake());
            return Ok(());
        }
        Ok(()) => wake = WakeRecord { told: true, endpoint: wake.endpoint, ..WakeRecord::default() },
        Err(error) => {
            let now = transaction.now.0;
            wake.attempts = wake.attempts.saturating_add(1);
            let refused = error.known_code() == Some(ErrorCode::PushServiceRefused) || !is_transient(error);
            wake.next_attempt = match refused {
                true => now.saturating_add(WAKE_REFUSED_MS),
                false => next_attempt(transaction, wake.attempts, error.retry_after),
            };
            let code = error_code_name(error);
            if refused && wake.problem.as_ref() != Some(&code) {
                transaction.event(Event::WakeRefused { code: code.clone() });
            }
            wake.problem = Some(code);
        }
    }
    transaction.store(&key::wake(), &wake);
    Ok(())
}

/// The server was restored from a backup, which has no wakes.
pub(super) fn server_restored(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    if let Some(wake) = transaction.load(&key::wake())? {
        transaction.store(&key::wake(), &WakeRecord { endpoint: wake.endpoint, ..WakeRecord::default() });
    }
    Ok(())
}
