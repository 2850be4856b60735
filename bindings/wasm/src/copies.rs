//! Sealed copies in the account's database. `spec/storage-client.md`.

use std::mem;
use std::ops::Range;

use js_sys::{Array, Reflect, Uint8Array};
use medipeps_client::shell::transfer::SealedCopyError;
use medipeps_client::shell::transfer::sealed_copy::{CopyReader, CopyWriter, SealedCopies, Standing};
use medipeps_core::limits::{ATTACHMENT_CHUNK_LENGTH, ATTACHMENT_PART_LENGTH, BLOB_PIECE_LENGTH};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::host::{self, is_full, number, text};

/// Bytes of every piece of a copy but the last: a sealed part, but for what follows the last one.
const PIECE_LENGTH: usize = ATTACHMENT_PART_LENGTH / (8 * ATTACHMENT_CHUNK_LENGTH) * BLOB_PIECE_LENGTH;

#[wasm_bindgen(module = "/js/copies.js")]
extern "C" {
    /// The sealed copies in an account's database.
    #[wasm_bindgen(js_name = Copies)]
    #[derive(Debug, Clone)]
    pub(crate) type CopiesInDatabase;

    #[wasm_bindgen(method, js_name = create, catch)]
    async fn begin(this: &CopiesInDatabase, name: Uint8Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn put(this: &CopiesInDatabase, id: &JsValue, index: u32, bytes: Uint8Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = finish, catch)]
    async fn whole(this: &CopiesInDatabase, id: &JsValue, staged: bool, length: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = adopt, catch)]
    async fn adopt_named(this: &CopiesInDatabase, name: Uint8Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = read, catch)]
    async fn pieces(this: &CopiesInDatabase, id: &JsValue, first: u32, last: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = drop, catch)]
    async fn drop_numbered(this: &CopiesInDatabase, id: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = remove, catch)]
    async fn remove_named(this: &CopiesInDatabase, name: Uint8Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = sweep, catch)]
    async fn sweep_others(this: &CopiesInDatabase, needed: &Array) -> Result<JsValue, JsValue>;
}

/// The sealed copies of a page's account.
#[derive(Debug, Clone)]
pub(crate) struct PageCopies(CopiesInDatabase);

/// A copy that is being written.
#[derive(Debug)]
pub(crate) struct PageCopyWriter {
    copies: CopiesInDatabase,
    id: JsValue,
    standing: Standing,
    /// What does not fill a piece yet.
    rest: Vec<u8>,
    pieces: u32,
    length: u64,
    is_whole: bool,
}

/// A copy that is read.
#[derive(Debug)]
pub(crate) struct PageCopyReader {
    copies: CopiesInDatabase,
    id: JsValue,
    length: u64,
}

impl PageCopies {
    pub(crate) const fn new(copies: CopiesInDatabase) -> Self {
        Self(copies)
    }

    /// The number and the length of a copy, which has its name from now on.
    async fn adopted(&self, name: &[u8]) -> Result<(JsValue, u64), SealedCopyError> {
        let found = self.0.adopt_named(Uint8Array::from(name)).await.map_err(|error| failed(&error))?;
        if found.is_undefined() {
            return Err(SealedCopyError::Missing);
        }
        let field = |name: &str| Reflect::get(&found, &name.into()).map_err(|error| failed(&error));
        Ok((field("id")?, host::whole(field("length")?.as_f64().unwrap_or_default())))
    }
}

impl SealedCopies for PageCopies {
    type Writer = PageCopyWriter;
    type Reader = PageCopyReader;

    async fn create(&self, name: &[u8], standing: Standing) -> Result<PageCopyWriter, SealedCopyError> {
        let id = self.0.begin(Uint8Array::from(name)).await.map_err(|error| failed(&error))?;
        let copies = self.0.clone();
        Ok(PageCopyWriter { copies, id, standing, rest: Vec::new(), pieces: 0, length: 0, is_whole: false })
    }

    async fn adopt(&self, name: &[u8]) -> Result<(), SealedCopyError> {
        self.adopted(name).await?;
        Ok(())
    }

    async fn open(&self, name: &[u8]) -> Result<PageCopyReader, SealedCopyError> {
        let (id, length) = self.adopted(name).await?;
        Ok(PageCopyReader { copies: self.0.clone(), id, length })
    }

    async fn remove(&self, name: &[u8]) {
        let _ = self.0.remove_named(Uint8Array::from(name)).await;
    }

    async fn sweep(&self, needed: Vec<[u8; 32]>) {
        let needed: Array = needed.iter().map(|name| Uint8Array::from(&name[..])).collect();
        let _ = self.0.sweep_others(&needed).await;
    }
}

impl PageCopyWriter {
    async fn put(&mut self, piece: &[u8]) -> Result<(), SealedCopyError> {
        let put = self.copies.put(&self.id, self.pieces, Uint8Array::from(piece)).await;
        put.map_err(|error| failed(&error))?;
        self.pieces += 1;
        self.length += piece.len() as u64;
        Ok(())
    }
}

impl CopyWriter for PageCopyWriter {
    async fn write<B: AsRef<[u8]> + 'static>(&mut self, sealed: B) -> Result<B, SealedCopyError> {
        let mut bytes = sealed.as_ref();
        if !self.rest.is_empty() {
            let (missing, after) = bytes.split_at(bytes.len().min(PIECE_LENGTH - self.rest.len()));
            self.rest.extend_from_slice(missing);
            bytes = after;
            if self.rest.len() == PIECE_LENGTH {
                let piece = mem::take(&mut self.rest);
                self.put(&piece).await?;
            }
        }
        while let Some((piece, after)) = bytes.split_at_checked(PIECE_LENGTH) {
            self.put(piece).await?;
            bytes = after;
        }
        self.rest.extend_from_slice(bytes);
        Ok(sealed)
    }

    async fn finish(mut self) -> Result<(), SealedCopyError> {
        let rest = mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.put(&rest).await?;
        }
        let staged = self.standing == Standing::Staged;
        let finished = self.copies.whole(&self.id, staged, &number(self.length)).await;
        finished.map_err(|error| failed(&error))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for PageCopyWriter {
    /// What does not come to its end takes no room.
    fn drop(&mut self) {
        if !self.is_whole {
            let (copies, id) = (self.copies.clone(), self.id.clone());
            spawn_local(async move {
                let _ = copies.drop_numbered(&id).await;
            });
        }
    }
}

impl CopyReader for PageCopyReader {
    async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, SealedCopyError> {
        let (start, end) = (range.start, range.end.min(self.length));
        if start >= end {
            return Ok(Vec::new());
        }
        let piece = |offset: u64| u32::try_from(offset / PIECE_LENGTH as u64).unwrap_or(u32::MAX);
        let (first, last) = (piece(start), piece(end - 1));
        let pieces = self.copies.pieces(&self.id, first, last).await.map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        // One that is not there makes what follows something else, which does not open.
        for (piece, index) in Array::from(&pieces).iter().zip(u64::from(first)..) {
            let piece: Uint8Array = piece.dyn_into().map_err(|_| SealedCopyError::Missing)?;
            let begin = index * PIECE_LENGTH as u64;
            let within = |offset: u64| {
                let offset = u32::try_from(offset.saturating_sub(begin)).unwrap_or(u32::MAX);
                offset.min(piece.length())
            };
            bytes.extend_from_slice(&piece.subarray(within(start), within(end)).to_vec());
        }
        Ok(bytes)
    }
}

fn failed(error: &JsValue) -> SealedCopyError {
    match is_full(error) {
        true => SealedCopyError::Full,
        false => SealedCopyError::Medium(text(error)),
    }
}
