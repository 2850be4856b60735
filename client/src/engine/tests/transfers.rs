//! The simulator's shell for what is too large for an envelope: files, sealed copies, and a server that keeps blobs. Sealing
//! and opening are the real ones.

use std::collections::BTreeMap;

use medipeps_core::attachment::{
    AttachmentError, AttachmentKey, BlobReference, Layout, Opener, Sealer, part_digest, root,
};
use medipeps_core::kind::Body;
use medipeps_core::wire::client_records::{UploadRecord, UploadSource};

use super::world::{Client, DOMAIN, Fuse, Killed, World, burn};
use crate::account_store::HandleError;
use crate::engine::{
    Attachment, AttachmentSize, AttachmentSource, EngineError, Event, Input, LocalId, MessageDetail, PendingUpload,
    SealedCopy, SendMail, Time, fitting,
};

/// How long the server keeps a blob, in milliseconds.
pub(super) const BLOB_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// A blob at the server: its parts as they came.
pub(super) struct Blob {
    pub(super) upload_secret: [u8; 16],
    pub(super) parts: BTreeMap<u64, Vec<u8>>,
    pub(super) expires: u64,
}

/// What a disk has beside the store.
#[derive(Default)]
pub(super) struct Files {
    /// Bytes and time of the last change of a person's own files.
    pub(super) own: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    /// Sealed copies by name.
    pub(super) sealed: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Client {
    /// Seals a plaintext and keeps the copy, as before a mail is queued.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> SealedCopy {
        let mut blob_id = [0; 32];
        rand_core::Rng::fill_bytes(&mut self.rng, &mut blob_id);
        let key = AttachmentKey::random(&mut self.rng);
        let sealer = Sealer::new(&key, Layout::new(plaintext.len() as u64).unwrap());
        let (mut sealed, mut part_bytes, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for part in 0..sealer.layout().parts() {
            let plaintext = part_of(sealer.layout(), part, plaintext);
            if !plaintext.is_empty() {
                digests.push(part_digest(plaintext));
            }
            sealer.seal_part(part, plaintext, &mut part_bytes).unwrap();
            sealed.extend_from_slice(&part_bytes);
        }
        self.files.sealed.insert(blob_id.to_vec(), sealed);
        SealedCopy { blob_id, key, length: plaintext.len() as u64, digests }
    }

    /// A file of the person's own, to be attached.
    pub(super) fn attach(&mut self, path: &str, bytes: &[u8], modified: u64) -> Attachment {
        self.files.own.insert(path.into(), (bytes.to_vec(), modified));
        let source = AttachmentSource::File { path: path.into(), length: bytes.len() as u64, modified };
        Attachment { name: path.to_owned(), media_type: "application/octet-stream".into(), source }
    }

    /// What a shell makes of a mail: what does not fit is sealed.
    pub(super) fn place(&mut self, mut command: SendMail) -> SendMail {
        let size =
            |one: &Attachment| AttachmentSize { labels: one.name.len() + one.media_type.len(), length: one.length() };
        let sizes: Vec<_> = command.attachments.iter().map(size).collect();
        let body = command.body().unwrap();
        let placement = fitting(&body, DOMAIN, &sizes).unwrap();
        if placement.body_blob {
            command.body_copy = Some(self.seal(&body.encode().unwrap()));
        }
        for (attachment, inline) in command.attachments.iter_mut().zip(placement.inline) {
            if let (AttachmentSource::Inline(data), false) = (&attachment.source, inline) {
                attachment.source = AttachmentSource::SealedCopy(self.seal(data));
            }
        }
        command
    }

    pub(super) fn uploads(&mut self, now: u64) -> Vec<PendingUpload> {
        // The first look of a day is a commit, which may have been told to fail.
        let _ = self.store.generation(Time(now), &mut self.rng);
        self.store.uploads(Time(now), &mut self.rng).unwrap()
    }
}

fn part_of<'a>(layout: &Layout, part: u64, plaintext: &'a [u8]) -> &'a [u8] {
    let range = layout.part(part).unwrap();
    &plaintext[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

impl World {
    /// Queues a mail of any size, as a shell does.
    pub(super) fn queue(&mut self, number: usize, command: SendMail) -> LocalId {
        let command = self.clients[number].place(command);
        self.later(1);
        self.run(number, &Input::SendMail(command)).unwrap();
        let queued = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::MessageQueued { id } => Some(*id),
            _ => None,
        });
        queued.unwrap()
    }

    /// Uploads whatever is due, until nothing is.
    pub(super) fn upload_all(&mut self, number: usize) {
        assert!(self.upload_due(number, &mut None).is_ok());
    }

    pub(super) fn upload_due(&mut self, number: usize, fuse: &mut Fuse) -> Result<(), Killed> {
        for _ in 0..50 {
            let now = self.now;
            let due = self.clients[number].uploads(now).into_iter().find(|one| one.record.next_attempt <= now);
            let Some(upload) = due else { return Ok(()) };
            self.upload_one(number, &upload, fuse)?;
        }
        panic!("the uploads do not come to rest");
    }

    /// One upload, as a shell does it: a part is read, its digest committed, then its ciphertext leaves.
    pub(super) fn upload_one(&mut self, number: usize, upload: &PendingUpload, fuse: &mut Fuse) -> Result<(), Killed> {
        let record = &upload.record;
        let blob_id = record.blob_id;
        let expires = self.now + BLOB_KEPT_MS;
        let blob = self.server.blobs.entry(blob_id).or_insert_with(|| Blob {
            upload_secret: record.upload_secret,
            parts: BTreeMap::new(),
            expires,
        });
        assert_eq!(blob.upload_secret, record.upload_secret);
        let expires = blob.expires;
        let layout = Layout::new(record.length).unwrap();
        for part in 0..layout.parts() {
            let sealed = match self.read_part(number, record, part) {
                Ok((sealed, None)) => sealed,
                Ok((sealed, Some(digest))) => {
                    let input = Input::UploadPart { blob_id, part: u32::try_from(part).unwrap(), digest };
                    match self.step(number, &input, fuse)? {
                        Ok(()) => sealed,
                        Err(EngineError::PartChanged { .. }) => return self.changed(number, record, fuse),
                        Err(EngineError::UnknownUpload) => return Ok(()),
                        Err(error) => panic!("{error}"),
                    }
                }
                Err(Unreadable::Missing) => {
                    let input = Input::UploadFailed { blob_id, code: "file_missing".into() };
                    return self.step(number, &input, fuse).map(|done| done.unwrap());
                }
                Err(Unreadable::Changed) => return self.changed(number, record, fuse),
            };
            burn(fuse)?;
            // A server refuses other bytes under the same number.
            let stored =
                self.server.blobs.get_mut(&blob_id).unwrap().parts.entry(part).or_insert_with(|| sealed.clone());
            assert_eq!(*stored, sealed, "one key has sealed two plaintexts");
        }
        self.step(number, &Input::UploadDone { blob_id, expires }, fuse).map(|done| done.unwrap())
    }

    fn changed(&mut self, number: usize, record: &UploadRecord, fuse: &mut Fuse) -> Result<(), Killed> {
        let UploadSource::File { path, .. } = &record.source else { panic!("a sealed copy does not change") };
        let (bytes, modified) = &self.clients[number].files.own[path];
        let (length, modified) = (bytes.len() as u64, *modified);
        let input = Input::UploadChanged { blob_id: record.blob_id, length, modified };
        self.step(number, &input, fuse).map(|done| done.unwrap())
    }

    /// An input that sends nothing. A medium that fails is a process that is started again.
    fn step(&mut self, number: usize, input: &Input, fuse: &mut Fuse) -> Result<Result<(), EngineError>, Killed> {
        match self.run_until(number, input, fuse)? {
            Ok(()) => Ok(Ok(())),
            Err(HandleError::Engine(error)) => Ok(Err(error)),
            Err(HandleError::Store(_)) => Err(Killed),
        }
    }

    /// The sealed form of a part, and its digest where that must be committed first.
    fn read_part(
        &mut self,
        number: usize,
        record: &UploadRecord,
        part: u64,
    ) -> Result<(Vec<u8>, Option<[u8; 32]>), Unreadable> {
        let files = &self.clients[number].files;
        let layout = Layout::new(record.length).unwrap();
        let UploadSource::File { path, modified } = &record.source else {
            let range = layout.sealed_part(part).unwrap();
            let copy = &files.sealed[record.blob_id.as_slice()];
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            return Ok((copy[range].to_vec(), None));
        };
        let (bytes, now_modified) = files.own.get(path).ok_or(Unreadable::Missing)?;
        if bytes.len() as u64 != record.length || now_modified != modified {
            return Err(Unreadable::Changed);
        }
        let (plaintext, mut sealed) = (part_of(&layout, part, bytes), Vec::new());
        Sealer::new(&record.key, layout).seal_part(part, plaintext, &mut sealed).unwrap();
        Ok((sealed, (!plaintext.is_empty()).then(|| part_digest(plaintext))))
    }

    /// Fetches the bodies that are due.
    pub(super) fn fetch_bodies(&mut self, number: usize, fuse: &mut Fuse) -> Result<(), Killed> {
        let now = self.now;
        let client = &mut self.clients[number];
        let _ = client.store.generation(Time(now), &mut client.rng);
        for (id, record) in client.store.body_fetches(Time(now), &mut client.rng).unwrap() {
            if record.next_attempt <= now {
                self.fetch_body(number, id, &record.blob, fuse)?;
            }
        }
        Ok(())
    }

    /// One body, as a shell does it: opened and held against the message, then kept sealed, then reported.
    pub(super) fn fetch_body(
        &mut self,
        number: usize,
        id: LocalId,
        blob: &BlobReference,
        fuse: &mut Fuse,
    ) -> Result<(), Killed> {
        let input = match self.server.blobs.get(&blob.id).map(sealed_bytes) {
            None => {
                let code = "UnknownBlob".to_owned();
                if blob.expires < self.now {
                    Input::BodyFailed { id, code }
                } else {
                    Input::BodyPostponed { id, code, retry_after: 0 }
                }
            }
            Some(sealed) => {
                let detail = self.detail(number, id);
                let name = detail.body_copy_name().unwrap();
                match open(blob, &sealed).map_err(|_| "blob_refused").and_then(|bytes| detail.with_body(&bytes)) {
                    Ok(_) => {
                        self.clients[number].files.sealed.insert(name, sealed);
                        Input::BodyStored { id }
                    }
                    Err(code) => Input::BodyFailed { id, code: code.to_owned() },
                }
            }
        };
        burn(fuse)?;
        self.step(number, &input, fuse).map(|done| done.unwrap())
    }

    /// A message with its body, wherever that is; `None` if it is not on this device.
    pub(super) fn whole(&mut self, number: usize, id: LocalId) -> Option<MessageDetail> {
        let detail = self.detail(number, id);
        if detail.missing_body.is_some() {
            return None;
        }
        let Some(name) = detail.body_copy_name() else { return Some(detail) };
        let sealed = &self.clients[number].files.sealed[&name];
        let blob = detail.content.body_blob.clone().unwrap();
        // A sender reads what he wrote before it is uploaded, and so before the root is known.
        let blob = if blob.root == [0; 32] { with_root(blob, sealed) } else { blob };
        Some(detail.with_body(&open(&blob, sealed).unwrap()).unwrap())
    }

    /// The text of a mail with its body, wherever that is.
    pub(super) fn whole_text(&mut self, number: usize, id: LocalId) -> Option<String> {
        self.whole(number, id).map(|detail| match detail.content.body {
            Body::Mail(mail) => mail.text,
            other => panic!("not a mail: {other:?}"),
        })
    }

    /// The plaintext of a blob at the server.
    pub(super) fn blob(&self, reference: &BlobReference) -> Vec<u8> {
        open(reference, &sealed_bytes(&self.server.blobs[&reference.id])).unwrap()
    }
}

