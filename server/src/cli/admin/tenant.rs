//! `medipeps-server admin tenant`

use std::str::FromStr;

use clap::{Args, Subcommand};
use medipeps_core::tenant::{Licence, SERVICES, Tenant, TenantTerms, TenantUsage};
use medipeps_core::wire::control::ControlRequest;
use serde::Serialize;

use super::date::{day_before, end_of_day};
use super::tenants::{done, list, named};
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};
use crate::environment::{Environment, SystemEnvironment};
use crate::service::DAY_MS;

/// Bytes of a megabyte, as in the configuration.
const MEGABYTE: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Add a tenant.
    Add(Terms),
    /// Print all tenants with what they take, one a line.
    List(List),
    /// Print one tenant.
    Show(Show),
    /// Change what was agreed; what is not given stays. The default tenant can be changed as well.
    Change(Change),
    /// Let nothing in or out of the tenant's accounts until `resume`; what waits in their queues stays.
    Suspend(Named),
    /// Take a suspended tenant up again.
    Resume(Named),
    /// Remove a tenant that has no accounts, with its invitations and its statements.
    Remove(Named),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Named {
    #[command(flatten)]
    config: ConfigArgument,
    /// The tenant.
    name: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Terms {
    #[command(flatten)]
    tenant: Named,
    #[command(flatten)]
    agreed: Agreed,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Change {
    #[command(flatten)]
    tenant: Named,
    /// Another name.
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    agreed: Agreed,
}

#[derive(Debug, Args)]
struct Agreed {
    /// What the licence is counted by: mailbox, structure, hospital-group, establishment or territory [default: structure].
    #[arg(long, value_name = "KIND", value_parser = licence)]
    licence: Option<Licence>,
    /// How many accounts there may be, or `none` for any number [default: none].
    #[arg(long, value_name = "N")]
    seats: Option<Bound>,
    /// Megabytes that may wait in the queues of the accounts together, or `none` for any number [default: none]. Attachments
    /// are not counted: the server does not know whose they are.
    #[arg(long, value_name = "N")]
    storage_mb: Option<Bound>,
    /// The last day of the licence, UTC, as 2026-12-31, or `none` for no end [default: none].
    #[arg(long, value_name = "DAY", value_parser = end)]
    ends: Option<End>,
    /// Days after the end on which everything goes on [default: 30].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=3650))]
    grace_days: Option<u32>,
    /// The services opted in, with commas between them, or `none`: see spec/tenants.md. Clients show what is opted in; the
    /// server enforces nothing that it cannot see.
    #[arg(long, value_name = "NAMES", value_parser = services)]
    services: Option<Services>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON: [{name, licence, standing, seats, seats_max, bytes, bytes_max, ends, grace_days, services, created_ms}].
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    tenant: Named,
    /// Print JSON, as one of `list`.
    #[arg(long)]
    json: bool,
}

/// A number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound(Option<u64>);

/// When a licence ends, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End(Option<u64>);

/// Services, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Services(Vec<String>);

/// A tenant as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    licence: &'static str,
    standing: &'static str,
    seats: u64,
    seats_max: Option<u64>,
    bytes: u64,
    bytes_max: Option<u64>,
    ends: Option<String>,
    grace_days: u64,
    services: Vec<String>,
    created_ms: u64,
}

pub(in crate::cli) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(terms) => add(terms).await,
        Command::List(arguments) => print_list(&arguments).await,
        Command::Show(arguments) => show(&arguments).await,
        Command::Change(arguments) => change(arguments).await,
        Command::Suspend(tenant) => suspend(&tenant, true).await,
        Command::Resume(tenant) => suspend(&tenant, false).await,
        Command::Remove(tenant) => remove(&tenant).await,
    }
}

async fn add(arguments: Terms) -> Result<(), Failure> {
    let config = arguments.tenant.config.load()?;
    let mut terms = TenantTerms { grace_ms: 30 * DAY_MS, ..TenantTerms::unbounded(&arguments.tenant.name) };
    arguments.agreed.apply(&mut terms);
    let request = ControlRequest::AddTenant(checked(Tenant { number: 0, created_ms: 0, terms })?);
    done(&mut Orders::new(&config), request).await
}

async fn print_list(arguments: &List) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let now_ms = SystemEnvironment.now_ms();
    let tenants = list(&mut Orders::new(&config)).await?;
    let shown: Vec<Shown> = tenants.into_iter().map(|(tenant, usage)| Shown::new(tenant, usage, now_ms)).collect();
    if arguments.json {
        return print_json(&shown);
    }
    let mut text = String::from("name, licence, standing, seats, bytes in queues, last day, services\n");
    shown.iter().for_each(|tenant| text.push_str(&tenant.line()));
    print(&text)
}

async fn show(arguments: &Show) -> Result<(), Failure> {
    let config = arguments.tenant.config.load()?;
    let (tenant, usage) = named(&mut Orders::new(&config), &arguments.tenant.name).await?;
    let shown = Shown::new(tenant, usage, SystemEnvironment.now_ms());
    if arguments.json { print_json(&shown) } else { print(&shown.line()) }
}

