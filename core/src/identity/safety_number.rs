//! The safety number that two people compare: 60 digits over both account keys.

use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::VerifyingKey;
use crate::label;

/// Iterations of the hash. An attacker who looks for a key with a matching number pays them for every try.
const ITERATIONS: usize = 5200;

/// Digits of a safety number.
const DIGITS: usize = 60;

/// Sixty digits in twelve groups of five, the same on both sides whoever asks.
#[must_use]
pub fn safety_number(one: (&Address, &VerifyingKey), other: (&Address, &VerifyingKey)) -> String {
    let mut halves = [half(one), half(other)];
    halves.sort();
    halves.join(" ")
}

/// Whether what a person typed is this safety number, however it is grouped; `None` if it has not sixty digits.
#[must_use]
pub fn is_safety_number(typed: &str, number: &str) -> Option<bool> {
    let digits = |text: &str| {
        let letters = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect::<String>();
        (letters.len() == DIGITS && letters.bytes().all(|byte| byte.is_ascii_digit())).then_some(letters)
    };
    Some(digits(typed)? == digits(number)?)
}

/// Thirty digits: six groups of five bytes of the hash, each modulo 100 000.
fn half((address, key): (&Address, &VerifyingKey)) -> String {
    let mut hash = [0; 32];
    for _ in 0..ITERATIONS {
        hash = labelled_sha256(label::SAFETY_NUMBER, &[&hash, key.as_bytes(), address.as_str().as_bytes()]);
    }
    let group = |chunk: &[u8]| {
        let number = chunk.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        format!("{:05}", number % 100_000)
    };
    hash[..30].chunks(5).map(group).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::test_rng::rng;

    #[test]
    fn both_sides_see_the_same_sixty_digits() {
        let keys = [1, 2].map(|seed| SigningKey::random(&mut rng(seed)).verifying_key());
        let addresses: [Address; 2] = ["a@clinic.example", "b@clinic.example"].map(|text| text.parse().unwrap());
        let number = safety_number((&addresses[0], &keys[0]), (&addresses[1], &keys[1]));
        assert_eq!(number, safety_number((&addresses[1], &keys[1]), (&addresses[0], &keys[0])));
        assert_eq!(number.chars().filter(char::is_ascii_digit).count(), 60);
        assert_eq!(number.split(' ').count(), 12);
        assert_ne!(number, safety_number((&addresses[1], &keys[0]), (&addresses[0], &keys[0])));
    }

    #[test]
    fn a_typed_number_is_compared_however_it_is_grouped() {
        let number = format!("{} 00007", ["12345"; 11].join(" "));
        assert_eq!(is_safety_number(&number, &number), Some(true));
        assert_eq!(is_safety_number(&number.replace(' ', ""), &number), Some(true));
        assert_eq!(is_safety_number(&number.replace(' ', "-\n"), &number), Some(true));
        assert_eq!(is_safety_number(&number.replace('7', "8"), &number), Some(false));
        assert_eq!(is_safety_number(&number[1..], &number), None);
        assert_eq!(is_safety_number(&number.replace('7', "x"), &number), None);
    }
}
