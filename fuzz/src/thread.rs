//! A thread of chat under whatever its members send, in whatever order it comes.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::kind::{
    Author, Chat, ChatEntry, ChatThread, MessageId, Place, Poll, ShownMessage, Task, TaskChange, TaskState, Vote,
};

/// Messages that are shown; the first ones of each thread.
const SHOWN: usize = 8;

/// Four bytes an entry: sort, account, the message that it speaks of, what it says. Forwards, backwards and twice over, all
/// readers show the same.
pub(crate) fn shows_the_same_in_every_order(data: &[u8]) {
    let authors = [1, 2, 3, 4].map(author);
    let Some(authors) = authors.into_iter().collect::<Option<Vec<_>>>() else { return };
    let entries: Vec<_> =
        data.chunks_exact(4).take(200).enumerate().filter_map(|(index, bytes)| entry(index, bytes, &authors)).collect();
    let forwards = view(entries.iter().cloned());
    assert!(forwards == view(entries.iter().rev().cloned()), "backwards");
    assert!(forwards == view(entries.iter().chain(&entries).cloned()), "twice");
    assert!(forwards.0.iter().all(|message| !message.is_deleted() || message.reactions().is_empty()));
}

fn author(number: u8) -> Option<Author> {
    let account_key = SigningKey::from_secret(&Secret::from([number; 32])).verifying_key();
    Some(Author { address: format!("a{number}@clinic.example").parse().ok()?, account_key })
}

fn id(number: usize) -> MessageId {
    MessageId((number as u128).to_be_bytes())
}

fn entry(index: usize, bytes: &[u8], authors: &[Author]) -> Option<ChatEntry> {
    let [sort, account, target, choice] = *bytes else { return None };
    let author = authors.get(usize::from(account) % authors.len())?.clone();
    let message = id(usize::from(target) % SHOWN);
    let state = match choice % 3 {
        0 => TaskState::Open,
        1 => TaskState::Done,
        _ => TaskState::Declined,
    };
    let assignees = authors.iter().take(usize::from(choice % 3)).map(|author| author.address.clone()).collect();
    let options = vec!["Yes".to_owned(), "No".to_owned()];
    let chat = match (index < SHOWN, sort % 7) {
        (true, 0 | 1) => {
            let closes = (choice > 100).then_some(u64::from(choice));
            Chat::Poll(Poll { question: "?".to_owned(), options, multiple: choice % 2 == 0, closes })
        }
        (true, 2 | 3) => Chat::Task(Task { text: "!".to_owned(), assignees, due: None }),
        (true, _) => Chat::Text { text: format!("text {choice}") },
        (false, 0) => Chat::Vote(Vote { poll: message, options: (0..u32::from(choice % 4)).collect() }),
        (false, 1) => Chat::TaskChange(TaskChange { task: message, state }),
        (false, 2) => Chat::Reaction { message, emoji: (choice % 2 == 0).then(|| "👍".to_owned()) },
        (false, 3) => Chat::Edit { message, text: format!("edit {choice}") },
        (false, 4) if choice % 8 == 0 => Chat::Delete { message },
        (false, 5) => Chat::Typing { active: true },
        (false, _) => Chat::ReadPosition { message },
    };
    let place = Place { position: index as u64, at: index as u64 };
    Some(ChatEntry { id: id(index), author, place, in_reply_to: None, chat, files: Vec::new() })
}

fn view(entries: impl Iterator<Item = ChatEntry>) -> (Vec<ShownMessage>, Vec<(Author, MessageId)>) {
    let mut thread = ChatThread::default();
    for entry in entries {
        // A refusal is as good an answer as any.
        let _ = thread.apply(entry);
    }
    let read = thread.read_positions().map(|(author, message)| (author.clone(), message)).collect();
    (thread.messages().cloned().collect(), read)
}
