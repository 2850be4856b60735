//! What a person does with the documents of a message: reads a body that is not here yet, fetches files, looks into one.

use std::ops::Range;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::attachment::{AttachmentError, BlobReference};
use medipeps_core::kind::{AttachmentPlace, Content};
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::{AccountAgent, AgentError, Platform, Show};
use crate::engine::{EngineError, LocalId, MessageDetail, check_blob_domain};
use crate::limits::{OUTBOX_LOOK_INTERVAL, TRANSFER_PATIENCE};
use crate::shell::runtime::timeout;
use crate::shell::transfer::download::{AtServer, Download, DownloadError};
use crate::shell::transfer::fetch::Fetch;
use crate::shell::transfer::pipeline::BlobServer;
use crate::shell::transfer::{ExpectedPhoto, FetchError, sealed_copy};

impl<P: Platform> AccountAgent<P> {
    /// One message with its content, and with its whole body where that is on this device
    /// ([`MessageDetail::missing_body`] tells).
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`UnknownMessage`](crate::engine::EngineError::UnknownMessage) if there is none of this id;
    /// [`AgentError::SealedCopy`] if the body's copy is gone or spoilt.
    pub async fn message(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.outline(id)?;
        let (Some(blob), Some(name), None) =
            (message.content.body_blob.clone(), message.body_copy_name(), &message.missing_body)
        else {
            return Ok(message);
        };
        let copies = self.platform.copies();
        let plaintext = match message.message.sent {
            // The digest over the whole comes into a message of one's own only once it is uploaded.
            true => sealed_copy::open_own(copies, &name, &blob).await?,
            false => sealed_copy::open(copies, &name, &blob).await?,
        };
        message.with_body(&plaintext).map_err(|code| AgentError::NoBody(code.to_owned()))
    }

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
        match self.message(id).await {
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
        while self.transfers.fetches_body(&id) && !self.transfers.are_settled() {
            self.transfer_for(OUTBOX_LOOK_INTERVAL, show).await?;
        }
        match self.message(id).await {
            Ok(message) if message.missing_body.is_none() => Ok((message, None)),
            Ok(message) => {
                let code = message.missing_body.as_ref().and_then(|record| record.failed.clone());
                Ok((message, Some(code.map_or(AgentError::Stalled, AgentError::NoBody))))
            }
            Err(error @ AgentError::SealedCopy(_)) => Ok((self.outline(id)?, Some(error))),
            Err(error) => Err(error),
        }
    }

    /// An attachment of a message from `sender`, to be fetched whole. A photo that says more than its pixels is refused.
    ///
    /// # Errors
    /// [`EngineError::UnknownMessage`] if there is no such attachment, [`AgentError::NoBody`] if it lies where it must not be
    /// fetched from, [`AgentError::Download`].
    pub fn download(
        &mut self,
        sender: &Address,
        content: &Content,
        index: usize,
    ) -> Result<Download<P::Carrier>, AgentError> {
        let attachment = content.attachments.get(index).ok_or(EngineError::UnknownMessage)?;
        let blob = match &attachment.place {
            AttachmentPlace::Inline(bytes) => return Ok(Download::inline(bytes.clone())),
            AttachmentPlace::Blob(blob) => blob,
        };
        let photo = ExpectedPhoto::of(content, attachment);
        if photo.is_some() {
            ExpectedPhoto::check_length(blob.length).map_err(DownloadError::from)?;
        }
        let (server, shared) = (self.server_of_blob(sender, blob)?, self.transfers.downloads.clone());
        let (blob, name, rng) = (blob.clone(), attachment.name.clone(), ChaCha20Rng::from_rng(&mut self.rng));
        Ok(Download::at_server(AtServer { blob, name, photo, server, shared, rng }))
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
        let shared = self.transfers.shared.clone();
        let fetched = async {
            let mut fetch = Fetch::<P::Carrier>::open(blob, server, shared, None, &mut self.rng).await?;
            fetch.range(range).await
        };
        Ok(timeout(TRANSFER_PATIENCE, fetched).await.unwrap_or(Err(FetchError::Stalled))?)
    }

    /// Where a blob of a message lies: at its sender's server, and nowhere else.
    pub(super) fn server_of_blob(&mut self, sender: &Address, blob: &BlobReference) -> Result<BlobServer, AgentError> {
        check_blob_domain(sender, &blob.domain).map_err(|code| AgentError::NoBody(code.to_owned()))?;
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        self.blob_server(&blob.domain, &credentials)
    }
}
