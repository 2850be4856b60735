//! Envelopes of no session, and of a session, among very many sessions.

use medipeps_client::engine::Input;
use medipeps_client::limits::DELIVERY_BATCH_MAX;
use medipeps_core::envelope::{Envelope, Hint, VERSION};
use medipeps_core::wire::transport::{Request, Response, SubmitReply};
use rand_core::Rng;
use serde_json::{Value, json};

use crate::account::{Account, request};
use crate::crowd::{self, ARCHIVED, CONTACTS, DEVICES, HINT_KEYS};
use crate::peer::Peer;
use crate::{median, sending, timed};

const LENGTH: usize = 4096;

pub(crate) fn measure() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut account = Account::create(&folder.path().join("home"));
    let alone = median(21, || {
        let one = stray(&mut account, 1);
        account.receive(one)
    });
    let mut peer = Peer::new("maud", 1);
    crowd::fill(&mut account, &Peer::new("crowd", DEVICES).statement);
    let sessions = CONTACTS * DEVICES + ARCHIVED;
    let search = search(&mut account, sessions as usize * HINT_KEYS);
    let cold = median(5, || {
        account.restart();
        let one = stray(&mut account, 1);
        account.receive(one)
    });
    let warm = median(41, || {
        let one = stray(&mut account, 1);
        account.receive(one)
    });
    let batch = median(5, || {
        let all = stray(&mut account, DELIVERY_BATCH_MAX);
        account.receive(all)
    });
    // As many are kept now as ever.
    for _ in 0..8 {
        let all = stray(&mut account, DELIVERY_BATCH_MAX);
        account.receive(all);
    }
    let warm_full = median(21, || {
        let one = stray(&mut account, 1);
        account.receive(one)
    });
    let mut sent = exchange(&mut account, &peer);
    let answers = peer.answer(&sent);
    account.receive(answers);
    let with_session = median(21, || {
        sent = exchange(&mut account, &peer);
        let answers = peer.answer_again(&sent, b"not a content");
        account.receive(answers)
    });
    let commit = median(101, || account.bare_commit());
    json!({
        "sessions": sessions,
        "search_ms": search,
        "commit_ms": commit,
        "no_session_alone_ms": alone,
        "no_session_ms": warm,
        "no_session_cold_ms": cold,
        "no_session_batch_ms": batch,
        "no_session_in_batch_ms": batch / DELIVERY_BATCH_MAX as f64,
        "no_session_most_kept_ms": warm_full,
        "session_ms": with_session,
    })
}

/// Envelopes of nobody.
fn stray(account: &mut Account, count: usize) -> Vec<Vec<u8>> {
    let mut one = || {
        let mut envelope = vec![VERSION; LENGTH];
        account.rng.fill_bytes(&mut envelope[1..]);
        envelope
    };
    (0..count).map(|_| one()).collect()
}

/// The search alone, over keys that lie one after another.
fn search(account: &mut Account, count: usize) -> f64 {
    let mut keys = vec![[0; 32]; count];
    keys.iter_mut().for_each(|key| account.rng.fill_bytes(key));
    let envelope = Envelope::decode(&stray(account, 1)[0]).unwrap();
    median(21, || timed(|| assert_eq!(Hint::matching(&[envelope.hint()], &keys), [[0; 0]])).0)
}

/// A mail to the peer: what its device gets.
fn exchange(account: &mut Account, peer: &Peer) -> Vec<medipeps_core::wire::transport::DeviceEnvelope> {
    account.handle(&Input::SendMail(sending::mail(peer)));
    let mut handled = account.handle(&Input::Tick { unreachable: Default::default() });
    if sending::asks_for_prekeys(&handled) {
        let (_, to) = request(&handled, |request| matches!(request, Request::FetchPrekeys(_)));
        handled = account.reply(to, Response::FetchPrekeys(peer.prekeys()));
    }
    let (submit, to) = request(&handled, |request| matches!(request, Request::Submit(_)));
    account.reply(to, Response::Submit(SubmitReply { duplicate: false }));
    let Request::Submit(submit) = submit else { panic!("it is a submission") };
    submit.envelopes
}
