//! Blobs over the wire.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use medipeps_core::limits::{BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH};
use medipeps_core::wire::transport::{
    BeginBlob, BeginBlobReply, DeleteBlob, ErrorCode, FetchBlob, Payment, PutBlobPiece, PutBlobPieceReply, Request,
    Response,
};
use medipeps_server::storage::{SledStorage, StorageOptions};
use medipeps_server::{Config, Rate, Server};

use crate::account::submit;
use crate::client::{Client, code, refusal};
use crate::server::TestServer;

const PIECE: u64 = BLOB_PIECE_LENGTH as u64;
const SECRET: [u8; 16] = [3; 16];

pub fn begin(id: u8, length: u64) -> Request {
    Request::BeginBlob(BeginBlob { id: [id; 32], upload_secret: SECRET, length, payment: Payment::None })
}

pub fn put_piece(id: u8, index: u32, data: Vec<u8>) -> Request {
    Request::PutBlobPiece(PutBlobPiece { id: [id; 32], upload_secret: SECRET, index, data })
}

pub fn fetch(id: u8, offset: u64, length: u32) -> Request {
    Request::FetchBlob(FetchBlob { id: [id; 32], offset, length })
}

pub fn delete(id: u8) -> Request {
    Request::DeleteBlob(DeleteBlob { id: [id; 32], upload_secret: SECRET })
}

/// The bytes of a blob: no two pieces are the same.
fn contents(length: u64) -> Vec<u8> {
    (0..length).map(|position| (position / 1009) as u8 ^ (position / PIECE) as u8).collect()
}

fn pieces(contents: &[u8]) -> Vec<Vec<u8>> {
    contents.chunks(BLOB_PIECE_LENGTH).map(<[u8]>::to_vec).collect()
}

async fn begun(client: &Client, id: u8, length: u64) -> BeginBlobReply {
    match client.ask(&begin(id, length)).await {
        Response::BeginBlob(reply) => reply,
        other => panic!("not begun: {other:?}"),
    }
}

/// Puts these pieces of a blob, and tells whether it is complete after the last.
async fn put(client: &Client, id: u8, contents: &[u8], indices: &[u32]) -> bool {
    let mut complete = false;
    for index in indices {
        let data = pieces(contents)[*index as usize].clone();
        match client.ask(&put_piece(id, *index, data)).await {
            Response::PutBlobPiece(reply) => complete = reply.complete,
            other => panic!("not taken: {other:?}"),
        }
    }
    complete
}

/// The whole blob, in steps that do not end where its pieces do.
async fn read(client: &Client, id: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let Response::FetchBlob(reply) = client.ask(&fetch(id, bytes.len() as u64, 500_000)).await else {
            panic!("not fetched")
        };
        if reply.data.is_empty() {
            assert_eq!(reply.blob_length, bytes.len() as u64);
            return bytes;
        }
        bytes.extend(reply.data);
    }
}

#[tokio::test]
async fn a_blob_goes_up_comes_down_and_is_taken_back() {
    let test = TestServer::start().await;
    let (uploader, reader) = (Client::connect(test.address()).await, Client::connect(test.address()).await);
    let contents = contents(2 * PIECE + 1000);
    let length = contents.len() as u64;
    let reply = begun(&uploader, 1, length).await;
    assert_eq!(reply.stored_pieces, [0]);
    assert!(!put(&uploader, 1, &contents, &[2, 0]).await);
    assert_eq!(code(reader.ask(&fetch(1, 0, 1)).await), ErrorCode::UnknownBlob, "it is not complete");
    let again = begun(&uploader, 1, length).await;
    assert_eq!(again, BeginBlobReply { stored_pieces: vec![0b101], expires: reply.expires });
    assert!(put(&uploader, 1, &contents, &[1]).await);
    assert!(read(&reader, 1).await == contents);
    let over_the_border = reader.ask(&fetch(1, PIECE - 3, 6)).await;
    let Response::FetchBlob(range) = over_the_border else { panic!("not fetched") };
    assert_eq!(range.data, contents[BLOB_PIECE_LENGTH - 3..BLOB_PIECE_LENGTH + 3]);
    for _ in 0..2 {
        assert_eq!(uploader.ask(&delete(1)).await, Response::Done);
    }
    assert_eq!(code(reader.ask(&fetch(1, 0, 1)).await), ErrorCode::UnknownBlob);
}

