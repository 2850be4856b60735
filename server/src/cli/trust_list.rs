//! `medipeps-server trust-list`: makes, signs, shows and verifies lists of trusted domains.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::limits::TRUST_LIST_LENGTH_MAX;
use medipeps_core::trust_list::{TrustList, TrustListFields, TrustedDomain};
use medipeps_core::wire::trust_list::SignedTrustList;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{ConfigArgument, Failure, print};
use crate::environment::{Environment, SystemEnvironment};
use crate::server_key::ServerKey;

/// Bytes of a description of a list: some hundred a domain.
const DESCRIPTION_LENGTH_MAX: u64 = 8 << 20;
const DAY_MS: u64 = 24 * 3600 * 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Draw a key that signs trust lists, and print its public part, which others pin
    NewKey {
        /// The new file; keep it off line
        #[arg(value_name = "FILE")]
        key: PathBuf,
    },
    /// Print this server's entry for a trust list, to hand to whoever signs it
    Entry {
        #[command(flatten)]
        config: ConfigArgument,
        /// Where clients of other domains reach this server
        #[arg(long, value_name = "HOST:PORT")]
        server: String,
    },
    /// Sign a list
    Sign(Sign),
    /// Print what a list says; its signature is not looked at
    Show {
        /// The list
        #[arg(value_name = "FILE")]
        list: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Verify a list's signature, its rules and that it has not run out
    Verify {
        /// The list
        #[arg(value_name = "FILE")]
        list: PathBuf,
        /// The public key of whoever must have signed it
        #[arg(long, value_name = "KEY", value_parser = public_key)]
        signer: VerifyingKey,
    },
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The domains: a TOML file of `[[domain]]` entries, as `trust-list entry` prints them
    #[arg(value_name = "FILE")]
    domains: PathBuf,
    /// The key, as `trust-list new-key` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The list's number, higher than that of every list before
    #[arg(long, value_name = "N")]
    number: u64,
    /// For how many days the list is in force; mail between domains stops when no newer one has come by then
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u32,
    /// The new file
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// A description of a list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(default)]
    domain: Vec<Entry>,
}

/// A domain in a description.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    host: String,
    port: u16,
    server_key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spki_pins: Vec<String>,
}

/// A list, as JSON has it.
#[derive(Debug, Serialize)]
struct ListJson<'a> {
    number: u64,
    issued: u64,
    expires: u64,
    domains: &'a [Entry],
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::NewKey { key } => new_key(&key),
        Command::Entry { config, server } => entry(&config, &server),
        Command::Sign(arguments) => sign(&arguments),
        Command::Show { list, json } => show(&list, json),
        Command::Verify { list, signer } => verify(&list, &signer),
    }
}

fn new_key(path: &Path) -> Result<(), Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemEnvironment.fill_random(&mut *seed).map_err(Failure::failed)?;
    let public = SigningKey::from_secret(&Secret::from(*seed)).verifying_key();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(&*seed).and_then(|()| file.sync_all()));
    written.map_err(|error| failed(path, error))?;
    print(&format!("{}\n", HEXLOWER.encode(public.as_bytes())))
}

fn entry(config: &ConfigArgument, server: &str) -> Result<(), Failure> {
    let config = config.load()?;
    let (host, port) = server.rsplit_once(':').ok_or_else(|| Failure::Usage("a server is HOST:PORT".to_owned()))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_ascii_lowercase();
    let port = port.parse().map_err(|_| Failure::Usage("a server is HOST:PORT".to_owned()))?;
    let key = ServerKey::load_or_create(&config.data_dir, &SystemEnvironment).map_err(Failure::failed)?;
    let server_key = HEXLOWER.encode(key.verifying_key().as_bytes());
    let domain = Entry { name: config.domain, host, port, server_key, spki_pins: Vec::new() };
    trusted(&domain)?;
    let text = toml::to_string(&Description { domain: vec![domain] }).map_err(Failure::failed)?;
    print(&text)
}

