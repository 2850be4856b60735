//! Tokens and the real server: killed while they are spent, started anew, restored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::token::{IssuerKeys, TokenBatch};
use medipeps_core::wire::token::SignedIssuerKeys;
use medipeps_core::wire::transport::{ErrorCode, Payment, Request, Response, Token};
use tokio::task::JoinSet;

use crate::bare_account::{BareAccount, Place, submission, submission_id};
use crate::process::PATIENCE;
use crate::server::{NO_LIMITS, Server};

/// Times that the server is killed.
const CYCLES: u64 = 25;
/// Tokens that are fought over.
const TOKENS: usize = 400;
/// Submissions that want the same token, each over a connection of its own.
const RIVALS: usize = 2;
/// How long one answer is waited for. The server is away most of that time; the next try is soon.
const ANSWER: Duration = Duration::from_millis(400);

/// What a submission was answered with in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    Spent,
    UnknownKey,
}

fn settings() -> String {
    format!("{NO_LIMITS}[tokens]\nrequired = true\nbatch = {TOKENS}\n")
}

/// The list of issuer keys, read. Who signed it, the connection has shown.
async fn issuer_keys(connection: &Connection) -> IssuerKeys {
    let Ok(Response::FetchIssuerKeys(list)) = connection.request(&Request::FetchIssuerKeys).await else {
        panic!("no list of issuer keys")
    };
    IssuerKeys::decode(&SignedIssuerKeys::decode(&list).unwrap().keys).unwrap()
}

/// Draws tokens of the account's day.
async fn draw(account: &BareAccount, place: &Place, count: usize, seed: u8) -> Vec<Token> {
    let connection = account.connect(place).await.unwrap();
    let list = issuer_keys(&connection).await;
    let batch = TokenBatch::blind(list.issuing().unwrap(), count, Secret::from([seed; 32])).unwrap();
    match connection.request(&Request::DrawTokens(batch.request().clone())).await.unwrap() {
        Response::DrawTokens(answer) => batch.finalize(&answer).unwrap(),
        other => panic!("no tokens: {other:?}"),
    }
}

/// The id says which token pays, and for which of the rivals.
fn id(token: usize, rival: usize) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(token as u64).to_be_bytes());
    id[8..].copy_from_slice(&(rival as u64).to_be_bytes());
    id
}

fn paid(to: &BareAccount, id: [u8; 16], token: &Token) -> Request {
    let Request::Submit(mut submit) = submission((&to.address, to.device_id), id) else { unreachable!("it is one") };
    submit.payment = Payment::Tokens(vec![token.clone()]);
    Request::Submit(submit)
}

