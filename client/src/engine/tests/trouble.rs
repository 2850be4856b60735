//! What goes wrong in a simulation: processes die, media fail, servers refuse, envelopes change places.

use chacha20::ChaCha20Rng;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};
use rand_core::Rng;

use super::world::World;
use crate::account_store::HandleError;
use crate::engine::{Input, Time, key};
use crate::store::memory::CommitFault;

/// A number below `bound`.
pub(super) fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

impl World {
    /// Handles an input in a process that dies after a few steps, or not.
    pub(super) fn die_during(&mut self, client: usize, input: &Input, rng: &mut ChaCha20Rng) {
        let mut fuse = (below(rng, 3) > 0).then(|| below(rng, 12));
        match self.run_until(client, input, &mut fuse) {
            Ok(Ok(())) => {}
            // The medium failed as often as it is tried.
            Ok(Err(HandleError::Store(_))) => {}
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => self.clients[client].restart(),
        }
    }

    /// Some of what waits, in order; now and then it is delivered although it was acknowledged.
    pub(super) fn receive_some(&mut self, client: usize, rng: &mut ChaCha20Rng) {
        let mut batch = self.pushed(client);
        let incarnation = self.server.incarnation;
        if batch.is_empty() && below(rng, 3) == 0 {
            batch = self.device(client).queue.clone();
        }
        let length = if batch.is_empty() { 0 } else { 1 + below(rng, batch.len()) };
        batch.truncate(length);
        if !batch.is_empty() {
            self.die_during(client, &Input::Deliveries { incarnation, batch }, rng);
        }
    }

    /// Envelopes that have not been fetched change places.
    pub(super) fn shuffle(&mut self, client: usize, rng: &mut ChaCha20Rng) {
        // What was committed and not acknowledged is not among them: the client passes its number over.
        let now = self.now;
        // The first look of a day is a commit, which may have been told to fail.
        let _ = self.clients[client].store.generation(Time(now), rng);
        let up_to = self.clients[client].get(&key::queue(), now).map_or(0, |queue| queue.up_to);
        let waiting = self.pushed(client).iter().filter(|delivery| delivery.sequence > up_to).count();
        if waiting < 2 {
            return;
        }
        let (one, other) = (below(rng, waiting), below(rng, waiting));
        let queue = &mut self.device(client).queue;
        let first = queue.len() - waiting;
        let envelope = std::mem::take(&mut queue[first + one].envelope);
        let swapped = std::mem::replace(&mut queue[first + other].envelope, envelope);
        if one == other {
            return;
        }
        queue[first + one].envelope = swapped;
    }

    pub(super) fn fail_a_commit(&mut self, client: usize, rng: &mut ChaCha20Rng) {
        let fault = if below(rng, 2) == 0 { CommitFault::Unwritten } else { CommitFault::Written };
        self.clients[client].disk.fail_next_commit(fault);
    }

    pub(super) fn refuse_something(&mut self, rng: &mut ChaCha20Rng) {
        let codes = [
            ErrorCode::StaleDevices,
            ErrorCode::QueueFull,
            ErrorCode::RateLimited,
            ErrorCode::StorageUnavailable,
            ErrorCode::Internal,
            ErrorCode::SubmissionIdReused,
        ];
        let code = codes[below(rng, codes.len())];
        self.server.refusals.push(ErrorReply::new(code, ""));
    }
}
