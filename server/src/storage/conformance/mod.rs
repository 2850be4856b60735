//! What every engine must do, whichever way it does it. `conformance_suite!` makes the tests of an engine.

mod accounts;
mod blobs;
mod device_wakes;
mod group_log_transfer;
mod group_logs;
mod group_wakes;
mod key_packages;
mod moving;
mod prekeys;
mod queues;
mod tenants;
mod tokens;
mod transfer;

use std::sync::Arc;

use medipeps_core::Address;
use medipeps_core::wire::transport::Lane;

use super::*;

/// An engine under test.
pub(super) trait Engine {
    /// A new, empty store.
    fn create(quota: QueueQuota) -> Self
    where
        Self: Sized,
    {
        Self::with_blobs(quota, u64::MAX)
    }
    /// The same with a bound on the bytes of all blobs.
    fn with_blobs(quota: QueueQuota, blob_bytes_max: u64) -> Self;
    /// A new, empty store with bounds on group logs.
    fn with_groups(quota: GroupQuota) -> Self;
    /// Takes the free space of the disk away, or gives it back.
    fn set_low_space(&self, low: bool);
    /// Ends the process and starts it again, as far as the store can tell.
    fn reopen(&mut self);
    /// The store.
    fn storage(&self) -> Arc<dyn Storage>;
}

/// Makes a test of each case.
macro_rules! conformance_suite {
    ($engine:ty) => {
        $crate::storage::conformance::conformance_suite!($engine:
            registration_uses_up_an_invitation,
            statements_are_compared_and_set,
            a_device_that_goes_takes_its_queue_and_prekeys_along,
            a_deleted_account_leaves_nothing,
            a_queue_keeps_its_order,
            all_devices_or_none,
            a_repeat_gets_the_first_answer,
            quotas_hold,
            acknowledgements_remove_what_was_there,
            a_watcher_is_told,
            expiry_is_counted,
            prekeys_are_replaced_whole,
            every_one_time_key_goes_to_one_taker,
            the_highest_generation_is_kept,
            a_restart_keeps_everything,
            an_export_is_imported_without_one_time_keys,
            a_damaged_export_is_refused_whole,
            concurrent_submissions_get_dense_numbers,
            what_is_too_large_is_refused,
            an_inspection_shows_what_there_is,
            a_blob_is_begun_once,
            pieces_come_in_any_order,
            a_piece_is_stored_once,
            a_piece_must_be_one_of_the_blob,
            two_uploads_of_one_blob_go_on_at_once,
            ranges_go_over_the_borders_of_pieces,
            room_for_blobs_is_reserved_and_given_back,
            a_deleted_blob_is_gone,
            blobs_run_out,
            an_upload_goes_on_after_a_restart,
            an_export_carries_complete_blobs,
            low_space_refuses_what_is_new_and_nothing_else,
            a_log_is_created_once,
            entries_come_back_in_their_order,
            an_epoch_is_closed_by_compare_and_set,
            an_append_repeated_gets_the_first_answer,
            one_of_a_hundred_committers_wins,
            an_older_key_reads_its_own_epoch_only,
            entries_of_any_size_are_kept_once,
            quotas_of_group_logs_hold,
            entries_run_out_and_their_keys_with_them,
            a_log_without_entries_runs_out,
            a_group_log_survives_a_restart,
            a_watcher_of_a_group_log_is_told,
            concurrent_appends_get_rising_numbers,
            an_export_carries_group_logs,
            an_export_with_a_false_group_log_is_refused,
            a_wake_belongs_to_the_epoch_that_was_proved,
            a_wake_is_replaced_and_dropped_only_as_it_was_found,
            wakes_run_out_and_go_with_their_log,
            wakes_survive_a_restart_and_are_in_no_export,
            whom_nobody_may_have_woken_is_found,
            key_packages_are_replaced,
            every_key_package_goes_to_one_taker,
            key_packages_go_with_their_device,
            used_key_packages_survive_an_export,
            a_token_pays_for_one_thing,
            a_token_is_spent_once_by_many_at_once,
            what_is_refused_spends_nothing,
            everything_that_is_paid_spends,
            a_repeated_fetch_takes_no_second_key,
            spent_tokens_survive_a_restart_and_go_with_their_key,
            a_restore_retires_issuer_keys,
            a_day_is_drawn_once_a_device,
            vouchers_are_drawn_and_redeemed_once,
            strangers_have_a_lane_of_their_own,
            withheld_prekeys_are_told_until_settled,
            tenants_have_numbers_and_names_of_their_own,
            seats_are_never_given_twice,
            an_invitation_may_be_bound_to_an_address,
            the_room_of_a_tenant_is_counted_over_its_queues,
            what_has_ended_takes_nothing_new_and_loses_nothing,
            every_day_of_a_tenant_is_counted,
            an_export_carries_tenants,
            an_envelope_is_moved_to_the_end_and_nothing_is_lost,
            limits_are_set_anew,
            a_device_is_due_to_be_woken_while_envelopes_wait,
            a_device_wake_is_dropped_only_as_it_was_found,
            a_device_wake_goes_with_its_device,
            device_wakes_survive_a_restart_and_are_shown,
        );
    };
    ($engine:ty: $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::storage::conformance::$case::<$engine>().await;
            }
        )*
    };
}
pub(super) use self::accounts::*;
pub(super) use self::blobs::*;
pub(super) use self::device_wakes::*;
pub(super) use self::group_log_transfer::*;
pub(super) use self::group_logs::*;
pub(super) use self::group_wakes::*;
pub(super) use self::key_packages::*;
pub(super) use self::moving::*;
pub(super) use self::prekeys::*;
pub(super) use self::queues::*;
pub(super) use self::tenants::*;
pub(super) use self::tokens::*;
pub(super) use self::transfer::*;
pub(super) use conformance_suite;

