//! `medipeps org create`, `medipeps org propose`

use std::path::{Path, PathBuf};

use medipeps_core::Address;
use medipeps_core::organisation::{OrganisationPolicy, OrganisationService};

use super::{AdministratorArgument, carry_out, draft, find, policy_file, rota};
use crate::cli::CommandError;
use crate::engine::{CreateOrganisation, OrganisationInput, OrganisationSummary, ProposeStatement, StatementChange};

/// Seats of an organisation that says nothing about them.
const SEATS: u32 = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Create {
    /// What it is called
    #[arg(value_name = "NAME")]
    name: String,
    /// The organisation's own account; it never changes
    #[arg(long, value_name = "ADDRESS")]
    address: Address,
    /// How many administrators must sign
    #[arg(long, value_name = "K")]
    threshold: u32,
    /// Who administers it, as `org administrator new` prints it: ADDRESS=KEY, or KEY alone; may be repeated
    #[arg(long, value_name = "ADDRESS=KEY", required = true)]
    administrator: Vec<AdministratorArgument>,
    /// What is switched on for members; may be repeated; mail and chat without it
    #[arg(long, value_name = "SERVICE", value_parser = policy_file::service)]
    service: Vec<OrganisationService>,
    /// How many members there may be at a time
    #[arg(long, value_name = "COUNT", default_value_t = SEATS)]
    seats: u32,
    /// How many days members keep messages, at most
    #[arg(long, value_name = "DAYS")]
    retention: Option<u32>,
    /// Who gets reports
    #[arg(long, value_name = "ADDRESS")]
    officer: Option<Address>,
    /// Write the draft to a file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Propose {
    /// Its name, its address, or the beginning of its id
    #[arg(value_name = "ORGANISATION")]
    organisation: String,
    /// Call it otherwise
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// One more administrator: ADDRESS=KEY, or KEY alone; may be repeated
    #[arg(long, value_name = "ADDRESS=KEY")]
    add_administrator: Vec<AdministratorArgument>,
    /// One administrator less, by key or by address; may be repeated
    #[arg(long, value_name = "KEY|ADDRESS")]
    remove_administrator: Vec<String>,
    /// How many administrators must sign from then on
    #[arg(long, value_name = "K")]
    threshold: Option<u32>,
    /// All that is switched on; may be repeated
    #[arg(long, value_name = "SERVICE", value_parser = policy_file::service, conflicts_with = "no_service")]
    service: Vec<OrganisationService>,
    /// Switch everything off
    #[arg(long)]
    no_service: bool,
    /// How many members there may be at a time
    #[arg(long, value_name = "COUNT")]
    seats: Option<u32>,
    /// How many days members keep messages, at most; 0: no bound
    #[arg(long, value_name = "DAYS")]
    retention: Option<u32>,
    /// Who gets reports
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_officer")]
    officer: Option<Address>,
    /// Nobody gets reports
    #[arg(long)]
    no_officer: bool,
    /// Who is on call when, instead of what was there: CSV with from,until,function,addresses, or JSON
    #[arg(long, value_name = "FILE")]
    rota: Option<PathBuf>,
    /// Who may use emergency access: JSON with who, required, minutes, notified, group
    #[arg(long, value_name = "FILE", conflicts_with = "no_break_glass")]
    break_glass: Option<PathBuf>,
    /// Nobody may
    #[arg(long)]
    no_break_glass: bool,
    /// Certificates with lower serials do not hold any more
    #[arg(long, value_name = "SERIAL")]
    serials_from: Option<u64>,
    /// Write the draft to a file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(in crate::cli) async fn create(home: &Path, arguments: Create) -> Result<(), CommandError> {
    let Create { name, address, threshold, administrator, service, seats, retention, officer, out } = arguments;
    let services = match service.is_empty() {
        true => vec![OrganisationService::Mail, OrganisationService::Chat],
        false => service,
    };
    let policy = OrganisationPolicy {
        services: policy_file::services(services),
        seats,
        retention_days: retention.filter(|days| *days != 0),
        officer,
        ..OrganisationPolicy::default()
    };
    let administrators = administrator.into_iter().map(|one| (one.key, one.address)).collect();
    let command = CreateOrganisation { address, name, administrators, threshold, policy };
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let told = carry_out(&mut agent, vec![OrganisationInput::Create(Box::new(command))]).await?;
        draft::tell(&mut agent, &told, out.as_deref())
    }
    .await;
    agent.close().await;
    result
}

pub(in crate::cli) async fn propose(home: &Path, arguments: Propose) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let organisation = find(&arguments.organisation, &agent.organisations()?)?;
        let groups = if arguments.break_glass.is_some() { agent.groups()? } else { Vec::new() };
        let changes = changes(&arguments, &organisation, &groups)?;
        if changes.is_empty() {
            return Err(CommandError::Use("say what is to be changed; `org propose --help` lists it".to_owned()));
        }
        let command = ProposeStatement { organisation: organisation.record.id, changes };
        let told = carry_out(&mut agent, vec![OrganisationInput::Propose(Box::new(command))]).await?;
        draft::tell(&mut agent, &told, arguments.out.as_deref())
    }
    .await;
    agent.close().await;
    result
}

fn changes(
    arguments: &Propose,
    organisation: &OrganisationSummary,
    groups: &[crate::engine::GroupSummary],
) -> Result<Vec<StatementChange>, CommandError> {
    let mut changes = Vec::new();
    changes.extend(arguments.name.clone().map(StatementChange::Name));
    for one in &arguments.add_administrator {
        changes.push(StatementChange::AddAdministrator(one.key, one.address.clone()));
    }
    for typed in &arguments.remove_administrator {
        changes.push(StatementChange::RemoveAdministrator(administrator(typed, organisation)?));
    }
    changes.extend(arguments.threshold.map(StatementChange::Threshold));
    if arguments.no_service || !arguments.service.is_empty() {
        changes.push(StatementChange::Services(policy_file::services(arguments.service.clone())));
    }
    changes.extend(arguments.seats.map(StatementChange::Seats));
    changes.extend(arguments.retention.map(|days| StatementChange::Retention(Some(days).filter(|days| *days != 0))));
    if arguments.no_officer || arguments.officer.is_some() {
        changes.push(StatementChange::Officer(arguments.officer.clone()));
    }
    if let Some(path) = &arguments.rota {
        changes.push(StatementChange::OnCall(rota::read(path)?));
    }
    if let Some(path) = &arguments.break_glass {
        changes.push(StatementChange::BreakGlass(Some(policy_file::break_glass(path, groups)?)));
    }
    if arguments.no_break_glass {
        changes.push(StatementChange::BreakGlass(None));
    }
    changes.extend(arguments.serials_from.map(StatementChange::SerialsFrom));
    Ok(changes)
}

/// An administrator by key, or by the address at which he is reached.
fn administrator(
    typed: &str,
    organisation: &OrganisationSummary,
) -> Result<medipeps_core::crypto::signature::VerifyingKey, CommandError> {
    if !typed.contains('@') {
        return super::parse_key(typed).map_err(CommandError::Use);
    }
    let listed = organisation.chain.current().administrators();
    let at = |(key, address): &&(_, Address)| address.as_str() == typed.to_lowercase() && listed.contains(key);
    let mut found = organisation.record.administrators.iter().filter(at);
    match (found.next(), found.next()) {
        (Some((key, _)), None) => Ok(*key),
        _ => Err(CommandError::Failed(format!(
            "no administrator is known here by the address {}, or several are; `org show` lists their keys",
            crate::cli::output::line(typed)
        ))),
    }
}
