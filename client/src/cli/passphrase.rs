//! Passphrases: from the environment, or typed without being shown.

use zeroize::Zeroizing;

use super::CommandError;
use crate::limits::PASSPHRASE_LETTERS_MIN;

/// Which passphrase, and where programs put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// What opens the home.
    Home,
    /// What shall open the home from now on.
    NewHome,
    /// What opens a backup: a passphrase or a recovery code.
    Backup,
}

impl Which {
    const fn variable(self) -> &'static str {
        match self {
            Self::Home => "MEDIPEPS_PASSPHRASE",
            Self::NewHome => "MEDIPEPS_NEW_PASSPHRASE",
            Self::Backup => "MEDIPEPS_BACKUP_PASSPHRASE",
        }
    }

    const fn question(self) -> &'static str {
        match self {
            Self::Home => "Passphrase: ",
            Self::NewHome => "New passphrase: ",
            Self::Backup => "Passphrase or recovery code of the backup: ",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Home | Self::NewHome => {
                "Choose a passphrase. It protects everything in the account's folder and cannot be recovered."
            }
            Self::Backup => {
                "Choose a passphrase for the backup. Whoever has the file and the passphrase has the account; without the\npassphrase the file is of no use to anybody."
            }
        }
    }
}

/// Asks for the passphrase of an account that there is.
pub(super) fn ask() -> Result<Zeroizing<String>, CommandError> {
    ask_for(Which::Home)
}

/// Asks for the passphrase of a new account, twice.
pub(super) fn ask_new() -> Result<Zeroizing<String>, CommandError> {
    choose(Which::Home)
}

/// Asks for a passphrase that there is.
pub(super) fn ask_for(which: Which) -> Result<Zeroizing<String>, CommandError> {
    match from_environment(which)? {
        Some(passphrase) => Ok(passphrase),
        None => prompt(which, which.question()),
    }
}

/// Asks for a new passphrase, twice.
pub(super) fn choose(which: Which) -> Result<Zeroizing<String>, CommandError> {
    if let Some(passphrase) = from_environment(which)? {
        check(&passphrase)?;
        return Ok(passphrase);
    }
    eprintln!("{}", which.advice());
    let passphrase = prompt(which, "Passphrase: ")?;
    check(&passphrase)?;
    if prompt(which, "The same again: ")? != passphrase {
        return Err(CommandError::Failed("the two passphrases differ".to_owned()));
    }
    Ok(passphrase)
}

fn check(passphrase: &str) -> Result<(), CommandError> {
    if passphrase.chars().count() >= PASSPHRASE_LETTERS_MIN {
        return Ok(());
    }
    Err(CommandError::Use(format!(
        "the passphrase is too short: at least {PASSPHRASE_LETTERS_MIN} letters, better some words"
    )))
}

fn from_environment(which: Which) -> Result<Option<Zeroizing<String>>, CommandError> {
    let variable = which.variable();
    match std::env::var(variable) {
        Ok(passphrase) if passphrase.is_empty() => Err(CommandError::Use(format!("{variable} is empty"))),
        Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(CommandError::Use(format!("{variable} is not UTF-8"))),
    }
}

fn prompt(which: Which, question: &str) -> Result<Zeroizing<String>, CommandError> {
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| {
        let variable = which.variable();
        CommandError::Failed(format!("cannot ask for the passphrase ({error}); put it into {variable}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_of_a_few_letters_is_refused() {
        for (passphrase, good) in [("", false), ("1234567", false), ("éééééééé", true), ("four short words", true)]
        {
            assert_eq!(check(passphrase).is_ok(), good, "{passphrase}");
        }
    }
}
