//! Requests about blobs. `spec/transport.md`, section "Blobs".

use std::ops::RangeInclusive;

use super::token::Payment;
use crate::limits::{BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH};
use crate::wire::{WireError, fixed, proto};

/// Begins a blob. The same again changes nothing and tells how far it has come.
#[derive(Clone, PartialEq, Eq)]
pub struct BeginBlob {
    /// Random; whoever knows it may fetch the blob.
    pub id: [u8; 32],
    /// Random, known to the uploader alone.
    pub upload_secret: [u8; 16],
    /// Bytes of the whole blob, 1 to [`BLOB_LENGTH_MAX`].
    pub length: u64,
    /// What pays for it.
    pub payment: Payment,
}

/// One piece of a blob. The same again changes nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PutBlobPiece {
    /// Of the blob.
    pub id: [u8; 32],
    /// As in [`BeginBlob`].
    pub upload_secret: [u8; 16],
    /// Counted from 0.
    pub index: u32,
    /// [`BLOB_PIECE_LENGTH`] bytes; the last piece has what is left.
    pub data: Vec<u8>,
}

/// Bytes of a whole blob.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchBlob {
    /// Of the blob.
    pub id: [u8; 32],
    /// In bytes.
    pub offset: u64,
    /// 1 to [`BLOB_PIECE_LENGTH`] bytes.
    pub length: u32,
}

/// Deletes a blob, finished or not.
#[derive(Clone, PartialEq, Eq)]
pub struct DeleteBlob {
    /// Of the blob.
    pub id: [u8; 32],
    /// As in [`BeginBlob`].
    pub upload_secret: [u8; 16],
}

/// The ids of blobs and the secrets of uploads open doors, so they are not printed.
macro_rules! redacted {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut structure = formatter.debug_struct(stringify!($name));
                $(structure.field(stringify!($field), &self.$field);)*
                structure.finish_non_exhaustive()
            }
        })*
    };
}

redacted! {
    BeginBlob { length }
    PutBlobPiece { index }
    FetchBlob { offset, length }
    DeleteBlob {}
}

impl BeginBlob {
    pub(super) fn to_proto(&self) -> proto::BeginBlob {
        proto::BeginBlob {
            id: self.id.to_vec(),
            upload_secret: self.upload_secret.to_vec(),
            length: self.length,
            payment: Some(self.payment.encode()),
        }
    }

    pub(super) fn from_proto(message: proto::BeginBlob) -> Result<Self, WireError> {
        Ok(Self {
            id: fixed(&message.id, "id")?,
            upload_secret: fixed(&message.upload_secret, "upload_secret")?,
            length: within(message.length, 1..=BLOB_LENGTH_MAX, "length")?,
            payment: Payment::decode(message.payment)?,
        })
    }
}

impl PutBlobPiece {
    pub(super) fn into_proto(self) -> proto::PutBlobPiece {
        proto::PutBlobPiece {
            id: self.id.to_vec(),
            upload_secret: self.upload_secret.to_vec(),
            index: self.index,
            data: self.data,
        }
    }

    pub(super) fn from_proto(message: proto::PutBlobPiece) -> Result<Self, WireError> {
        within(message.data.len() as u64, 1..=BLOB_PIECE_LENGTH as u64, "data")?;
        Ok(Self {
            id: fixed(&message.id, "id")?,
            upload_secret: fixed(&message.upload_secret, "upload_secret")?,
            index: message.index,
            data: message.data,
        })
    }
}

impl FetchBlob {
    pub(super) fn to_proto(&self) -> proto::FetchBlob {
        proto::FetchBlob { id: self.id.to_vec(), offset: self.offset, length: self.length }
    }

    pub(super) fn from_proto(message: &proto::FetchBlob) -> Result<Self, WireError> {
        within(u64::from(message.length), 1..=BLOB_PIECE_LENGTH as u64, "length")?;
        Ok(Self {
            id: fixed(&message.id, "id")?,
            offset: within(message.offset, 0..=BLOB_LENGTH_MAX, "offset")?,
            length: message.length,
        })
    }
}

impl DeleteBlob {
    pub(super) fn to_proto(&self) -> proto::DeleteBlob {
        proto::DeleteBlob { id: self.id.to_vec(), upload_secret: self.upload_secret.to_vec() }
    }

    pub(super) fn from_proto(message: &proto::DeleteBlob) -> Result<Self, WireError> {
        Ok(Self { id: fixed(&message.id, "id")?, upload_secret: fixed(&message.upload_secret, "upload_secret")? })
    }
}

fn within(number: u64, bounds: RangeInclusive<u64>, field: &'static str) -> Result<u64, WireError> {
    if bounds.contains(&number) { Ok(number) } else { Err(WireError::Bounds(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::Request;

    fn piece(length: usize) -> Request {
        Request::PutBlobPiece(PutBlobPiece { id: [1; 32], upload_secret: [2; 16], index: 3, data: vec![4; length] })
    }

    fn fetch(offset: u64, length: u32) -> Request {
        Request::FetchBlob(FetchBlob { id: [1; 32], offset, length })
    }

    #[test]
    fn blob_requests_out_of_bounds_are_refused_by_field() {
        let refused = |request: Request| Request::decode(&request.encode()).unwrap_err();
        assert_eq!(refused(piece(0)), WireError::Bounds("data"));
        assert_eq!(refused(piece(BLOB_PIECE_LENGTH + 1)), WireError::Bounds("data"));
        assert_eq!(refused(fetch(0, 0)), WireError::Bounds("length"));
        assert_eq!(refused(fetch(0, BLOB_PIECE_LENGTH as u32 + 1)), WireError::Bounds("length"));
        assert_eq!(refused(fetch(BLOB_LENGTH_MAX + 1, 1)), WireError::Bounds("offset"));
        for length in [0, BLOB_LENGTH_MAX + 1] {
            let begin = BeginBlob { id: [1; 32], upload_secret: [2; 16], length, payment: Payment::None };
            assert_eq!(refused(Request::BeginBlob(begin)), WireError::Bounds("length"));
        }
    }

    #[test]
    fn requests_come_back_as_they_were_sent() {
        for request in [
            Request::BeginBlob(BeginBlob {
                id: [1; 32],
                upload_secret: [2; 16],
                length: BLOB_LENGTH_MAX,
                payment: Payment::None,
            }),
            piece(BLOB_PIECE_LENGTH),
            fetch(BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH as u32),
            Request::DeleteBlob(DeleteBlob { id: [1; 32], upload_secret: [2; 16] }),
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }
}
