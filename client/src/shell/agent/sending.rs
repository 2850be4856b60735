//! Puts a mail into the outbox: what of it goes inside the message, what as files to be uploaded, and what has to be sealed
//! on this device first.

use std::fmt::Debug;

use medipeps_core::attachment::AttachmentKey;
use medipeps_core::kind::Body;
use rand_core::Rng;

use super::{AccountAgent, AgentError, Platform, Show};
use crate::engine::{
    Attachment, AttachmentSize, AttachmentSource, EngineError, Event, GroupEvent, GroupInput, Input, LocalId,
    SealedCopy, SendMail, SendToGroup, fitting_beside,
};
use crate::shell::transfer::sealed_copy::{InMemory, Plaintext, SealedCopies, stage};

/// A document to go with a mail.
#[derive(Debug, Clone)]
pub struct OutgoingDocument<D> {
    /// As the recipient shall see it.
    pub name: String,
    /// For instance `application/pdf`.
    pub media_type: String,
    /// Where it is.
    pub place: D,
}

/// Where a document is that a person sends, as a platform has it.
pub trait DocumentSource: Debug {
    /// What it is once it was looked at.
    type Opened: OpenedDocument;

    /// Looks at it, for a document of that name.
    ///
    /// # Errors
    /// [`AgentError::Source`]
    fn open(self, name: &str) -> Result<Self::Opened, AgentError>;
}

/// A document that was looked at. As a plaintext it comes from its first byte on.
pub trait OpenedDocument: Plaintext {
    /// Bytes of it.
    fn length(&self) -> u64;

    /// Where it stays until it is sent; `None` if it must be sealed and kept for that.
    ///
    /// # Errors
    /// [`AgentError::Source`]
    fn stays(&self) -> Result<Option<AttachmentSource>, AgentError>;

    /// All of it, which goes inside a message, so that it is short.
    ///
    /// # Errors
    /// [`AgentError::Source`]
    fn whole(self) -> impl Future<Output = Result<Vec<u8>, AgentError>>;
}

impl<P: Platform> AccountAgent<P> {
    /// Puts a mail with these documents into the outbox; `mail` has none of its own. Nothing is sent yet. What is refused is
    /// refused before anything is queued.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Source`], [`AgentError::SealedCopy`].
    pub async fn send_mail(
        &mut self,
        mut mail: SendMail,
        documents: Vec<OutgoingDocument<P::Place>>,
        show: Show<'_>,
    ) -> Result<LocalId, AgentError> {
        let mut staged = Vec::new();
        let sent = match self.enclose(&mut mail, documents, &mut staged).await {
            Ok(()) => self.queue(mail, show).await,
            Err(error) => Err(error),
        };
        self.keep_staged(&staged, sent.is_ok()).await;
        sent
    }

    /// Says something in a group with these documents; `said` has none of its own. As [`Self::send_mail`]: nothing is sent
    /// yet, and what is refused is refused before anything is queued. Gives back the message's number in the group.
    ///
    /// # Errors
    /// As [`Self::send_mail`].
    pub async fn send_to_group(
        &mut self,
        said: SendToGroup,
        documents: Vec<OutgoingDocument<P::Place>>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let input = |_: &mut Self, said| Ok(Input::Group(GroupInput::Send(Box::new(said))));
        self.say(said, documents, input, show).await
    }

    pub(super) async fn say(
        &mut self,
        mut said: SendToGroup,
        documents: Vec<OutgoingDocument<P::Place>>,
        input: impl FnOnce(&mut Self, SendToGroup) -> Result<Input, AgentError>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let mut staged = Vec::new();
        // The fallback text says everything once more.
        let placed = self.place((&said.body, said.fallback_text.len()), documents, &mut staged).await;
        let sent = match placed {
            Ok((attachments, _)) => {
                said.attachments = attachments;
                match input(self, said) {
                    Ok(input) => self.queue_said(input, show).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        self.keep_staged(&staged, sent.is_ok()).await;
        sent
    }

    async fn queue_said(&mut self, input: Input, show: Show<'_>) -> Result<u64, AgentError> {
        let mut queued = None;
        let mut see = |event: &Event| {
            if let Event::Group { event: GroupEvent::MessageQueued { number }, .. } = event {
                queued = Some(*number);
            }
            show(event);
        };
        self.round(input, &mut see).await?;
        Ok(queued.ok_or(EngineError::NoProgress)?)
    }

    /// What was sealed beforehand belongs to a message now, or to none.
    pub(super) async fn keep_staged(&self, staged: &[[u8; 32]], sent: bool) {
        for blob_id in staged {
            match sent {
                // It is found under its staged name too, should this fail.
                true => drop(self.platform.copies().adopt(blob_id).await),
                false => self.platform.copies().remove(blob_id).await,
            }
        }
    }

    /// Places body and documents, and seals what must be sealed beforehand; `staged` has the ids of that.
    async fn enclose(
        &mut self,
        mail: &mut SendMail,
        documents: Vec<OutgoingDocument<P::Place>>,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<(), AgentError> {
        let body: Body = mail.body()?;
        let (attachments, body_blob) = self.place((&body, 0), documents, staged).await?;
        mail.attachments.extend(attachments);
        if body_blob {
            let encoded = body.encode().map_err(EngineError::from)?;
            mail.body_copy = Some(self.seal(&encoded, staged).await?);
        }
        Ok(())
    }

    /// Places documents beside a body and so many other bytes, and seals what must be sealed beforehand. Also whether the body
    /// must go as a blob.
    async fn place(
        &mut self,
        (body, beside): (&Body, usize),
        documents: Vec<OutgoingDocument<P::Place>>,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<(Vec<Attachment>, bool), AgentError> {
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        let (mut sizes, mut opened) = (Vec::new(), Vec::new());
        for OutgoingDocument { name, media_type, place } in documents {
            let document = place.open(&name)?;
            sizes.push(AttachmentSize { labels: name.len() + media_type.len(), length: document.length() });
            opened.push((name, media_type, document));
        }
        let placement =
            fitting_beside(body, beside, credentials.address.domain(), &sizes).map_err(EngineError::from)?;
        let mut attachments = Vec::new();
        for ((name, media_type, mut document), inline) in opened.into_iter().zip(placement.inline) {
            let source = match (inline, document.stays()?) {
                (true, _) => AttachmentSource::Inline(document.whole().await?),
                (false, Some(source)) => source,
                (false, None) => {
                    let length = document.length();
                    AttachmentSource::SealedCopy(self.seal_from(length, &mut document, staged).await?)
                }
            };
            attachments.push(Attachment { name, media_type, source });
        }
        Ok((attachments, placement.body_blob))
    }

    pub(super) async fn seal(
        &mut self,
        plaintext: &[u8],
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<SealedCopy, AgentError> {
        self.seal_from(plaintext.len() as u64, &mut InMemory(plaintext), staged).await
    }

    async fn seal_from(
        &mut self,
        length: u64,
        plaintext: &mut impl Plaintext,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<SealedCopy, AgentError> {
        let mut blob_id = [0; 32];
        self.rng.fill_bytes(&mut blob_id);
        let key = AttachmentKey::random(&mut self.rng);
        staged.push(blob_id);
        let digests = stage(self.platform.copies(), (&blob_id, &key), length, plaintext).await?;
        Ok(SealedCopy { blob_id, key, length, digests })
    }
}
