//! Prekeys as they come from devices, turned into what the store keeps.

use medipeps_core::prekey::{KemPrekey, OneTimePrekey, PrekeyUpload};

use crate::storage::PrekeySet;

/// The keys of a verified upload, encoded anew: nothing but what was verified is kept.
pub(super) fn prekey_set(upload: &PrekeyUpload) -> PrekeySet {
    let one_time = |key: &OneTimePrekey| (key.id, key.encode());
    let one_time_kem = |key: &KemPrekey| (key.id, key.encode());
    PrekeySet {
        signed_prekey: upload.signed_prekey.encode(),
        last_resort_kem: upload.last_resort_kem_prekey.encode(),
        seal: upload.seal_prekey.encode(),
        one_time: upload.one_time_prekeys.iter().map(one_time).collect(),
        one_time_kem: upload.one_time_kem_prekeys.iter().map(one_time_kem).collect(),
    }
}
