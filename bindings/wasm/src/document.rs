//! Documents as a page has them: what JavaScript calls a `Blob`.

use std::io;

use js_sys::{Array, Uint8Array};
use medipeps_client::engine::AttachmentSource;
use medipeps_client::shell::agent::{AgentError, DocumentSource, OpenedDocument, OutgoingDocument};
use medipeps_client::shell::transfer::SourceError;
use medipeps_client::shell::transfer::sealed_copy::Plaintext;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag};
use zeroize::Zeroizing;

use crate::error::PageError;
use crate::host::{number, text, whole};

/// A document that a page sends. It is read part by part, and never whole unless it is small.
#[derive(Debug)]
pub(crate) struct PageDocument {
    name: String,
    blob: Blob,
    /// Bytes that were given.
    taken: u64,
}

/// A document as a page gives it: `{ name, mediaType, data }`, where `data` is a `Blob`.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = Object)]
    type GivenDocument;

    #[wasm_bindgen(method, getter, structural)]
    fn name(this: &GivenDocument) -> Option<String>;

    #[wasm_bindgen(method, getter, structural, js_name = mediaType)]
    fn media_type(this: &GivenDocument) -> Option<String>;

    #[wasm_bindgen(method, getter, structural)]
    fn data(this: &GivenDocument) -> JsValue;
}

/// The documents that a page gives.
///
/// # Errors
/// What is none.
pub(crate) fn documents(given: &Array) -> Result<Vec<OutgoingDocument<PageDocument>>, PageError> {
    let document = |given: JsValue| {
        let given: GivenDocument = given.unchecked_into();
        let wrong = |what: &str| PageError::argument(format!("an attachment {what}"));
        let name = given.name().ok_or_else(|| wrong("has a name"))?;
        let media_type = given.media_type().ok_or_else(|| wrong("has a mediaType"))?;
        let blob: Blob = given.data().dyn_into().map_err(|_| wrong("is a Blob or a Uint8Array"))?;
        let place = PageDocument { name: name.clone(), blob, taken: 0 };
        Ok(OutgoingDocument { name, media_type, place })
    };
    given.iter().map(document).collect()
}

impl DocumentSource for PageDocument {
    type Opened = Self;

    fn open(self, _: &str) -> Result<Self, AgentError> {
        Ok(self)
    }
}

impl OpenedDocument for PageDocument {
    fn length(&self) -> u64 {
        whole(self.blob.size())
    }

    /// The page may be gone before it is sent.
    fn stays(&self) -> Result<Option<AttachmentSource>, AgentError> {
        Ok(None)
    }

    async fn whole(mut self) -> Result<Vec<u8>, AgentError> {
        let length = usize::try_from(self.length()).unwrap_or(usize::MAX);
        match self.next(length).await {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(SourceError::Unreadable { path: self.name.into(), error }.into()),
        }
    }
}

impl Plaintext for PageDocument {
    async fn next(&mut self, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let end = self.taken + length as u64;
        let place = |offset: u64| number(offset).as_f64().unwrap_or_default();
        let part = self.blob.slice_with_f64_and_f64(place(self.taken), place(end));
        let part = part.map_err(|error| io::Error::other(text(&error)))?;
        // A file that has changed is not read any more.
        let read = JsFuture::from(part.array_buffer()).await.map_err(|error| io::Error::other(text(&error)))?;
        let bytes = Zeroizing::new(Uint8Array::new(&read).to_vec());
        if bytes.len() != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.taken = end;
        Ok(bytes)
    }
}

/// The parts of a document that comes in; the browser keeps them.
#[derive(Debug, Default)]
pub(crate) struct Parts(Array);

impl Parts {
    /// Adds the next bytes.
    pub(crate) fn add(&self, bytes: &[u8]) -> Result<(), JsValue> {
        let part = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes)))?;
        self.0.push(&part);
        Ok(())
    }

    /// All of them as one.
    pub(crate) fn whole(&self, media_type: &str) -> Result<Blob, JsValue> {
        let options = BlobPropertyBag::new();
        options.set_type(media_type);
        Blob::new_with_blob_sequence_and_options(&self.0, &options)
    }
}
