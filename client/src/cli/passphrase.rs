//! The passphrase: from the environment, or typed without being shown.

use zeroize::Zeroizing;

use super::CommandError;

/// Where programs put it.
const VARIABLE: &str = "MEDIPEPS_PASSPHRASE";

/// Asks for the passphrase of an account that there is.
pub(super) fn ask() -> Result<Zeroizing<String>, CommandError> {
    match from_environment()? {
        Some(passphrase) => Ok(passphrase),
        None => prompt("Passphrase: "),
    }
}

/// Asks for the passphrase of a new account, twice.
pub(super) fn ask_new() -> Result<Zeroizing<String>, CommandError> {
    if let Some(passphrase) = from_environment()? {
        return Ok(passphrase);
    }
    eprintln!("Choose a passphrase. It protects everything in the account's folder and cannot be recovered.");
    let passphrase = prompt("Passphrase: ")?;
    if passphrase.is_empty() {
        return Err(CommandError::Use("the passphrase is empty".to_owned()));
    }
    if prompt("The same again: ")? != passphrase {
        return Err(CommandError::Failed("the two passphrases differ".to_owned()));
    }
    Ok(passphrase)
}

fn from_environment() -> Result<Option<Zeroizing<String>>, CommandError> {
    match std::env::var(VARIABLE) {
        Ok(passphrase) if passphrase.is_empty() => Err(CommandError::Use(format!("{VARIABLE} is empty"))),
        Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(CommandError::Use(format!("{VARIABLE} is not UTF-8"))),
    }
}

fn prompt(question: &str) -> Result<Zeroizing<String>, CommandError> {
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| {
        CommandError::Failed(format!("cannot ask for the passphrase ({error}); put it into {VARIABLE}"))
    })
}
