//! One mail to a person with 1, 5 and 20 devices: first flights, and over sessions that are there.

use chacha20::ChaCha20Rng;
use medipeps_client::account_store::Handled;
use medipeps_client::engine::{Input, Send, SendMail};
use medipeps_core::envelope::Envelope;
use medipeps_core::kind::{ReceiptsWanted, Urgency};
use medipeps_core::session::Session;
use medipeps_core::wire::transport::{DeviceEnvelope, Request, Response, SubmitReply};
use rand_core::SeedableRng;
use serde_json::{Map, Value, json};

use crate::account::{Account, request};
use crate::peer::Peer;
use crate::{median, timed};

/// Devices of the recipients.
const DEVICES: [u32; 3] = [1, 5, 20];
/// People of each sort; first flights happen once with each.
const PEOPLE: usize = 9;
/// Mails to each, over sessions.
const MAILS: usize = 5;
const TEXT_LENGTH: usize = 1024;

pub(crate) fn measure() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut account = Account::create(&folder.path().join("home"));
    let mut result = Map::new();
    result.insert("commit_ms".into(), median(101, || account.bare_commit()).into());
    let (initiate, encrypt) = bare();
    result.insert("initiate_ms".into(), initiate.into());
    result.insert("encrypt_ms".into(), encrypt.into());
    for devices in DEVICES {
        result.insert(format!("to_{devices}"), to(&mut account, devices));
    }
    result.into()
}

/// Milliseconds, and bytes of the submission.
fn to(account: &mut Account, devices: u32) -> Value {
    let (mut first, mut later, mut first_bytes, mut later_bytes) = (Vec::new(), Vec::new(), 0, 0);
    for number in 0..PEOPLE {
        let mut peer = Peer::new(&format!("paul-{devices}-{number}"), devices);
        let (taken, bytes, sent) = send(account, &peer);
        first.push(taken);
        first_bytes = bytes;
        let answers = peer.answer(&sent);
        for part in answers.chunks(5) {
            account.receive(part.to_vec());
        }
        for _ in 0..MAILS {
            let (taken, bytes, sent) = send(account, &peer);
            assert_eq!(sent.len(), devices as usize);
            later.push(taken);
            later_bytes = bytes;
        }
    }
    assert!(later_bytes < first_bytes, "these are no first flights");
    let middle = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    json!({
        "first_ms": middle(&mut first),
        "first_bytes": first_bytes,
        "session_ms": middle(&mut later),
        "session_bytes": later_bytes,
    })
}

/// One mail, from the command until the server's yes is committed: milliseconds, bytes of the submission, envelopes.
fn send(account: &mut Account, peer: &Peer) -> (f64, usize, Vec<DeviceEnvelope>) {
    let prekeys = peer.prekeys();
    let (taken, submit) = timed(|| {
        account.handle(&Input::SendMail(mail(peer)));
        let mut handled = account.handle(&Input::Tick { unreachable: Default::default() });
        if asks_for_prekeys(&handled) {
            let (_, to) = request(&handled, |request| matches!(request, Request::FetchPrekeys(_)));
            handled = account.reply(to, Response::FetchPrekeys(prekeys));
        }
        let (submit, to) = request(&handled, |request| matches!(request, Request::Submit(_)));
        account.reply(to, Response::Submit(SubmitReply { duplicate: false }));
        submit
    });
    let bytes = submit.encode().len();
    let Request::Submit(submit) = submit else { panic!("it is a submission") };
    (taken, bytes, submit.envelopes)
}

/// Whether there are no sessions with all devices yet.
pub(crate) fn asks_for_prekeys(handled: &Handled) -> bool {
    handled.outgoing.iter().any(|outgoing| matches!(outgoing.send, Send::Request(Request::FetchPrekeys(_))))
}

pub(crate) fn mail(peer: &Peer) -> SendMail {
    SendMail {
        to: vec![peer.address.clone()],
        cc: Vec::new(),
        subject: "A mail".into(),
        text: "x".repeat(TEXT_LENGTH),
        html: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        receipts_wanted: ReceiptsWanted::default(),
        in_reply_to: None,
        body_copy: None,
    }
}

/// What core alone takes, in milliseconds: a first flight with the bundle's verification, and one message of a session
/// with its state before and after it, as it is kept.
fn bare() -> (f64, f64) {
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let (claire, paul) = (Peer::new("bare-claire", 1), Peer::new("bare-paul", 1));
    let content = vec![7; TEXT_LENGTH + 200];
    let begin = |rng: &mut ChaCha20Rng| {
        let bundle = paul.verified_bundle();
        let mut session = Session::initiate(&claire.writer(), &paul.statement, &bundle, rng).unwrap();
        let flight = session.encrypt(&content, &claire.writer(), rng).unwrap();
        (session, flight)
    };
    let initiate = median(51, || timed(|| begin(&mut rng)).0);
    let (mut session, flight) = begin(&mut rng);
    let mut other = Peer::new("bare-paul", 1);
    let answer = other.answer(&[DeviceEnvelope { device_id: 1, envelope: flight }]).remove(0);
    session.decrypt(&Envelope::decode(&answer).unwrap(), &mut rng).unwrap();
    let mut state = session.encode();
    let encrypt = median(201, || {
        timed(|| {
            let mut session = Session::decode(&state).unwrap();
            let envelope = session.encrypt(&content, &claire.writer(), &mut rng).unwrap();
            state = session.encode();
            envelope
        })
        .0
    });
    (initiate, encrypt)
}
