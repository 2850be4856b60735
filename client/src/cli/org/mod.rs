//! `medipeps org`: organisations, who administers and belongs to them, and what their policy says.

mod administrator;
mod break_glass;
mod certificate;
mod draft;
mod member;
mod policy_file;
mod propose;
mod rota;
mod show;
mod told;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::OrganisationId;

pub(super) use show::{CertifiedJson, certified_text, recipients_on_call};
pub(super) use told::Told;

use super::{CommandError, output};
use crate::engine::{Input, OrganisationInput, OrganisationSummary};
use crate::shell::agent::Agent;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keys with which you administer organisations
    #[command(subcommand)]
    Administrator(administrator::Command),
    /// Draft a new organisation; its administrators sign it
    Create(propose::Create),
    /// List organisations
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an organisation: its id to compare, its administrators, its policy
    Show {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draft a change of administrators or policy; administrators sign it
    Propose(Box<propose::Propose>),
    /// Draft a member's certificate; administrators sign it
    Certify(certificate::Certify),
    /// Draft the revocation of a member's certificates, or of one by its serial
    Revoke {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Whose, or which
        #[arg(value_name = "ADDRESS|SERIAL", required = true)]
        what: Vec<String>,
        /// Write the draft to a file as well
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Draft again the certificates that lack signatures since administrators changed
    SignAgain {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
    },
    /// List what waits for signatures
    Drafts {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign a draft
    Sign(draft::Sign),
    /// Make a draft hold that enough have signed, and tell those whom it concerns
    Publish {
        /// The beginning of its id, or a file
        #[arg(value_name = "DRAFT|FILE")]
        draft: String,
    },
    /// Throw a draft away, here alone
    Drop {
        /// The beginning of its id
        #[arg(value_name = "DRAFT")]
        draft: String,
    },
    /// Join an organisation that somebody has told of, after you have compared its id
    Join(member::Join),
    /// Forget an organisation, and your membership with it
    Leave {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
    },
    /// Show your certificate to somebody
    Present {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// To whom
        #[arg(value_name = "ADDRESS", required = true)]
        addresses: Vec<Address>,
    },
    /// Show your certificate to somebody and ask for his
    Ask {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Whom
        #[arg(value_name = "ADDRESS", required = true)]
        addresses: Vec<Address>,
    },
    /// List who belongs to it, as far as this device knows
    Members {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who is on call
    OnCall(show::OnCallArguments),
    /// Ask a colleague for newer statements, now
    Refresh {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
    },
    /// Decide which of two statements of one version is to be trusted
    Resolve {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Stay with the one that was here first
        #[arg(long, conflicts_with = "other", required_unless_present = "other")]
        keep: bool,
        /// Take the other one
        #[arg(long)]
        other: bool,
    },
    /// Write its statements and your certificate to a file, to be handed on
    Export {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in a file of `export`, `certify --out`, `propose --out` or `sign --out`
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Access in an emergency, beyond one's role
    #[command(subcommand)]
    BreakGlass(break_glass::Command),
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Administrator(command) => administrator::run(home, command).await,
        Command::Create(arguments) => propose::create(home, arguments).await,
        Command::List { json } => show::list(home, json),
        Command::Show { organisation, json } => show::show(home, &organisation, json),
        Command::Propose(arguments) => propose::propose(home, *arguments).await,
        Command::Certify(arguments) => certificate::certify(home, arguments).await,
        Command::Revoke { organisation, what, out } => certificate::revoke(home, &organisation, &what, out).await,
        Command::SignAgain { organisation } => certificate::sign_again(home, &organisation).await,
        Command::Drafts { json } => draft::list(home, json),
        Command::Sign(arguments) => draft::sign(home, arguments).await,
        Command::Publish { draft } => draft::publish(home, &draft).await,
        Command::Drop { draft } => draft::forget(home, &draft).await,
        Command::Join(arguments) => member::join(home, arguments).await,
        Command::Leave { organisation } => {
            about(home, &organisation, |one| OrganisationInput::Leave(one.record.id)).await
        }
        Command::Present { organisation, addresses } => member::present(home, &organisation, addresses, false).await,
        Command::Ask { organisation, addresses } => member::present(home, &organisation, addresses, true).await,
        Command::Members { organisation, json } => show::members(home, &organisation, json),
        Command::OnCall(arguments) => show::on_call(home, &arguments),
        Command::Refresh { organisation } => {
            about(home, &organisation, |one| OrganisationInput::Refresh(one.record.id)).await
        }
        Command::Resolve { organisation, other, .. } => {
            let resolve = |one: &OrganisationSummary| OrganisationInput::Resolve {
                organisation: one.record.id,
                take_other: other,
            };
            about(home, &organisation, resolve).await
        }
        Command::Export { organisation, out } => member::export(home, &organisation, &out),
        Command::Import { file } => member::import(home, &file).await,
        Command::BreakGlass(command) => break_glass::run(home, command).await,
    }
}

/// Does something about an organisation that a person names, and says what came of it.
async fn about(
    home: &Path,
    typed: &str,
    input: impl FnOnce(&OrganisationSummary) -> OrganisationInput,
) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = async {
        let organisation = find(typed, &agent.organisations()?)?;
        let told = carry_out(&mut agent, vec![input(&organisation)]).await?;
        told.say()
    }
    .await;
    agent.close().await;
    result?;
    output::print("Done.\n")
}

/// Handles inputs, sends what they lead to, and keeps what is to be said.
async fn carry_out(agent: &mut Agent, inputs: Vec<OrganisationInput>) -> Result<Told, CommandError> {
    let mut told = Told::default();
    for input in inputs {
        agent.run(Input::Organisation(input), &mut |event| told.hear(event)).await?;
    }
    if let Some(problem) = agent.send_due(&mut |event| told.hear(event)).await? {
        told.waits(problem);
    }
    Ok(told)
}

/// The organisation that a person means, by its name, its address, or the beginning of its id.
pub(super) fn find(typed: &str, organisations: &[OrganisationSummary]) -> Result<OrganisationSummary, CommandError> {
    let wanted = typed.trim();
    let statement = |one: &OrganisationSummary| {
        let current = one.chain.current();
        (current.name().to_owned(), current.address().to_string())
    };
    let named = |one: &&OrganisationSummary| {
        let (name, address) = statement(one);
        name == wanted || address == wanted.to_ascii_lowercase()
    };
    let hexadecimal = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begins =
        |one: &&OrganisationSummary| hexadecimal && id_text(&one.record.id).starts_with(&wanted.to_ascii_lowercase());
    let by_name: Vec<_> = organisations.iter().filter(named).collect();
    let by_id: Vec<_> = organisations.iter().filter(begins).collect();
    match (by_name.as_slice(), by_id.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        ([], []) => Err(CommandError::Failed(format!(
            "there is no organisation \"{}\"; `org list` shows all",
            output::line(wanted)
        ))),
        _ => Err(CommandError::Failed(format!(
            "more than one organisation is called \"{}\"; type its id (`org list`)",
            output::line(wanted)
        ))),
    }
}

/// An id, whole.
fn id_text(id: &OrganisationId) -> String {
    HEXLOWER.encode(&id.0)
}

/// The beginning of an id or a key, as lists show it.
fn short(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)[..8].to_owned()
}

fn key_text(key: &VerifyingKey) -> String {
    HEXLOWER.encode(key.as_bytes())
}

/// A public key of 64 hexadecimal digits.
fn parse_key(text: &str) -> Result<VerifyingKey, String> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().filter(|bytes| bytes.len() == 32);
    let bytes = bytes.ok_or("an administrator's key has 64 hexadecimal digits")?;
    VerifyingKey::from_slice(&bytes).map_err(|_| "these digits are no key".to_owned())
}

/// `ADDRESS=KEY` or `KEY`.
#[derive(Debug, Clone)]
struct AdministratorArgument {
    key: VerifyingKey,
    address: Option<Address>,
}

impl std::str::FromStr for AdministratorArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, key) = match text.rsplit_once('=') {
            Some((address, key)) => (Some(address.parse().map_err(|error| format!("{error}"))?), key),
            None => (None, text),
        };
        Ok(Self { key: parse_key(key)?, address })
    }
}

/// Bytes of a file that is about an organisation.
fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    use std::io::Read;

    let limit = medipeps_core::limits::ORGANISATION_MESSAGE_LENGTH_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(CommandError::file(path.display()))?;
    file.take(limit).read_to_end(&mut bytes).map_err(CommandError::file(path.display()))?;
    Ok(bytes)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    std::fs::write(path, bytes).map_err(CommandError::file(path.display()))
}
