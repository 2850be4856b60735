//! When to look for what is due, so that a tick with nothing due reads one record, however much waits.
//!
//! A time in the agenda is never later than the earliest of its matter. One that is further away than anything of the
//! matter waits comes from a clock that was wrong; it counts as due, and whoever looks then puts the times right.

use medipeps_core::wire::client_records::AgendaRecord;

use super::records::key;
use super::transaction::{Stop, Transaction};
use crate::limits::{EMPTY_DELAY_MS, KEPT_ENVELOPE_MS, UNCONFIRMED_WAIT_MS};

/// What there is to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// `received` and empty messages.
    Owed,
    /// Messages that nobody has confirmed.
    Unconfirmed,
    /// Envelopes of no session.
    Kept,
}

impl Matter {
    const fn wait_max(self) -> u64 {
        match self {
            Self::Owed => EMPTY_DELAY_MS,
            Self::Unconfirmed => UNCONFIRMED_WAIT_MS,
            Self::Kept => KEPT_ENVELOPE_MS,
        }
    }

    const fn of(self, agenda: &mut AgendaRecord) -> &mut u64 {
        match self {
            Self::Owed => &mut agenda.owed,
            Self::Unconfirmed => &mut agenda.unconfirmed,
            Self::Kept => &mut agenda.kept,
        }
    }
}

/// Something of this matter is due at `at`.
pub(super) fn note(transaction: &mut Transaction<'_>, matter: Matter, at: u64) -> Result<(), Stop> {
    let mut agenda = transaction.load(&key::agenda())?.unwrap_or_default();
    let place = matter.of(&mut agenda);
    if *place == 0 || at < *place {
        *place = at.max(1);
        transaction.store(&key::agenda(), &agenda);
    }
    Ok(())
}

/// Whether to look at everything of this matter now. If so, whoever looks notes anew what is left.
pub(super) fn take_due(transaction: &mut Transaction<'_>, matter: Matter) -> Result<bool, Stop> {
    let mut agenda = transaction.load(&key::agenda())?.unwrap_or_default();
    let now = transaction.now.0;
    let place = matter.of(&mut agenda);
    if *place == 0 || (*place > now && *place - now <= matter.wait_max()) {
        return Ok(false);
    }
    *place = 0;
    transaction.store(&key::agenda(), &agenda);
    Ok(true)
}

/// Whether there is anything of this matter at all, as far as the agenda knows.
pub(super) fn has(transaction: &mut Transaction<'_>, matter: Matter) -> Result<bool, Stop> {
    let mut agenda = transaction.load(&key::agenda())?.unwrap_or_default();
    Ok(*matter.of(&mut agenda) != 0)
}

/// A due time that a right clock can have set: not further away than things of its kind ever wait.
pub(super) fn within(at: u64, now: u64, wait_max: u64) -> u64 {
    at.min(now.saturating_add(wait_max))
}
