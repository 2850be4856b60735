//! `medipeps account create` and `recover`; the other commands of `account` are in `account_data` and `account_end`

use std::path::Path;

use clap::Subcommand;
use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use medipeps_core::wire::transport::ErrorCode;
use zeroize::Zeroizing;

use super::{CommandError, account_data, account_end, output, passphrase, recovery_key};
use crate::account_store::HandleError;
use crate::engine::{CreateAccount, Event};
use crate::shell::address::ServerAddress;
use crate::shell::agent::{Agent, AgentError, NetworkError, Recovered, Recovery};
use crate::shell::connection::{ConnectError, RequestError};
use crate::store::StoreError;
use crate::store::seal::Unlock;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account with an invitation; run again, it goes on where it was stopped
    Create(Create),
    /// Take an account over with its recovery key, if all its devices are lost or one was stolen; run again, it goes on
    Recover(Recover),
    /// Show which tenant the account belongs to, until when, and which services it has
    Licence(account_data::Licence),
    /// Write everything that the server has of the account, and everything readable on this device, into a folder
    Data(account_data::Data),
    /// Tell every contact who takes over, fetch what waits, and delete the account; run again, it goes on
    Leave(account_end::Leave),
    /// Delete the account: the server forgets its devices, keys and what waits for it; nobody is told
    Delete(account_end::Delete),
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Where the server is
    #[arg(long, value_name = "HOST:PORT")]
    server: ServerAddress,
    /// The invitation code that the server's operator gave you
    #[arg(long, value_name = "CODE")]
    invite: String,
    /// Your name, as recipients see it; the server does not learn it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The address; without it one is made of the name and the server's domain
    #[arg(long, value_name = "LOCAL@DOMAIN")]
    address: Option<Address>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Recover {
    /// The account
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// Where its server is
    #[arg(long, value_name = "HOST:PORT")]
    server: ServerAddress,
    /// The server's key as `account create` printed it; without it the server needs a certificate of a public authority
    #[arg(long, value_name = "HEX")]
    server_key: Option<String>,
    /// Your name, as recipients see it; without it the first part of the address
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Create(create) => run_create(home, create).await,
        Command::Recover(recover) => run_recover(home, recover).await,
        Command::Licence(arguments) => account_data::licence(home, &arguments).await,
        Command::Data(arguments) => account_data::data(home, &arguments).await,
        Command::Leave(arguments) => account_end::leave(home, &arguments).await,
        Command::Delete(arguments) => account_end::delete(home, &arguments).await,
    }
}

async fn run_create(home: &Path, create: Create) -> Result<(), CommandError> {
    let invitation: Invitation = create.invite.parse()?;
    let (mut agent, address) = prepare(home, &create, &invitation).await?;
    let recovery = recovery_words(&address, &create.server, Some(&invitation.server_key_hash));
    let command = CreateAccount {
        address: address.clone(),
        name: create.name.trim().to_owned(),
        server: create.server.to_string(),
        invitation,
    };
    let mut show = |event: &Event| {
        if let Event::AccountPrepared { recovery_key, .. } = event {
            print_recovery_key(recovery_key, &recovery);
        }
    };
    let made = agent.create_account(command, &mut show).await;
    agent.close().await;
    match made {
        Ok(()) => output::print(&format!("{address} is ready.\n")),
        Err(AgentError::Refused(code)) => Err(CommandError::Failed(refused(&address, &code))),
        Err(AgentError::Network(why)) => Err(CommandError::Failed(format!(
            "{address} is not registered yet: {why}\n  The keys are kept; run the same command again to go on."
        ))),
        Err(error) => Err(error.into()),
    }
}

