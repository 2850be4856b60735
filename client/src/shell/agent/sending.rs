//! Puts a mail into the outbox: what of it goes inside the message, what as files to be uploaded, and what has to be sealed
//! on this device first.

use std::fs::File;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medipeps_core::attachment::AttachmentKey;
use medipeps_core::kind::Body;
use medipeps_core::limits::INLINE_ATTACHMENTS_LENGTH_MAX;
use rand_core::Rng;

use super::{Agent, AgentError, Show};
use crate::engine::{
    Attachment, AttachmentSize, AttachmentSource, EngineError, Event, GroupEvent, GroupInput, Input, LocalId,
    SealedCopy, SendMail, SendToCase, SendToGroup, fitting_beside,
};
use crate::shell::transfer::source::{FileStamp, SourceError, SourceFile};

/// A document to go with a mail.
#[derive(Debug, Clone)]
pub struct Document {
    /// As the recipient shall see it.
    pub name: String,
    /// For instance `application/pdf`.
    pub media_type: String,
    /// Where it is.
    pub place: DocumentPlace,
}

/// Where a document is.
#[derive(Clone)]
pub enum DocumentPlace {
    /// In a file of the person's own, which must stay there until it is sent.
    File(PathBuf),
    /// In memory; what does not fit the message is kept sealed on this device until it is sent.
    Memory(Vec<u8>),
    /// A file that is open now and may be gone afterwards, as another app shares it. Read from its beginning; what does not fit
    /// the message is kept sealed on this device until it is sent.
    Opened(Arc<File>),
}

impl std::fmt::Debug for DocumentPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(_) => formatter.write_str("File(..)"),
            Self::Opened(_) => formatter.write_str("Opened(..)"),
            Self::Memory(data) => write!(formatter, "Memory({} bytes)", data.len()),
        }
    }
}

impl Agent {
    /// Puts a mail with these documents into the outbox; `mail` has none of its own. Nothing is sent yet. What is refused is
    /// refused before anything is queued.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Source`], [`AgentError::SealedCopy`].
    pub async fn send_mail(
        &mut self,
        mut mail: SendMail,
        documents: Vec<Document>,
        show: Show<'_>,
    ) -> Result<LocalId, AgentError> {
        let mut staged = Vec::new();
        let sent = match self.enclose(&mut mail, documents, &mut staged) {
            Ok(()) => self.queue(mail, show).await,
            Err(error) => Err(error),
        };
        self.keep_staged(&staged, sent.is_ok());
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
        documents: Vec<Document>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let input = |_: &mut Self, said| Ok(Input::Group(GroupInput::Send(Box::new(said))));
        self.say(said, documents, input, show).await
    }

    /// The same about a case or in one. What would not count as far as this device knows is refused.
    ///
    /// # Errors
    /// As [`Self::send_mail`].
    pub async fn send_to_case(
        &mut self,
        command: SendToCase,
        documents: Vec<Document>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let SendToCase { case, patient, message } = command;
        let input = |agent: &mut Self, message| agent.case_input(SendToCase { case, patient, message });
        self.say(message, documents, input, show).await
    }