async fn change(arguments: Change) -> Result<(), Failure> {
    let config = arguments.tenant.config.load()?;
    let mut orders = Orders::new(&config);
    let (mut tenant, _) = named(&mut orders, &arguments.tenant.name).await?;
    arguments.agreed.apply(&mut tenant.terms);
    if let Some(name) = arguments.rename {
        tenant.terms.name = name;
    }
    done(&mut orders, ControlRequest::ChangeTenant(checked(tenant)?)).await
}

async fn suspend(arguments: &Named, suspended: bool) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let mut orders = Orders::new(&config);
    let (mut tenant, _) = named(&mut orders, &arguments.name).await?;
    tenant.terms.suspended = suspended;
    done(&mut orders, ControlRequest::ChangeTenant(tenant)).await
}

async fn remove(arguments: &Named) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let mut orders = Orders::new(&config);
    let (tenant, _) = named(&mut orders, &arguments.name).await?;
    done(&mut orders, ControlRequest::RemoveTenant { number: tenant.number }).await
}

/// Refuses terms that cannot be, before they are sent.
fn checked(tenant: Tenant) -> Result<Tenant, Failure> {
    tenant.terms.check().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(tenant)
}

pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    print(&format!("{json}\n"))
}

impl Agreed {
    fn apply(self, terms: &mut TenantTerms) {
        let Self { licence, seats, storage_mb, ends, grace_days, services } = self;
        terms.licence = licence.unwrap_or(terms.licence);
        if let Some(Bound(seats)) = seats {
            terms.seats = seats;
        }
        if let Some(Bound(megabytes)) = storage_mb {
            terms.storage_bytes = megabytes.map(|megabytes| megabytes.saturating_mul(MEGABYTE));
        }
        if let Some(End(ends)) = ends {
            terms.ends_ms = ends;
        }
        if let Some(days) = grace_days {
            terms.grace_ms = u64::from(days) * DAY_MS;
        }
        if let Some(Services(services)) = services {
            terms.services = services;
        }
    }
}

impl Shown {
    pub(super) fn new(tenant: Tenant, usage: TenantUsage, now_ms: u64) -> Self {
        let Tenant { created_ms, terms, .. } = tenant;
        Self {
            standing: terms.standing(now_ms).name(),
            name: terms.name,
            licence: terms.licence.name(),
            seats: usage.seats,
            seats_max: terms.seats,
            bytes: usage.bytes,
            bytes_max: terms.storage_bytes,
            ends: terms.ends_ms.map(day_before),
            grace_days: terms.grace_ms / DAY_MS,
            services: terms.services,
            created_ms,
        }
    }

    pub(super) fn line(&self) -> String {
        let of = |taken: u64, most: Option<u64>| most.map_or(taken.to_string(), |most| format!("{taken} of {most}"));
        let ends = self.ends.as_deref().unwrap_or("none");
        let services = if self.services.is_empty() { "none".to_owned() } else { self.services.join(" ") };
        let (seats, bytes) = (of(self.seats, self.seats_max), of(self.bytes, self.bytes_max));
        format!("{}, {}, {}, {seats}, {bytes}, {ends}, {services}\n", self.name, self.licence, self.standing)
    }
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|number| Self(Some(number))).map_err(|_| "give a number, or none")
    }
}

fn end(text: &str) -> Result<End, &'static str> {
    if text == "none" {
        return Ok(End(None));
    }
    end_of_day(text).map(|end| End(Some(end))).ok_or("give a day as 2026-12-31, or none")
}

fn licence(text: &str) -> Result<Licence, String> {
    let names = || Licence::ALL.map(Licence::name).join(", ");
    Licence::named(text).ok_or_else(|| format!("give one of {}", names()))
}

fn services(text: &str) -> Result<Services, String> {
    if text == "none" {
        return Ok(Services(Vec::new()));
    }
    let mut names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(unknown) = names.iter().find(|name| !SERVICES.contains(&name.as_str())) {
        return Err(format!("there is no service {unknown:?}; there are {}", SERVICES.join(", ")));
    }
    names.sort_unstable();
    names.dedup();
    Ok(Services(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_types_is_read() {
        assert_eq!("none".parse(), Ok(Bound(None)));
        assert_eq!("12".parse(), Ok(Bound(Some(12))));
        assert!("-1".parse::<Bound>().is_err() && "".parse::<Bound>().is_err());
        assert_eq!(end("none"), Ok(End(None)));
        assert_eq!(end("1970-01-02"), Ok(End(Some(2 * DAY_MS))));
        assert!(end("tomorrow").is_err());
        assert_eq!(licence("territory"), Ok(Licence::Territory));
        assert!(licence("planet").unwrap_err().contains("hospital-group"));
        assert_eq!(services("sms, mail,sms"), Ok(Services(vec!["mail".to_owned(), "sms".to_owned()])));
        assert!(services("fax").unwrap_err().contains("teleconsultation"));
    }
}
