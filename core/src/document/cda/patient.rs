//! Whom a document is about, and the French national health identity (INS).

use std::fmt;

use super::{CdaError, Fault, Identifier, Timestamp, field_text};
use crate::limits::CDA_PARTICIPANTS_MAX;

/// The root of matricules that are a NIR.
pub(super) const NIR_ROOT: &str = "1.2.250.1.213.1.4.8";
/// The root of matricules that are a NIA.
pub(super) const NIA_ROOT: &str = "1.2.250.1.213.1.4.9";
/// The root of matricules made for tests.
pub(super) const TEST_ROOT: &str = "1.2.250.1.213.1.4.10";
/// The root of matricules made for demonstrations.
pub(super) const DEMONSTRATION_ROOT: &str = "1.2.250.1.213.1.4.11";

/// The patient of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Patient {
    /// The national identity. With it the document must say given name, birth date and sex too.
    pub national: Option<NationalIdentity>,
    /// Identifiers of establishments. One at least where there is no national identity.
    pub local: Vec<Identifier>,
    /// The family name at birth.
    pub birth_name: String,
    /// The family name in use, where it is another.
    pub used_name: Option<String>,
    /// The given names of the birth certificate in their order.
    pub given_names: Vec<String>,
    /// The given name in use, where it is another than the first.
    pub used_given_name: Option<String>,
    /// The birth date, in part where no more is known.
    pub birth: Option<Timestamp>,
    /// The administrative sex.
    pub sex: Sex,
}

/// A national identity, and whether it is one of a real person. What is made for tests is of another type, so that neither can
/// be taken for the other.
#[derive(Clone, PartialEq, Eq)]
pub enum NationalIdentity {
    /// A person's.
    Production(Ins),
    /// Made for tests.
    Test(Matricule),
    /// Made for demonstrations.
    Demonstration(Matricule),
}

/// The national health identity of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Ins {
    /// Which register assigned it.
    pub authority: InsAuthority,
    /// The number.
    pub matricule: Matricule,
}

/// The registers of national identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsAuthority {
    /// The NIR: of people born in France or registered there.
    Nir,
    /// The NIA: waiting for a NIR.
    Nia,
}

/// 13 characters and a check key of two digits that belongs to them.
#[derive(Clone, PartialEq, Eq)]
pub struct Matricule(String);

/// The administrative sex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// `F`
    Female,
    /// `M`
    Male,
    /// `UN`
    Undifferentiated,
    /// Not said.
    Unknown,
}

impl Matricule {
    /// Reads 15 characters.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for another length or form, [`Fault::CheckKey`] when the key is of another number.
    pub fn new(text: &str) -> Result<Self, Fault> {
        if text.len() != 15 || !text.is_ascii() {
            return Err(Fault::Malformed);
        }
        let (body, key) = text.split_at(13);
        // The two departments of Corsica are lettered; the key counts them as 19 and 18.
        let body = match &body[5..7] {
            "2A" => [&body[..5], "19", &body[7..]].concat(),
            "2B" => [&body[..5], "18", &body[7..]].concat(),
            _ => body.to_owned(),
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(&body) || !is_number(key) {
            return Err(Fault::Malformed);
        }
        let (body, key) = (body.parse::<u64>(), key.parse::<u64>());
        let (Ok(body), Ok(key)) = (body, key) else { return Err(Fault::Malformed) };
        if key == 97 - body % 97 { Ok(Self(text.to_owned())) } else { Err(Fault::CheckKey) }
    }

    /// The 15 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NationalIdentity {
    /// Reads an identifier; none if its root is not one of the national ones.
    pub(super) fn from_identifier(identifier: &Identifier) -> Option<Result<Self, Fault>> {
        let wrap: fn(Matricule) -> Self = match identifier.root() {
            NIR_ROOT => |matricule| Self::Production(Ins { authority: InsAuthority::Nir, matricule }),
            NIA_ROOT => |matricule| Self::Production(Ins { authority: InsAuthority::Nia, matricule }),
            TEST_ROOT => Self::Test,
            DEMONSTRATION_ROOT => Self::Demonstration,
            _ => return None,
        };
        Some(identifier.extension().ok_or(Fault::Missing).and_then(Matricule::new).map(wrap))
    }

    /// The OID of the assigning authority.
    #[must_use]
    pub fn root(&self) -> &'static str {
        match self {
            Self::Production(Ins { authority: InsAuthority::Nir, .. }) => NIR_ROOT,
            Self::Production(Ins { authority: InsAuthority::Nia, .. }) => NIA_ROOT,
            Self::Test(_) => TEST_ROOT,
            Self::Demonstration(_) => DEMONSTRATION_ROOT,
        }
    }

