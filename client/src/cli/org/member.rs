//! `medipeps org join`, `present`, `ask`, `export`, `import`

use std::io::BufRead;
use std::path::Path;

use medipeps_core::Address;

use super::{carry_out, find, read_file, write_file};
use crate::cli::{CommandError, output};
use crate::engine::OrganisationInput;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Join {
    /// Its name, its address, or the beginning of its id
    #[arg(value_name = "ORGANISATION")]
    organisation: String,
    /// The thirty digits of its id, as its administrators have given them to you; you are asked to compare them without it
    #[arg(long, value_name = "DIGITS")]
    id: Option<String>,
}

pub(in crate::cli) async fn join(home: &Path, arguments: Join) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(&arguments.organisation, &agent.organisations()?)?;
        let digits = organisation.record.id.digits();
        let agreed = match &arguments.id {
            Some(typed) => organisation.record.id.has_digits(typed),
            None => {
                let current = organisation.chain.current();
                output::print(&format!(
                    "\"{}\" ({}) has the id\n  {digits}\n",
                    output::line(current.name()),
                    current.address()
                ))?;
                eprintln!("Has an administrator given you these digits, face to face or over the phone? Type yes:");
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).map_err(CommandError::file("standard input"))?;
                line.trim() == "yes"
            }
        };
        if !agreed {
            return Err(CommandError::Failed(
                "nothing was joined: the id is another one. Somebody may be posing as the organisation".to_owned(),
            ));
        }
        carry_out(&mut agent, vec![OrganisationInput::Join(organisation.record.id)]).await?.say()
    }
    .await;
    agent.close().await;
    result?;
    output::print("Joined.\n")
}

pub(in crate::cli) async fn present(
    home: &Path,
    organisation: &str,
    addresses: Vec<Address>,
    ask: bool,
) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(organisation, &agent.organisations()?)?.record.id;
        let present = |to| OrganisationInput::Present { organisation, to, ask };
        carry_out(&mut agent, addresses.into_iter().map(present).collect()).await?.say()
    }
    .await;
    agent.close().await;
    result?;
    output::print(if ask { "Shown, and asked; `sync` fetches the answer.\n" } else { "Shown.\n" })
}

pub(in crate::cli) fn export(home: &Path, organisation: &str, out: &Path) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let organisation = find(organisation, &agent.organisations()?)?;
    let statements = agent.organisation_statements(&organisation)?;
    let bytes = organisation.message(statements).encode().map_err(|error| CommandError::Failed(error.to_string()))?;
    write_file(out, &bytes)?;
    output::print(&format!("{} statements are in {}.\n", organisation.record.links.len(), out.display()))
}

pub(in crate::cli) async fn import(home: &Path, file: &Path) -> Result<(), CommandError> {
    let bytes = read_file(file)?;
    let mut agent = crate::cli::open(home)?;
    let result = carry_out(&mut agent, vec![OrganisationInput::Take(bytes)]).await;
    agent.close().await;
    let told = result?;
    told.say()?;
    match &told.refused {
        Some(code) => Err(CommandError::Failed(format!("{}: what is in it is refused ({code})", file.display()))),
        None => output::print("Done.\n"),
    }
}
