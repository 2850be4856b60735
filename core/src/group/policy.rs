//! What all members of a group agree on: its name, its roster with roles, how long messages stay. MLS authenticates its hash
//! as an extension of the group context; the policy itself goes beside, since every message is signed over the context.

use thiserror::Error;

use super::{LogId, RosterKey};
use crate::Address;
use crate::address::is_domain;
use crate::crypto::hash::labelled_sha256;
use crate::label;
use crate::limits::{
    GROUP_ACCOUNTS_MAX, GROUP_CASE_LENGTH_MAX, GROUP_DESCRIPTION_LENGTH_MAX, GROUP_NAME_LENGTH_MAX,
    GROUP_RETENTION_DAYS_MAX,
};

/// What an account may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Changes the policy, adds and removes other accounts, and all that a member may.
    Owner,
    /// Writes, and adds and removes devices of his own account.
    Member,
    /// As a member, without writing.
    Reader,
}

/// An account of a group. All its devices may be in the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// The account.
    pub address: Address,
    /// Its key, as the owner who wrote the entry knew it.
    pub account_key: RosterKey,
    /// What it may do.
    pub role: Role,
}

/// The policy of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPolicy {
    /// What people call the group.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The accounts, ascending by address.
    pub roster: Vec<RosterEntry>,
    /// Messages go after so many days; 0: they stay.
    pub retention_days: u32,
    /// The domain of the server that keeps the log.
    pub log_domain: String,
    /// The organisation that the group belongs to.
    pub organisation: Option<Address>,
    /// What ties the group to a case; of the kind that opened it.
    pub case: Vec<u8>,
    /// The group that this one takes the place of, by its log.
    pub predecessor: Option<LogId>,
    /// The group that takes this one's place, by its log. Nothing is sent here any more.
    pub successor: Option<LogId>,
    /// Drawn when the group is made, and the same from then on. Who reports a message shows the policy's hash: without these
    /// bytes the name and roster of a small group would be found by trying.
    pub blinding: [u8; 32],
}

/// SHA-256 of a policy as it is encoded here: what the group context holds of it.
pub type PolicyHash = [u8; 32];

/// Why a policy is refused, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The name is empty or over its limit.
    #[error("the group's name is empty or over {GROUP_NAME_LENGTH_MAX} bytes")]
    Name,
    /// The description or the case is over its limit.
    #[error("the group's description or case is too long")]
    Length,
    /// No account in it is an owner.
    #[error("a group needs an owner")]
    NoOwner,
    /// Not ascending by address, or an account twice.
    #[error("the roster is not in order")]
    Order,
    /// Over the limit.
    #[error("a group has at most {GROUP_ACCOUNTS_MAX} accounts")]
    TooManyAccounts,
    /// Over the limit.
    #[error("a retention of more than {GROUP_RETENTION_DAYS_MAX} days is none")]
    Retention,
    /// Not a domain name.
    #[error("the log's server is not a domain name")]
    LogDomain,
}