    async fn say(
        &mut self,
        mut said: SendToGroup,
        documents: Vec<Document>,
        input: impl FnOnce(&mut Self, SendToGroup) -> Result<Input, AgentError>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let mut staged = Vec::new();
        // The fallback text says everything once more.
        let placed = self.place((&said.body, said.fallback_text.len()), documents, &mut staged);
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
        self.keep_staged(&staged, sent.is_ok());
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
    pub(super) fn keep_staged(&self, staged: &[[u8; 32]], sent: bool) {
        for blob_id in staged {
            match sent {
                // It is found under its staged name too, should this fail.
                true => drop(self.platform.copies.adopt(blob_id)),
                false => self.platform.copies.remove(blob_id),
            }
        }
    }

    /// Places body and documents, and seals what must be sealed beforehand; `staged` has the ids of that.
    fn enclose(
        &mut self,
        mail: &mut SendMail,
        documents: Vec<Document>,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<(), AgentError> {
        let body: Body = mail.body()?;
        let (attachments, body_blob) = self.place((&body, 0), documents, staged)?;
        mail.attachments.extend(attachments);
        if body_blob {
            let encoded = body.encode().map_err(EngineError::from)?;
            mail.body_copy = Some(self.seal(&encoded, staged)?);
        }
        Ok(())
    }

    /// Places documents beside a body and so many other bytes, and seals what must be sealed beforehand. Also whether the body
    /// must go as a blob.
    fn place(
        &mut self,
        (body, beside): (&Body, usize),
        documents: Vec<Document>,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<(Vec<Attachment>, bool), AgentError> {
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        let (mut sizes, mut stamps) = (Vec::new(), Vec::new());
        for document in &documents {
            let stamp = match &document.place {
                DocumentPlace::File(path) => readable(path)?,
                DocumentPlace::Memory(data) => FileStamp { length: data.len() as u64, modified: 0 },
                DocumentPlace::Opened(file) => FileStamp { length: opened_length(file, &document.name)?, modified: 0 },
            };
            sizes
                .push(AttachmentSize { labels: document.name.len() + document.media_type.len(), length: stamp.length });
            stamps.push(stamp);
        }
        let placement =
            fitting_beside(body, beside, credentials.address.domain(), &sizes).map_err(EngineError::from)?;
        let mut attachments = Vec::new();
        for ((document, stamp), inline) in documents.into_iter().zip(stamps).zip(placement.inline) {
            let source = match (document.place, inline) {
                (DocumentPlace::File(path), true) => AttachmentSource::Inline(read_small(&path, stamp)?),
                (DocumentPlace::File(path), false) => {
                    let FileStamp { length, modified } = stamp;
                    AttachmentSource::File { path: path_bytes(&absolute(path)?), length, modified }
                }
                (DocumentPlace::Memory(data), true) => AttachmentSource::Inline(data),
                (DocumentPlace::Memory(data), false) => AttachmentSource::SealedCopy(self.seal(&data, staged)?),
                (DocumentPlace::Opened(file), true) => {
                    let unreadable = |error| SourceError::Unreadable { path: document.name.clone().into(), error };
                    // What goes inside is small. A file that has become shorter is refused.
                    let mut data = vec![0; usize::try_from(stamp.length).unwrap_or(usize::MAX)];
                    FromStart { file: &file, offset: 0 }.read_exact(&mut data).map_err(unreadable)?;
                    AttachmentSource::Inline(data)
                }
                (DocumentPlace::Opened(file), false) => {
                    let mut plaintext = FromStart { file: &file, offset: 0 };
                    AttachmentSource::SealedCopy(self.seal_from(stamp.length, &mut plaintext, staged)?)
                }
            };
            attachments.push(Attachment { name: document.name, media_type: document.media_type, source });
        }
        Ok((attachments, placement.body_blob))
    }

    pub(super) fn seal(&mut self, plaintext: &[u8], staged: &mut Vec<[u8; 32]>) -> Result<SealedCopy, AgentError> {
        self.seal_from(plaintext.len() as u64, &mut &*plaintext, staged)
    }

    fn seal_from(
        &mut self,
        length: u64,
        plaintext: &mut dyn Read,
        staged: &mut Vec<[u8; 32]>,
    ) -> Result<SealedCopy, AgentError> {
        let mut blob_id = [0; 32];
        self.rng.fill_bytes(&mut blob_id);
        let key = AttachmentKey::random(&mut self.rng);
        staged.push(blob_id);
        let digests = self.platform.copies.stage(&blob_id, &key, length, plaintext)?;
        Ok(SealedCopy { blob_id, key, length, digests })
    }
}

/// What an open file has from its first byte on, wherever its owner has come in it, and without moving that.
struct FromStart<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = self.file.read_at(buffer, self.offset)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// How long an open file is; a pipe has no length, and cannot be read twice.
fn opened_length(file: &File, name: &str) -> Result<u64, SourceError> {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(SourceError::NotAFile(name.into())),
        Err(error) => Err(SourceError::Unreadable { path: name.into(), error }),
    }
}

/// The file as it is now, if it can be opened.
fn readable(path: &Path) -> Result<FileStamp, SourceError> {
    let stamp = FileStamp::of(path)?;
    SourceFile::open(path, stamp)?;
    Ok(stamp)
}

/// A small file whole; it must not have changed since its length was looked at.
fn read_small(path: &Path, stamp: FileStamp) -> Result<Vec<u8>, SourceError> {
    let unreadable = |error| SourceError::Unreadable { path: path.to_owned(), error };
    let mut data = Vec::new();
    let limit = INLINE_ATTACHMENTS_LENGTH_MAX as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut data)).map_err(unreadable)?;
    match data.len() as u64 == stamp.length {
        true => Ok(data),
        false => Err(SourceError::Changed { path: path.to_owned(), now: FileStamp::of(path)? }),
    }
}

/// Whoever sends it later may stand in another folder.
fn absolute(path: PathBuf) -> Result<PathBuf, SourceError> {
    std::path::absolute(&path).map_err(|error| SourceError::Unreadable { path, error })
}

fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    path.to_string_lossy().into_owned().into_bytes()
}
