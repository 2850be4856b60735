//! The server is killed between any two steps of an upload and a deletion: pieces that it has confirmed are there, a
//! complete blob can be read whole, and a deleted one is gone.

use std::collections::BTreeSet;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::transport::{
    BeginBlob, BeginBlobReply, DeleteBlob, ErrorCode, FetchBlob, Payment, PutBlobPiece, Request, Response,
};
use medipeps_server::fail_point::FailPoint;

use crate::server_fail_points::{Dying, Plan};

/// What only blobs pass.
pub const BLOBS: &[FailPoint] = &[
    FailPoint::BeforePutPiece,
    FailPoint::BeforePieceSync,
    FailPoint::AfterPieceSync,
    FailPoint::AfterPutPiece,
    FailPoint::BeforeSweep,
];
/// The steps of the commits that make a piece part of its blob, and take a blob away.
const COMMITTING: &[FailPoint] =
    &[FailPoint::BeforeApply, FailPoint::AfterApply, FailPoint::AfterFlush, FailPoint::AfterFileSync];
const PIECES: u32 = 2;
const LENGTH: usize = BLOB_PIECE_LENGTH + 7;
const SECRET: [u8; 16] = [4; 16];

fn id(round: u64) -> [u8; 32] {
    let mut id = [9; 32];
    id[..8].copy_from_slice(&round.to_be_bytes());
    id
}

fn contents(round: u64) -> Vec<u8> {
    (0..LENGTH).map(|position| (position / 1009) as u8 ^ round as u8).collect()
}

fn piece(round: u64, index: u32) -> Request {
    let start = index as usize * BLOB_PIECE_LENGTH;
    let data = contents(round)[start..LENGTH.min(start + BLOB_PIECE_LENGTH)].to_vec();
    Request::PutBlobPiece(PutBlobPiece { id: id(round), upload_secret: SECRET, index, data })
}

fn begin(round: u64) -> Request {
    let payment = Payment::None;
    Request::BeginBlob(BeginBlob { id: id(round), upload_secret: SECRET, length: LENGTH as u64, payment })
}

fn delete(round: u64) -> Request {
    Request::DeleteBlob(DeleteBlob { id: id(round), upload_secret: SECRET })
}

async fn begun(connection: &Connection, round: u64) -> BeginBlobReply {
    match connection.request(&begin(round)).await.unwrap() {
        Response::BeginBlob(reply) => reply,
        other => panic!("not begun: {other:?}"),
    }
}

/// The whole blob, or `None` if there is none.
async fn read(connection: &Connection, round: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < LENGTH {
        let (offset, length) = (bytes.len() as u64, BLOB_PIECE_LENGTH as u32);
        match connection.request(&Request::FetchBlob(FetchBlob { id: id(round), offset, length })).await {
            Ok(Response::FetchBlob(reply)) => bytes.extend(reply.data),
            Err(RequestError::Refused(error)) if error.known_code() == Some(ErrorCode::UnknownBlob) => return None,
            other => panic!("{other:?}"),
        }
    }
    Some(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_between_any_two_steps_of_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Dying::new(folder.path());
    let place = dying.place.clone();
    let points = [BLOBS, COMMITTING];
    let mut plan = Plan::of(&points);
    let mut round = 0_u64;
    while let Some(kill) = plan.next() {
        round += 1;
        let (mut stored, mut deleted) = (BTreeSet::new(), false);
        let work = async {
            let Some(uploader) = place.connect().await else { return };
            let Ok(Response::BeginBlob(_)) = uploader.request(&begin(round)).await else { return };
            for index in 0..PIECES {
                match uploader.request(&piece(round, index)).await {
                    Ok(Response::PutBlobPiece(reply)) => {
                        assert_eq!(reply.complete, index == PIECES - 1, "{kill:?}");
                        stored.insert(index);
                    }
                    Ok(other) => panic!("{kill:?}: {other:?}"),
                    Err(RequestError::Refused(error)) => panic!("{kill:?}: {error:?}"),
                    Err(_) => return,
                }
            }
            // The blob of the round before was left complete.
            deleted = matches!(uploader.request(&delete(round - 1)).await, Ok(Response::Done));
        };
        plan.reached(dying.during(kill, work).await);
        let uploader = place.connect().await.unwrap();
        let progress = begun(&uploader, round).await;
        for index in 0..PIECES {
            assert!(progress.is_stored(index) || !stored.contains(&index), "{kill:?}: piece {index} was lost");
            if !progress.is_stored(index) {
                let put = uploader.request(&piece(round, index)).await.unwrap();
                assert!(matches!(put, Response::PutBlobPiece(_)), "{kill:?}: {put:?}");
            }
        }
        let whole = read(&uploader, round).await;
        assert!(whole.as_deref() == Some(&contents(round)[..]), "{kill:?}: the blob is not what was uploaded");
        if round > 1 {
            if let Some(bytes) = read(&uploader, round - 1).await {
                assert!(!deleted && bytes == contents(round - 1), "{kill:?}");
            }
            assert_eq!(uploader.request(&delete(round - 1)).await.unwrap(), Response::Done, "{kill:?}");
            assert!(read(&uploader, round - 1).await.is_none(), "{kill:?}");
        }
    }
    dying.report(&points);
    let blobs = &dying.server.inspect()["blobs"];
    assert_eq!((blobs["number"].as_u64(), blobs["complete"].as_u64()), (Some(1), Some(1)), "nothing half done is left");
    assert_eq!(blobs["bytes"].as_u64(), Some(LENGTH as u64));
}
