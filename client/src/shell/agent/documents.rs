//! What a person does with the documents of a message: reads a body that is not here yet, saves files, looks into one.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::attachment::{AttachmentError, BlobReference};
use medipeps_core::document::StripError;
use medipeps_core::kind::{AttachmentPlace, Body, Chat, Content, PhotoError};
use medipeps_core::limits::IMAGE_LENGTH_MAX;
use rand_core::SeedableRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::{Agent, AgentError, Show};
use crate::engine::{EngineError, GroupMessage, LocalId, MessageDetail, check_blob_domain};
use crate::limits::{OUTBOX_LOOK_INTERVAL, TRANSFER_PATIENCE, TRANSFERS_AT_ONCE_MAX};
use crate::shell::transfer::FetchError;
use crate::shell::transfer::fetch::Fetch;
use crate::shell::transfer::pipeline::BlobServer;
use crate::shell::transfer::save::{ExpectedPhoto, SaveError, save_blob, save_bytes};

/// What became of each attachment of a message that was to be saved, in order.
pub type Saved = Vec<Result<PathBuf, SaveError>>;

impl Agent {
    /// A message with its whole body, which is fetched if it is not here, or no longer. What stands in the way of that is
    /// the second thing given back; the message then has its short body.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn whole_message(
        &mut self,
        id: LocalId,
        show: Show<'_>,
    ) -> Result<(MessageDetail, Option<AgentError>), AgentError> {
        match self.message(id) {
            Ok(message) if message.missing_body.is_none() => return Ok((message, None)),
            Ok(message) => {
                if let Some(code) = message.missing_body.as_ref().and_then(|record| record.failed.clone()) {
                    return Ok((message, Some(AgentError::NoBody(code))));
                }
            }
            // The copy is gone or spoilt. Of a message that came, the server may still have it.
            Err(error @ AgentError::SealedCopy(_)) => {
                let message = self.outline(id)?;
                if message.message.sent {
                    return Ok((message, Some(error)));
                }
            }
            Err(error) => return Err(error),
        }
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        if let Err(error) = self.start_body(id, &credentials) {
            return Ok((self.outline(id)?, Some(error)));
        }
        while self.platform.transfers.fetches_body(&id) && !self.platform.transfers.are_settled() {
            self.transfer_for(OUTBOX_LOOK_INTERVAL, show).await?;
        }
        match self.message(id) {
            Ok(message) if message.missing_body.is_none() => Ok((message, None)),
            Ok(message) => {
                let code = message.missing_body.as_ref().and_then(|record| record.failed.clone());
                Ok((message, Some(code.map_or(AgentError::Stalled, AgentError::NoBody))))
            }
            Err(error @ AgentError::SealedCopy(_)) => Ok((self.outline(id)?, Some(error))),
            Err(error) => Err(error),
        }
    }

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
            let photo = match &content.body {
                Body::Chat(Chat::Photo(photo)) => {
                    Some(ExpectedPhoto { photo: photo.clone(), media_type: attachment.media_type.clone() })
                }
                _ => None,
            };
            saved.push(match &attachment.place {
                // A photo inside the message was looked at when that was read.
                AttachmentPlace::Inline(data) => Some(save_bytes(folder, &attachment.name, data)),
                AttachmentPlace::Blob(blob) if photo.is_some() && blob.length > IMAGE_LENGTH_MAX as u64 => {
                    let length = usize::try_from(blob.length).unwrap_or(usize::MAX);
                    Some(Err(PhotoError::from(StripError::TooLarge { length }).into()))
                }
                AttachmentPlace::Blob(blob) => {
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
                let (shared, folder) = (self.platform.transfers.shared.clone(), folder.to_owned());
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
                Some(report) = self.platform.transfers.next_report() => {
                    progressed = Instant::now();
                    self.platform.transfers.show(&report);
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
        while let Some(report) = self.platform.transfers.ready_report() {
            self.platform.transfers.show(&report);
        }
        Ok(saved.into_iter().map(|path| path.unwrap_or(Err(SaveError::Fetch(FetchError::Stalled)))).collect())
    }

    /// Bytes of one attachment, of a range of at most a part's length.
    ///
    /// # Errors
    /// [`AgentError::Fetch`]
    pub async fn read_range(
        &mut self,
        message: &MessageDetail,
        index: usize,
        range: &Range<u64>,
    ) -> Result<Zeroizing<Vec<u8>>, AgentError> {
        let attachment = message.content.attachments.get(index).ok_or(EngineError::UnknownMessage)?;
        if range.start >= range.end || range.end > attachment.length() {
            return Err(FetchError::from(AttachmentError::Range).into());
        }
        let blob = match &attachment.place {
            AttachmentPlace::Inline(data) => {
                let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = data.get(within(range.start)..within(range.end)).unwrap_or_default();
                return Ok(Zeroizing::new(bytes.to_vec()));
            }
            AttachmentPlace::Blob(blob) => blob,
        };
        let server = self.server_of_blob(&message.message.sender, blob)?;
        let shared = self.platform.transfers.shared.clone();
        let fetched = async {
            let mut fetch = Fetch::open(blob, server, shared, None, &mut self.rng).await?;
            fetch.range(range).await
        };
        Ok(timeout(TRANSFER_PATIENCE, fetched).await.unwrap_or(Err(FetchError::Stalled))?)
    }

    /// Where a blob of a message lies: at its sender's server, and nowhere else.
    fn server_of_blob(&mut self, sender: &Address, blob: &BlobReference) -> Result<BlobServer, AgentError> {
        check_blob_domain(sender, &blob.domain).map_err(|code| AgentError::NoBody(code.to_owned()))?;
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        self.blob_server(&blob.domain, &credentials)
    }
}
