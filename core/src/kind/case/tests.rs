//! The life of a case, and transcripts that say what was shown and nothing else.

use super::*;
use crate::kind::test_content::{author, content, id};
use crate::kind::{
    Attachment, AttachmentPlace, Author, Body, Chat, ChatEntry, ChatThread, MessageId, PatientReference, Photo, Place,
    Poll, Task, TaskChange, TaskState, Voice, Vote,
};
use crate::limits::{CASE_EVENTS_MAX, TRANSCRIPT_LENGTH_MAX};
use crate::test_party::Party;
use crate::wire::{self, WireError};

const CASE: u64 = 1;

fn patient() -> PatientReference {
    PatientReference { identifier: "279035121518989".into(), assigning_authority: "1.2.250.1.213.1.4.8".into() }
}

fn team(members: &[(u8, bool)]) -> Vec<CaseMember> {
    let member = |(number, may_close): &(u8, bool)| CaseMember {
        address: author(*number).address,
        function: "anaesthetist".into(),
        may_close: *may_close,
    };
    members.iter().map(member).collect()
}

fn opening(closes: Option<u64>) -> Case {
    Case::Opening { title: "Hip, left".into(), team: team(&[(2, true), (3, false)]), closes }
}

fn entry(number: u64, account: u8, case: Case) -> CaseEntry {
    let place = Place { position: number, at: 1000 * number };
    CaseEntry { id: id(number), thread: id(CASE), author: author(account), place, patient: Some(patient()), case }
}

fn case(closes: Option<u64>) -> CaseThread {
    CaseThread::open(entry(CASE, 1, opening(closes))).unwrap()
}

fn closing() -> Case {
    Case::Closing { reason: "Discharged".into() }
}

fn reopening() -> Case {
    Case::Reopening { reason: String::new(), closes: None }
}

#[test]
fn each_comes_back_as_it_was() {
    for case in [opening(Some(5)), closing(), reopening(), Case::Team { team: team(&[(4, true)]) }] {
        let sent = Content { patient: Some(patient()), ..content(Body::Case(case)) };
        assert!(!sent.fallback_text.is_empty());
        assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
    }
    let later = content(Body::Unknown { kind: 10, body: vec![0x7a, 1, 7] });
    assert_eq!(Content::decode(&later.encode().unwrap()), Ok(later));
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    let refused = |case, field| {
        let sent = Content { patient: Some(patient()), ..content(Body::Case(case)) };
        assert_eq!(sent.encode().map(|_| ()), Err(ContentError::Field(field)));
    };
    let opened = |title: &str, team| Case::Opening { title: title.into(), team, closes: None };
    refused(opened(" ", team(&[(1, true)])), "case.title");
    refused(opened("a\nb", team(&[(1, true)])), "case.title");
    refused(opened("a", Vec::new()), "case.team");
    refused(opened("a", team(&[(1, true), (1, false)])), "case.team");
    refused(opened("a", team(&[(1, false)])), "case.team.may_close");
    refused(Case::Closing { reason: "a".repeat(CASE_REASON_LENGTH_MAX + 1) }, "case.reason");
    let without = content(Body::Case(opening(None)));
    assert_eq!(without.encode().map(|_| ()), Err(ContentError::Field("patient")));
    let elsewhere =
        Content { patient: Some(patient()), thread: MessageId([9; 16]), ..content(Body::Case(opening(None))) };
    assert_eq!(elsewhere.encode().map(|_| ()), Err(ContentError::Field("thread")));
}

