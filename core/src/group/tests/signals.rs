//! Signals: told by members of the epoch alone, each for himself.

use super::*;
use crate::crypto::signature::SigningKey;
use crate::kind::{Chat, MessageId};
use crate::limits::GROUP_SIGNAL_LENGTH_MAX;
use crate::test_rng::rng;

const SUITE: Suite = Suite::Classical;
const TYPING: Chat = Chat::Typing { active: true };

fn key(account: &Account) -> &SigningKey {
    account.engine(1).signing_key
}

#[test]
fn a_signal_is_told_to_the_epoch_and_says_who_has_signed_it() {
    let mut rng = rng(1);
    let [claire, karim, anne] =
        [("claire", 1), ("karim", 2), ("anne", 3)].map(|(name, seed)| Account::new(name, 1, seed));
    let others = [(&karim, Role::Member), (&anne, Role::Reader)];
    let (mut log, mut readers) = group_of(SUITE, &claire, &others, &mut rng);
    let signal = readers[1].group.signal(&TYPING, 7, key(&karim), &mut rng).unwrap();
    assert_eq!(signal.len(), GROUP_SIGNAL_LENGTH_MAX, "all are of one size");
    for reader in &readers {
        let opened = reader.group.open_signal(&signal).unwrap();
        assert_eq!((&opened.sender.address, opened.sender.device_id, opened.at), (karim.address(), 1, 7));
        assert_eq!(opened.chat, TYPING);
    }
    for at in [0, 30, 500, signal.len() - 1] {
        let mut altered = signal.clone();
        altered[at] ^= 1;
        assert_eq!(readers[0].group.open_signal(&altered), Err(GroupError::Sealed), "{at}");
    }
    // A member who has all the keys does not speak for another one.
    let forged = readers[1].group.signal(&TYPING, 8, key(&claire), &mut rng).unwrap();
    assert_eq!(readers[0].group.open_signal(&forged), Err(GroupError::Unverified));
    // Readers are silent, and what is kept is no signal.
    assert_eq!(readers[2].group.signal(&TYPING, 9, key(&anne), &mut rng), Err(Refusal::ReaderPosted.into()));
    let kept = Chat::Delete { message: MessageId([1; 16]) };
    assert!(matches!(readers[1].group.signal(&kept, 9, key(&karim), &mut rng), Err(GroupError::Malformed(_))));

    // Who was taken out fools nobody, with the keys that he had; nor does he open anything.
    let removed = readers[0].group.leaves_of(karim.address()).unwrap()[0].leaf;
    let mut policy = (*readers[0].group.policy().unwrap()).clone();
    policy.remove(karim.address());
    let change = Change { remove: vec![removed], policy: Some(policy), ..Change::default() };
    let old = readers[1].group.signal(&TYPING, 10, key(&karim), &mut rng).unwrap();
    commit(&mut log, &mut readers, 0, &change, &mut rng);
    assert_eq!(readers[2].group.open_signal(&old), Err(GroupError::Sealed));
    let fresh = readers[0].group.signal(&TYPING, 11, key(&claire), &mut rng).unwrap();
    assert!(readers[2].group.open_signal(&fresh).is_ok());
    assert_eq!(readers[1].group.open_signal(&fresh), Err(GroupError::Sealed));
    assert_eq!(readers[1].group.signal(&TYPING, 12, key(&karim), &mut rng), Err(GroupError::Removed));
}

#[test]
fn what_is_sealed_comes_back_as_it_was() {
    let address = "claire@clinic.example".parse().unwrap();
    let signal = SignedSignal { address, device_id: 2, at: 3, chat: vec![4], signature: [5; 64] };
    assert_eq!(SignedSignal::decode(&signal.encode()), Ok(signal.clone()));
    assert!(SignedSignal::decode(&signal.encode()[1..]).is_err());
}
