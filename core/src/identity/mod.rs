//! Who an account is: its statement, the certificates of its devices, the recovery key, the safety number.
//!
//! `spec/identity.md` has the rules.

mod certificate;
mod safety_number;
mod statement;
mod verification_code;

pub use certificate::{DeviceCertificate, DevicePublicKeys, DeviceSecretKeys};
pub use safety_number::{is_safety_number, safety_number};
pub use statement::{Change, Signer, Statement, StatementError, StatementIssue, recovery_key_hash};
pub use verification_code::{Verification, VerificationCode, VerificationCodeError};
