//! The store held against the generation that this machine remembers of it.

use super::{Agent, AgentError, now};
use crate::account_store::Handled;
use crate::engine::{Event, Input};
use crate::shell::anchor::{FileAnchor, GenerationAnchor};

/// What is known of the machine's anchor.
#[derive(Debug, Default)]
pub(super) enum Anchored {
    /// The store has not been held against it.
    #[default]
    Unknown,
    /// There is none, or no account that it could be of.
    Without,
    /// The store is as new as it was ever seen here.
    With(Box<dyn GenerationAnchor>),
}

impl Agent {
    /// Holds the store against the anchor, once for a device: an old copy drops sessions and prekeys before anything is done
    /// with them, whether the server can be asked or not. An anchor that cannot be read is none.
    pub(super) fn hold_against_anchor(&mut self) -> Result<Vec<Event>, AgentError> {
        if !matches!(self.platform.anchored, Anchored::Unknown) {
            return Ok(Vec::new());
        }
        self.platform.anchored = Anchored::Without;
        let Some(account) = self.store.account_record(now(), &mut self.rng)? else { return Ok(Vec::new()) };
        let Some(folder) = FileAnchor::folder() else { return Ok(Vec::new()) };
        let anchor = FileAnchor::new(&folder, &self.store.store_mut().anchor_name(account.device_id));
        let highest_generation = anchor.highest().unwrap_or_else(|error| {
            tracing::debug!(%error, "the anchor of the generation cannot be read");
            None
        });
        self.platform.anchored = Anchored::With(Box::new(anchor));
        let stored = self.store.generation(now(), &mut self.rng)?;
        match highest_generation {
            Some(highest_generation)
                if highest_generation > stored && !account.rolled_back && account.revoked.is_none() =>
            {
                // What it wants to send waits: the proof of device asks for it again.
                Ok(self.store.handle(&Input::Anchored { highest_generation }, now(), &mut self.rng)?.events)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Notes what has been committed.
    pub(super) fn raise_anchor(&mut self, handled: &Handled) {
        let is_another_device = |event: &Event| {
            matches!(
                event,
                Event::AccountPrepared { .. }
                    | Event::Linked { .. }
                    | Event::LinkedAnew { .. }
                    | Event::Restored { .. }
            )
        };
        if handled.events.iter().any(is_another_device) {
            self.platform.anchored = Anchored::Unknown;
        }
        if let Anchored::With(anchor) = &self.platform.anchored
            && let Err(error) = anchor.raise(handled.generation)
        {
            tracing::debug!(%error, "the anchor of the generation cannot be raised");
        }
    }
}
