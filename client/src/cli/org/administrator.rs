//! `medipeps org administrator`

use std::path::Path;

use clap::Subcommand;
use data_encoding::BASE32_NOPAD;
use serde::Serialize;

use super::{key_text, parse_key};
use crate::cli::{CommandError, output, recovery_key, time};
use crate::engine::{Event, Input, OrganisationEvent, OrganisationInput};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Draw a key, and show its secret once, for paper
    New {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take in a key that is on paper: asked for, or in MEDIPEPS_ADMINISTRATOR_KEY
    Import,
    /// List the keys on this device
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a key from this device
    Forget {
        /// The key, 64 hexadecimal digits
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// A new key, as JSON has it.
#[derive(Debug, Serialize)]
struct NewJson {
    key: String,
    administrator: String,
    secret: String,
}

#[derive(Debug, Serialize)]
struct KeyJson {
    key: String,
    created_at: String,
}

pub(in crate::cli) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::New { json } => draw(home, json).await,
        Command::Import => {
            let secret = recovery_key::ask_administrator_key()?;
            let mut agent = crate::cli::open(home)?;
            let input = Input::Organisation(OrganisationInput::AddAdministratorKey(secret));
            let mut added = None;
            let result = agent
                .run(input, &mut |event| {
                    if let Event::Organisation { event: OrganisationEvent::KeyAdded { public }, .. } = event {
                        added = Some(*public);
                    }
                })
                .await;
            agent.close().await;
            result?;
            output::print(&format!("Key {}\n", added.map(|key| key_text(&key)).unwrap_or_default()))
        }
        Command::List { json } => list(home, json),
        Command::Forget { key } => {
            let key = parse_key(&key).map_err(CommandError::Use)?;
            let mut agent = crate::cli::open(home)?;
            let input = Input::Organisation(OrganisationInput::ForgetAdministratorKey(key));
            let result = agent.run(input, &mut |_| {}).await;
            agent.close().await;
            result?;
            output::print("Done.\n")
        }
    }
}

async fn draw(home: &Path, json: bool) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let mut drawn = None;
    let result = agent
        .run(Input::Organisation(OrganisationInput::NewAdministratorKey), &mut |event| {
            if let Event::Organisation { event: OrganisationEvent::KeyDrawn { public, secret }, .. } = event {
                drawn = Some((*public, secret.clone()));
            }
        })
        .await;
    let own = agent.credentials()?.map(|credentials| credentials.address);
    agent.close().await;
    result?;
    let (public, secret) = drawn.ok_or_else(|| CommandError::Failed("the key was not stored".to_owned()))?;
    let secret = zeroize::Zeroizing::new(BASE32_NOPAD.encode(secret.as_bytes()));
    let key = key_text(&public);
    let administrator = own.map(|own| format!("{own}={key}")).unwrap_or_else(|| key.clone());
    if json {
        return output::print_json(&NewJson { key, administrator, secret: secret.to_string() });
    }
    output::print(&format!(
        "Your key, for `org create --administrator`:\n  {administrator}\n\nIts secret, shown once and kept on this device alone. Write it down and \
         lock it away:\n  {}\n",
        *secret
    ))
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let keys = crate::cli::open(home)?.administrator_keys()?;
    if json {
        let keys = keys.iter().map(|key| KeyJson { key: key_text(&key.public), created_at: time::iso(key.created) });
        return output::print_json(&keys.collect::<Vec<_>>());
    }
    if keys.is_empty() {
        return output::print("No keys. `org administrator new` draws one.\n");
    }
    let mut rows = vec![["KEY", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| vec![key_text(&key.public), time::short(key.created)]));
    output::print(&output::columns(&rows))
}
