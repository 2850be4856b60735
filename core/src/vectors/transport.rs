//! `transport.json`: requests and answers.

use serde_json::{Value, json};

use super::{check, hex, secret};
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;
use crate::invitation::Invitation;
use crate::proof::{Channel, server_key_hash, sign_deletion};
use crate::wire::transport::{
    Acknowledge, Authenticate, BeginBlob, BeginBlobReply, DeleteBlob, Delivery, DeviceEnvelope, ErrorCode, ErrorReply,
    FetchBlob, FetchBlobReply, FetchPrekeys, Lane, Payment, PutBlobPiece, PutBlobPieceReply, Request, Response,
    StaleDevices, Submit, SubscriptionEvent, Transport,
};

#[test]
fn transport_vectors() {
    let (server_key, device_key) = (SigningKey::from_secret(&secret(1)), SigningKey::from_secret(&secret(2)));
    let address: crate::Address = "claire.martin@clinic.example".parse().unwrap();
    let channel =
        Channel { nonce: &[3; 32], domain: "clinic.example", transport: Transport::Quic, exporter: Some(&[4; 32]) };
    let proof = channel.sign_proof(&device_key, &address, 1, 9);
    let hash = server_key_hash(&server_key.verifying_key());
    let invitation = Invitation { secret: Secret::from([5; 16]), server_key_hash: hash };
    let requests = [
        ("hello", Request::Hello),
        (
            "authenticate",
            Request::Authenticate(Authenticate {
                address: address.clone(),
                device_id: 1,
                transport: Transport::Quic,
                exporter_bound: true,
                signature: proof,
                generation: 9,
            }),
        ),
        ("prekey_status", Request::PrekeyStatus),
        ("subscribe", Request::Subscribe),
        ("acknowledge", Request::Acknowledge(Acknowledge { incarnation: [6; 16], up_to: 7, generation: 10 })),
        ("fetch_statement", Request::FetchStatement(address.clone())),
        ("fetch_prekeys", Request::FetchPrekeys(FetchPrekeys { address: address.clone(), payment: Payment::None })),
        (
            "submit",
            Request::Submit(Submit {
                id: [8; 16],
                address: address.clone(),
                envelopes: vec![DeviceEnvelope { device_id: 1, envelope: vec![0; 4096] }],
                payment: Payment::None,
                delivery_key: None,
            }),
        ),
        (
            "begin_blob",
            Request::BeginBlob(BeginBlob {
                id: [9; 32],
                upload_secret: [10; 16],
                length: 65_584,
                payment: Payment::None,
            }),
        ),
        (
            "put_blob_piece",
            Request::PutBlobPiece(PutBlobPiece { id: [9; 32], upload_secret: [10; 16], index: 1, data: vec![11; 32] }),
        ),
        ("fetch_blob", Request::FetchBlob(FetchBlob { id: [9; 32], offset: 65_552, length: 32 })),
        ("delete_blob", Request::DeleteBlob(DeleteBlob { id: [9; 32], upload_secret: [10; 16] })),
    ];
    let stale = StaleDevices { missing: vec![2], extra: vec![1], statement_version: 3 };
    let responses = [
        ("done", Response::Done),
        (
            "error",
            Response::Error(ErrorReply {
                stale_devices: Some(stale),
                ..ErrorReply::new(ErrorCode::StaleDevices, "devices changed")
            }),
        ),
        (
            "delivery",
            Response::Subscription(SubscriptionEvent::Delivery(Delivery {
                sequence: 7,
                received: 1_700_000_000_000,
                envelope: vec![0; 4096],
                lane: Lane::Normal,
            })),
        ),
        ("begin_blob", Response::BeginBlob(BeginBlobReply { stored_pieces: vec![0b101], expires: 1_700_000_000_000 })),
        ("put_blob_piece", Response::PutBlobPiece(PutBlobPieceReply { complete: true })),
        ("fetch_blob", Response::FetchBlob(FetchBlobReply { data: vec![12; 32], blob_length: 65_584 })),
    ];
    let named = |frames: Vec<(&str, Vec<u8>)>| -> Value {
        frames.into_iter().map(|(name, bytes)| (name.to_owned(), Value::from(hex(bytes)))).collect()
    };
    check(
        "transport",
        &json!({
            "about": "spec/transport.md: signatures of a connection, frames without their length, an invitation code.",
            "server_key": { "secret": hex([1; 32]), "public": hex(server_key.verifying_key().as_bytes()), "hash": hex(hash) },
            "channel": { "nonce": hex([3; 32]), "domain": "clinic.example", "transport": 1, "exporter": hex([4; 32]) },
            "hello_signature": hex(channel.sign_hello(&server_key)),
            "device_proof": {
                "device_secret": hex([2; 32]),
                "address": address.as_str(),
                "device_id": 1,
                "generation": 9,
                "signature": hex(proof),
            },
            "deletion": {
                "account_secret": hex([2; 32]),
                "statement_version": 3,
                "signature": hex(sign_deletion(&device_key, &address, 3)),
            },
            "invitation": {
                "secret": hex([5; 16]),
                "hash": hex(Invitation::hash(&[5; 16])),
                "code": invitation.code(),
            },
            "requests": named(requests.iter().map(|(name, request)| (*name, request.encode())).collect()),
            "responses": named(responses.iter().map(|(name, response)| (*name, response.encode())).collect()),
        }),
    );
}
