//! The kind `report`: one message of a group, opened to the organisation's officer.

use thiserror::Error;

use super::author::Author;
use super::content::{Content, ContentError};
use super::group::LogPosition;
use super::redacted::redacted;
use crate::franking::{self, FrankedMessage, FrankingError, FrankingProof};
use crate::identity::{DeviceCertificate, StatementError};
use crate::limits::{
    CONTENT_LENGTH_MAX, DEVICE_CERTIFICATE_LENGTH_MAX, GROUP_CONTEXT_LENGTH_MAX, REPORT_REASON_LENGTH_MAX,
};
use crate::wire::identity::SignedDeviceCertificate;

/// One message with all that shows who sent it. Nothing in it opens another message.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The group's log, to which the message is bound.
    pub log_id: [u8; 32],
    /// Where the message lies in the log. It is the reporter's word.
    pub position: LogPosition,
    /// The message's content, byte for byte as MLS decrypted it. Empty in the short form that stays in a message whose body
    /// is in a blob.
    pub content: Vec<u8>,
    /// The signature under which its sender said it, and what else that is over.
    pub proof: FrankingProof,
    /// The certificate of the device that signed, as it was in the group: an encoded [`SignedDeviceCertificate`].
    pub sender_certificate: Vec<u8>,
    /// Why the reporter reports it.
    pub reason: String,
}

/// What a report proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedMessage {
    /// What was said.
    pub content: Content,
    /// The account whose device signed it. The officer compares the account key with the one that the organisation has certified.
    pub sender: Author,
    /// The device.
    pub device_id: u32,
    /// In which epoch of the group.
    pub epoch: u64,
}

/// Why a report proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// Content, group and signature do not fit together.
    #[error(transparent)]
    Franking(#[from] FrankingError),
    /// The sender's certificate does not verify under the account key that it names.
    #[error(transparent)]
    Certificate(#[from] StatementError),
}

impl Report {
    /// Checks that the device signed exactly this content in this group.
    ///
    /// # Errors
    /// [`ReportError`]
    pub fn verify(&self) -> Result<ReportedMessage, ReportError> {
        let signed = SignedDeviceCertificate::decode(&self.sender_certificate).map_err(StatementError::from)?;
        let certificate = DeviceCertificate::verify(signed)?;
        let key = certificate.keys().signing_key;
        let FrankedMessage { content, epoch } = franking::open(&self.content, &self.proof, &self.log_id, &key)?;
        let sender = Author { address: certificate.address().clone(), account_key: certificate.account_key() };
        Ok(ReportedMessage { content, sender, device_id: certificate.device_id(), epoch })
    }

    /// Without the message: who has it knows it by its signature.
    pub(super) fn short(&self) -> Self {
        Self { content: Vec::new(), ..self.clone() }
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if self.content.len() > CONTENT_LENGTH_MAX {
            return Err(ContentError::Field("report.content"));
        }
        if self.proof.group_context.len() > GROUP_CONTEXT_LENGTH_MAX {
            return Err(ContentError::Field("report.proof.group_context"));
        }
        if self.sender_certificate.len() > DEVICE_CERTIFICATE_LENGTH_MAX {
            return Err(ContentError::Field("report.sender_certificate"));
        }
        if self.reason.len() > REPORT_REASON_LENGTH_MAX { Err(ContentError::Field("report.reason")) } else { Ok(()) }
    }
}

redacted!(Report);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::franking::tests::franked_by;
    use crate::kind::Body;
    use crate::kind::test_content::content;
    use crate::test_party::Party;

    fn reported(text: &str) -> (Content, Report) {
        let sender = Party::new("karim", 2, 1);
        let (log_id, said, franked) = franked_by(&sender, text, 5);
        let report = Report {
            log_id,
            position: LogPosition { incarnation: [1; 16], sequence: 40 },
            content: franked.bytes.to_vec(),
            proof: franked.proof,
            sender_certificate: sender.statement.device(1).unwrap().signed().encode(),
            reason: "An insult".into(),
        };
        (said, report)
    }

    #[test]
    fn an_officer_learns_who_said_what() {
        let (said, report) = reported("An insult");
        let sent = content(Body::Report(report.clone()));
        assert!(!sent.fallback_text.contains("insult"));
        let received = Content::decode(&sent.encode().unwrap()).unwrap();
        assert_eq!(received, sent);
        let Body::Report(received) = received.body else { unreachable!() };
        let proven = received.verify().unwrap();
        assert_eq!(proven.content, said);
        assert_eq!((proven.sender.address.as_str(), proven.device_id), ("karim@clinic.example", 1));
        assert_eq!(proven.epoch, 0);
    }

    #[test]
    fn nobody_is_accused_of_what_his_device_has_not_signed() {
        let (_, report) = reported("Thank you");
        let (_, other) = reported("An insult");
        let not_signed = |report: &Report| assert_eq!(report.verify(), Err(FrankingError::Signature.into()));
        not_signed(&Report { content: other.content.clone(), ..report.clone() });
        not_signed(&Report { proof: other.proof, ..report.clone() });
        // Who knows the message signs another one himself, but not as its sender.
        let forger = Party::new("claire", 1, 1);
        let (log_id, _, forged) = franked_by(&forger, "An insult", 6);
        not_signed(&Report { log_id, content: forged.bytes.to_vec(), proof: forged.proof, ..report.clone() });
        not_signed(&Report { log_id: [8; 32], ..report.clone() });
        // Nor is his name put to what another's device has signed: the account key vouches for its devices alone.
        let other_device = forger.statement.device(1).unwrap().signed().encode();
        not_signed(&Report { sender_certificate: other_device, ..report.clone() });
        for at in 0..report.sender_certificate.len() {
            let mut certificate = report.clone();
            certificate.sender_certificate[at] ^= 1;
            assert!(certificate.verify().is_err(), "byte {at}");
        }
        assert!(matches!(report.short().verify(), Err(ReportError::Franking(_))));
    }

    #[test]
    fn a_report_of_a_large_message_goes_as_a_blob() {
        let (_, report) = reported("An insult");
        let whole = content(Body::Report(Report { content: vec![1; CONTENT_LENGTH_MAX], ..report.clone() }));
        assert!(matches!(whole.encode(), Err(ContentError::MessageTooLarge { .. })));
        let short = Content { body: whole.body.short(), ..whole.clone() };
        let bytes = whole.body.encode().unwrap();
        let received = Content::decode(&short.encode().unwrap()).unwrap();
        assert_eq!(received.with_body(&bytes), Ok(whole));
        let over = content(Body::Report(Report { content: vec![1; CONTENT_LENGTH_MAX + 1], ..report.clone() }));
        assert_eq!(over.encode(), Err(ContentError::Field("report.content")));
        let group_context = vec![1; GROUP_CONTEXT_LENGTH_MAX + 1];
        let over = Report { proof: FrankingProof { group_context, ..report.proof.clone() }, ..report };
        assert_eq!(content(Body::Report(over)).encode(), Err(ContentError::Field("report.proof.group_context")));
    }
}
