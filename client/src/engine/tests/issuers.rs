//! What servers issue tokens with, and what they take: the real keys, with everything that was spent in memory.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::token::{DAY_MS, IssuerKeys, IssuerSecretKey, Prices, UnverifiedVoucher, Voucher, day_of};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Payment, Request, Response, Token};
use rand_core::SeedableRng;

use super::server::refuse;
use super::world::DOMAIN;
use crate::engine::{Connection, Outgoing, Send};

/// Tokens that a day's batch has.
pub(super) const BATCH: u32 = 40;
/// What requests cost.
const PRICES: Prices = Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 4, group_append_kib: 64 };
/// Tokens that a voucher is for.
pub(super) const VOUCHER: u32 = 10;

type Answer = Result<Response, ErrorReply>;

/// The servers that issue tokens, by domain. None: as servers were before.
#[derive(Default)]
pub(super) struct Issuers {
    pub(super) by_domain: BTreeMap<String, Issuer>,
}

/// One of them. It takes nothing that is not paid.
pub(super) struct Issuer {
    seed: u8,
    /// The keys that proved and redeeming connections are shown are of this seed: a server that marks its clients.
    pub(super) marking: Option<u8>,
    /// Of its store.
    pub(super) incarnation: [u8; 16],
    /// With the next redemption it has been restored.
    pub(super) restored_at_redemption: bool,
    /// What each token has paid for.
    pub(super) spent: BTreeMap<([u8; 32], [u8; 32]), Vec<u8>>,
    /// Over which connections batches were asked for.
    pub(super) drawn: Vec<Connection>,
    /// What the next payments are answered with.
    pub(super) refusals: Vec<ErrorCode>,
}

impl Issuer {
    pub(super) fn new(seed: u8) -> Self {
        let incarnation = [seed; 16];
        Self {
            seed,
            marking: None,
            incarnation,
            restored_at_redemption: false,
            spent: BTreeMap::new(),
            drawn: Vec::new(),
            refusals: Vec::new(),
        }
    }

    fn secret(&self, day: u32) -> IssuerSecretKey {
        let expires = (u64::from(day) + 2) * DAY_MS;
        IssuerSecretKey::derive(&Secret::from([self.seed.wrapping_add(day as u8); 32]), day, expires).unwrap()
    }

    fn keys(&self, domain: &str, seed: u8, now: u64) -> Vec<u8> {
        let of_seed = Self::new(seed);
        let day = day_of(now);
        let keys = IssuerKeys {
            domain: domain.to_owned(),
            keys: vec![of_seed.secret(day).public(), of_seed.secret(day - 1).public()],
            prices: PRICES,
            batch: BATCH,
            vouchers: 8,
            voucher_tokens: VOUCHER,
            required: true,
            incarnation: self.incarnation,
        };
        keys.sign(&SigningKey::from_secret(&Secret::from([1; 32])))
    }

    fn pay(&mut self, payment: &Payment, price: usize, purpose: Vec<u8>, now: u64) -> Result<(), ErrorReply> {
        if !self.refusals.is_empty() {
            return refuse(self.refusals.remove(0));
        }
        let tokens: &[Token] = match payment {
            Payment::Tokens(tokens) => tokens,
            Payment::None => &[],
        };
        if tokens.len() < price {
            return refuse(ErrorCode::PriceNotPaid);
        }
        for token in tokens {
            let days = [day_of(now), day_of(now) - 1].map(|day| self.secret(day));
            let Some(key) = days.iter().find(|key| key.id() == token.key_id) else {
                return refuse(ErrorCode::UnknownIssuerKey);
            };
            assert_eq!(key.verify(token), Ok(()));
            let known = self.spent.entry((token.key_id, token.nonce)).or_insert_with(|| purpose.clone());
            if *known != purpose {
                return refuse(ErrorCode::TokenSpent);
            }
        }
        Ok(())
    }
}

impl Issuers {
    /// The answer to what is about tokens; `None` if the server answers, paid or not to be paid.
    pub(super) fn answer(&mut self, outgoing: &Outgoing, now: u64) -> Option<Answer> {
        let domain = match &outgoing.connection {
            Connection::Anonymous(domain) | Connection::GroupLogs(domain) | Connection::Redemption(domain) => {
                domain.as_str()
            }
            Connection::Proved | Connection::OwnDevices | Connection::Linking => DOMAIN,
            Connection::Registration => return None,
        };
        let issuer = self.by_domain.get_mut(domain)?;
        let rng = &mut ChaCha20Rng::from_seed([9; 32]);
        let request = match &outgoing.send {
            Send::Request(request) => request,
            Send::RedeemVoucher { voucher_key, voucher, request } => {
                assert_eq!(outgoing.connection, Connection::Redemption(domain.to_owned()));
                let read = UnverifiedVoucher::decode(voucher).unwrap();
                let read = read.verify(&SigningKey::from_secret(&Secret::from([1; 32])).verifying_key()).unwrap();
                assert_eq!((read.home.as_str(), read.domain.as_str()), (DOMAIN, domain));
                assert_eq!(read.key, SigningKey::from_secret(voucher_key).verifying_key());
                issuer.drawn.push(outgoing.connection.clone());
                if std::mem::take(&mut issuer.restored_at_redemption) {
                    issuer.incarnation[0] ^= 0xff;
                }
                if read.incarnation != issuer.incarnation {
                    return Some(refuse(ErrorCode::WrongIncarnation));
                }
                return Some(Ok(Response::DrawTokens(issuer.secret(day_of(now)).evaluate(request, rng).unwrap())));
            }
            _ => return None,
        };
        let (payment, price, purpose) = match request {
            Request::FetchIssuerKeys => {
                let marked = issuer.marking.filter(|_| !matches!(outgoing.connection, Connection::Anonymous(_)));
                let keys = issuer.keys(domain, marked.unwrap_or(issuer.seed), now);
                return Some(Ok(Response::FetchIssuerKeys(keys)));
            }
            Request::DrawTokens(request) => {
                assert_eq!(outgoing.connection, Connection::Proved);
                issuer.drawn.push(Connection::Proved);
                return Some(Ok(Response::DrawTokens(issuer.secret(day_of(now)).evaluate(request, rng).unwrap())));
            }
            Request::DrawVoucher(draw) => {
                assert_eq!(outgoing.connection, Connection::Proved);
                let [home, domain] = [DOMAIN.to_owned(), draw.domain.clone()];
                let (day, incarnation) = (day_of(now), draw.incarnation);
                let voucher = Voucher { home, domain, day, key: draw.key, tokens: VOUCHER, incarnation };
                let signed = voucher.sign(&SigningKey::from_secret(&Secret::from([1; 32])));
                return Some(Ok(Response::DrawVoucher(signed)));
            }
            Request::Submit(submit) => (&submit.payment, 1, submit.id.to_vec()),
            Request::FetchPrekeys(fetch) => (&fetch.payment, 1, fetch.address.as_str().as_bytes().to_vec()),
            Request::BeginBlob(begin) if outgoing.connection == Connection::Linking => {
                (&begin.payment, PRICES.blob(begin.length) as usize, begin.id.to_vec())
            }
            _ => return None,
        };
        issuer.pay(payment, price, purpose, now).err().map(Err)
    }
}
