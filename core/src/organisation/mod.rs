//! Organisations: who administers one, what its policy is, and who belongs to it. `spec/organisation.md`.
//!
//! An organisation is a chain of statements, each signed by k of the administrators that the one before names, and pinned by the
//! hash of the first one. The newest statement has the policy. A member shows a certificate signed by k of the
//! administrators that are named now. The server has no part in any of this.

mod chain;
mod member;
mod policy;
mod statement;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use chain::{Advance, ChainError, ChainLink, OrganisationChain, OrganisationId};
pub use member::{MemberCertificate, Membership, MembershipError};
pub use policy::{BreakGlass, OnCallEntry, OrganisationPolicy, OrganisationService};
pub use statement::{AdministratorSignature, OrganisationError, OrganisationStatement, StatementDraft};
