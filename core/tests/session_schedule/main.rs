//! A session under every schedule: `PROPTEST_CASES=10000 cargo test -p medipeps-core --test session_schedule` for the long run.

#![cfg(test)]

mod model;

use model::Action;
use proptest::prelude::*;

/// Found by the first of the tests below: bob had the acknowledgement of a ciphertext that alice, put back, no longer had. He
/// sent nothing, she waited, and neither ever healed again.
#[test]
fn a_side_put_back_to_before_its_acknowledgement_is_not_left_waiting() {
    let found = [[144, 0], [70, 0], [48, 0], [38, 0], [0, 0], [0, 0], [175, 0], [22, 0], [0, 0], [0, 0]];
    model::run(found.map(Action::from_bytes));
}

proptest! {
    // 256 cases, or PROPTEST_CASES.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_agree_or_fail_loudly(actions in proptest::collection::vec(any::<[u8; 2]>(), 1..120)) {
        model::run(actions.into_iter().map(Action::from_bytes));
    }

    /// Without roll-backs nothing may fail but what was repeated or is too far behind.
    #[test]
    fn without_roll_backs_nothing_is_lost(actions in proptest::collection::vec(any::<[u8; 2]>(), 1..120)) {
        let actions = actions.into_iter().map(Action::from_bytes);
        model::run(actions.filter(|action| !matches!(action, Action::RollBack { .. })));
    }
}
