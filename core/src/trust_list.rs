//! Trust lists: which domains a space of trust has, where their servers are and by which keys these are known.
//! `spec/federation.md`.
//!
//! A list is signed by one key, which whoever follows it has pinned; it has a number and an end. Nobody takes a list over
//! one with a higher number, or one that has run out, so that who withholds lists keeps a domain in for a while only.

use thiserror::Error;

use crate::crypto::signature::{Signature, SigningKey, VerifyingKey};
use crate::label;
use crate::limits::{
    ADDRESS_DOMAIN_LENGTH_MAX, TRUST_LIST_DOMAINS_MAX, TRUST_LIST_DURATION_MAX_MS, TRUST_LIST_LENGTH_MAX,
};
use crate::proof::server_key_hash;
use crate::wire::WireError;
use crate::wire::trust_list::SignedTrustList;

/// A list whose signature and inner rules have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustList {
    fields: TrustListFields,
    encoded: Vec<u8>,
}

/// What a list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListFields {
    /// 1 and up, higher in each list of a signer.
    pub number: u64,
    /// Milliseconds since 1970.
    pub issued: u64,
    /// From then on the list is not followed any more, in milliseconds since 1970.
    pub expires: u64,
    /// Ascending by domain, each once.
    pub domains: Vec<TrustedDomain>,
}

/// A domain of the space of trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedDomain {
    /// What stands behind the `@` of its addresses.
    pub domain: String,
    /// Where its server is: a name or a network address (an IPv6 one without brackets).
    pub host: String,
    /// UDP port, not 0.
    pub port: u16,
    /// The server's key. It signs the server's hellos, and vouchers for the domain's accounts.
    pub server_key: VerifyingKey,
    /// SHA-256 of the SubjectPublicKeyInfo of each certificate that the server may show; none: any.
    pub spki_pins: Vec<[u8; 32]>,
}

impl TrustedDomain {
    /// `HOST:PORT`, an IPv6 address in brackets.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// By which clients know the server.
    #[must_use]
    pub fn server_key_hash(&self) -> [u8; 32] {
        server_key_hash(&self.server_key)
    }
}

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustListError {
    /// The bytes are no list.
    #[error("it is no trust list: {0}")]
    Wire(#[from] WireError),
    /// It is not signed by the key that it must be signed by.
    #[error("the trust list is not signed by the key that is trusted for it")]
    Signature,
    /// The list has no number.
    #[error("a trust list has a number, 1 and up")]
    Number,
    /// It ends before it begins, or lasts longer than any list may.
    #[error("a trust list ends after it was issued, and within {} days", TRUST_LIST_DURATION_MAX_MS / 86_400_000)]
    Period,
    /// The domains are not ascending, or one is there twice.
    #[error("the domains of a trust list are in ascending order, each once")]
    Order,
    /// It has more than a list may have.
    #[error("a trust list has at most {TRUST_LIST_DOMAINS_MAX} domains and {TRUST_LIST_LENGTH_MAX} bytes")]
    TooLarge,
    /// It has run out.
    #[error("the trust list has run out; a newer one is needed")]
    Expired,
    /// It is older than the one that is followed.
    #[error("the trust list has the number {found}, and number {known} is known already: it is an older one")]
    Older {
        /// Its number.
        found: u64,
        /// The number of the list that is followed.
        known: u64,
    },
    /// It has the number of the list that is followed, and says something else: its signer has signed two.
    #[error("there are two trust lists with the number {0}; ask whoever signs them")]
    Forked(u64),
}

impl TrustList {
    /// Signs a list. The domains are put in order.
    ///
    /// # Errors
    /// [`TrustListError`]; a list that nobody would take is not made.
    pub fn sign(mut fields: TrustListFields, key: &SigningKey) -> Result<Self, TrustListError> {
        fields.domains.sort_by(|one, other| one.domain.cmp(&other.domain));
        // What a reader would refuse must not be signed.
        let list = fields.encode();
        check(&TrustListFields::decode(&list)?)?;
        let signature = key.sign(label::TRUST_LIST, &[&list]);
        let encoded = SignedTrustList { list, signature }.encode();
        if encoded.len() > TRUST_LIST_LENGTH_MAX {
            return Err(TrustListError::TooLarge);
        }
        Ok(Self { fields, encoded })
    }

    /// Reads a list and verifies that `signer` has signed it. Whether it is in force is for [`Self::check_successor`].
    ///
    /// # Errors
    /// [`TrustListError`]
    pub fn verify(encoded: &[u8], signer: &VerifyingKey) -> Result<Self, TrustListError> {
        let SignedTrustList { list, signature } = SignedTrustList::decode(encoded)?;
        verify_signature(signer, &list, &signature)?;
        let fields = TrustListFields::decode(&list)?;
        // One list has one encoding: what is compared and kept by its bytes is compared by what it says.
        if fields.encode() != list || (SignedTrustList { list, signature }).encode() != encoded {
            return Err(WireError::Bounds("trust_list").into());
        }
        check(&fields)?;
        Ok(Self { fields, encoded: encoded.to_vec() })
    }

    /// Whether the list may take the place of the one that is followed, whose number and digest `known` has.
    ///
    /// # Errors
    /// [`TrustListError::Older`], [`TrustListError::Forked`], [`TrustListError::Expired`].
    pub fn check_successor(&self, known: Option<(u64, [u8; 32])>, now: u64) -> Result<(), TrustListError> {
        let found = self.fields.number;
        match known {
            Some((known, _)) if found < known => return Err(TrustListError::Older { found, known }),
            Some((known, digest)) if found == known && digest != self.digest() => {
                return Err(TrustListError::Forked(found));
            }
            _ => {}
        }
        if self.is_over(now) { Err(TrustListError::Expired) } else { Ok(()) }
    }

    /// Whether the list has run out.
    #[must_use]
    pub const fn is_over(&self, now: u64) -> bool {
        now >= self.fields.expires
    }

    /// What it says.
    #[must_use]
    pub const fn fields(&self) -> &TrustListFields {
        &self.fields
    }

    /// A domain of the list.
    #[must_use]
    pub fn domain(&self, domain: &str) -> Option<&TrustedDomain> {
        let at = self.fields.domains.binary_search_by(|one| one.domain.as_str().cmp(domain));
        at.ok().and_then(|at| self.fields.domains.get(at))
    }

    /// The list as it travels, and as it is in a file.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What tells it from another list of the same number.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        crate::crypto::hash::labelled_sha256(label::TRUST_LIST_DIGEST, &[&self.encoded])
    }
}