enum Unreadable {
    Missing,
    Changed,
}

fn sealed_bytes(blob: &Blob) -> Vec<u8> {
    blob.parts.values().flatten().copied().collect()
}

fn with_root(blob: BlobReference, sealed: &[u8]) -> BlobReference {
    let digests = opened_parts(&blob, sealed).unwrap().iter().map(|part| part_digest(part)).collect::<Vec<_>>();
    BlobReference { root: root(blob.length, &digests), ..blob }
}

/// Opens sealed bytes, the end first, and holds the root against the message.
pub(super) fn open(blob: &BlobReference, sealed: &[u8]) -> Result<Vec<u8>, AttachmentError> {
    let parts = opened_parts(blob, sealed)?;
    let digests: Vec<_> = parts.iter().map(|part| part_digest(part)).collect();
    if root(blob.length, &digests) == blob.root { Ok(parts.concat()) } else { Err(AttachmentError::Root) }
}

fn opened_parts(blob: &BlobReference, sealed: &[u8]) -> Result<Vec<Vec<u8>>, AttachmentError> {
    let layout = blob.layout()?;
    let piece = |range: std::ops::Range<u64>| {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        sealed.get(range).map(<[u8]>::to_vec).ok_or(AttachmentError::Commitment)
    };
    if sealed.len() as u64 != layout.sealed_length() {
        return Err(AttachmentError::Commitment);
    }
    let opener = Opener::new(&blob.key, layout, piece(layout.tail())?)?;
    let open_part = |part| {
        let mut bytes = piece(layout.sealed_part(part)?)?;
        opener.open_part(part, &mut bytes).map(|()| bytes)
    };
    (0..layout.plaintext_parts()).map(open_part).collect()
}
