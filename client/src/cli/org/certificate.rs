//! `medipeps org certify`, `revoke`, `sign-again`

use std::path::{Path, PathBuf};

use medipeps_core::Address;

use super::{carry_out, draft, find};
use crate::cli::{CommandError, time};
use crate::engine::{Certify as CertifyMember, Input, OrganisationInput, ProposeStatement, StatementChange};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Certify {
    /// Its name, its address, or the beginning of its id
    #[arg(value_name = "ORGANISATION")]
    organisation: String,
    /// Who; another account is added as a contact where it is none
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// As what, for instance "nurse, cardiology"
    #[arg(long, value_name = "TEXT")]
    role: String,
    /// Until when, that moment not included: 2027-06-30, or 2027-06-30T18:00Z
    #[arg(long, value_name = "TIME")]
    until: String,
    /// From when; now without it
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Write the draft to a file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(in crate::cli) async fn certify(home: &Path, arguments: Certify) -> Result<(), CommandError> {
    let Certify { organisation, address, role, until, from, out } = arguments;
    let moment = |text: &str| {
        time::parse(text)
            .ok_or_else(|| CommandError::Use(format!("\"{text}\" is no time; write 2027-06-30, or 2027-06-30T18:00Z")))
    };
    let (ends, from) = (moment(&until)?, from.as_deref().map(moment).transpose()?);
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(&organisation, &agent.organisations()?)?.record.id;
        let own = agent.credentials()?.map(|credentials| credentials.address);
        let known = agent.contacts()?.iter().any(|contact| contact.address == address);
        if own.as_ref() != Some(&address) && !known {
            let add = Input::AddContact { address: address.clone(), accept_new_key: false };
            agent.run(add, &mut |_| {}).await?;
        }
        let command = CertifyMember { organisation, address, role, from, ends };
        let told = carry_out(&mut agent, vec![OrganisationInput::Certify(command)]).await?;
        draft::tell(&mut agent, &told, out.as_deref())
    }
    .await;
    agent.close().await;
    result
}

pub(in crate::cli) async fn revoke(
    home: &Path,
    organisation: &str,
    what: &[String],
    out: Option<PathBuf>,
) -> Result<(), CommandError> {
    let change = |typed: &String| match typed.parse::<u64>() {
        Ok(serial) => Ok(StatementChange::RevokeSerials(vec![serial])),
        Err(_) => match typed.parse::<Address>() {
            Ok(address) => Ok(StatementChange::RevokeAccount(address)),
            Err(error) => Err(CommandError::Use(format!("\"{typed}\" is neither a serial nor an address: {error}"))),
        },
    };
    let changes = what.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(organisation, &agent.organisations()?)?.record.id;
        let command = ProposeStatement { organisation, changes };
        let told = carry_out(&mut agent, vec![OrganisationInput::Propose(Box::new(command))]).await?;
        draft::tell(&mut agent, &told, out.as_deref())
    }
    .await;
    agent.close().await;
    result
}

pub(in crate::cli) async fn sign_again(home: &Path, organisation: &str) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(organisation, &agent.organisations()?)?.record.id;
        let told = carry_out(&mut agent, vec![OrganisationInput::SignAgain(organisation)]).await?;
        told.say()?;
        crate::cli::output::print(&format!("{} certificates are drafted again.\n", told.drafts.len()))
    }
    .await;
    agent.close().await;
    result
}
