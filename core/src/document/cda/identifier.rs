//! Who and what is meant: HL7 instance identifiers, codes, and the French roots under which people and organisations are numbered.

use std::fmt;

use super::{Fault, check_text};
use crate::limits::{CDA_IDENTIFIER_LENGTH_MAX, CDA_TEXT_LENGTH_MAX};

/// LOINC's code system.
pub const LOINC: &str = "2.16.840.1.113883.6.1";
/// The root of health professionals in France; the extension is a digit for the kind of number, then the number.
pub const PROFESSIONAL_ROOT: &str = "1.2.250.1.71.4.2.1";
/// The root of health organisations in France; the extension is a digit for the kind of number, then the number.
pub const ORGANISATION_ROOT: &str = "1.2.250.1.71.4.2.2";

/// An HL7 instance identifier: an OID or a UUID, and what it numbers, if it numbers anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    root: String,
    extension: Option<String>,
}

/// A code of a code system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    code: String,
    system: String,
    display: Option<String>,
}

impl Identifier {
    /// An identifier of any root.
    ///
    /// # Errors
    /// [`Fault`] when the root is neither OID nor UUID, or the extension is empty, too long or no plain text.
    pub fn new(root: &str, extension: Option<&str>) -> Result<Self, Fault> {
        if !is_oid(root) && !is_uuid(root) {
            return Err(Fault::Malformed);
        }
        if let Some(extension) = extension {
            check_text(extension, CDA_IDENTIFIER_LENGTH_MAX)?;
        }
        Ok(Self { root: root.to_owned(), extension: extension.map(str::to_owned) })
    }

    /// An identifier that is a UUID, for documents and their sets. The bytes are drawn by the caller.
    #[must_use]
    pub fn uuid(bytes: &[u8; 16]) -> Self {
        let mut root = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                root.push('-');
            }
            root.push_str(&data_encoding::HEXUPPER.encode(&[*byte]));
        }
        Self { root, extension: None }
    }

    /// A professional, by the 11 digits of the RPPS number.
    ///
    /// # Errors
    /// [`Fault::Malformed`]
    pub fn rpps(number: &str) -> Result<Self, Fault> {
        let is_good = number.len() == 11 && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_good { Self::new(PROFESSIONAL_ROOT, Some(&format!("8{number}"))) } else { Err(Fault::Malformed) }
    }

    /// An organisation, by the 9 characters of its FINESS number.
    ///
    /// # Errors
    /// [`Fault::Malformed`]
    pub fn finess(number: &str) -> Result<Self, Fault> {
        let is_good =
            number.len() == 9 && number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'A' | b'B'));
        if is_good { Self::new(ORGANISATION_ROOT, Some(&format!("1{number}"))) } else { Err(Fault::Malformed) }
    }

    /// The OID or UUID.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What the root numbers.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.extension.as_deref()
    }
}

impl Code {
    /// A code of any system.
    ///
    /// # Errors
    /// [`Fault`] when the system is no OID, the code is empty, too long or has white space, a LOINC code's check digit is wrong, or
    /// the display name is no plain text.
    pub fn new(code: &str, system: &str, display: Option<&str>) -> Result<Self, Fault> {
        check_text(code, CDA_IDENTIFIER_LENGTH_MAX)?;
        if code.contains(char::is_whitespace) || !is_oid(system) || (system == LOINC && !is_loinc(code)) {
            return Err(Fault::Malformed);
        }
        if let Some(display) = display {
            check_text(display, CDA_TEXT_LENGTH_MAX)?;
        }
        Ok(Self { code: code.to_owned(), system: system.to_owned(), display: display.map(str::to_owned) })
    }

    /// A LOINC code.
    ///
    /// # Errors
    /// As [`Code::new`].
    pub fn loinc(code: &str, display: &str) -> Result<Self, Fault> {
        Self::new(code, LOINC, Some(display))
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The OID of its system.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.system
    }

    /// What a person reads.
    #[must_use]
    pub fn display(&self) -> Option<&str> {
        self.display.as_deref()
    }
}

/// Whether the text is an OID: arcs of digits without leading zeros, the first 0 to 2 (ITU-T X.660).
fn is_oid(text: &str) -> bool {
    let arc_is_good = |arc: &str| {
        arc == "0" || (!arc.starts_with('0') && !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut arcs = text.split('.');
    text.len() <= CDA_IDENTIFIER_LENGTH_MAX
        && text.contains('.')
        && arcs.next().is_some_and(|arc| matches!(arc, "0" | "1" | "2"))
        && arcs.all(arc_is_good)
}

/// Whether the text is a UUID (RFC 9562), in either case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether the text is a LOINC code with the right check digit (modulus 10, as the LOINC Users' Guide has it).
fn is_loinc(text: &str) -> bool {
    let Some((number, check)) = text.split_once('-') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(number) || !is_number(check) || number.len() > 7 || check.len() != 1 {
        return false;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            let weighted = if index % 2 == 0 { digit * 2 } else { digit };
            weighted / 10 + weighted % 10
        })
        .sum();
    check.bytes().next().is_some_and(|check| u32::from(check - b'0') == (10 - sum % 10) % 10)
}

/// An extension may name a patient, so it is not shown.
impl fmt::Debug for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identifier").field("root", &self.root).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_oids_or_uuids() {
        for good in [
            "1.2.250.1.71.4.2.1",
            "2.25.329800735698586629295641978511506172918",
            "DB283330-F771-4A61-A483-22CC55102B91",
        ] {
            assert_eq!(Identifier::new(good, None).unwrap().root(), good);
        }
        for bad in
            ["", "1", "3.1", "1.02", "1..2", "1.2.", "banana", "DB283330-F771-4A61-A483-22CC55102B9g", "1.2 ", "1.2.é"]
        {
            assert_eq!(Identifier::new(bad, None), Err(Fault::Malformed), "{bad}");
        }
        assert_eq!(Identifier::uuid(&[0xab; 16]).root(), "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB");
    }

    #[test]
    fn extensions_are_plain_text() {
        assert_eq!(Identifier::new("1.2", Some("")), Err(Fault::Empty));
        assert_eq!(Identifier::new("1.2", Some("a\u{0}b")), Err(Fault::Character));
        assert_eq!(Identifier::new("1.2", Some(&"1".repeat(CDA_IDENTIFIER_LENGTH_MAX + 1))), Err(Fault::TooLong));
        assert_eq!(Identifier::rpps("01234534765").unwrap().extension(), Some("801234534765"));
        assert_eq!(Identifier::finess("2A0459876").unwrap().extension(), Some("12A0459876"));
        assert!(Identifier::rpps("801234534765").is_err());
        assert!(Identifier::finess("12045987").is_err());
    }

    #[test]
    fn loinc_codes_have_a_check_digit() {
        for good in ["11502-2", "57833-6", "34133-9", "47420-5"] {
            assert_eq!(Code::loinc(good, "x").unwrap().code(), good);
        }
        for bad in ["11502-3", "11502", "-2", "11502-", "11502-22", "LP1-2"] {
            assert_eq!(Code::loinc(bad, "x"), Err(Fault::Malformed), "{bad}");
        }
        assert!(Code::new("PRESC-BIO", "1.2.250.1.213.1.1.4.12", None).is_ok());
        assert_eq!(Code::new("two words", "1.2.250.1.213.1.1.4.12", None), Err(Fault::Malformed));
    }
}
