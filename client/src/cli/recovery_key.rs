//! The recovery key: from the environment, or typed without being shown.

use data_encoding::BASE32_NOPAD;
use medipeps_core::crypto::secret::Secret;
use zeroize::Zeroizing;

use super::CommandError;

/// Where programs put it.
const VARIABLE: &str = "MEDIPEPS_RECOVERY_KEY";

/// The same for an administrator's key, which is on paper in the same form.
const ADMINISTRATOR_VARIABLE: &str = "MEDIPEPS_ADMINISTRATOR_KEY";

/// Asks for the recovery key.
pub(super) fn ask() -> Result<Secret<32>, CommandError> {
    ask_for(VARIABLE, "recovery key")
}

/// Asks for the secret of an administrator's key.
pub(super) fn ask_administrator_key() -> Result<Secret<32>, CommandError> {
    ask_for(ADMINISTRATOR_VARIABLE, "administrator key")
}

fn ask_for(variable: &str, what: &str) -> Result<Secret<32>, CommandError> {
    let typed = match std::env::var(variable) {
        Ok(key) => Zeroizing::new(key),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(CommandError::Use(format!("{variable} is not UTF-8")));
        }
        Err(std::env::VarError::NotPresent) => {
            rpassword::prompt_password(format!("The {what}: ")).map(Zeroizing::new).map_err(|error| {
                CommandError::Failed(format!("cannot ask for the {what} ({error}); put it into {variable}"))
            })?
        }
    };
    parse(&typed).ok_or_else(|| CommandError::Use(format!("a {what} has 52 letters and digits 2 to 7, spaces aside")))
}

/// As it was printed, in any case and with any spaces.
fn parse(typed: &str) -> Option<Secret<32>> {
    let mut letters = Zeroizing::new(String::with_capacity(typed.len()));
    letters.extend(typed.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_uppercase()));
    let key = Zeroizing::new(BASE32_NOPAD.decode(letters.as_bytes()).ok()?);
    Secret::from_slice(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_printed_and_as_people_type_it() {
        let key = Secret::from([0xa5; 32]);
        let printed = BASE32_NOPAD.encode(key.as_bytes());
        let spaced: String = printed.chars().flat_map(|letter| [letter, ' ']).collect();
        for typed in [printed.clone(), spaced, format!("\n {} ", printed.to_lowercase())] {
            assert_eq!(parse(&typed), Some(key.clone()));
        }
        for typed in ["", &printed[1..], &format!("{printed}A"), &printed.replace('U', "1")] {
            assert_eq!(parse(typed), None);
        }
    }
}