    /// The number.
    #[must_use]
    pub fn matricule(&self) -> &Matricule {
        match self {
            Self::Production(Ins { matricule, .. }) | Self::Test(matricule) | Self::Demonstration(matricule) => {
                matricule
            }
        }
    }
}

impl Patient {
    pub(super) fn validate(&self) -> Result<(), CdaError> {
        if self.local.len() > CDA_PARTICIPANTS_MAX {
            return Err(CdaError::field("patient.id", Fault::TooMany));
        }
        if self.local.iter().any(|identifier| NationalIdentity::from_identifier(identifier).is_some()) {
            return Err(CdaError::field("patient.id", Fault::Malformed)); // it would read as another patient
        }
        if self.national.is_none() && self.local.is_empty() {
            return Err(CdaError::field("patient.id", Fault::Missing));
        }
        if self.national.is_some() {
            let has_day = self.birth.as_ref().is_some_and(Timestamp::has_day);
            for (is_there, field) in [
                (!self.given_names.is_empty(), "patient.given"),
                (has_day, "patient.birthTime"),
                (self.sex != Sex::Unknown, "patient.administrativeGenderCode"),
            ] {
                if !is_there {
                    return Err(CdaError::field(field, Fault::Missing));
                }
            }
        }
        if self.given_names.len() > CDA_PARTICIPANTS_MAX {
            return Err(CdaError::field("patient.given", Fault::TooMany));
        }
        field_text("patient.family", &self.birth_name)?;
        self.used_name.iter().try_for_each(|name| field_text("patient.family", name))?;
        let mut given = self.given_names.iter().chain(&self.used_given_name);
        given.try_for_each(|name| field_text("patient.given", name))
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Patient").finish_non_exhaustive()
    }
}

impl fmt::Debug for NationalIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NationalIdentity").field("root", &self.root()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ins").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl fmt::Debug for Matricule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Matricule(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_matricule_is_checked() {
        // The first is of the examples that the French agency publishes; Corsica's follow the rule for their letters.
        for good in ["277076322082910", "241023155512304"] {
            assert_eq!(Matricule::new(good).unwrap().as_str(), good);
        }
        let corsica = |letters: &str, digits: &str| {
            let number: u64 = format!("24102{digits}555123").parse().unwrap();
            format!("24102{letters}555123{:02}", 97 - number % 97)
        };
        for good in [corsica("2A", "19"), corsica("2B", "18")] {
            assert!(Matricule::new(&good).is_ok(), "{good}");
        }
        assert_eq!(Matricule::new("277076322082911"), Err(Fault::CheckKey));
        for bad in ["", "27707632208291", "2770763220829100", "2770763220829AB", "27707632208291é", "2A7076322082910"]
        {
            assert_eq!(Matricule::new(bad), Err(Fault::Malformed), "{bad}");
        }
    }

    #[test]
    fn test_identities_are_never_a_persons() {
        let national = |root| {
            let identifier = Identifier::new(root, Some("277076322082910")).unwrap();
            NationalIdentity::from_identifier(&identifier).map(Result::unwrap)
        };
        assert!(matches!(
            national(NIR_ROOT),
            Some(NationalIdentity::Production(Ins { authority: InsAuthority::Nir, .. }))
        ));
        assert!(matches!(
            national(NIA_ROOT),
            Some(NationalIdentity::Production(Ins { authority: InsAuthority::Nia, .. }))
        ));
        assert!(matches!(national(TEST_ROOT), Some(NationalIdentity::Test(_))));
        assert!(matches!(national(DEMONSTRATION_ROOT), Some(NationalIdentity::Demonstration(_))));
        assert_eq!(national("1.2.250.1.213.1.4.12"), None);
        assert_eq!(national(TEST_ROOT).unwrap().root(), TEST_ROOT);
    }
}