impl GroupPolicy {
    /// The policy of a new group with one account in it, its owner. The group's maker draws its blinding.
    #[must_use]
    pub fn new(name: &str, owner: &Address, account_key: RosterKey, log_domain: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            roster: vec![RosterEntry { address: owner.clone(), account_key, role: Role::Owner }],
            retention_days: 0,
            log_domain: log_domain.to_owned(),
            organisation: None,
            case: Vec::new(),
            predecessor: None,
            successor: None,
            blinding: [0; 32],
        }
    }

    /// What the group context holds of the policy. It is of [`Self::encode`]'s bytes, so a policy that came in any other
    /// encoding has the hash of what it says.
    #[must_use]
    pub fn context_hash(&self) -> PolicyHash {
        labelled_sha256(label::GROUP_POLICY, &[&self.encode()])
    }

    /// The entry of an account.
    #[must_use]
    pub fn entry(&self, address: &Address) -> Option<&RosterEntry> {
        self.roster.binary_search_by(|entry| entry.address.cmp(address)).ok().and_then(|index| self.roster.get(index))
    }

    /// What an account may do; `None` if it is not in the roster.
    #[must_use]
    pub fn role(&self, address: &Address) -> Option<Role> {
        self.entry(address).map(|entry| entry.role)
    }

    /// Puts an account into the roster, or changes its entry.
    pub fn set(&mut self, address: &Address, account_key: RosterKey, role: Role) {
        let entry = RosterEntry { address: address.clone(), account_key, role };
        match self.roster.binary_search_by(|entry| entry.address.cmp(address)) {
            Ok(index) => self.roster[index] = entry,
            Err(index) => self.roster.insert(index, entry),
        }
    }

    /// Takes an account off the roster. Its leaves must go in the same commit.
    pub fn remove(&mut self, address: &Address) {
        self.roster.retain(|entry| entry.address != *address);
    }

    /// Checks everything that a policy says by itself.
    ///
    /// # Errors
    /// [`PolicyError`]
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.name.is_empty() || self.name.len() > GROUP_NAME_LENGTH_MAX {
            return Err(PolicyError::Name);
        }
        if self.description.len() > GROUP_DESCRIPTION_LENGTH_MAX || self.case.len() > GROUP_CASE_LENGTH_MAX {
            return Err(PolicyError::Length);
        }
        if self.roster.len() > GROUP_ACCOUNTS_MAX {
            return Err(PolicyError::TooManyAccounts);
        }
        if !self.roster.windows(2).all(|pair| pair[0].address < pair[1].address) {
            return Err(PolicyError::Order);
        }
        if !self.roster.iter().any(|entry| entry.role == Role::Owner) {
            return Err(PolicyError::NoOwner);
        }
        if self.retention_days > GROUP_RETENTION_DAYS_MAX {
            return Err(PolicyError::Retention);
        }
        if !is_domain(&self.log_domain) {
            return Err(PolicyError::LogDomain);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> GroupPolicy {
        let mut policy =
            GroupPolicy::new("Ward 3", &"claire@clinic.example".parse().unwrap(), [1; 32], "clinic.example");
        policy.set(&"karim@clinic.example".parse().unwrap(), [2; 32], Role::Member);
        policy.set(&"anne@clinic.example".parse().unwrap(), [3; 32], Role::Reader);
        policy
    }

    #[test]
    fn a_policy_comes_back_as_it_was() {
        let policy = GroupPolicy {
            description: "Night shift".to_owned(),
            retention_days: 30,
            organisation: Some("office@clinic.example".parse().unwrap()),
            case: vec![9; 40],
            predecessor: Some([4; 32]),
            successor: Some([5; 32]),
            blinding: [6; 32],
            ..policy()
        };
        assert_eq!(policy.check(), Ok(()));
        assert_eq!(GroupPolicy::decode(&policy.encode()), Ok(policy));
    }

    #[test]
    fn roles_are_found_by_account() {
        let policy = policy();
        let role = |address: &str| policy.role(&address.parse().unwrap());
        assert_eq!(role("claire@clinic.example"), Some(Role::Owner));
        assert_eq!(role("karim@clinic.example"), Some(Role::Member));
        assert_eq!(role("anne@clinic.example"), Some(Role::Reader));
        assert_eq!(role("eve@clinic.example"), None);
    }

    #[test]
    fn each_rule_has_its_error() {
        let check = |change: fn(&mut GroupPolicy)| {
            let mut policy = policy();
            change(&mut policy);
            policy.check()
        };
        assert_eq!(check(|policy| policy.name.clear()), Err(PolicyError::Name));
        assert_eq!(check(|policy| policy.name = "x".repeat(129)), Err(PolicyError::Name));
        assert_eq!(check(|policy| policy.case = vec![0; GROUP_CASE_LENGTH_MAX + 1]), Err(PolicyError::Length));
        assert_eq!(check(|policy| policy.roster.reverse()), Err(PolicyError::Order));
        assert_eq!(check(|policy| policy.roster.retain(|entry| entry.role != Role::Owner)), Err(PolicyError::NoOwner));
        assert_eq!(check(|policy| policy.retention_days = 4000), Err(PolicyError::Retention));
        assert_eq!(check(|policy| policy.log_domain = "not a domain".to_owned()), Err(PolicyError::LogDomain));
        let many = |policy: &mut GroupPolicy| {
            for number in 0..GROUP_ACCOUNTS_MAX {
                policy.set(&format!("m{number}@clinic.example").parse().unwrap(), [0; 32], Role::Member);
            }
        };
        assert_eq!(check(many), Err(PolicyError::TooManyAccounts));
    }
}