async fn run_recover(home: &Path, recover: Recover) -> Result<(), CommandError> {
    let server_key_hash = recover.server_key.as_deref().map(server_key).transpose()?;
    let begun = open_begun(home)?;
    let recovery = Recovery {
        name: recover.name.unwrap_or_else(|| recover.address.local().to_owned()).trim().to_owned(),
        address: recover.address,
        server: recover.server,
        server_key_hash,
        recovery_key: recovery_key::ask()?,
    };
    let mut agent = match begun {
        Some(agent) => agent,
        None => {
            // A wrong key is told before anything is made.
            Agent::check_recovery(&recovery).await.map_err(not_recovered)?;
            Agent::create(home, &Unlock::Passphrase(passphrase::ask_new()?.as_bytes()))?
        }
    };
    let (address, server) = (recovery.address.clone(), recovery.server.clone());
    let mut show = |event: &Event| {
        if let Event::AccountPrepared { recovery_key, .. } = event {
            let words = recovery_words(&address, &server, server_key_hash.as_ref());
            print_recovery_key(recovery_key, &words);
        }
    };
    let recovered = agent.recover(&recovery, &mut show).await;
    agent.close().await;
    match recovered.map_err(not_recovered)? {
        Recovered::Done(None) => output::print(&format!(
            "{address} is yours again, with new keys; this is its only device. Your contacts are shown that the keys have \
             changed; compare safety numbers with them.\n"
        )),
        Recovered::Done(Some(error)) => Err(CommandError::Failed(format!(
            "{address} is yours again, but nobody can write to you yet: {error}\n  Run `sync` to go on."
        ))),
        Recovered::Refused(code) => Err(CommandError::Failed(match code.as_str() {
            "StatementVersion" => format!(
                "somebody else changes the devices of {address} all the time; run the same command again, or ask whoever runs the server"
            ),
            _ => format!("the server refused the recovery of {address} ({code}); run the same command again later"),
        })),
        Recovered::Unanswered(failure) => Err(CommandError::Failed(format!(
            "{address} is not recovered yet: {failure}\n  The keys are kept; run the same command again to go on."
        ))),
    }
}

/// What a person can do about a recovery that did not begin.
fn not_recovered(error: AgentError) -> CommandError {
    match &error {
        AgentError::Network(NetworkError::Request(RequestError::Refused(reply)))
            if reply.known_code() == Some(ErrorCode::UnknownAccount) =>
        {
            CommandError::Failed("the server does not have this account; check the address".to_owned())
        }
        AgentError::Network(NetworkError::Connect(ConnectError::Certificate(why))) => CommandError::Failed(format!(
            "the server's certificate is not trusted: {why}\n  Give the server's key: --server-key HEX, as `account create` printed it beside the recovery key."
        )),
        _ => error.into(),
    }
}

fn server_key(hex: &str) -> Result<[u8; 32], CommandError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
    let hash = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| CommandError::Use("--server-key takes 64 hexadecimal digits".to_owned()))
}

/// The command with which the recovery key is used.
fn recovery_words(address: &Address, server: &ServerAddress, server_key_hash: Option<&[u8; 32]>) -> String {
    let key = server_key_hash.map(|hash| format!(" --server-key {}", HEXLOWER.encode(hash)));
    format!("account recover {address} --server {server}{}", key.unwrap_or_default())
}

/// Opens the home, or makes it; and settles on an address, before anything is made.
async fn prepare(home: &Path, create: &Create, invitation: &Invitation) -> Result<(Agent, Address), CommandError> {
    if let Some(mut agent) = open_begun(home)? {
        let begun = agent.credentials()?.map(|credentials| credentials.address);
        let address = match (&create.address, begun) {
            (Some(address), _) => address.clone(),
            (None, Some(begun)) => begun,
            (None, None) => suggest(create, invitation).await?,
        };
        return Ok((agent, address));
    }
    let address = match &create.address {
        Some(address) => address.clone(),
        None => suggest(create, invitation).await?,
    };
    Ok((Agent::create(home, &Unlock::Passphrase(passphrase::ask_new()?.as_bytes()))?, address))
}