#[tokio::test]
async fn whoever_knows_the_id_alone_can_only_read() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let contents = contents(PIECE + 5);
    begun(&client, 1, PIECE + 5).await;
    put(&client, 1, &contents, &[0]).await;
    let id = [1; 32];
    let foreign = [4; 16];
    let payment = || Payment::None;
    let last = pieces(&contents)[1].clone();
    for request in [
        Request::BeginBlob(BeginBlob { id, upload_secret: foreign, length: PIECE + 5, payment: payment() }),
        Request::BeginBlob(BeginBlob { id, upload_secret: SECRET, length: PIECE + 6, payment: payment() }),
        Request::PutBlobPiece(PutBlobPiece { id, upload_secret: foreign, index: 1, data: last.clone() }),
        Request::DeleteBlob(DeleteBlob { id, upload_secret: foreign }),
        put_piece(1, 0, vec![0; BLOB_PIECE_LENGTH]),
        put_piece(1, 0, last.clone()),
        put_piece(1, 2, last.clone()),
    ] {
        assert_eq!(code(client.ask(&request).await), ErrorCode::BlobMismatch, "{request:?}");
    }
    assert_eq!(code(client.ask(&put_piece(2, 1, last)).await), ErrorCode::UnknownBlob);
    assert!(put(&client, 1, &contents, &[1]).await);
    assert!(read(&client, 1).await == contents);
}

#[tokio::test]
async fn blobs_are_not_for_connections_that_proved_a_device() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    for request in [begin(1, 5), put_piece(1, 0, vec![0; 5]), fetch(1, 0, 5), delete(1)] {
        assert_eq!(code(device.ask(&request).await), ErrorCode::WrongConnection);
    }
    let client = Client::connect(test.address()).await;
    assert_eq!(code(client.ask(&fetch(1, 0, 5)).await), ErrorCode::UnknownBlob, "nothing was begun");
}

#[tokio::test]
async fn two_uploaders_meet_in_the_middle() {
    let test = TestServer::start().await;
    let contents = Arc::new(contents(9 * PIECE + 1));
    let uploads: Vec<_> = [false, true]
        .into_iter()
        .map(|backwards| {
            let (address, contents) = (test.address(), Arc::clone(&contents));
            tokio::spawn(async move {
                let client = Client::connect(address).await;
                begun(&client, 1, contents.len() as u64).await;
                for step in 0..10 {
                    let index = if backwards { 9 - step } else { step };
                    put(&client, 1, &contents, &[index]).await;
                }
            })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap();
    }
    let client = Client::connect(test.address()).await;
    assert_eq!(begun(&client, 1, contents.len() as u64).await.stored_pieces, [0xff, 0b11]);
    assert!(read(&client, 1).await == *contents);
}

/// A server on a store on the disk.
async fn start_on_disk(folder: &Path) -> Server {
    let config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), folder.join("data"));
    let options = StorageOptions { free_space_floor: 0, ..StorageOptions::new(config.store_folder()) };
    let storage = tokio::task::spawn_blocking(move || SledStorage::open(&options).unwrap()).await.unwrap();
    Server::start(&config, Arc::new(storage)).await.unwrap()
}

