//! Saves the files of a message in a folder.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::kind::{AttachmentPlace, Content};
use rand_core::SeedableRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Agent, AgentError};
use crate::engine::{GroupMessage, MessageDetail};
use crate::limits::{TRANSFER_PATIENCE, TRANSFERS_AT_ONCE_MAX};
use crate::shell::transfer::fetch::Fetch;
use crate::shell::transfer::save::{SaveError, save_blob, save_bytes};
use crate::shell::transfer::{ExpectedPhoto, FetchError};

/// What became of each attachment of a message that was to be saved, in order.
pub type Saved = Vec<Result<PathBuf, SaveError>>;

impl Agent {
    /// Saves all attachments of a message in a folder, several at once, each under a harmless name that is not taken.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; what stands in the way of one attachment is told for that one.
    pub async fn save_attachments(&mut self, message: &MessageDetail, folder: &Path) -> Result<Saved, AgentError> {
        self.save_files(&message.message.sender, &message.content, folder).await
    }

    /// The same for a message of a group. A photo that says more than its pixels is not saved.
    ///
    /// # Errors
    /// As [`Self::save_attachments`].
    pub async fn save_group_files(&mut self, message: &GroupMessage, folder: &Path) -> Result<Saved, AgentError> {
        self.save_files(&message.message.sender, &message.content, folder).await
    }

    pub(super) async fn save_files(
        &mut self,
        sender: &Address,
        content: &Content,
        folder: &Path,
    ) -> Result<Saved, AgentError> {
        let mut saved: Vec<Option<Result<PathBuf, SaveError>>> = Vec::new();
        let mut waiting = VecDeque::new();
        for (index, attachment) in content.attachments.iter().enumerate() {
            let photo = ExpectedPhoto::of(content, attachment);
            saved.push(match &attachment.place {
                // A photo inside the message was looked at when that was read.
                AttachmentPlace::Inline(data) => Some(save_bytes(folder, &attachment.name, data)),
                AttachmentPlace::Blob(blob) => {
                    if let Some(error) = photo.as_ref().and_then(|_| ExpectedPhoto::check_length(blob.length).err()) {
                        saved.push(Some(Err(error.into())));
                        continue;
                    }
                    let server = self.server_of_blob(sender, blob)?;
                    waiting.push_back((index, attachment.name.clone(), (blob.clone(), photo), server));
                    None
                }
            });
        }
        let mut tasks = JoinSet::new();
        let mut progressed = Instant::now();
        loop {
            while tasks.len() < TRANSFERS_AT_ONCE_MAX
                && let Some((index, name, (blob, photo), server)) = waiting.pop_front()
            {
                let meter = self.meter(&blob.id, &name, blob.layout().map_or(0, |layout| layout.sealed_length()));
                let (shared, folder) = (self.transfers.shared.clone(), folder.to_owned());
                let mut rng = ChaCha20Rng::from_rng(&mut self.rng);
                tasks.spawn(async move {
                    let path = match Fetch::open(&blob, server, shared, Some(meter), &mut rng).await {
                        Ok(fetch) => save_blob(&folder, &name, (&blob, photo.as_ref()), fetch).await,
                        Err(error) => Err(error.into()),
                    };
                    (index, path)
                });
            }
            tokio::select! {
                Some(report) = self.transfers.next_report() => {
                    progressed = Instant::now();
                    self.transfers.show(&report);
                }
                ended = tasks.join_next() => match ended {
                    None => break,
                    Some(Ok((index, path))) => {
                        progressed = Instant::now();
                        saved[index] = Some(path);
                    }
                    Some(Err(error)) => tracing::debug!(%error, "a file was not saved"),
                },
                () = tokio::time::sleep_until(progressed + TRANSFER_PATIENCE) => break,
            }
        }
        while let Some(report) = self.transfers.ready_report() {
            self.transfers.show(&report);
        }
        Ok(saved.into_iter().map(|path| path.unwrap_or(Err(SaveError::Fetch(FetchError::Stalled)))).collect())
    }
}
