//! What past epochs were, as long as their messages can still be opened: a message is judged by the roles of its own epoch.

use super::error::StateError;
use super::judge::Agreed;
use super::pages::Pages;
use super::policy::GroupPolicy;
use crate::wire::group::Section;

/// The current epoch's policy and those of the past epochs that are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Each with the first epoch that it holds in, oldest first.
    policies: Vec<(u64, Agreed)>,
}

impl Past {
    /// Notes the policy of an epoch that begins.
    pub(super) fn begin(&mut self, epoch: u64, agreed: Agreed) {
        if self.policies.last().is_none_or(|(_, last)| last.hash != agreed.hash) {
            self.policies.push((epoch, agreed));
        }
    }

    /// Forgets what was before the oldest epoch that is kept.
    pub(super) fn forget_before(&mut self, oldest: u64) {
        let needed = self.policies.iter().rposition(|(first, _)| *first <= oldest).unwrap_or(0);
        self.policies.drain(..needed);
    }

    /// The policy that an epoch has.
    pub(super) fn policy(&self, epoch: u64) -> Option<&GroupPolicy> {
        self.policies.iter().rev().find(|(first, _)| *first <= epoch).map(|(_, agreed)| &*agreed.policy)
    }

    /// All policies.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Agreed> {
        self.policies.iter().map(|(_, agreed)| agreed)
    }

    /// Puts into the pages what is not there, and takes out what is no longer needed.
    pub(super) fn store(&self, pages: &mut Pages) {
        let sections: Vec<Section> = pages.sections().collect();
        for section in sections {
            if let Section::Policy(first) = section
                && !self.policies.iter().any(|(known, _)| *known == first)
            {
                pages.remove(section);
            }
        }
        for (first, agreed) in &self.policies {
            if !pages.contains(Section::Policy(*first)) {
                pages.store(Section::Policy(*first), &agreed.policy.encode());
            }
        }
    }

    /// Reads it from the pages.
    pub(super) fn load(pages: &Pages) -> Result<Self, StateError> {
        let mut past = Self::default();
        for section in pages.sections() {
            if let Section::Policy(first) = section {
                past.policies.push((first, stored_policy(pages, section)?));
            }
        }
        past.policies.sort_by_key(|(first, _)| *first);
        Ok(past)
    }
}

/// A policy that lies in a section.
pub(super) fn stored_policy(pages: &Pages, section: Section) -> Result<Agreed, StateError> {
    let bytes = pages.read(section).ok_or(StateError::Section)?;
    Agreed::new(GroupPolicy::decode(&bytes)?).map_err(|_| StateError::Section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::GroupId;

    fn agreed(name: &str) -> Agreed {
        let address = "claire@clinic.example".parse().unwrap();
        Agreed::new(GroupPolicy::new(name, &address, [1; 32], "clinic.example")).unwrap()
    }

    fn past() -> Past {
        let mut past = Past::default();
        for (epoch, policy) in [(3, "first"), (4, "first"), (5, "second"), (8, "third")] {
            past.begin(epoch, agreed(policy));
        }
        past
    }

    #[test]
    fn each_epoch_has_its_policy() {
        let past = past();
        let named = |epoch| past.policy(epoch).map(|policy| policy.name.as_str());
        assert_eq!(
            [2, 3, 4, 5, 7, 8, 9].map(named),
            [None, Some("first"), Some("first"), Some("second"), Some("second"), Some("third"), Some("third")]
        );
    }

    #[test]
    fn what_is_forgotten_leaves_the_pages_and_the_rest_comes_back() {
        let (mut past, mut pages) = (past(), Pages::new(GroupId([1; 32])));
        past.store(&mut pages);
        past.forget_before(5);
        past.store(&mut pages);
        let loaded = Past::load(&pages).unwrap();
        assert_eq!(loaded.policies.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [5, 8]);
        assert!(loaded.policies().zip(past.policies()).all(|(one, other)| one.hash == other.hash));
    }
}
