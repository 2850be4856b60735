//! Account addresses, `local@domain`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::{ADDRESS_DOMAIN_LENGTH_MAX, ADDRESS_LOCAL_LENGTH_MAX};

/// An account address in its one canonical spelling: lower-case ASCII, `local@domain`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is not exactly one `@` with something on both sides.
    #[error("an address has the form local@domain")]
    Form,
    /// The part before the `@` is over 64 bytes or has a character other than a-z, 0-9, `.`, `_` and `-`.
    #[error(
        "the part before the @ may hold a-z, 0-9, '.', '_' and '-', 64 at most, and neither starts nor ends with '.'"
    )]
    Local,
    /// The part after the `@` is no host name (RFC 1123) of at most 253 bytes.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

impl Address {
    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an address that must already be canonical, as everything on the wire is.
    ///
    /// # Errors
    /// As for parsing, and [`AddressError::Form`] for upper case or surrounding white space.
    pub fn from_canonical(text: &str) -> Result<Self, AddressError> {
        let address: Self = text.parse()?;
        if address.0 == text { Ok(address) } else { Err(AddressError::Form) }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads what a person typed: white space around it is dropped, upper case is lowered.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim().to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(AddressError::Form)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(AddressError::Form);
        }
        let local_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if local.len() > ADDRESS_LOCAL_LENGTH_MAX
            || !local.bytes().all(local_allowed)
            || local.starts_with('.')
            || local.ends_with('.')
        {
            return Err(AddressError::Local);
        }
        if !is_domain(domain) {
            return Err(AddressError::Domain);
        }
        Ok(Self(text))
    }
}

/// Whether the text is a lower-case host name as RFC 1123 section 2.1 has it.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    let label_is_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= ADDRESS_DOMAIN_LENGTH_MAX && text.split('.').all(label_is_good)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_becomes_canonical() {
        let address: Address = " Claire.Martin@Chu-Toulouse.example ".parse().unwrap();
        assert_eq!(address.as_str(), "claire.martin@chu-toulouse.example");
        assert_eq!((address.local(), address.domain()), ("claire.martin", "chu-toulouse.example"));
    }

    #[test]
    fn the_wire_takes_canonical_addresses_only() {
        assert!(Address::from_canonical("a@b").is_ok());
        assert_eq!(Address::from_canonical("A@b"), Err(AddressError::Form));
        assert_eq!(Address::from_canonical("a@b "), Err(AddressError::Form));
    }

    #[test]
    fn malformed_addresses_are_named() {
        for text in ["", "a", "@", "a@", "@b", "a@b@c"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Form), "{text}");
        }
        for text in ["a b@c", ".a@c", "a.@c", "é@c", "a/b@c"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Local), "{text}");
        }
        assert_eq!(format!("{}@c", "a".repeat(65)).parse::<Address>(), Err(AddressError::Local));
        for text in ["a@-b", "a@b-", "a@b..c", "a@b_c", "a@b."] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Domain), "{text}");
        }
        assert_eq!(format!("a@{}", "b".repeat(64)).parse::<Address>(), Err(AddressError::Domain));
        assert_eq!(format!("a@{}", "bc.".repeat(90)).parse::<Address>(), Err(AddressError::Domain));
    }
}
