//! `content.json`: contents of the first kinds.

use serde_json::json;

use super::{check, hex, secret};
use crate::attachment::BlobReference;
use crate::kind::{
    Attachment, AttachmentPlace, Body, Content, DeviceName, DeviceSync, DisplayedMark, Mail, MailRecipient, MessageId,
    Progress, ReceiptsWanted, Received, RecipientRole, SentState, SyncedContact, SyncedServer, Urgency,
};

#[test]
fn content_vectors() {
    let reference = BlobReference {
        domain: "clinic.example".into(),
        id: [9; 32],
        key: secret(0x41).into(),
        length: 200_000_000,
        root: [13; 32],
        expires: 1_700_000_000_000,
    };
    let content = Content {
        id: MessageId([1; 16]),
        thread: MessageId([1; 16]),
        in_reply_to: None,
        replaces: None,
        created: 1_700_000_000_000,
        expires: None,
        urgency: Urgency::Urgent,
        sender_name: "Dr Claire Martin".into(),
        sender_role: "GP".into(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted { delivered: true, displayed: true, processed: false },
        fallback_text: "Mail: Results".into(),
        attachments: vec![
            Attachment {
                name: "potassium.txt".into(),
                media_type: "text/plain".into(),
                place: AttachmentPlace::Inline(b"6.1".to_vec()),
            },
            Attachment {
                name: "scan.pdf".into(),
                media_type: "application/pdf".into(),
                place: AttachmentPlace::Blob(reference.clone()),
            },
        ],
        body_blob: None,
        sender_statement_version: 1,
        body: Body::Mail(Mail {
            subject: "Results".into(),
            text: "Potassium 6.1 mmol/L".into(),
            html: Some("<p>Potassium <b>6.1</b> mmol/L</p>".into()),
            recipients: vec![MailRecipient {
                address: "karim.benali@clinic.example".parse().unwrap(),
                role: RecipientRole::To,
            }],
        }),
    };
    let body = BlobReference { length: 300_000, ..reference };
    let received = Received { message_ids: vec![MessageId([2; 16]), MessageId([3; 16])], unreadable: true };
    let bare = |body| Content {
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: String::new(),
        attachments: Vec::new(),
        body,
        ..content.clone()
    };
    let with_body_blob = Content { body: content.body.short(), body_blob: Some(body), ..content.clone() };
    let address: crate::Address = "karim.benali@clinic.example".parse().unwrap();
    let sync = DeviceSync {
        displayed: vec![DisplayedMark {
            sender: address.clone(),
            account_key: Some([6; 32]),
            content_id: MessageId([7; 16]),
            at: 1_700_000_000_001,
        }],
        contacts: vec![SyncedContact {
            address: address.clone(),
            statement: b"an encoded SignedStatement".to_vec(),
            added: 1_700_000_000_002,
            verified: Some(([5; 32], 1_700_000_000_005)),
            server: Some(SyncedServer { endpoint: "server.clinic.example:4433".into(), key_hash: Some([8; 32]) }),
        }],
        states: vec![SentState {
            content_id: MessageId([1; 16]),
            recipient: address,
            progress: Progress::Failed,
            code: "unknown_account".into(),
            at: 1_700_000_000_003,
        }],
        names: vec![DeviceName { device_id: 7, name: "Workstation".into(), at: 1_700_000_000_004 }],
        ..DeviceSync::default()
    };
    let sync = Content { attachments: Vec::new(), body: Body::DeviceSync(sync), ..content.clone() };
    check(
        "content",
        &json!({
            "about": "spec/content.md: an encoded Content of kind mail, one of received, one of empty; the fields are those of \
                      the test that made them.",
            "subject": "Results",
            "text": "Potassium 6.1 mmol/L",
            "encoded": hex(content.encode().unwrap()),
            "encoded_with_body_in_a_blob": hex(with_body_blob.encode().unwrap()),
            "received": hex(bare(Body::Received(received)).encode().unwrap()),
            "empty": hex(bare(Body::Empty).encode().unwrap()),
            "encoded_device_sync": hex(sync.encode().unwrap()),
        }),
    );
}