/// The account that is there already. A store whose making was interrupted before anything was in it is none.
fn open_begun(home: &Path) -> Result<Option<Agent>, CommandError> {
    if !Agent::exists(home) {
        return Ok(None);
    }
    match super::open(home) {
        Ok(agent) => Ok(Some(agent)),
        Err(CommandError::Agent(AgentError::Handle(HandleError::Store(StoreError::Missing)))) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn suggest(create: &Create, invitation: &Invitation) -> Result<Address, CommandError> {
    let domain = Agent::domain_of(&create.server.to_string(), invitation.server_key_hash).await?;
    let local = local_part(&create.name);
    format!("{local}@{domain}").parse().map_err(|_| {
        CommandError::Use(format!("no address can be made of this name; choose one with --address LOCAL@{domain}"))
    })
}

/// `Dr Élise O'Brien-Noël` becomes `dr.elise.obrien-noel`.
fn local_part(name: &str) -> String {
    let mut local = String::new();
    for letter in name.trim().chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' | '-' | '_' => local.push(letter),
            'à' | 'á' | 'â' | 'ã' | 'å' => local.push('a'),
            'ä' | 'æ' => local.push_str("ae"),
            'ç' => local.push('c'),
            'è' | 'é' | 'ê' | 'ë' => local.push('e'),
            'ì' | 'í' | 'î' | 'ï' => local.push('i'),
            'ñ' => local.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ø' => local.push('o'),
            'ö' | 'œ' => local.push_str("oe"),
            'ù' | 'ú' | 'û' => local.push('u'),
            'ü' => local.push_str("ue"),
            'ý' | 'ÿ' => local.push('y'),
            'ß' => local.push_str("ss"),
            ' ' | '.' | ',' if !local.is_empty() && !local.ends_with('.') => local.push('.'),
            _ => {}
        }
    }
    local.trim_end_matches('.').to_owned()
}

fn refused(address: &Address, code: &str) -> String {
    let advice = match code {
        "AddressTaken" => {
            "the address belongs to somebody else; choose another with --address and run the command again"
        }
        "WrongDomain" => {
            "the server keeps another domain; choose --address LOCAL@DOMAIN of its domain and run the command again"
        }
        "InvitationUnknown" => {
            "the server does not know the invitation; ask for a new one and run the command again with it"
        }
        "InvitationUsed" => "the invitation has been used; ask for a new one and run the command again with it",
        "InvitationBound" => "the invitation was made for another address; choose that one with --address",
        "SeatsExhausted" => {
            "all seats of the licence are taken; ask whoever invited you, and run the same command again"
        }
        "LicenceEnded" => "the licence of whoever invited you has ended; ask him, and run the same command again",
        "TenantSuspended" => "whoever invited you is suspended at this server; ask him, and run the same command again",
        "InvitationExpired" => "the invitation has run out; ask for a new one and run the command again with it",
        _ => "run the same command again later",
    };
    format!("the server refused {address} ({code}): {advice}")
}

/// Shown as soon as the keys are stored, before anything else can fail.
fn print_recovery_key(key: &Secret<32>, words: &str) {
    let encoded = Zeroizing::new(BASE32_NOPAD.encode(key.as_bytes()));
    let mut groups = Zeroizing::new(String::new());
    for (index, letter) in encoded.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            groups.push(if index % 28 == 0 { '\n' } else { ' ' });
            if index % 28 == 0 {
                groups.push_str("  ");
            }
        }
        groups.push(letter);
    }
    // Whether it can be shown or not, the account goes on; it is said again that it was shown once.
    let _ = output::print(&format!(
        "Recovery key, shown this once and kept nowhere:\n\n  {}\n\nWrite it down and lock it away, not on this machine. With it you can take the account over to new keys if all its\ndevices are lost; whoever finds it can do the same. Keep with it the command that takes it, on any machine:\n\n  medipeps --home NEW {words}\n\n",
        *groups
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_local_parts() {
        for (name, local) in [
            ("Dr Claire Martin", "dr.claire.martin"),
            ("Élise O'Brien-Noël", "elise.obrien-noel"),
            ("  M. Jürgen  Weiß ", "m.juergen.weiss"),
            ("王", ""),
        ] {
            assert_eq!(local_part(name), local);
        }
    }
}
