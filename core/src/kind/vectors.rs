//! `spec/vectors/kinds.json`, `franking.json` and `transcript.json`.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::test_content::{author, content, id};
use super::{
    Applied, AttachmentPlace, Author, Body, Case, CaseMember, Chat, ChatEntry, ChatThread, Content, GroupInvitation,
    GroupRejoinAnswer, GroupRejoinRequest, LogPosition, MailboxAct, MailboxEvent, PatientReference, Photo, Place, Poll,
    Report, ShownBody, SignedTranscript, Task, TaskChange, TaskState, Voice, Vote,
};
use crate::attachment::BlobReference;
use crate::crypto::secret::Secret;
use crate::franking::tests::franked_by;
use crate::group::framing::{FramedContent, group_and_epoch};
use crate::test_party::Party;
use crate::vectors::{check, hex};
use crate::wire;

const LOG: [u8; 32] = [7; 32];

fn blob(length: u64) -> BlobReference {
    let (domain, key) = ("clinic.example".into(), Secret::from([2; 32]).into());
    BlobReference { domain, id: [1; 32], key, length, root: [3; 32], expires: 4 }
}

fn attachment(media_type: &str) -> super::Attachment {
    super::Attachment {
        name: "file".into(),
        media_type: media_type.into(),
        place: AttachmentPlace::Blob(blob(100_000)),
    }
}

/// A chat message of every sort, by its name; with numbers of its own as ids where it speaks of another.
fn chats() -> Vec<(&'static str, Chat)> {
    let poll = Poll {
        question: "Operate on Monday?".into(),
        options: vec!["Yes".into(), "No".into()],
        multiple: false,
        closes: Some(1_700_000_100_000),
    };
    let task = Task { text: "Book the theatre".into(), assignees: vec![author(2).address], due: None };
    vec![
        ("text", Chat::Text { text: "Fracture".into() }),
        ("photo", Chat::Photo(Photo { caption: "X-ray".into(), width: 800, height: 600 })),
        ("voice", Chat::Voice(Voice { duration: 4000 })),
        ("poll", Chat::Poll(poll)),
        ("vote", Chat::Vote(Vote { poll: id(4), options: vec![1] })),
        ("task", Chat::Task(task)),
        ("task_change", Chat::TaskChange(TaskChange { task: id(6), state: TaskState::Done })),
        ("reaction", Chat::Reaction { message: id(1), emoji: Some("👍".into()) }),
        ("edit", Chat::Edit { message: id(1), text: "Fracture, left".into() }),
        ("delete", Chat::Delete { message: id(3) }),
        ("typing", Chat::Typing { active: true }),
        ("read_position", Chat::ReadPosition { message: id(4) }),
    ]
}

fn said(number: u64, chat: Chat) -> Content {
    let attachments = match &chat {
        Chat::Photo(_) => vec![attachment("image/jpeg")],
        Chat::Voice(_) => vec![attachment("audio/ogg")],
        _ => Vec::new(),
    };
    Content { id: id(number), attachments, ..content(Body::Chat(chat)) }
}

fn bodies() -> Vec<(&'static str, Body)> {
    let position = LogPosition { incarnation: [2; 16], sequence: 77 };
    let member = CaseMember { address: author(2).address, function: "anaesthetist".into(), may_close: true };
    let invitation = GroupInvitation {
        log_id: LOG,
        domain: "clinic.example".into(),
        epoch: 5,
        position,
        name: "Intensive care".into(),
        invitation: AttachmentPlace::Blob(blob(200_000)),
        inviter: author(1).address,
    };
    let answer = GroupRejoinAnswer { log_id: LOG, epoch: 500, position, help: AttachmentPlace::Inline(vec![4; 20]) };
    let opening = Case::Opening { title: "Hip, left".into(), team: vec![member.clone()], closes: None };
    let mailbox = |act| Body::MailboxEvent(MailboxEvent { message: id(9), act });
    vec![
        ("group_invitation", Body::GroupInvitation(invitation)),
        ("group_rejoin_request", Body::GroupRejoinRequest(GroupRejoinRequest { log_id: LOG, epoch: Some(4) })),
        ("group_rejoin_answer", Body::GroupRejoinAnswer(answer)),
        ("case_opening", Body::Case(opening)),
        ("case_closing", Body::Case(Case::Closing { reason: "Discharged".into() })),
        ("case_reopening", Body::Case(Case::Reopening { reason: "Readmitted".into(), closes: Some(9) })),
        ("case_team", Body::Case(Case::Team { team: vec![member] })),
        ("mailbox_claimed", mailbox(MailboxAct::Claimed)),
        ("mailbox_assigned", mailbox(MailboxAct::Assigned(author(2).address))),
        ("mailbox_released", mailbox(MailboxAct::Released)),
        ("mailbox_done", mailbox(MailboxAct::Done)),
    ]
}