/// Repeats the same submission with the same token until there is an answer.
async fn submit(place: &Place, connection: &mut Option<Connection>, request: &Request) -> Outcome {
    loop {
        let Some(open) = connection.as_ref() else {
            *connection = tokio::time::timeout(ANSWER, place.connect()).await.ok().flatten();
            continue;
        };
        match open.request_within(request, ANSWER).await {
            Ok(Response::Submit(_)) => return Outcome::Taken,
            Err(RequestError::Refused(error)) => match error.known_code() {
                Some(ErrorCode::TokenSpent) => return Outcome::Spent,
                Some(ErrorCode::UnknownIssuerKey) => return Outcome::UnknownKey,
                _ => panic!("a submission was refused: {error:?}"),
            },
            Ok(other) => panic!("a submission was answered with {other:?}"),
            Err(_) => *connection = None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_spent_once_whenever_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &settings());
    let place = Place::of(&server);
    let account = Arc::new(BareAccount::new("claire", 1));
    account.register(&server).await;
    let tokens = Arc::new(draw(&account, &place, TOKENS, 7).await);
    let answered = Arc::new(AtomicU64::new(0));
    let mut rivals = JoinSet::new();
    for rival in 0..RIVALS {
        let (place, account, tokens, answered) = (place.clone(), account.clone(), tokens.clone(), answered.clone());
        rivals.spawn(async move {
            let (mut connection, mut outcomes) = (None, Vec::new());
            for (number, token) in tokens.iter().enumerate() {
                outcomes.push(submit(&place, &mut connection, &paid(&account, id(number, rival), token)).await);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            outcomes
        });
    }
    let all = (TOKENS * RIVALS) as u64;
    for cycle in 1..=CYCLES {
        let due = all * cycle / (CYCLES + 1);
        let enough = async {
            while answered.load(Ordering::Relaxed) < due {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap_or_else(|_| panic!("cycle {cycle} gets nowhere"));
        tokio::task::block_in_place(|| {
            server.kill();
            server.run();
        });
    }
    let mut outcomes = Vec::new();
    while let Some(rival) = rivals.join_next().await {
        outcomes.push(rival.unwrap());
    }
    // Rivals end in any order; of each token exactly one was taken.
    let won = |number: usize| outcomes.iter().filter(|outcomes| outcomes[number] == Outcome::Taken).count();
    for number in 0..TOKENS {
        assert_eq!(won(number), 1, "token {number}");
    }

    // Once more after everything: who was taken gets the first answer again, who was not does not.
    tokio::task::block_in_place(|| {
        server.kill();
        server.run();
    });
    let delivered: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
    let mut connection = None;
    for (number, token) in tokens.iter().enumerate() {
        for rival in 0..RIVALS {
            let id = id(number, rival);
            let expected = if delivered.contains(&id) { Outcome::Taken } else { Outcome::Spent };
            assert_eq!(submit(&place, &mut connection, &paid(&account, id, token)).await, expected, "{number} {rival}");
        }
    }
    assert_eq!(delivered.len(), TOKENS, "one envelope a token, each once");
    assert!(account.drain(&place).await.is_empty(), "a repeat is not delivered again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_retires_all_issuer_keys_and_a_restart_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &settings());
    let place = Place::of(&server);
    let account = BareAccount::new("claire", 1);
    account.register(&server).await;
    let tokens = draw(&account, &place, 3, 7).await;
    let before = issuer_keys(&place.connect().await.unwrap()).await;
    let mut connection = None;
    assert_eq!(submit(&place, &mut connection, &paid(&account, id(0, 0), &tokens[0])).await, Outcome::Taken);

    server.kill();
    server.run();
    assert_eq!(issuer_keys(&place.connect().await.unwrap()).await, before, "a restart goes on with the same keys");
    let mut connection = None;
    assert_eq!(submit(&place, &mut connection, &paid(&account, id(0, 0), &tokens[0])).await, Outcome::Taken, "again");
    assert_eq!(submit(&place, &mut connection, &paid(&account, id(1, 0), &tokens[0])).await, Outcome::Spent);

    // Yesterday's backup: of a token that was spent after it, the server knows nothing any more.
    let export = folder.path().join("export");
    server.ask(&["admin", "export", "--out", export.to_str().unwrap()]).done();
    assert_eq!(submit(&place, &mut connection, &paid(&account, id(2, 0), &tokens[1])).await, Outcome::Taken);
    server.stop();
    let key = std::fs::read(server.data().join("server.key")).unwrap();
    server.move_to("restored");
    std::fs::create_dir(server.data()).unwrap();
    std::fs::write(server.data().join("server.key"), key).unwrap();
    server.ask(&["admin", "import", "--in", export.to_str().unwrap()]).done();
    server.run();

    let after = issuer_keys(&place.connect().await.unwrap()).await;
    assert!(after.keys.iter().all(|key| !before.keys.contains(key)), "every key is a new one");
    let mut connection = None;
    for (number, token) in [(3, &tokens[1]), (4, &tokens[2])] {
        let outcome = submit(&place, &mut connection, &paid(&account, id(number, 0), token)).await;
        assert_eq!(outcome, Outcome::UnknownKey, "what was issued before the restore is worth nothing");
    }
    let fresh = draw(&account, &place, 1, 8).await;
    assert_eq!(submit(&place, &mut connection, &paid(&account, id(5, 0), &fresh[0])).await, Outcome::Taken);
    assert_eq!(connection.unwrap().server_key_hash(), place.key_hash, "the same server all along");
}
