//! A day's tokens are drawn from a home server, more for a voucher from another one, and spent:
//! `cargo run --package medipeps-core --example tokens`.

use std::collections::BTreeSet;
use std::error::Error;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::proof::Channel;
use medipeps_core::token::{
    DAY_MS, IssuerKeys, IssuerSecretKey, Prices, TokenBatch, UnverifiedVoucher, Voucher, day_of,
};
use medipeps_core::wire::transport::{RedeemVoucher, Transport};
use rand_core::SeedableRng;

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha20Rng::from_seed([7; 32]); // from the operating system, elsewhere than here
    let now_ms = 1_790_000_000_000;
    let today = day_of(now_ms);

    // A hospital's server draws the day's issuer key and signs a list, the same for everybody.
    let hospital_key = SigningKey::random(rng);
    let expires = (u64::from(today) + 2) * DAY_MS;
    let issuer = IssuerSecretKey::derive(&Secret::random(rng), today, expires)?;
    let list = IssuerKeys {
        domain: "hospital.example".into(),
        keys: vec![issuer.public()],
        prices: Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 4, group_append_kib: 64 },
        batch: 500,
        vouchers: 8,
        voucher_tokens: 100,
        required: true,
        incarnation: [9; 16],
    };
    let signed_list = list.sign(&hospital_key);

    // Claire's home is a clinic. Its server vouches for her, and learns for which server: she has drawn a key for the voucher.
    let clinic_key = SigningKey::random(rng);
    let voucher_key = SigningKey::random(rng);
    let voucher = Voucher {
        home: "clinic.example".into(),
        domain: "hospital.example".into(),
        day: today,
        key: voucher_key.verifying_key(),
        tokens: 100,
        incarnation: list.incarnation,
    };
    let signed_voucher = voucher.sign(&clinic_key);

    // At the hospital's server, over a connection that proves nothing, she reads the list and has a batch evaluated. She keeps the
    // seed until she has the tokens: with it she can ask for the same again.
    let list = IssuerKeys::verify(&signed_list, &hospital_key.verifying_key())?;
    let key = list.issuing().ok_or("no key issues")?;
    let batch = TokenBatch::blind(key, 100, Secret::random(rng))?;
    let (nonce, exporter) = ([1; 32], [2; 32]);
    let channel =
        Channel { nonce: &nonce, domain: "hospital.example", transport: Transport::Quic, exporter: Some(&exporter) };
    let asked = RedeemVoucher::sign(&voucher_key, &channel, signed_voucher, batch.request().clone());

    // The hospital trusts the clinic's key. It sees that somebody of the clinic draws, and not who.
    let unverified = UnverifiedVoucher::decode(&asked.voucher)?;
    assert_eq!(unverified.home(), "clinic.example");
    let verified = unverified.verify(&clinic_key.verifying_key())?;
    assert!(verified.domain == "hospital.example" && verified.is_good_at(now_ms));
    asked.verify(&verified, &channel)?;
    let answer = issuer.evaluate(&asked.request, rng)?;

    // The answer has one proof that the published key was used for every element.
    let tokens = batch.finalize(&answer)?;
    println!("{} tokens, good until {expires}", tokens.len());

    // Over another connection she pays. The server verifies each token and remembers it: it is good once.
    let mut spent = BTreeSet::new();
    for token in &tokens {
        assert!(list.takes(&token.key_id, now_ms));
        issuer.verify(token)?;
        assert!(spent.insert(token.nonce), "a token is spent twice");
    }
    assert!(!spent.insert(tokens[0].nonce), "the second time it is known");
    Ok(())
}
