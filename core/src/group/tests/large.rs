//! A thousand members: churn, and what a message writes to the store.

use super::*;
use crate::test_rng::rng;

/// Accounts with one device each, of which `joining` are members in memory; the others are leaves that nobody speaks for.
fn large(suite: Suite, accounts: usize, joining: usize, rng: &mut ChaCha20Rng) -> (Vec<Account>, Log, Vec<Reader>) {
    let people: Vec<_> = (0..accounts).map(|number| Account::new(&format!("m{number:04}"), 1, number as u64)).collect();
    let others: Vec<_> = people[1..].iter().map(|account| (account, Role::Member)).collect();
    let mut log = Log::default();
    let mut group = people[0].engine(1).create(suite, &people[0].policy(&others), NOW, rng).unwrap();
    let (packages, secrets): (Vec<_>, Vec<_>) =
        people[1..].iter().map(|account| account.key_package(1, suite, rng)).unzip();
    let prepared = group.prepare_commit(&Change { add: packages, ..Change::default() }, rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    group.adopt_commit().unwrap();
    let invitation = prepared.invitation.unwrap();
    let mut readers = vec![Reader::at(group, &log)];
    for (account, secret) in people[1..].iter().zip(&secrets).take(joining) {
        readers.push(Reader::at(account.engine(1).join(&invitation, secret).unwrap(), &log));
    }
    (people, log, readers)
}

#[test]
fn a_thousand_members_with_churn_of_two_hundred() {
    let rng = &mut rng(1);
    let (people, mut log, mut readers) = large(Suite::Classical, 1000, 2, rng);
    assert_eq!(readers[0].group.size(), 1000);
    let mut newcomer = 1000;
    for round in 0..20 {
        // Ten go, ten come.
        let mut policy = (*readers[0].group.policy().unwrap()).clone();
        let going = &people[500 + round * 10..510 + round * 10];
        let leaves = readers[0].group.members().unwrap();
        let remove = leaves
            .iter()
            .filter(|member| going.iter().any(|account| *account.address() == member.address))
            .map(|member| member.leaf)
            .collect::<Vec<_>>();
        assert_eq!(remove.len(), 10);
        going.iter().for_each(|account| policy.remove(account.address()));
        let mut add = Vec::new();
        for _ in 0..10 {
            let account = Account::new(&format!("m{newcomer:04}"), 1, newcomer as u64);
            policy.set(account.address(), account.key(), Role::Member);
            add.push(account.key_package(1, Suite::Classical, rng).0);
            newcomer += 1;
        }
        commit(&mut log, &mut readers, 0, &Change { add, remove, policy: Some(policy) }, rng);
    }
    assert_eq!(readers[2].group.size(), 1000);
    say(&mut log, &mut readers[1], "all of us", rng);
    assert_eq!(readers[2].texts(&log), ["all of us"]);
    // One more account than a roster may have.
    let policy = {
        let mut policy = (*readers[0].group.policy().unwrap()).clone();
        policy.set(&"one-more@clinic.example".parse().unwrap(), [1; 32], Role::Member);
        policy
    };
    let prepared = readers[0].group.prepare_commit(&Change { policy: Some(policy), ..Change::default() }, rng);
    assert_eq!(prepared, Err(PolicyError::TooManyAccounts.into()));
}

#[test]
fn a_message_writes_little_to_the_store_at_a_thousand_members() {
    let rng = &mut rng(1);
    // Every message is of another sender: the worst for the tree of secrets.
    let (people, mut log, mut readers) = large(Suite::Classical, 1000, 100, rng);
    let mut store = Store::default();
    store.save(&mut readers[0].group);
    store.written = 0;
    for sender in 1..=100 {
        say(&mut log, &mut readers[sender], "a message", rng);
        assert_eq!(readers[0].texts(&log).len(), 1);
        store.save(&mut readers[0].group);
    }
    let average = store.written / 100;
    println!("bytes written a message, 100 senders: {average}");
    assert!(average <= 16 << 10, "{average}");
    store.written = 0;
    for _ in 0..100 {
        encrypted(&mut readers[0].group, "a message", rng).unwrap();
        store.save(&mut readers[0].group);
    }
    println!("bytes written a message, one sender: {}", store.written / 100);
    assert!(store.written / 100 <= 16 << 10, "{}", store.written / 100);
    assert!(store.pages.values().all(|page| page.len() <= crate::limits::GROUP_PAGE_RECORD_LENGTH_MAX));
    let loaded = store.load(&people[0].engine(1)).unwrap();
    assert_eq!((loaded.size(), loaded.epoch()), (1000, 1));
}