/// A thread in an order in which it may come, and what is shown in the end.
fn thread() -> Value {
    let mut thread = ChatThread::default();
    let mut entries = Vec::new();
    let order = [8, 5, 1, 4, 2, 3, 6, 9, 7, 10, 12, 5];
    for number in order {
        let (_, chat) = chats().swap_remove(number as usize - 1);
        let (account, place) = ((number % 3) as u8, Place { position: number, at: 1_700_000_000_000 + number });
        let author = author(if matches!(number, 1 | 3 | 9 | 10) { 1 } else { account + 2 });
        let content = said(number, chat);
        let entry = ChatEntry::of(&content, author.clone(), place).unwrap();
        let applied = thread.apply(entry);
        entries.push(json!({
            "address": author.address.as_str(),
            "account_key": hex(author.account_key.as_bytes()),
            "position": place.position,
            "at": place.at,
            "content": hex(content.encode().unwrap()),
            "result": match applied {
                Ok(Applied::Done { .. }) => "counts".to_owned(),
                Ok(Applied::Waiting) => "waits".to_owned(),
                Ok(Applied::Duplicate) => "duplicate".to_owned(),
                Err(refusal) => format!("refused: {refusal}"),
            },
        }));
    }
    let names = |authors: Vec<&Author>| authors.into_iter().map(|one| one.address.to_string()).collect::<Vec<_>>();
    let shown = thread.messages().map(|message| {
        let reactions = message.reactions().into_iter().map(|(emoji, authors)| json!([emoji, names(authors)]));
        json!({
            "id": message.id.to_string(),
            "author": message.author.address.as_str(),
            "edited": message.edited,
            "says": match &message.body {
                ShownBody::Text(text) => json!({ "text": text }),
                ShownBody::Photo(photo) => json!({ "photo": photo.caption }),
                ShownBody::Voice(voice) => json!({ "voice": voice.duration }),
                ShownBody::Poll(poll) => {
                    let tally: Vec<_> = message.tally().unwrap().into_iter().map(names).collect();
                    json!({ "poll": poll.question, "tally": tally })
                }
                ShownBody::Task(task) => {
                    json!({ "task": task.text, "state": format!("{:?}", message.task_state().unwrap()) })
                }
                ShownBody::Deleted { at } => json!({ "deleted": at }),
            },
            "reactions": reactions.collect::<Vec<_>>(),
        })
    });
    let shown: Vec<_> = shown.collect();
    let read = thread.read_positions().map(|(reader, id)| json!([reader.address.as_str(), id.to_string()]));
    json!({ "entries": entries, "shown": shown, "read": read.collect::<Vec<_>>() })
}

#[test]
fn kind_vectors() {
    let patient = PatientReference { identifier: "279035121518989".into(), assigning_authority: "1.2.250.1".into() };
    let encoded = |(name, content): (&str, Content)| {
        assert_eq!(Content::decode(&content.encode().unwrap()).as_ref(), Ok(&content));
        json!({
            "name": name,
            "kind": content.body.kind_number(),
            "fallback_text": content.fallback_text,
            "body": hex(wire::content::body_bytes(&content.body)),
            "content": hex(content.encode().unwrap()),
        })
    };
    let chats = chats().into_iter().zip(1..).map(|((name, chat), number)| (name, said(number, chat)));
    let bodies = bodies().into_iter().map(|(name, body)| {
        let patient = matches!(body, Body::Case(_)).then(|| patient.clone());
        (name, Content { patient, ..content(body) })
    });
    check(
        "kinds",
        &json!({
            "about": "spec/content.md, spec/case.md, spec/organisation.md: a content of each kind from 6 on; and a thread of chat \
                whose messages come out of order, with what each has done and what is shown in the end.",
            "kinds": chats.chain(bodies).map(encoded).collect::<Vec<_>>(),
            "thread": thread(),
        }),
    );
}

