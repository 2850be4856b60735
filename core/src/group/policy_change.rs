//! What a commit brings when it changes the policy: the change, not the whole roster. At a thousand members that is some
//! hundred bytes instead of seventy thousand.
//!
//! Nothing is judged by a change alone. Whoever receives the commit applies it to the policy that he has, and MLS
//! authenticates the hash of what must come out.

use super::policy::{GroupPolicy, RosterEntry};
use crate::Address;

/// From one policy to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPolicyChange {
    /// Everything but roster and blinding, as it will be. In here both are empty.
    pub rest: GroupPolicy,
    /// Accounts that come, or whose entry becomes another one; ascending by address.
    pub put: Vec<RosterEntry>,
    /// Accounts that go; ascending by address.
    pub taken: Vec<Address>,
}

impl GroupPolicyChange {
    /// The change that makes one policy of another. Both rosters must be in order.
    #[must_use]
    pub fn between(before: &GroupPolicy, after: &GroupPolicy) -> Self {
        let put = after.roster.iter().filter(|entry| before.entry(&entry.address) != Some(*entry)).cloned().collect();
        let gone = before.roster.iter().filter(|entry| after.entry(&entry.address).is_none());
        Self {
            rest: GroupPolicy { roster: Vec::new(), blinding: [0; 32], ..after.clone() },
            put,
            taken: gone.map(|entry| entry.address.clone()).collect(),
        }
    }

    /// The policy that comes of it. It is not checked by this.
    #[must_use]
    pub fn apply(&self, before: &GroupPolicy) -> GroupPolicy {
        let stays = |entry: &&RosterEntry| {
            self.taken.binary_search(&entry.address).is_err()
                && self.put.binary_search_by(|put| put.address.cmp(&entry.address)).is_err()
        };
        let mut roster: Vec<_> = before.roster.iter().filter(stays).chain(&self.put).cloned().collect();
        roster.sort_by(|one, other| one.address.cmp(&other.address));
        GroupPolicy { roster, blinding: before.blinding, ..self.rest.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Role;

    fn policy(accounts: &[(&str, u8, Role)]) -> GroupPolicy {
        let mut policy =
            GroupPolicy::new("Ward 3", &"claire@clinic.example".parse().unwrap(), [1; 32], "clinic.example");
        for (name, key, role) in accounts {
            policy.set(&format!("{name}@clinic.example").parse().unwrap(), [*key; 32], *role);
        }
        policy
    }

    #[test]
    fn a_change_makes_the_one_policy_of_the_other() {
        let before = policy(&[("karim", 2, Role::Member), ("anne", 3, Role::Reader), ("eve", 4, Role::Member)]);
        let mut after = policy(&[("karim", 2, Role::Owner), ("anne", 3, Role::Reader), ("zoe", 5, Role::Member)]);
        (after.name, after.retention_days) = ("Ward 4".to_owned(), 30);
        let change = GroupPolicyChange::between(&before, &after);
        assert_eq!((change.put.len(), change.taken.len()), (2, 1));
        assert_eq!(change.apply(&before), after);
        let back = GroupPolicyChange::between(&after, &before);
        assert_eq!(back.apply(&after), before);
        assert_eq!(GroupPolicyChange::decode(&change.encode()), Ok(change));
    }

    #[test]
    fn the_blinding_stays_and_is_not_told_again() {
        let before = GroupPolicy { blinding: [9; 32], ..policy(&[("karim", 2, Role::Member)]) };
        let after = GroupPolicy { name: "Ward 4".to_owned(), ..before.clone() };
        let change = GroupPolicyChange::between(&before, &after);
        assert!(!change.encode().windows(32).any(|bytes| bytes == [9; 32]));
        assert_eq!(change.apply(&before), after);
        let told = GroupPolicyChange { rest: GroupPolicy { blinding: [9; 32], ..change.rest.clone() }, ..change };
        assert!(GroupPolicyChange::decode(&told.encode()).is_err());
    }

    #[test]
    fn applied_to_another_policy_it_makes_another_one() {
        let before = policy(&[("karim", 2, Role::Member)]);
        let after = policy(&[("karim", 2, Role::Member), ("anne", 3, Role::Reader)]);
        let change = GroupPolicyChange::between(&before, &after);
        let elsewhere = policy(&[("eve", 4, Role::Member)]);
        assert_ne!(change.apply(&elsewhere).context_hash(), after.context_hash());
        // An account twice among those that come makes a policy that is not in order.
        let twice = GroupPolicyChange { put: vec![change.put[0].clone(), change.put[0].clone()], ..change };
        assert!(twice.apply(&before).check().is_err());
    }
}