fn sign(arguments: &Sign) -> Result<(), Failure> {
    let Sign { domains, key, number, days, output } = arguments;
    let mut text = String::new();
    let read = File::open(domains).and_then(|file| file.take(DESCRIPTION_LENGTH_MAX).read_to_string(&mut text));
    read.map_err(|error| failed(domains, error))?;
    let description: Description = toml::from_str(&text).map_err(|error| failed(domains, error))?;
    let domains = description.domain.iter().map(trusted).collect::<Result<_, _>>()?;
    let seed = Zeroizing::new(fs::read(key).map_err(|error| failed(key, error))?);
    let seed = Secret::from_slice(&seed).ok_or_else(|| failed(key, "this is no key of `trust-list new-key`"))?;
    let issued = SystemEnvironment.now_ms();
    let expires = issued.saturating_add(u64::from(*days).saturating_mul(DAY_MS));
    let fields = TrustListFields { number: *number, issued, expires, domains };
    let list = TrustList::sign(fields, &SigningKey::from_secret(&seed)).map_err(Failure::failed)?;
    // Whoever reads it meanwhile sees the whole of the old one or of the new one.
    let temporary = output.with_extension("new");
    let written = fs::write(&temporary, list.encoded()).and_then(|()| fs::rename(&temporary, output));
    written.map_err(|error| failed(output, error))?;
    print(&format!("list {number}, {} domains, in force for {days} days\n", list.fields().domains.len()))
}

fn show(path: &Path, json: bool) -> Result<(), Failure> {
    let bytes = read_list(path)?;
    let signed = SignedTrustList::decode(&bytes).map_err(|error| failed(path, error))?;
    let list = TrustListFields::decode(&signed.list).map_err(|error| failed(path, error))?;
    let TrustListFields { number, issued, expires, domains } = list;
    let domain: Vec<_> = domains.iter().map(described).collect();
    if json {
        let shown = ListJson { number, issued, expires, domains: &domain };
        let text = serde_json::to_string_pretty(&shown).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    let date = |time: u64| httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(time));
    let text = toml::to_string(&Description { domain }).map_err(Failure::failed)?;
    print(&format!("# list {number}, issued {}, in force until {}\n{text}", date(issued), date(expires)))
}

fn verify(path: &Path, signer: &VerifyingKey) -> Result<(), Failure> {
    let list = TrustList::verify(&read_list(path)?, signer).map_err(|error| failed(path, error))?;
    list.check_successor(None, SystemEnvironment.now_ms()).map_err(|error| failed(path, error))?;
    print(&format!("list {}, {} domains: good\n", list.fields().number, list.fields().domains.len()))
}

fn read_list(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(TRUST_LIST_LENGTH_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| failed(path, error))?;
    Ok(bytes)
}

fn trusted(entry: &Entry) -> Result<TrustedDomain, Failure> {
    let wrong = |what: &str| Failure::Failed(format!("{}: {what}", entry.name));
    let pin = |text: &String| hash(text).ok_or_else(|| wrong("a pin is a SHA-256 hash, 64 hexadecimal digits"));
    let spki_pins = entry.spki_pins.iter().map(pin).collect::<Result<_, _>>()?;
    let server_key = public_key(&entry.server_key).map_err(|error| wrong(&error))?;
    let Entry { name, host, port, .. } = entry;
    Ok(TrustedDomain { domain: name.clone(), host: host.clone(), port: *port, server_key, spki_pins })
}

fn described(domain: &TrustedDomain) -> Entry {
    Entry {
        name: domain.domain.clone(),
        host: domain.host.clone(),
        port: domain.port,
        server_key: HEXLOWER.encode(domain.server_key.as_bytes()),
        spki_pins: domain.spki_pins.iter().map(|pin| HEXLOWER.encode(pin)).collect(),
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.trim().to_ascii_lowercase().as_bytes()).ok()?.try_into().ok()
}

fn public_key(text: &str) -> Result<VerifyingKey, String> {
    let bytes = hash(text).ok_or_else(|| "a key has 64 hexadecimal digits".to_owned())?;
    VerifyingKey::from_slice(&bytes).map_err(|_| "that is not a public key".to_owned())
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}
