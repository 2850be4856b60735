//! The chain of an organisation's statements, from the pinned first one on.

use thiserror::Error;

use super::statement::{OrganisationError, OrganisationStatement};
use crate::crypto::signature::VerifyingKey;

/// An organisation: the hash of its first statement. It is what a person or a program pins, and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganisationId(pub [u8; 32]);

impl OrganisationId {
    /// Thirty digits that people compare before they pin it: six groups of five bytes of the hash, each modulo 100 000.
    /// Nobody else's first statement is looked for that has the same hash, so half a safety number is enough.
    #[must_use]
    pub fn digits(&self) -> String {
        let group = |chunk: &[u8]| {
            let number = chunk.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
            format!("{:05}", number % 100_000)
        };
        self.0[..30].chunks(5).map(group).collect::<Vec<_>>().join(" ")
    }

    /// Whether somebody has typed these thirty digits, however he has grouped them.
    #[must_use]
    pub fn has_digits(&self, typed: &str) -> bool {
        let only_digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        only_digits(typed) == only_digits(&self.digits())
    }
}

/// A verified chain, of which the newest statement is kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationChain {
    links: Vec<ChainLink>,
    current: OrganisationStatement,
}

/// What is kept of each statement: enough to tell a fork and its signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// The statement's hash.
    pub hash: [u8; 32],
    /// Who signs the next one.
    pub administrators: Vec<VerifyingKey>,
    /// How many of them must.
    pub threshold: u32,
}

/// What a statement has made of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// It is the newest one now.
    Advanced,
    /// It was known.
    Known,
}

/// Why a statement is not taken into a chain. The chain is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// It breaks its own rules.
    #[error(transparent)]
    Statement(#[from] OrganisationError),
    /// It is not the first statement of the pinned organisation.
    #[error("the statement is not the pinned one")]
    NotPinned,
    /// Too few of those who had to sign it did.
    #[error("{valid} administrators have signed; {needed} are needed")]
    NotEnoughSignatures {
        /// Whose signatures verify.
        valid: usize,
        /// How many are needed.
        needed: u32,
    },
    /// Statements between the newest known one and this one are missing.
    #[error("the newest known version is {known}; this one is {version}")]
    Missing {
        /// The newest known version.
        known: u64,
        /// This one's.
        version: u64,
    },
    /// Those who had to sign have signed two statements of this version. Somebody with as many keys as that acts against the
    /// others: nothing of this organisation is to be trusted until a person has looked.
    #[error("there are two statements of version {version}, both signed")]
    Forked {
        /// The version of which there are two.
        version: u64,
    },
    /// The organisation's address has changed.
    #[error("the organisation's address has changed")]
    AddressChanged,
}

impl ChainLink {
    fn of(statement: &OrganisationStatement) -> Self {
        let administrators = statement.administrators().to_vec();
        Self { hash: statement.hash(), administrators, threshold: statement.threshold() }
    }

    fn check_signatures(&self, statement: &OrganisationStatement) -> Result<(), ChainError> {
        let (valid, needed) = (statement.signers(&self.administrators), self.threshold);
        if valid as u64 >= u64::from(needed) { Ok(()) } else { Err(ChainError::NotEnoughSignatures { valid, needed }) }
    }
}

impl OrganisationChain {
    /// Begins with the first statement, which k of its own administrators sign.
    ///
    /// # Errors
    /// [`ChainError::NotPinned`] and others of [`ChainError`].
    pub fn pin(first: &[u8], id: OrganisationId) -> Result<Self, ChainError> {
        let current = OrganisationStatement::decode(first)?;
        if current.version() != 1 || current.hash() != id.0 {
            return Err(ChainError::NotPinned);
        }
        let link = ChainLink::of(&current);
        link.check_signatures(&current)?;
        Ok(Self { links: vec![link], current })
    }

    /// Begins with the first statement and takes in all the others, in order.
    ///
    /// # Errors
    /// [`ChainError`]
    pub fn verify<'a>(
        id: OrganisationId,
        first: &[u8],
        others: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ChainError> {
        let mut chain = Self::pin(first, id)?;
        for statement in others {
            chain.advance(statement)?;
        }
        Ok(chain)
    }

    /// Takes in the next statement: version + 1, the hash of the newest one, signed by k of the administrators that the newest
    /// one names. A known one changes nothing; another one of a known version is a fork if it is signed, and nothing otherwise.
    ///
    /// # Errors
    /// [`ChainError`]
    pub fn advance(&mut self, statement: &[u8]) -> Result<Advance, ChainError> {
        let next = OrganisationStatement::decode(statement)?;
        let (version, known) = (next.version(), self.current.version());
        if version > known + 1 {
            return Err(ChainError::Missing { known, version });
        }
        // Versions begin with 1, and one before the first is the first itself.
        let at = |version: u64| self.links.get(usize::try_from(version.saturating_sub(1)).unwrap_or(usize::MAX));
        if at(version).is_some_and(|link| link.hash == next.hash()) {
            return Ok(Advance::Known);
        }
        let signers = at(version.saturating_sub(1).max(1)).ok_or(ChainError::Missing { known, version })?;
        if version == 1 {
            // Anybody can make a first statement; it is another organisation.
            return Err(ChainError::NotPinned);
        }
        signers.check_signatures(&next)?;
        if version <= known {
            return Err(ChainError::Forked { version });
        }
        if next.previous_hash() != Some(self.current.hash()) {
            return Err(ChainError::Forked { version: known });
        }
        if next.address() != self.current.address() {
            return Err(ChainError::AddressChanged);
        }
        self.links.push(ChainLink::of(&next));
        self.current = next;
        Ok(Advance::Advanced)
    }

    /// What has to be stored of the chain beside its newest statement.
    #[must_use]
    pub fn links(&self) -> &[ChainLink] {
        &self.links
    }

    /// A chain that this device has verified and stored. Its signatures are not verified again; that the newest statement is
    /// the one of the last link is.
    ///
    /// # Errors
    /// [`ChainError::Statement`], [`ChainError::NotPinned`] if the two do not belong together.
    pub fn from_stored(links: Vec<ChainLink>, current: &[u8]) -> Result<Self, ChainError> {
        let current = OrganisationStatement::decode(current)?;
        let last = links.last().is_some_and(|last| *last == ChainLink::of(&current));
        if !last || links.len() as u64 != current.version() {
            return Err(ChainError::NotPinned);
        }
        Ok(Self { links, current })
    }

    /// The chain as it was at an earlier version, whose statement this is. For a person who has decided for the other side of
    /// a fork.
    ///
    /// # Errors
    /// As [`Self::from_stored`].
    pub fn cut_back(&self, earlier: &[u8]) -> Result<Self, ChainError> {
        let version = OrganisationStatement::decode(earlier)?.version();
        let kept = usize::try_from(version).unwrap_or(usize::MAX).min(self.links.len());
        Self::from_stored(self.links[..kept].to_vec(), earlier)
    }

    /// Which of those who must sign a next statement have signed this one, and how many are needed.
    #[must_use]
    pub fn signed_next(&self, next: &OrganisationStatement) -> (Vec<VerifyingKey>, u32) {
        (next.signed_by(self.current.administrators()), self.current.threshold())
    }

    /// Which organisation it is.
    #[must_use]
    pub fn id(&self) -> OrganisationId {
        OrganisationId(self.links.first().map_or(self.current.hash(), |first| first.hash))
    }

    /// The newest statement.
    #[must_use]
    pub const fn current(&self) -> &OrganisationStatement {
        &self.current
    }
}