#[test]
fn those_who_may_close_a_case_and_open_it_again() {
    let mut case = case(None);
    assert_eq!(case.apply(entry(2, 3, closing())), Err(CaseRefusal::MayNotClose));
    assert_eq!(case.apply(entry(2, 4, closing())), Err(CaseRefusal::NotInTeam));
    assert_eq!(case.apply(entry(2, 1, reopening())), Err(CaseRefusal::AlreadyOpen));
    assert_eq!(case.apply(entry(2, 1, opening(None))), Err(CaseRefusal::AlreadyOpen));
    let elsewhere = CaseEntry { thread: id(9), ..entry(2, 2, closing()) };
    assert_eq!(case.apply(elsewhere), Err(CaseRefusal::OtherCase));
    assert_eq!(case.admits(&author(3), 2000), Ok(()));
    assert_eq!(case.admits(&author(4), 2000), Err(CaseRefusal::NotInTeam));
    // Somebody else has the opener's address now.
    let stranger = Author { address: author(1).address, ..author(9) };
    assert_eq!(case.admits(&stranger, 2000), Err(CaseRefusal::NotInTeam));
    assert_eq!(case.apply(entry(3, 2, closing())), Ok(true));
    assert_eq!(case.apply(entry(3, 2, closing())), Ok(false));
    assert_eq!(case.state_at(3000), CaseState::Closed { since: 3000 });
    assert_eq!(case.admits(&author(3), 4000), Err(CaseRefusal::Closed { since: 3000 }));
    assert_eq!(case.apply(entry(4, 2, closing())), Err(CaseRefusal::Closed { since: 3000 }));
    assert_eq!(
        case.apply(entry(4, 2, Case::Team { team: team(&[(4, true)]) })),
        Err(CaseRefusal::Closed { since: 3000 })
    );
    assert_eq!(case.apply(entry(5, 1, reopening())), Ok(true));
    assert_eq!(case.apply(entry(5, 1, Case::Team { team: team(&[(4, true)]) })), Ok(false));
    assert_eq!(case.apply(entry(4, 1, closing())), Err(CaseRefusal::OutOfOrder));
    assert_eq!(case.apply(entry(6, 1, Case::Team { team: team(&[(4, true)]) })), Ok(true));
    assert_eq!(case.admits(&author(4), 7000), Ok(()));
    assert_eq!(case.admits(&author(3), 7000), Err(CaseRefusal::NotInTeam));
}

#[test]
fn a_case_closes_by_itself_at_its_date() {
    let mut case = case(Some(5000));
    assert_eq!(case.state_at(4999), CaseState::Open);
    assert_eq!(case.state_at(5000), CaseState::Closed { since: 5000 });
    assert_eq!(case.apply(entry(6, 1, closing())), Err(CaseRefusal::Closed { since: 5000 }));
    let again = Case::Reopening { reason: "Readmitted".into(), closes: Some(9000) };
    assert_eq!(case.apply(entry(7, 2, again)), Ok(true));
    assert_eq!((case.state_at(8999), case.state_at(9000)), (CaseState::Open, CaseState::Closed { since: 9000 }));
}

#[test]
fn a_case_begins_with_its_opening_and_a_patient_and_its_events_are_bounded() {
    assert!(matches!(CaseThread::open(entry(1, 1, closing())), Err(CaseRefusal::NotOpening)));
    let without = CaseEntry { patient: None, ..entry(1, 1, opening(None)) };
    assert!(matches!(CaseThread::open(without), Err(CaseRefusal::NoPatient)));
    assert!(matches!(CaseThread::open(entry(2, 1, opening(None))), Err(CaseRefusal::OtherCase)));
    let mut case = case(None);
    for number in 0..CASE_EVENTS_MAX as u64 - 1 {
        let next = if number % 2 == 0 { closing() } else { reopening() };
        assert_eq!(case.apply(entry(2 + number, 1, next)), Ok(true));
    }
    assert_eq!(case.apply(entry(9000, 1, reopening())), Err(CaseRefusal::TooManyEvents));
}

/// A thread with every sort of message.
pub(crate) fn transcript() -> Transcript {
    let mut chat = ChatThread::default();
    let files = vec![crate::kind::ShownFile::of(&Attachment {
        name: "scan.pdf".into(),
        media_type: "application/pdf".into(),
        place: AttachmentPlace::Inline(b"%PDF-1.7".to_vec()),
    })];
    let poll = Poll {
        question: "Operate on Monday?".into(),
        options: vec!["Yes".into(), "No".into()],
        multiple: false,
        closes: None,
    };
    let task =
        Task { text: "Book the theatre".into(), assignees: vec![author(2).address], due: Some(1_700_000_100_000) };
    let said = [
        (1, Chat::Text { text: "Fracture, see the scan".into() }),
        (2, Chat::Poll(poll)),
        (3, Chat::Task(task)),
        (2, Chat::Voice(Voice { duration: 4000 })),
        (3, Chat::Photo(Photo { caption: "X-ray".into(), width: 800, height: 600 })),
        (1, Chat::Text { text: "wrong patient".into() }),
        (1, Chat::Edit { message: id(12), text: "Fracture of the left hip, see the scan".into() }),
        (3, Chat::Vote(Vote { poll: id(13), options: vec![0] })),
        (1, Chat::Vote(Vote { poll: id(13), options: vec![0] })),
        (2, Chat::TaskChange(TaskChange { task: id(14), state: TaskState::Done })),
        (2, Chat::Reaction { message: id(12), emoji: Some("👍".into()) }),
        (1, Chat::Delete { message: id(17) }),
    ];
    for ((account, said), number) in said.into_iter().zip(12..) {
        let place = Place { position: number, at: 1_700_000_000_000 + number };
        let files = if number == 12 { files.clone() } else { Vec::new() };
        let in_reply_to = (number == 13).then(|| id(12));
        chat.apply(ChatEntry { id: id(number), author: author(account), place, in_reply_to, chat: said, files })
            .unwrap();
    }
    let mut case = case(None);
    assert_eq!(case.apply(entry(40, 2, closing())), Ok(true));
    Transcript::of(&case, &chat, Some([7; 32]), 1_700_000_200_000)
}