#[test]
fn franking_vectors() {
    let sender = Party::new("karim", 2, 1);
    let (log_id, _, franked) = franked_by(&sender, "An insult", 5);
    let (group_id, epoch) = group_and_epoch(&franked.proof.group_context).unwrap();
    let content = &*franked.bytes;
    let framed = FramedContent { group_id: &group_id, epoch, leaf: franked.proof.leaf, log_id: &log_id, content };
    let report = Report {
        log_id,
        position: LogPosition { incarnation: [1; 16], sequence: 40 },
        content: content.to_vec(),
        proof: franked.proof.clone(),
        sender_certificate: sender.statement.device(1).unwrap().signed().encode(),
        reason: "Insulting".into(),
    };
    assert!(report.verify().is_ok());
    check(
        "franking",
        &json!({
            "about": "spec/franking.md: a group message, what its sender's device signs of it, and a report of it. The device's key is \
                given as its 32-byte secret.",
            "log_id": hex(log_id),
            "device_signing_secret": hex(sender.keys.signing_key.to_secret().as_bytes()),
            "device_signing_public": hex(sender.keys.signing_key.verifying_key().as_bytes()),
            "content": hex(content),
            "group_id": hex(group_id.0),
            "epoch": epoch,
            "leaf": franked.proof.leaf,
            "group_context": hex(&franked.proof.group_context),
            "signed": hex(&*framed.signed_bytes(&franked.proof.group_context).unwrap()),
            "signature": hex(franked.proof.signature),
            "report": hex(wire::content::body_bytes(&Body::Report(report))),
        }),
    );
}

/// What a reader does who has the specification and the published primitives, and nothing of this crate's franking.
#[test]
fn the_franking_vectors_hold_by_their_specification() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/franking.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |name: &str| HEXLOWER.decode(vectors[name].as_str().unwrap().as_bytes()).unwrap();
    let number = |name: &str| vectors[name].as_u64().unwrap();
    // A length of MLS: one byte below 64, two below 16384.
    let vector = |bytes: &[u8]| match u16::try_from(bytes.len()).unwrap() {
        length @ ..64 => [&[u8::try_from(length).unwrap()], bytes].concat(),
        length => [&(length | 0x4000).to_be_bytes(), bytes].concat(),
    };
    let framed = [
        [0, 1, 0, 2].to_vec(),
        vector(&bytes("group_id")),
        number("epoch").to_be_bytes().to_vec(),
        vec![1],
        u32::try_from(number("leaf")).unwrap().to_be_bytes().to_vec(),
        vector(&bytes("log_id")),
        vec![1],
        vector(&bytes("content")),
        bytes("group_context"),
    ];
    let signed = [vector(b"MLS 1.0 FramedContentTBS"), vector(&framed.concat())].concat();
    assert_eq!(signed, bytes("signed"));
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes("device_signing_public").try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&bytes("signature")).unwrap();
    key.verify_strict(&signed, &signature).unwrap();
    // Version, suite, and the two that the officer looks for.
    let context = [vec![0, 1, 0, 0x4d], vector(&bytes("group_id")), number("epoch").to_be_bytes().to_vec()].concat();
    assert!(bytes("group_context").starts_with(&context));
}

#[test]
fn transcript_vectors() {
    let signer = Party::new("claire", 1, 1);
    let transcript = super::case::tests::transcript();
    let signed = transcript.sign(&signer.keys.signing_key, &signer.statement, 1).unwrap();
    check(
        "transcript",
        &json!({
            "about": "spec/case.md: a signed transcript. The device's key is given as its 32-byte secret.",
            "device_signing_secret": hex(signer.keys.signing_key.to_secret().as_bytes()),
            "statement": hex(signer.statement.encoded()),
            "device": 1,
            "transcript": hex(&signed.transcript),
            "signature": hex(signed.signature),
            "file": hex(signed.encode()),
        }),
    );
    let file = HEXLOWER.decode(hex(signed.encode()).as_bytes()).unwrap();
    assert_eq!(SignedTranscript::decode(&file).unwrap().verify().unwrap().transcript, transcript);
    // By the published primitive alone.
    let prefixed = [&[24][..], b"Medipeps case transcript", &signed.transcript].concat();
    let public = signer.keys.signing_key.verifying_key();
    let key = ed25519_dalek::VerifyingKey::from_bytes(public.as_bytes()).unwrap();
    key.verify_strict(&prefixed, &ed25519_dalek::Signature::from_bytes(&signed.signature)).unwrap();
}
