//! A failed decryption changes nothing: what happened since the last checkpoint can be undone up to its last step.
//!
//! MLS takes a message's key out of its ratchet before it knows whether the message is good, so that a forged message
//! costs the genuine one with the same number. Copying the group before every message would cost ten times what the message
//! does at a thousand members. So the pages serve as the copy: after a failure the group is read from them again, and what
//! was processed since then is processed once more.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::error::{GroupError, StateError};
use super::keys::EpochKeys;
use super::member::Group;
use super::past::Past;
use super::rest::mls_group;
use crate::wire::group::Section;

/// Steps after which there is a new checkpoint: each forged message costs at most so many again, about as much as reading
/// a large group from its pages does.
const STEPS_MAX: usize = 256;
/// Bytes of messages after which there is one.
const BYTES_MAX: usize = 4 << 20;

/// What was done since the last checkpoint.
#[derive(Clone, Default)]
pub(super) struct Journal {
    steps: Vec<Step>,
    bytes: usize,
    /// As they were at the checkpoint.
    keys: Vec<EpochKeys>,
    past: Past,
}

impl Journal {
    /// An empty one: the pages hold the state as it is now.
    pub(super) fn at(keys: &[EpochKeys], past: &Past) -> Self {
        Self { keys: keys.to_vec(), past: past.clone(), ..Self::default() }
    }
}

#[derive(Clone)]
enum Step {
    /// A message of the log that was processed, out of its wrapping.
    Message { message: Zeroizing<Vec<u8>>, epoch: u64, closes_epoch: bool },
    /// A message of one's own was encrypted.
    Encrypted,
}

impl Group {
    /// Notes a message of the log that has changed the state.
    pub(super) fn note_message(
        &mut self,
        message: Zeroizing<Vec<u8>>,
        epoch: u64,
        closes_epoch: bool,
    ) -> Result<(), GroupError> {
        self.journal.bytes += message.len();
        self.note(Step::Message { message, epoch, closes_epoch })
    }

    /// Notes that one's own ratchet went on.
    pub(super) fn note_encrypted(&mut self) -> Result<(), GroupError> {
        self.note(Step::Encrypted)
    }

    fn note(&mut self, step: Step) -> Result<(), GroupError> {
        self.journal.steps.push(step);
        if self.journal.steps.len() > STEPS_MAX || self.journal.bytes > BYTES_MAX { self.checkpoint() } else { Ok(()) }
    }

    /// Puts the state into the pages. Nothing is handed to the store by this.
    pub(super) fn checkpoint(&mut self) -> Result<(), GroupError> {
        self.mls.write_to_storage_without_ratchet_tree().map_err(|error| self.failed(&error))?;
        let storage = self.storage.clone();
        let mut stored = storage.lock();
        let state = stored.state.take().ok_or(StateError::Section)?;
        if self.stored_tree != Some(self.epoch()) {
            let tree = self.mls.export_tree().to_bytes().map_err(|error| self.failed(&error))?;
            self.pages.store(Section::Tree, &tree);
            self.stored_tree = Some(self.epoch());
        }
        for epoch in std::mem::take(&mut stored.written) {
            if let Some(bytes) = stored.epochs.get(&epoch) {
                self.pages.store(Section::Epoch(epoch), bytes);
            }
        }
        let sections: Vec<Section> = self.pages.sections().collect();
        for section in sections {
            if let Section::Epoch(epoch) = section
                && !stored.epochs.contains_key(&epoch)
            {
                self.pages.remove(section);
            }
        }
        drop(stored);
        self.past.store(&mut self.pages);
        self.pages.store(Section::State, &state);
        self.journal = Journal::at(&self.keys, &self.past);
        Ok(())
    }

    /// Goes back to before whatever has just failed.
    pub(super) fn undo(&mut self) -> Result<(), GroupError> {
        (self.mls, self.storage) = mls_group(&self.pages, self.id, &self.provider, &self.judge)?;
        let journal = std::mem::take(&mut self.journal);
        self.keys.clone_from(&journal.keys);
        self.past.clone_from(&journal.past);
        self.end_judging();
        for step in &journal.steps {
            match step {
                Step::Message { message, epoch, closes_epoch } => {
                    // It has changed the state before, and does the same again; what it said was told then.
                    let _ = self.process_other(message, *epoch, *closes_epoch);
                }
                Step::Encrypted => {
                    // For the ratchet alone. What comes out is dropped here; the same key has encrypted something else.
                    let (generator, provider) = (&mut ChaCha20Rng::from_seed([0; 32]), self.provider.clone());
                    provider
                        .randomness()
                        .during(generator, || self.mls.encrypt_application_message(&[], Vec::new()))
                        .map_err(|error| self.failed(&error))?;
                }
            }
        }
        self.journal = journal;
        Ok(())
    }
}
