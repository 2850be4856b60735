//! The rules of single messages, and a thread under every order.

use proptest::prelude::*;

use super::*;
use crate::attachment::BlobReference;
use crate::crypto::secret::Secret;
use crate::document::StripError;
use crate::kind::test_content::{author, content, id};
use crate::kind::{AttachmentPlace, Author, Body, Content, Place};
use crate::limits::{CAPTION_LENGTH_MAX, CHAT_WAITING_MAX, EDIT_WINDOW, PHOTO_SIDE_MAX, TASK_CHANGES_MAX};

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind);
    hasher.update(content);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], kind, content, &hasher.finalize().to_be_bytes()].concat()
}

/// A PNG of 6 x 4 pixels by its header, with a text that says where it was taken, or without.
fn png(side: u32, place: bool) -> Vec<u8> {
    let header = [&side.to_be_bytes()[..], &4_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let text = if place { chunk(b"tEXt", b"Place\x0048.85N 2.29E") } else { Vec::new() };
    [b"\x89PNG\r\n\x1a\n", &*chunk(b"IHDR", &header), &text, &chunk(b"IDAT", b"some data"), &chunk(b"IEND", b"")]
        .concat()
}

fn encoded(chat: Chat, attachments: Vec<Attachment>) -> Result<(), ContentError> {
    let content = Content { attachments, ..content(Body::Chat(chat)) };
    let bytes = content.encode()?;
    assert_eq!(Content::decode(&bytes), Ok(content));
    Ok(())
}

fn sound(media_type: &str) -> Attachment {
    let place = AttachmentPlace::Inline(vec![1, 2, 3]);
    Attachment { name: "voice.opus".into(), media_type: media_type.into(), place }
}

fn text(text: &str) -> Chat {
    Chat::Text { text: text.into() }
}

fn poll(multiple: bool, closes: Option<u64>) -> Poll {
    Poll { question: "Who is on call?".into(), options: vec!["Claire".into(), "Karim".into()], multiple, closes }
}

fn task(assignees: &[u8]) -> Task {
    let assignees = assignees.iter().map(|number| author(*number).address).collect();
    Task { text: "Call the laboratory".into(), assignees, due: Some(9) }
}

#[test]
fn every_sort_comes_back_as_it_was_with_a_fallback() {
    let message = id(7);
    let photo = StrippedImage::strip(&png(6, true)).unwrap();
    let in_words = [
        (text("hello"), "hello"),
        (Chat::Poll(poll(false, Some(5))), "Poll: Who is on call?\n1. Claire\n2. Karim"),
        (Chat::Vote(Vote { poll: message, options: vec![0, 1] }), "Voted for 1, 2"),
        (Chat::Vote(Vote { poll: message, options: vec![] }), "Took a vote back"),
        (Chat::Task(task(&[1])), "Task for colleague1@clinic.example: Call the laboratory"),
        (Chat::TaskChange(TaskChange { task: message, state: TaskState::Declined }), "Declined a task"),
        (Chat::Reaction { message, emoji: Some("👍".into()) }, "Reacted with 👍"),
        (Chat::Reaction { message, emoji: None }, "Took a reaction back"),
        (Chat::Edit { message, text: "Hello".into() }, "Changed a message to: Hello"),
        (Chat::Delete { message }, "Deleted a message"),
        (Chat::Typing { active: true }, ""),
        (Chat::ReadPosition { message }, ""),
    ];
    for (chat, fallback) in in_words {
        assert_eq!(chat.fallback_text(), fallback);
        encoded(chat, Vec::new()).unwrap();
    }
    let voice = Voice { duration: 61_500 };
    assert_eq!(Chat::Voice(voice).fallback_text(), "Voice message (1:02)");
    encoded(Chat::Voice(voice), vec![sound("audio/ogg")]).unwrap();
    assert_eq!(Chat::Photo(photo.photo("Wound")).fallback_text(), "Photo: Wound");
    encoded(Chat::Photo(photo.photo("")), vec![photo.inline("wound.png")]).unwrap();
    encoded(text(""), vec![sound("application/pdf")]).unwrap();
}

#[test]
fn a_chat_message_of_a_later_version_is_shown_by_its_fallback() {
    // Field 15 of `Chat`, and no field at all.
    for body in [vec![0x7a, 1, 7], Vec::new()] {
        let later = content(Body::Unknown { kind: 6, body });
        assert_eq!(Content::decode(&later.encode().unwrap()), Ok(later));
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    let refused = |chat, field| assert_eq!(encoded(chat, Vec::new()), Err(ContentError::Field(field)));
    refused(text(" \n"), "chat.text");
    refused(text(""), "chat.text");
    refused(text(&"a".repeat(CHAT_TEXT_LENGTH_MAX + 1)), "chat.text");
    refused(Chat::Edit { message: id(1), text: String::new() }, "chat.text");
    for emoji in ["ok", "👍 yes", "\u{202e}👍", "", "1", &"👍".repeat(17)] {
        let chat = Chat::Reaction { message: id(1), emoji: Some(emoji.into()) };
        let content = content(Body::Chat(chat));
        assert_eq!(content.encode(), Err(ContentError::Field("chat.emoji")), "{emoji}");
    }
    encoded(Chat::Reaction { message: id(1), emoji: Some("1\u{fe0f}\u{20e3}".into()) }, Vec::new()).unwrap();
    encoded(Chat::Reaction { message: id(1), emoji: Some("👨‍👩‍👧‍👦".into()) }, Vec::new()).unwrap();
    refused(Chat::Poll(Poll { options: vec!["One".into()], ..poll(false, None) }), "poll.options");
    refused(Chat::Poll(Poll { options: vec!["One".into(), "One ".into()], ..poll(false, None) }), "poll.options");
    let many = (0..13).map(|number| number.to_string()).collect();
    refused(Chat::Poll(Poll { options: many, ..poll(false, None) }), "poll.options");
    refused(Chat::Poll(Poll { question: String::new(), ..poll(false, None) }), "poll.question");
    refused(Chat::Vote(Vote { poll: id(1), options: vec![1, 1] }), "vote.options");
    refused(Chat::Vote(Vote { poll: id(1), options: vec![1, 0] }), "vote.options");
    refused(Chat::Task(Task { text: String::new(), ..task(&[]) }), "task.text");
    refused(Chat::Task(task(&[1, 1])), "task.assignees");
    refused(Chat::Voice(Voice { duration: 5 }), "attachments");
    let voice = |duration, media_type| encoded(Chat::Voice(Voice { duration }), vec![sound(media_type)]);
    assert_eq!(voice(0, "audio/ogg"), Err(ContentError::Field("voice.duration")));
    assert_eq!(voice(5, "video/mp4"), Err(ContentError::Field("attachments.media_type")));
    let delete = encoded(Chat::Delete { message: id(1) }, vec![sound("audio/ogg")]);
    assert_eq!(delete, Err(ContentError::Field("attachments")));
}

#[test]
fn a_photo_with_its_place_is_neither_made_nor_taken() {
    let placed = png(6, true);
    assert_eq!(StrippedImage::verify(placed.clone()), Err(PhotoError::Metadata));
    assert_eq!(StrippedImage::strip(b"no image"), Err(PhotoError::Strip(StripError::NotImage)));
    assert_eq!(StrippedImage::strip(&png(PHOTO_SIDE_MAX + 1, false)), Err(PhotoError::Size));
    let image = StrippedImage::strip(&placed).unwrap();
    assert_eq!(image.bytes(), png(6, false));
    assert_eq!(StrippedImage::verify(image.bytes().to_vec()), Ok(image.clone()));
    let photo = image.photo("");
    let attachment = image.clone().inline("a.png");
    // A sender with another client.
    let dirty = Attachment { place: AttachmentPlace::Inline(placed), ..attachment.clone() };
    assert_eq!(encoded(Chat::Photo(photo.clone()), vec![dirty]), Err(ContentError::Photo(PhotoError::Metadata)));
    let wrong = Photo { width: 7, ..photo.clone() };
    assert_eq!(encoded(Chat::Photo(wrong), vec![attachment.clone()]), Err(ContentError::Field("photo.size")));
    let twice = vec![attachment.clone(), attachment];
    assert_eq!(encoded(Chat::Photo(photo), twice), Err(ContentError::Field("attachments")));
}

#[test]
fn a_photo_in_a_blob_is_the_image_that_was_stripped() {
    let image = StrippedImage::strip(&png(6, true)).unwrap();
    let root = ShownFile::of(&image.clone().inline("a.png")).root;
    let key = Secret::from([2; 32]).into();
    let length = image.bytes().len() as u64;
    let blob = BlobReference { domain: "clinic.example".into(), id: [1; 32], key, length, root, expires: 4 };
    let attachment = image.in_blob("a.png", blob.clone()).unwrap();
    encoded(Chat::Photo(image.photo("Wound")), vec![attachment]).unwrap();
    let other = BlobReference { root: [9; 32], ..blob.clone() };
    assert_eq!(image.in_blob("a.png", other), Err(PhotoError::OtherBlob));
    assert_eq!(image.in_blob("a.png", BlobReference { length: 1, ..blob }), Err(PhotoError::OtherBlob));
}

fn entry(number: u64, account: u8, chat: Chat) -> ChatEntry {
    let place = Place { position: number, at: 1000 * number };
    ChatEntry { id: id(number), author: author(account), place, in_reply_to: None, chat, files: Vec::new() }
}

const DONE: Result<Applied, ChatRefusal> = Ok(Applied::Done { refused: Vec::new() });

#[test]
fn only_the_author_edits_and_deletes_and_only_in_time() {
    let mut thread = ChatThread::default();
    assert_eq!(thread.apply(entry(1, 1, text("5 mg"))), DONE);
    let edit = |text: &str| Chat::Edit { message: id(1), text: text.into() };
    assert_eq!(thread.apply(entry(2, 2, edit("50 mg"))), Err(ChatRefusal::NotYours));
    // The same address under another account key: somebody else has it now.
    let mut stranger = entry(2, 1, edit("50 mg"));
    stranger.author.account_key = author(2).account_key;
    assert_eq!(thread.apply(stranger), Err(ChatRefusal::NotYours));
    let mut late = entry(3, 1, edit("50 mg"));
    late.place.at = 1000 + EDIT_WINDOW + 1;
    assert_eq!(thread.apply(late.clone()), Err(ChatRefusal::TooLate));
    late.place.at -= 1;
    assert_eq!(thread.apply(late), DONE);
    let shown = thread.message(&id(1)).unwrap();
    assert!(shown.body == ShownBody::Text("50 mg".into()) && shown.edited == Some(1000 + EDIT_WINDOW));
    assert_eq!(thread.apply(entry(4, 2, Chat::Delete { message: id(1) })), Err(ChatRefusal::NotYours));
    assert_eq!(thread.apply(entry(5, 1, Chat::Delete { message: id(1) })), DONE);
    assert!(thread.message(&id(1)).unwrap().body == ShownBody::Deleted { at: 5000 });
    assert_eq!(thread.apply(entry(6, 1, edit("7 mg"))), Err(ChatRefusal::Deleted));
    let reaction = Chat::Reaction { message: id(1), emoji: Some("👍".into()) };
    assert_eq!(thread.apply(entry(7, 2, reaction)), Err(ChatRefusal::Deleted));
    assert_eq!(thread.apply(entry(8, 1, Chat::Voice(Voice { duration: 1 }))), DONE);
    let edit = Chat::Edit { message: id(8), text: "a".into() };
    assert_eq!(thread.apply(entry(9, 1, edit)), Err(ChatRefusal::NotEditable));
    let photo = Photo { caption: "a".into(), width: 1, height: 1 };
    assert_eq!(thread.apply(entry(10, 1, Chat::Photo(photo))), DONE);
    let caption = |length| Chat::Edit { message: id(10), text: "a".repeat(length) };
    assert_eq!(thread.apply(entry(11, 1, caption(CAPTION_LENGTH_MAX + 1))), Err(ChatRefusal::CaptionTooLong));
    assert_eq!(thread.apply(entry(12, 1, caption(CAPTION_LENGTH_MAX))), DONE);
}

#[test]
fn a_poll_counts_the_last_vote_of_each_account_until_it_closes() {
    let mut thread = ChatThread::default();
    assert_eq!(thread.apply(entry(1, 1, Chat::Poll(poll(false, Some(6000))))), DONE);
    let vote = |options: &[u32]| Chat::Vote(Vote { poll: id(1), options: options.to_vec() });
    assert_eq!(thread.apply(entry(2, 2, vote(&[0]))), DONE);
    assert_eq!(thread.apply(entry(3, 3, vote(&[1]))), DONE);
    assert_eq!(thread.apply(entry(4, 2, vote(&[1]))), DONE);
    assert_eq!(thread.message(&id(1)).unwrap().tally(), Some(vec![vec![], vec![&author(2), &author(3)]]));
    assert_eq!(thread.apply(entry(5, 2, vote(&[0, 1]))), Err(ChatRefusal::OneOptionOnly));
    assert_eq!(thread.apply(entry(5, 2, vote(&[2]))), Err(ChatRefusal::NoSuchOption));
    assert_eq!(thread.apply(entry(7, 2, vote(&[0]))), Err(ChatRefusal::PollClosed));
    assert_eq!(thread.apply(entry(6, 2, vote(&[]))), DONE);
    assert_eq!(thread.message(&id(1)).unwrap().tally(), Some(vec![vec![], vec![&author(3)]]));
    assert_eq!(thread.apply(entry(8, 1, text("a"))), DONE);
    let elsewhere = Chat::Vote(Vote { poll: id(8), options: vec![0] });
    assert_eq!(thread.apply(entry(9, 2, elsewhere)), Err(ChatRefusal::NotPoll));
}

#[test]
fn a_task_goes_by_its_legal_transitions_and_by_those_whose_it_is() {
    use TaskState::{Declined, Done, Open};
    for from in [Open, Done, Declined] {
        for to in [Open, Done, Declined] {
            let legal = matches!((from, to), (Open, Done | Declined) | (Done | Declined, Open));
            assert_eq!(from.may_become(to), legal);
        }
    }
    let mut thread = ChatThread::default();
    assert_eq!(thread.apply(entry(1, 1, Chat::Task(task(&[2])))), DONE);
    let change = |state| Chat::TaskChange(TaskChange { task: id(1), state });
    assert_eq!(thread.apply(entry(2, 3, change(Done))), Err(ChatRefusal::NotAssigned));
    assert_eq!(thread.apply(entry(3, 2, change(Done))), DONE);
    let refused = Err(ChatRefusal::IllegalTransition { from: Done, to: Declined });
    assert_eq!(thread.apply(entry(4, 2, change(Declined))), refused);
    assert_eq!(thread.message(&id(1)).unwrap().task_state(), Some(Done));
    assert_eq!(thread.apply(entry(6, 1, change(Open))), DONE);
    assert_eq!(thread.message(&id(1)).unwrap().task_state(), Some(Open));
    // The change at 4 was illegal because the one that opens the task again had not come.
    let mut late = entry(5, 1, change(Open));
    late.place.position = 3;
    assert_eq!(thread.apply(late), DONE);
    let position_6 = thread.message(&id(1)).unwrap().task_state();
    assert_eq!(position_6, Some(Open));
    for number in 0..TASK_CHANGES_MAX as u64 - 4 {
        let state = if number % 2 == 0 { Done } else { Open };
        assert_eq!(thread.apply(entry(10 + number, 1, change(state))), DONE);
    }
    assert_eq!(thread.apply(entry(900, 1, change(Done))), Err(ChatRefusal::TooManyChanges));
    let elsewhere = Chat::TaskChange(TaskChange { task: id(901), state: Done });
    assert_eq!(thread.apply(entry(901, 1, text("a"))), DONE);
    assert_eq!(thread.apply(entry(902, 1, elsewhere)), Err(ChatRefusal::NotTask));
}

#[test]
fn what_waits_is_judged_when_its_message_comes_and_is_bounded() {
    let mut thread = ChatThread::default();
    let stranger = entry(2, 2, Chat::Delete { message: id(1) });
    assert_eq!(thread.apply(stranger.clone()), Ok(Applied::Waiting));
    assert_eq!(thread.apply(stranger), Ok(Applied::Duplicate));
    assert_eq!(thread.apply(entry(3, 1, Chat::Edit { message: id(1), text: "b".into() })), Ok(Applied::Waiting));
    assert!(thread.messages().next().is_none());
    let applied = thread.apply(entry(1, 1, text("a")));
    assert_eq!(applied, Ok(Applied::Done { refused: vec![(id(2), ChatRefusal::NotYours)] }));
    assert!(thread.message(&id(1)).unwrap().body == ShownBody::Text("b".into()));
    for number in 0..CHAT_WAITING_MAX as u64 {
        let delete = Chat::Delete { message: id(1 << 40) };
        assert_eq!(thread.apply(entry(10 + number, 1, delete)), Ok(Applied::Waiting));
    }
    let delete = Chat::Delete { message: id(1 << 41) };
    assert_eq!(thread.apply(entry(1 << 42, 1, delete)), Err(ChatRefusal::TooManyWaiting));
}

#[test]
fn typing_is_never_kept_and_ids_are_not_stolen() {
    let mut thread = ChatThread::default();
    assert_eq!(thread.apply(entry(1, 1, Chat::Typing { active: true })), Err(ChatRefusal::Ephemeral));
    assert_eq!(thread.apply(entry(2, 1, text("a"))), DONE);
    assert_eq!(thread.apply(entry(2, 2, text("b"))), Err(ChatRefusal::IdTaken));
    assert_eq!(thread.apply(entry(2, 1, text("c"))), Ok(Applied::Duplicate));
    assert!(thread.message(&id(2)).unwrap().body == ShownBody::Text("a".into()));
}

/// Twelve messages that are shown, and any number that speak of them: each at its own place, by any of four accounts.
fn entries() -> impl Strategy<Value = Vec<ChatEntry>> {
    let shown = |number: u64| {
        let chat = match number % 4 {
            0 => Chat::Poll(poll(number.is_multiple_of(8), Some(1000 * 40))),
            1 => Chat::Task(task(if number == 1 { &[] } else { &[2] })),
            _ => text(&format!("from {}", number % 3)),
        };
        entry(number, (number % 3) as u8 + 1, chat)
    };
    let acting = (0_u64..12, 1_u8..5, 0_u8..8, 0_u32..3).prop_map(|(target, account, sort, choice)| {
        let message = id(target);
        let state = [TaskState::Open, TaskState::Done, TaskState::Declined][choice as usize];
        let emoji = [None, Some("👍".to_owned()), Some("🙏".to_owned())][choice as usize].clone();
        let chat = match sort {
            0 | 1 => Chat::Vote(Vote { poll: message, options: (0..choice).collect() }),
            2 => Chat::TaskChange(TaskChange { task: message, state }),
            3 | 4 => Chat::Reaction { message, emoji },
            5 => Chat::Edit { message, text: format!("edited by {account}") },
            6 if choice == 0 => Chat::Delete { message },
            _ => Chat::ReadPosition { message },
        };
        (account, chat)
    });
    prop::collection::vec(acting, 0..60).prop_map(move |acting| {
        let acting = acting.into_iter().zip(12..).map(|((account, chat), number)| entry(number, account, chat));
        (0..12).map(shown).chain(acting).collect()
    })
}

type View = (Vec<ShownMessage>, Vec<(Author, MessageId)>);

fn view(entries: impl IntoIterator<Item = ChatEntry>) -> View {
    let mut thread = ChatThread::default();
    for entry in entries {
        let _ = thread.apply(entry);
    }
    let read = thread.read_positions().map(|(author, id)| (author.clone(), id)).collect();
    (thread.messages().cloned().collect(), read)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever order a thread's messages come in, and however often, all readers show the same.
    #[test]
    fn every_order_shows_the_same(
        (entries, shuffled) in entries().prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        again in any::<prop::sample::Index>(),
    ) {
        let in_order = view(entries.clone());
        prop_assert!(view(shuffled.clone()) == in_order);
        let repeated = shuffled[..again.index(shuffled.len())].to_vec();
        prop_assert!(view(shuffled.into_iter().chain(repeated)) == in_order);
    }

    /// Nobody puts words into another's mouth, votes twice, or answers a poll with what it does not offer.
    #[test]
    fn what_is_shown_is_its_author_s(entries in entries()) {
        let (messages, _) = view(entries);
        for message in &messages {
            let account = message.author.address.local().trim_start_matches("colleague").to_owned();
            if let ShownBody::Text(shown) = &message.body {
                let first = *shown == format!("from {}", account.parse::<u8>().unwrap() - 1);
                let own_edit = format!("edited by {account}");
                prop_assert!(first && message.edited.is_none() || *shown == own_edit);
            }
            if let Some(tally) = message.tally() {
                let ShownBody::Poll(poll) = &message.body else { unreachable!() };
                let votes: usize = tally.iter().map(Vec::len).sum();
                let most = if poll.multiple { 8 } else { 4 };
                prop_assert!(votes <= most);
            }
            let reacting: usize = message.reactions().values().map(Vec::len).sum();
            prop_assert!(reacting <= 4);
            prop_assert!(!message.is_deleted() || reacting == 0);
        }
    }
}