#[test]
fn a_transcript_says_what_was_shown_and_who_exported_it() {
    let signer = Party::new("claire", 1, 1);
    let transcript = transcript();
    let signed = transcript.sign(&signer.keys.signing_key, &signer.statement, 1).unwrap();
    let verified = SignedTranscript::decode(&signed.encode()).unwrap().verify().unwrap();
    assert_eq!(verified.transcript, transcript);
    assert_eq!((verified.signer.address.as_str(), verified.device_id), ("claire@clinic.example", 1));
    let messages = &verified.transcript.messages;
    assert_eq!(messages.len(), 6);
    assert!(messages[0].says == TranscriptSays::Text("Fracture of the left hip, see the scan".into()));
    assert_eq!(messages[0].edited, Some(1_700_000_000_018));
    assert_eq!(messages[0].reactions, [("👍".to_owned(), vec![author(2)])]);
    assert_eq!(messages[0].files[0].length, 8);
    assert!(matches!(&messages[1].says, TranscriptSays::Poll { options, .. } if options[0].voters.len() == 2));
    assert!(matches!(&messages[2].says, TranscriptSays::Task(_, TaskState::Done)));
    assert!(matches!(&messages[5].says, TranscriptSays::Deleted { .. }));
    assert!(!format!("{verified:?}").contains("Fracture"));
}

#[test]
fn a_flipped_bit_anywhere_in_a_transcript_is_refused() {
    let signer = Party::new("claire", 1, 1);
    let signed = transcript().sign(&signer.keys.signing_key, &signer.statement, 1).unwrap();
    for byte in 0..signed.transcript.len() {
        let mut altered = signed.clone();
        altered.transcript[byte] ^= 1 << (byte % 8);
        assert_eq!(altered.verify(), Err(TranscriptError::Signature), "byte {byte}");
    }
    let mut altered = signed.clone();
    altered.signature[3] ^= 1;
    assert_eq!(altered.verify(), Err(TranscriptError::Signature));
    assert_eq!(SignedTranscript { signer_device: 2, ..signed.clone() }.verify(), Err(TranscriptError::UnknownDevice));
    let other = Party::new("karim", 2, 1);
    let foreign = SignedTranscript { signer_statement: other.statement.encoded().to_vec(), ..signed };
    assert_eq!(foreign.verify(), Err(TranscriptError::Signature));
    let refused = transcript().sign(&other.keys.signing_key, &signer.statement, 1);
    assert!(matches!(refused, Err(TranscriptError::UnknownDevice)));
}

#[test]
fn only_the_canonical_form_of_a_transcript_is_believed() {
    let signer = Party::new("claire", 1, 1);
    let sign = |transcript: Vec<u8>| {
        let signature = signer.keys.signing_key.sign(crate::label::CASE_TRANSCRIPT, &[&transcript]);
        let signer_statement = signer.statement.encoded().to_vec();
        SignedTranscript { transcript, signature, signer_statement, signer_device: 1 }.verify().map(|_| ())
    };
    let bytes = wire::transcript::encode(&transcript());
    assert_eq!(sign(bytes.clone()), Ok(()));
    // A field that this version does not know would be signed and not shown.
    assert_eq!(sign([&bytes[..], &[0xfa, 0x01, 1, 7]].concat()), Err(TranscriptError::NotCanonical));
    assert_eq!(sign([&bytes[..], &bytes].concat()), Err(TranscriptError::NotCanonical));
    let reordered = |change: fn(&mut Transcript)| {
        let mut transcript = transcript();
        change(&mut transcript);
        sign(wire::transcript::encode(&transcript))
    };
    assert_eq!(reordered(|one| one.messages.swap(0, 1)), Err(TranscriptError::NotCanonical));
    assert_eq!(reordered(|one| one.events.swap(0, 1)), Err(TranscriptError::NotCanonical));
    let twice = |one: &mut Transcript| one.messages[0].reactions.push(("👍".into(), vec![author(3)]));
    assert_eq!(reordered(twice), Err(TranscriptError::NotCanonical));
    let mut other_version = bytes.clone();
    other_version[1] = 2;
    assert_eq!(sign(other_version), Err(TranscriptError::Malformed(WireError::Bounds("version"))));
    let length = TRANSCRIPT_LENGTH_MAX + 1;
    assert_eq!(sign(vec![0; length]), Err(TranscriptError::TooLong { length }));
}
