//! `medipeps verify`

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::identity::{Verification, VerificationCode};
use serde::Serialize;

use super::contact::safety_number_lines;
use super::{CommandError, output, qr, time};
use crate::engine::{EngineError, Evidence};
use crate::shell::agent::AgentError;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which contact
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// The sixty digits that the contact sees for you; the contact is marked as verified if they are the same
    #[arg(long, value_name = "DIGITS", conflicts_with_all = ["code", "forget"])]
    number: Option<String>,
    /// The code that the contact's device shows, scanned
    #[arg(long, value_name = "medipeps-verify:...", conflicts_with = "forget")]
    code: Option<String>,
    /// Take the mark off
    #[arg(long)]
    forget: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["number", "code", "forget"])]
    json: bool,
}

/// What there is to compare, as JSON has it.
#[derive(Debug, Serialize)]
struct VerifyJson {
    address: String,
    safety_number: String,
    code: String,
    verified: bool,
    verified_at: Option<String>,
    key_changed: bool,
}

pub(super) async fn run(home: &Path, arguments: Arguments) -> Result<(), CommandError> {
    let Arguments { address, number, code, forget, json } = arguments;
    let evidence = match (number, code) {
        (Some(number), _) => Some(Evidence::Number(number)),
        (None, Some(code)) => Some(Evidence::Code(read(&code)?)),
        (None, None) => None,
    };
    let mut agent = super::open(home)?;
    if let Some(evidence) = evidence {
        let result = agent.verify_contact(&address, evidence).await?;
        return told(&address, result);
    }
    if forget {
        let marked = agent.forget_verification(&address).await?;
        let what = if marked { "is no longer marked as verified" } else { "was not marked as verified" };
        return output::print(&format!("{address} {what}.\n"));
    }
    let contacts = agent.contacts()?;
    let contact = contacts.iter().find(|contact| contact.address == address);
    let contact = contact.ok_or_else(|| AgentError::from(EngineError::UnknownContact(address.clone())))?;
    if json {
        return output::print_json(&VerifyJson {
            address: address.to_string(),
            safety_number: contact.safety_number.clone(),
            code: contact.verification_code.to_string(),
            verified: contact.verified.is_some(),
            verified_at: contact.verified.map(time::iso),
            key_changed: contact.key_changed,
        });
    }
    let state = match (contact.verified, contact.key_changed) {
        (_, true) => {
            format!("{address} has other keys now, which you have not accepted; these are about the former ones")
        }
        (Some(at), false) => format!("{address} was verified on {}", time::short(at)),
        (None, false) => format!("{address} is not verified"),
    };
    let code = contact.verification_code.to_string();
    output::print(&format!(
        "{state}.\n\nSafety number, the same for both of you:\n\n{}\nOr let {address} scan this:\n\n{}\n{code}\n\nIf {address} reads you the same digits, run `verify {address} --number \"DIGITS\"`; if you have scanned the code of\n{address}, `verify {address} --code CODE`.\n",
        safety_number_lines(&contact.safety_number),
        qr::draw(&code)?,
    ))
}

fn read(code: &str) -> Result<VerificationCode, CommandError> {
    code.parse().map_err(|error| CommandError::Use(format!("{error}")))
}

/// The same words for the same result, whatever the keys are.
fn told(address: &Address, result: Verification) -> Result<(), CommandError> {
    let advice = "Somebody may stand between you. Do not send anything\n  confidential; ask for the number once more by another way, and tell whoever runs the servers";
    match result {
        Verification::Match => output::print(&format!("The keys are the same. {address} is verified.\n")),
        Verification::OtherKey => Err(CommandError::Failed(format!(
            "THE KEYS DIFFER: what {address} sees is not what this device knows. {advice}"
        ))),
        Verification::OtherOwnKey => Err(CommandError::Failed(format!(
            "THE KEYS DIFFER: the device of {address} knows another key for you. {advice}"
        ))),
        Verification::NotMe => Err(CommandError::Failed(format!(
            "the code is not from {address} for you: it says nothing. Scan the one that {address} sees for your address"
        ))),
    }
}
