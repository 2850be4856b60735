//! Fetches a body that is too large for its message, and keeps it as it is: sealed.

use medipeps_core::attachment::{AttachmentError, BlobReference, part_digest, root};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::fetch::{Fetch, FetchError};
use super::pipeline::BlobServer;
use super::sealed_copy::{CopyWriter, SealedCopies, SealedCopyError, Standing, interrupted};
use super::{Meter, Shared};
use crate::engine::MessageDetail;
use crate::fail_point::fail_point;
use crate::shell::carrier::Carrier;
use crate::shell::runtime::blocking;

/// How the fetching of a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// Its sealed copy is on this device's disk, verified to the last byte.
    Stored,
    /// It could not be fetched now.
    Postponed { code: String, retry_after: u64 },
    /// It can never be had.
    Failed { code: String },
}

/// Fetches the body of a message, verifies that it is the message's, and stores its sealed copy.
pub(crate) async fn fetch_body<C: Carrier, S: SealedCopies>(
    detail: MessageDetail,
    server: BlobServer,
    copies: S,
    shared: Shared,
    meter: Meter,
    rng: &mut impl CryptoRng,
) -> BodyEnd {
    let (Some(blob), Some(name)) = (detail.content.body_blob.clone(), detail.body_copy_name()) else {
        return BodyEnd::Stored;
    };
    let end = match Fetch::<C>::open(&blob, server, shared, Some(meter), rng).await {
        Ok(fetch) => store(detail, &blob, &name, &copies, fetch).await,
        Err(error) => Err(error.into()),
    };
    end.err().unwrap_or(BodyEnd::Stored)
}

async fn store<C: Carrier>(
    detail: MessageDetail,
    blob: &BlobReference,
    name: &[u8],
    copies: &impl SealedCopies,
    mut fetch: Fetch<C>,
) -> Result<(), BodyEnd> {
    let mut writer = copies.create(name, Standing::Adopted).await?;
    // A body has at most 16 MiB.
    let (mut plaintext, mut digests) = (Zeroizing::new(Vec::new()), Vec::new());
    while let Some((part, sealed)) = fetch.next_part().await? {
        let (opener, mut sealed) = (fetch.opener(), writer.write(sealed).await?);
        let work = blocking(move || {
            opener.open_part(part, &mut sealed).map_err(FetchError::from)?;
            fail_point!(AfterFetchedPart);
            Ok::<_, BodyEnd>(sealed)
        });
        let opened = work.await.unwrap_or_else(|_| Err(interrupted().into()))?;
        if !opened.is_empty() {
            digests.push(part_digest(&opened));
            plaintext.extend_from_slice(&opened);
        }
    }
    if root(blob.length, &digests) != blob.root {
        return Err(FetchError::from(AttachmentError::Root).into());
    }
    detail.with_body(&plaintext).map_err(|code| BodyEnd::Failed { code: code.to_owned() })?;
    writer.finish().await?;
    fail_point!(BeforeBodyStored);
    Ok(())
}

impl From<FetchError> for BodyEnd {
    fn from(error: FetchError) -> Self {
        let retry_after = if let FetchError::Refused(reply) = &error { reply.retry_after } else { 0 };
        match error.code() {
            (code, true) => Self::Failed { code },
            (code, false) => Self::Postponed { code, retry_after },
        }
    }
}

impl From<SealedCopyError> for BodyEnd {
    fn from(_: SealedCopyError) -> Self {
        Self::Postponed { code: "disk".to_owned(), retry_after: 0 }
    }
}
