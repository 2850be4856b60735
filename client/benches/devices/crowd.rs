//! A store with a thousand contacts of five devices each, and 40 000 archived sessions beside the active ones.

use medipeps_client::engine::{HintKeys, Record, key};
use medipeps_client::store::Patch;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::envelope::HintKey;
use medipeps_core::identity::Statement;
use medipeps_core::wire::client_records::{ContactRecord, PeerDeviceRecord, PeerRecord, SessionRecord};
use rand_core::Rng;
use zeroize::Zeroizing;

use crate::account::Account;

pub(crate) const CONTACTS: u32 = 1000;
pub(crate) const DEVICES: u32 = 5;
pub(crate) const ARCHIVED: u32 = 40_000;
/// Of the current and the next header key.
pub(crate) const HINT_KEYS: usize = 2;
/// Contacts in one commit.
const AT_ONCE: u32 = 50;
/// Bytes of a session's state, about as long as real ones; nothing reads it here.
const STATE_LENGTH: usize = 1800;

pub(crate) fn fill(account: &mut Account, statement: &Statement) {
    let archived = (ARCHIVED / CONTACTS / DEVICES) as usize;
    for first in (0..CONTACTS).step_by(AT_ONCE as usize) {
        let mut patch = Patch::default();
        for number in first..first + AT_ONCE {
            let address: medipeps_core::Address = format!("contact-{number}@bench.example").parse().unwrap();
            let mut account_key = *statement.account_key().as_bytes();
            let mut session = |device| {
                let mut id = [0; 16];
                account.rng.fill_bytes(&mut id);
                let mut state = Zeroizing::new(vec![0; STATE_LENGTH]);
                account.rng.fill_bytes(&mut state);
                let record = SessionRecord {
                    peer: address.clone(),
                    peer_account_key: account_key,
                    peer_device: device,
                    created: account.now,
                    last_received: account.now,
                    state,
                };
                let hints = (0..HINT_KEYS).map(|_| HintKey::from_secret(Secret::random(&mut account.rng))).collect();
                patch.put(key::session(&id).record().clone(), record.encode());
                patch.put(key::hints(&id).record().clone(), HintKeys(hints).encode());
                id
            };
            let devices = (1..=DEVICES).map(|device_id| PeerDeviceRecord {
                device_id,
                active: Some(session(device_id)),
                inactive: (0..archived).map(|_| session(device_id)).collect(),
                no_prekeys: 0,
            });
            let peer = PeerRecord { devices: devices.collect(), asked: 0 };
            account_key[..4].copy_from_slice(&number.to_be_bytes());
            patch.put(key::peer(&address, &account_key).record().clone(), peer.encode());
            let contact = ContactRecord {
                address: address.clone(),
                statement: statement.encoded().to_vec(),
                added: account.now,
                changed_statement: None,
                verified: None,
                key_changed_at: 0,
            };
            patch.put(key::contact(&address).record().clone(), contact.encode());
        }
        account.commit(&patch);
    }
}