async fn connect(server: &Server) -> (SocketAddr, Client) {
    let address = server.local_addr();
    (address, Client::connect(address).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_where_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let contents = contents(4 * PIECE + 17);
    let length = contents.len() as u64;
    let server = start_on_disk(folder.path()).await;
    let (_, client) = connect(&server).await;
    let before = begun(&client, 1, length).await;
    put(&client, 1, &contents, &[0, 3]).await;
    server.shutdown().await;
    let server = start_on_disk(folder.path()).await;
    let (_, client) = connect(&server).await;
    let after = begun(&client, 1, length).await;
    assert_eq!(after, BeginBlobReply { stored_pieces: vec![0b1001], ..before });
    let missing: Vec<u32> = (0..5).filter(|index| !after.is_stored(*index)).collect();
    assert!(put(&client, 1, &contents, &missing).await);
    server.shutdown().await;
    let server = start_on_disk(folder.path()).await;
    let (_, client) = connect(&server).await;
    assert!(read(&client, 1).await == contents);
    server.shutdown().await;
}

#[tokio::test]
async fn what_there_is_no_room_for_is_refused() {
    let test = TestServer::start_with(|config| config.blobs.max_gb = 1).await;
    let client = Client::connect(test.address()).await;
    assert_eq!(code(client.ask(&begin(1, 8_000_000_001)).await), ErrorCode::TooLarge);
    assert_eq!(code(client.ask(&begin(1, BLOB_LENGTH_MAX)).await), ErrorCode::TooLarge);
    begun(&client, 1, 999_000_000).await;
    let full = refusal(client.ask(&begin(2, 1_000_001)).await);
    assert_eq!(full.known_code(), Some(ErrorCode::BlobStoreFull));
    assert!(full.retry_after > 0);
    assert_eq!(client.ask(&delete(1)).await, Response::Done);
    begun(&client, 2, 1_000_001).await;
}

#[tokio::test]
async fn a_full_disk_refuses_mail_and_blobs_and_recovers() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::connect(test.address()).await;
    begun(&client, 1, 5).await;
    begun(&client, 2, 5).await;
    put(&client, 1, &[1; 5], &[0]).await;
    test.storage.set_low_space(true);
    for request in [submit(&account.address, &[1], 1), begin(3, 5), put_piece(2, 0, vec![1; 5])] {
        let refused = refusal(client.ask(&request).await);
        assert_eq!(refused.known_code(), Some(ErrorCode::StorageUnavailable), "{refused:?}");
        assert!(refused.retry_after > 0);
    }
    assert_eq!(read(&client, 1).await, [1; 5]);
    assert_eq!(client.ask(&delete(1)).await, Response::Done);
    test.storage.set_low_space(false);
    assert!(matches!(client.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)));
    let complete = Response::PutBlobPiece(PutBlobPieceReply { complete: true });
    assert_eq!(client.ask(&put_piece(2, 0, vec![1; 5])).await, complete);
}

#[tokio::test]
async fn bytes_and_beginnings_are_limited_by_network_address() {
    let test = TestServer::start_with(|config| {
        config.rate.blob_begins_per_address = Rate { burst: 3, per_minute: 6 };
        config.rate.blob_upload_kib_per_address = Rate { burst: 1024, per_minute: 6 };
        config.rate.blob_download_kib_per_address = Rate { burst: 600, per_minute: 6 };
    })
    .await;
    let client = Client::connect(test.address()).await;
    let contents = contents(PIECE + 400 * 1024);
    begun(&client, 1, contents.len() as u64).await;
    put(&client, 1, &contents, &[0, 1]).await;
    let limited = |response| {
        let error = refusal(response);
        error.known_code() == Some(ErrorCode::RateLimited) && error.retry_after > 0
    };
    let piece = pieces(&contents)[1].clone();
    assert!(limited(client.ask(&put_piece(1, 1, piece)).await), "513 and 400 of 1024 KiB are gone");
    assert!(!is_refused(client.ask(&fetch(1, 0, 512 << 10)).await));
    assert!(limited(client.ask(&fetch(1, 0, 512 << 10)).await), "88 KiB are left");
    assert!(!is_refused(client.ask(&fetch(1, 0, 80 << 10)).await));
    begun(&client, 2, 5).await;
    assert_eq!(client.ask(&delete(2)).await, Response::Done);
    assert!(limited(client.ask(&begin(3, 5)).await), "one address has begun and deleted three times");
    assert!(limited(client.ask(&delete(1)).await));
}

fn is_refused(response: Response) -> bool {
    matches!(response, Response::Error(_))
}
