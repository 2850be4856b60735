//! What is signed: transcripts, organisations.

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue, recovery_key_hash,
};
use medipeps_core::kind::SignedTranscript;
use medipeps_core::label;
use medipeps_core::organisation::{
    MemberCertificate, OrganisationChain, OrganisationId, OrganisationStatement, StatementDraft,
};
use rand_core::SeedableRng;

/// A file, and a transcript that somebody has signed whatever it is: what is believed is in its canonical form.
pub(crate) fn transcript(data: &[u8]) {
    if let Ok(signed) = SignedTranscript::decode(data) {
        assert!(SignedTranscript::decode(&signed.encode()).is_ok_and(|again| again == signed));
        let _ = signed.verify();
    }
    let Ok((keys, statement)) = signer() else { return };
    let signed = SignedTranscript {
        transcript: data.to_vec(),
        signature: keys.signing_key.sign(label::CASE_TRANSCRIPT, &[data]),
        signer_statement: statement.encoded().to_vec(),
        signer_device: 1,
    };
    if let Ok(verified) = signed.verify() {
        let again = verified.transcript.sign(&keys.signing_key, &statement, 1);
        assert!(again.is_ok_and(|again| again.transcript == data));
    }
}

/// Statements and certificates: what is read is written as it was, and nobody is a member by bytes alone.
pub(crate) fn organisation(data: &[u8]) {
    if let Ok(statement) = OrganisationStatement::decode(data) {
        assert_eq!(OrganisationStatement::decode(&statement.encoded()).as_ref(), Ok(&statement));
        let _ = OrganisationChain::pin(data, OrganisationId(statement.hash()));
    }
    // As an administrator sees it who is asked to sign.
    if let Ok(draft) = StatementDraft::decode(data) {
        assert!(draft.preview().is_ok_and(|preview| preview.version() > 0));
    }
    if let Ok(certificate) = MemberCertificate::decode(data) {
        assert_eq!(MemberCertificate::decode(&certificate.encoded()).as_ref(), Ok(&certificate));
        assert!(certificate.serial() > 0);
    }
}

fn signer() -> Result<(DeviceSecretKeys, Statement), StatementError> {
    let account_key = SigningKey::from_secret(&Secret::from([1; 32]));
    let keys = DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([3; 32]));
    let Ok(address) = "claire@clinic.example".parse::<Address>() else { return Err(StatementError::Chain) };
    let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
    let issue = StatementIssue {
        address: &address,
        recovery_key_hash: recovery_key_hash(&account_key.verifying_key()),
        previous: None,
        devices: vec![device],
        issued: 1,
    };
    Ok((keys, issue.sign(&account_key)?))
}
