//! Key packages: always some that others take, whatever the clock says, and no more kept of them than is of use.

use medipeps_core::wire::client_records::GroupStanding;

use super::groups::MEMBER;
use super::world::World;
use crate::engine::{class, key};
use crate::limits::{KEY_PACKAGES_PER_UPLOAD, PREKEY_ROTATION_S, RETIRED_KEY_PACKAGES_MAX, RETIRED_PREKEYS_KEPT_MS};

const WEEK_MS: u64 = PREKEY_ROTATION_S * 1000;
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

impl World {
    /// Ben's device asks what is left while its own clock shows another time than the server's.
    fn connect_with_clock(&mut self, number: usize, clock: u64) {
        let right = self.now;
        self.now = clock;
        self.connect(number);
        self.now = right;
    }

    fn can_be_added(&mut self, number: usize) -> bool {
        let group = self.create(0, "Ward 3", &[(number, MEMBER)]);
        let now = self.now;
        self.clients[number].get(&key::group(&group), now).is_some_and(|group| group.standing == GroupStanding::Active)
    }

    fn kept_key_packages(&mut self, number: usize) -> usize {
        let client = &mut self.clients[number];
        let mut transaction = client.store.store_mut().begin(self.now, &mut client.rng).unwrap();
        transaction.scan(class::KEY_PACKAGE).unwrap().len()
    }
}

#[test]
fn who_was_in_no_group_for_half_a_year_can_be_added() {
    let mut world = World::new(&["ana", "ben"]);
    for _ in 0..26 {
        world.later(WEEK_MS);
        world.connect(1);
    }
    assert!(world.can_be_added(1));
    let weeks = (RETIRED_PREKEYS_KEPT_MS / WEEK_MS) as usize + 2;
    let kept = world.kept_key_packages(1);
    assert!(kept <= weeks * (KEY_PACKAGES_PER_UPLOAD + 1), "{kept} private halves");
}

#[test]
fn who_was_away_for_a_year_can_be_added_once_back() {
    let mut world = World::new(&["ana", "ben"]);
    world.publish_key_packages();
    world.later(YEAR_MS);
    world.publish_key_packages();
    assert!(world.can_be_added(1));
}

#[test]
fn a_clock_that_is_years_off_makes_key_packages_that_others_take() {
    for clock in [-3, 1, 5] {
        let mut world = World::new(&["ana", "ben"]);
        world.publish_key_packages();
        world.later(WEEK_MS);
        let wrong = world.now.saturating_add_signed(clock * YEAR_MS as i64);
        world.connect_with_clock(1, wrong);
        assert!(world.can_be_added(1), "{clock} years");
    }
}

#[test]
fn key_packages_that_a_wrong_clock_has_dated_are_replaced() {
    // As devices did before servers told the time.
    for clock in [-3, 1, 5] {
        let mut world = World::new(&["ana", "ben"]);
        let wrong = world.now.saturating_add_signed(clock * YEAR_MS as i64);
        world.server.groups.silent_clock = true;
        world.connect_with_clock(1, wrong);
        world.server.groups.silent_clock = false;
        world.publish_key_packages();
        assert!(world.can_be_added(1), "{clock} years");
    }
}

#[test]
fn a_server_that_always_asks_for_more_does_not_fill_the_store() {
    let mut world = World::new(&["ana", "ben"]);
    for _ in 0..20 {
        world.connect(1);
        let (address, device_id) = (world.address(1), world.device_id(1));
        world.server.groups.packages.get_mut(&(address, device_id)).unwrap().one_time.clear();
    }
    let kept = world.kept_key_packages(1);
    assert!(kept <= RETIRED_KEY_PACKAGES_MAX + KEY_PACKAGES_PER_UPLOAD + 1, "{kept} private halves");
}