/// Whether the text can name a host: what a name or a network address is made of, in lower case.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let of_a_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:".contains(&byte);
    !text.is_empty()
        && text.len() <= ADDRESS_DOMAIN_LENGTH_MAX
        && text.bytes().all(of_a_host)
        && (!text.contains(':') || text.parse::<core::net::Ipv6Addr>().is_ok())
}

fn verify_signature(signer: &VerifyingKey, list: &[u8], signature: &Signature) -> Result<(), TrustListError> {
    signer.verify(label::TRUST_LIST, &[list], signature).map_err(|_| TrustListError::Signature)
}

fn check(fields: &TrustListFields) -> Result<(), TrustListError> {
    if fields.number == 0 {
        return Err(TrustListError::Number);
    }
    let lasts = fields.expires.checked_sub(fields.issued);
    if !lasts.is_some_and(|lasts| (1..=TRUST_LIST_DURATION_MAX_MS).contains(&lasts)) {
        return Err(TrustListError::Period);
    }
    if !fields.domains.windows(2).all(|pair| pair[0].domain < pair[1].domain) {
        return Err(TrustListError::Order);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vectors::{check as check_vectors, hex, secret};

    const ISSUED: u64 = 1_790_000_000_000;
    const DAY: u64 = 86_400_000;

    fn signer() -> SigningKey {
        SigningKey::from_secret(&secret(1))
    }

    fn domain(name: &str, seed: u8) -> TrustedDomain {
        let server_key = SigningKey::from_secret(&secret(seed)).verifying_key();
        TrustedDomain { domain: name.into(), host: format!("mail.{name}"), port: 4433, server_key, spki_pins: vec![] }
    }

    fn fields() -> TrustListFields {
        let pinned =
            TrustedDomain { host: "2001:db8::7".into(), spki_pins: vec![[7; 32]], ..domain("lake.example", 3) };
        let domains = vec![domain("clinic.example", 2), pinned];
        TrustListFields { number: 5, issued: ISSUED, expires: ISSUED + 30 * DAY, domains }
    }

    fn list() -> TrustList {
        TrustList::sign(fields(), &signer()).unwrap()
    }

    #[test]
    fn a_list_comes_back_under_its_signer_alone() {
        let list = list();
        assert_eq!(TrustList::verify(list.encoded(), &signer().verifying_key()), Ok(list.clone()));
        let other = SigningKey::from_secret(&secret(9)).verifying_key();
        assert_eq!(TrustList::verify(list.encoded(), &other), Err(TrustListError::Signature));
        assert_eq!(list.domain("lake.example").unwrap().endpoint(), "[2001:db8::7]:4433");
        assert_eq!(list.domain("clinic.example").unwrap().endpoint(), "mail.clinic.example:4433");
        assert_eq!(list.domain("sea.example"), None);
    }

    #[test]
    fn no_byte_can_be_altered_cut_or_added() {
        let encoded = list().encoded().to_vec();
        let verify = |bytes: &[u8]| TrustList::verify(bytes, &signer().verifying_key());
        for at in 0..encoded.len() {
            let mut altered = encoded.clone();
            altered[at] ^= 1;
            assert!(verify(&altered).is_err(), "byte {at}");
            assert!(verify(&encoded[..at]).is_err(), "cut at {at}");
        }
        // An unknown field, which a lenient reader would pass over.
        assert!(verify(&[&encoded[..], &[0x18, 1]].concat()).is_err());
    }

    #[test]
    fn what_breaks_a_rule_is_neither_signed_nor_taken() {
        let change = |change: fn(&mut TrustListFields)| {
            let mut fields = fields();
            change(&mut fields);
            fields
        };
        let cases = [
            (change(|list| list.number = 0), TrustListError::Number),
            (change(|list| list.expires = list.issued), TrustListError::Period),
            (change(|list| list.expires = list.issued + TRUST_LIST_DURATION_MAX_MS + 1), TrustListError::Period),
            (change(|list| list.domains[1].domain = "clinic.example".into()), TrustListError::Order),
            (change(|list| list.domains[0].domain = "Clinic.example".into()), WireError::Bounds("domain").into()),
            (change(|list| list.domains[0].host = "a host".into()), WireError::Bounds("host").into()),
            (change(|list| list.domains[0].host = "a:b".into()), WireError::Bounds("host").into()),
            (change(|list| list.domains[0].port = 0), WireError::Bounds("port").into()),
            (change(|list| list.domains[0].spki_pins = vec![[0; 32]; 5]), WireError::Bounds("spki_pins").into()),
        ];
        for (fields, error) in cases {
            assert_eq!(TrustList::sign(fields.clone(), &signer()), Err(error.clone()));
            // Nor from a signer who does not look.
            let list = fields.encode();
            let signature = signer().sign(label::TRUST_LIST, &[&list]);
            let encoded = SignedTrustList { list, signature }.encode();
            assert_eq!(TrustList::verify(&encoded, &signer().verifying_key()), Err(error));
        }
        let mut backwards = fields();
        backwards.domains.reverse();
        assert_eq!(TrustList::sign(backwards.clone(), &signer()).unwrap(), list(), "they are put in order");
        let bytes = backwards.encode();
        let signature = signer().sign(label::TRUST_LIST, &[&bytes]);
        let encoded = SignedTrustList { list: bytes, signature }.encode();
        assert_eq!(TrustList::verify(&encoded, &signer().verifying_key()), Err(TrustListError::Order));
    }

    #[test]
    fn an_older_a_forked_and_an_expired_list_take_no_place() {
        let (list, now) = (list(), ISSUED + DAY);
        assert_eq!(list.check_successor(None, now), Ok(()));
        assert_eq!(list.check_successor(Some((4, [0; 32])), now), Ok(()));
        assert_eq!(list.check_successor(Some((5, list.digest())), now), Ok(()));
        assert_eq!(list.check_successor(Some((5, [0; 32])), now), Err(TrustListError::Forked(5)));
        let older = TrustListError::Older { found: 5, known: 6 };
        assert_eq!(list.check_successor(Some((6, [0; 32])), now), Err(older));
        assert_eq!(list.check_successor(None, ISSUED + 30 * DAY - 1), Ok(()));
        assert_eq!(list.check_successor(None, ISSUED + 30 * DAY), Err(TrustListError::Expired));
    }

    #[test]
    fn the_largest_list_can_be_carried() {
        let number = u32::try_from(TRUST_LIST_DOMAINS_MAX).unwrap();
        let one = |index: u32| domain(&format!("hospital-of-the-{index:08}.example"), 2);
        let domains = (0..number).map(one).collect();
        let list = TrustList::sign(TrustListFields { domains, ..fields() }, &signer()).unwrap();
        assert!(TrustList::verify(list.encoded(), &signer().verifying_key()).is_ok());
        let domains = (0..=number).map(one).collect();
        let refused = TrustList::sign(TrustListFields { domains, ..fields() }, &signer());
        assert_eq!(refused, Err(WireError::Bounds("domains").into()));
    }

    #[test]
    fn trust_list_vectors() {
        let list = list();
        check_vectors(
            "trust_list",
            &json!({
                "about": "spec/federation.md: a list of two domains. Ed25519 keys are given as their 32-byte secrets.",
                "signer": { "secret": hex(signer().to_secret().as_bytes()), "public": hex(signer().verifying_key().as_bytes()) },
                "number": list.fields().number,
                "issued": list.fields().issued,
                "expires": list.fields().expires,
                "domains": list.fields().domains.iter().map(|one| json!({
                    "domain": one.domain,
                    "host": one.host,
                    "port": one.port,
                    "server_key": hex(one.server_key.as_bytes()),
                    "server_key_hash": hex(one.server_key_hash()),
                    "spki_pins": one.spki_pins.iter().map(hex).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "signed_bytes": hex(list.fields().encode()),
                "encoded": hex(list.encoded()),
                "digest": hex(list.digest()),
            }),
        );
    }
}