pub(super) const ROOMY: QueueQuota =
    QueueQuota { messages_max: 1000, bytes_max: 1 << 30, request_messages_max: 1000, request_bytes_max: 1 << 30 };
const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 3600 * 1000;

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Prekeys whose bytes tell which they are.
pub(super) fn prekeys(tag: u8, ids: std::ops::Range<u32>) -> PrekeySet {
    let key = |kind: u8, id: u32| (id, [&[tag, kind][..], &id.to_be_bytes()].concat());
    PrekeySet {
        signed_prekey: vec![tag, 1],
        last_resort_kem: vec![tag; 1600],
        seal: vec![tag, 3],
        one_time: ids.clone().map(|id| key(4, id)).collect(),
        one_time_kem: ids.map(|id| key(5, id)).collect(),
    }
}

pub(super) fn registration(name: &str, invitation_hash: [u8; 32], devices: &[u32]) -> Registration {
    let device =
        |device_id: &u32| DeviceRecord { device_id: *device_id, sequence: 1, prekeys: prekeys(*device_id as u8, 0..3) };
    Registration {
        invitation_hash,
        address: address(name),
        statement: vec![7; 5000],
        statement_version: 1,
        devices: devices.iter().map(device).collect(),
        now_ms: NOW,
    }
}

/// Registers an account with three one-time keys of each kind a device.
pub(super) async fn register(storage: &dyn Storage, name: &str, devices: &[u32]) -> Address {
    let mut hash = [0; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    let invitation = Invitation { organisation: Some("CHU".into()), expires_ms: NOW + DAY, tenant: 0, address: None };
    storage.create_invitation(hash, invitation).await.unwrap();
    storage.register(registration(name, hash, devices)).await.unwrap();
    address(name)
}

pub(super) fn submission(to: &Address, id: u8, envelopes: &[(u32, usize)]) -> Submission {
    Submission {
        id: [id; 16],
        address: to.clone(),
        envelopes: envelopes.iter().map(|(device, length)| (*device, vec![id; *length])).collect(),
        digest: [id; 32],
        now_ms: NOW,
        expires_ms: NOW + 30 * DAY,
        lane: Lane::Normal,
        spend: Spend::default(),
    }
}

const TAKEN: Result<EnqueueOutcome, EnqueueError> = Ok(EnqueueOutcome::Accepted { duplicate: false });
const AGAIN: Result<EnqueueOutcome, EnqueueError> = Ok(EnqueueOutcome::Accepted { duplicate: true });

async fn sequences(storage: &dyn Storage, who: &Address, device: u32) -> Vec<u64> {
    storage.fetch(who, device, 0, 1000).await.unwrap().iter().map(|envelope| envelope.sequence).collect()
}
