//! Keys that a person writes down and types again.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE32_NOPAD;
use medipeps_core::crypto::secret::Secret;
use zeroize::Zeroizing;

use crate::MedipepsError;

/// As a person writes it down: groups of four letters.
pub(crate) fn written(key: &Secret<32>) -> String {
    let encoded = Zeroizing::new(BASE32_NOPAD.encode(key.as_bytes()));
    let mut groups = String::with_capacity(encoded.len() * 5 / 4);
    for (index, letter) in encoded.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            groups.push(' ');
        }
        groups.push(letter);
    }
    groups
}

/// A recovery key that nobody has shown yet: it is drawn before the server is asked, and the call may fail then.
#[derive(Clone, Default)]
pub(crate) struct KeptKey(Arc<Mutex<Option<Zeroizing<String>>>>);

impl KeptKey {
    pub(crate) fn keep(&self, key: &Secret<32>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Zeroizing::new(written(key)));
    }

    /// For the person, once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(|key| key.to_string())
    }
}

/// As it was shown, in any case and with any spaces. `name`: of the argument.
pub(crate) fn typed(name: &str, text: &str) -> Result<Secret<32>, MedipepsError> {
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_uppercase()));
    let key = BASE32_NOPAD.decode(letters.as_bytes()).ok().map(Zeroizing::new);
    let secret = key.and_then(|key| Secret::from_slice(&key));
    secret.ok_or_else(|| MedipepsError::argument(name, "it has 52 letters and digits 2 to 7, spaces aside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_as_people_type_it() {
        let key = Secret::from([0xa5; 32]);
        let shown = written(&key);
        assert_eq!((shown.len(), shown.split(' ').count()), (64, 13));
        for text in [shown.clone(), shown.replace(' ', ""), format!("\n {} ", shown.to_lowercase())] {
            assert_eq!(typed("secret", &text), Ok(key.clone()));
        }
        for text in ["", &shown[1..], &format!("{shown}A"), &shown.replace('U', "1")] {
            assert!(matches!(typed("secret", text), Err(MedipepsError::Argument { .. })), "{text}");
        }
    }
}
