//! `medipeps org list`, `show`, `members`, `on-call`

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::{MemberCertificate, OrganisationStatement};
use medipeps_core::wire::client_records::OrganisationStanding;
use serde::Serialize;

use super::{find, id_text, key_text, short};
use crate::cli::{CommandError, output, time};
use crate::engine::{Certified, MemberStanding, OrganisationSummary, organisation_service_name};
use crate::shell::agent;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OnCallArguments {
    /// Its name, its address, or the beginning of its id
    #[arg(value_name = "ORGANISATION")]
    organisation: String,
    /// When; now without it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// For what, for instance "anaesthesia"; all without it
    #[arg(long, value_name = "FUNCTION")]
    function: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An organisation, as JSON has it.
#[derive(Debug, Serialize)]
struct OrganisationJson {
    id: String,
    digits: String,
    name: String,
    address: String,
    state: &'static str,
    offered_by: Option<String>,
    version: u64,
    issued_at: String,
    threshold: u32,
    administrators: Vec<AdministratorJson>,
    services: Vec<String>,
    seats: u32,
    retention_days: Option<u32>,
    officer: Option<String>,
    on_call: usize,
    break_glass: Option<BreakGlassJson>,
    revoked: Vec<u64>,
    serials_from: u64,
    own: StandingJson,
    fork: Option<ForkJson>,
}

#[derive(Debug, Serialize)]
struct AdministratorJson {
    key: String,
    address: Option<String>,
}

#[derive(Debug, Serialize)]
struct BreakGlassJson {
    who: Vec<String>,
    required: u32,
    minutes: u64,
    notified: Vec<String>,
    group: String,
}

#[derive(Debug, Serialize)]
struct ForkJson {
    version: u64,
    followed: Option<String>,
    other: String,
    lines: Vec<String>,
}

/// What somebody is in an organisation, as JSON has it.
#[derive(Debug, Serialize)]
struct StandingJson {
    state: &'static str,
    code: Option<&'static str>,
    role: Option<String>,
    ends_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct MemberJson {
    address: String,
    #[serde(flatten)]
    standing: StandingJson,
    serials: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct OnCallJson {
    function: String,
    addresses: Vec<String>,
    until: String,
}

/// What an organisation says of a sender or a contact, as JSON has it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct CertifiedJson {
    organisation: String,
    name: String,
    role: String,
    ends_at: String,
    service_off: bool,
}

impl From<&Certified> for CertifiedJson {
    fn from(certified: &Certified) -> Self {
        Self {
            organisation: id_text(&certified.organisation),
            name: certified.name.clone(),
            role: certified.role.clone(),
            ends_at: time::iso(certified.ends),
            service_off: certified.service_off,
        }
    }
}

pub(in crate::cli) fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let organisations = crate::cli::open(home)?.organisations()?;
    if json {
        return output::print_json(&organisations.iter().map(json_of).collect::<Vec<_>>());
    }
    if organisations.is_empty() {
        return output::print("No organisations. `org create` drafts one.\n");
    }
    let mut rows = vec![["ID", "NAME", "ADDRESS", "STATE", "YOU"].map(str::to_owned).to_vec()];
    rows.extend(organisations.iter().map(|one| {
        let current = one.chain.current();
        let (name, address) = (output::line(current.name()), current.address().to_string());
        vec![
            short(&one.record.id.0),
            name,
            address,
            state_name(one.record.standing).to_owned(),
            standing_text(&one.own),
        ]
    }));
    output::print(&output::columns(&rows))
}

pub(in crate::cli) fn show(home: &Path, typed: &str, json: bool) -> Result<(), CommandError> {
    let organisation = find(typed, &crate::cli::open(home)?.organisations()?)?;
    if json {
        return output::print_json(&json_of(&organisation));
    }
    let mut text = format!("Id:            {}\n", organisation.record.id.digits());
    text.push_str(&format!("               {}\n", id_text(&organisation.record.id)));
    text.push_str(&format!("State:         {}\n", state_name(organisation.record.standing)));
    for line in statement_lines(organisation.chain.current(), &organisation.record.administrators) {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&format!("You:           {}\n", standing_text(&organisation.own)));
    if let Some(fork) = &organisation.fork {
        text.push_str(&format!(
            "\nALARM: there is another statement of version {}, signed as well ({}). It says:\n",
            fork.other.version(),
            short(&fork.other.hash())
        ));
        for line in statement_lines(&fork.other, &organisation.record.administrators) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str("Ask the administrators by another way, then `org resolve --keep` or `--other`.\n");
    }
    output::print(&text)
}

pub(in crate::cli) fn members(home: &Path, typed: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let organisation = find(typed, &agent.organisations()?)?;
    let members = agent.organisation_members(&organisation)?;
    if json {
        let member = |one: &crate::engine::MemberSummary| MemberJson {
            address: one.address.to_string(),
            standing: standing_json(&one.standing),
            serials: one.serials.clone(),
        };
        return output::print_json(&members.iter().map(member).collect::<Vec<_>>());
    }
    if !organisation.is_trusted() {
        eprintln!("nothing of this organisation is trusted here ({})", state_name(organisation.record.standing));
    }
    let mut rows = vec![["ADDRESS", "WHAT", "SERIAL"].map(str::to_owned).to_vec()];
    rows.extend(members.iter().map(|member| {
        let serial = member.serials.last().map(u64::to_string).unwrap_or_default();
        vec![member.address.to_string(), standing_text(&member.standing), serial]
    }));
    output::print(&output::columns(&rows))
}

pub(in crate::cli) fn on_call(home: &Path, arguments: &OnCallArguments) -> Result<(), CommandError> {
    let at = match &arguments.at {
        None => agent::now().0,
        Some(text) => time::parse(text)
            .ok_or_else(|| CommandError::Use(format!("\"{text}\" is no time; write 2026-12-24T20:00Z")))?,
    };
    let organisation = find(&arguments.organisation, &crate::cli::open(home)?.organisations()?)?;
    let on_call = organisation.on_call(arguments.function.as_deref(), at);
    let on_call = on_call.map_err(|error| CommandError::Failed(error.to_string()))?;
    if arguments.json {
        let entry = |one: &crate::engine::OnCall| OnCallJson {
            function: one.function.clone(),
            addresses: one.addresses.iter().map(ToString::to_string).collect(),
            until: time::iso(one.until),
        };
        return output::print_json(&on_call.iter().map(entry).collect::<Vec<_>>());
    }
    if on_call.is_empty() {
        return output::print("Nobody is on call then.\n");
    }
    let mut rows = vec![["FUNCTION", "UNTIL", "WHO"].map(str::to_owned).to_vec()];
    rows.extend(on_call.iter().map(|one| {
        let who: Vec<_> = one.addresses.iter().map(Address::as_str).collect();
        vec![output::line(&one.function), time::short(one.until), who.join(", then ")]
    }));
    output::print(&output::columns(&rows))
}

/// Whom `on-call:FUNCTION@ORGANISATION` means now: everybody of the entries that cover the time, in the order in which they
/// are called.
pub(in crate::cli) fn recipients_on_call(
    typed: &str,
    organisations: &[OrganisationSummary],
) -> Result<Vec<Address>, CommandError> {
    let (function, organisation) = typed.split_once('@').ok_or_else(|| {
        CommandError::Use(format!("\"on-call:{typed}\" names no organisation; write on-call:FUNCTION@ORGANISATION"))
    })?;
    let organisation = find(organisation, organisations)?;
    let on_call = organisation.on_call(Some(function), agent::now().0);
    let on_call = on_call.map_err(|error| CommandError::Failed(error.to_string()))?;
    let mut addresses: Vec<Address> = Vec::new();
    for address in on_call.into_iter().flat_map(|one| one.addresses) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(CommandError::Failed(format!(
            "nobody is on call for \"{}\" now; `org on-call` shows who is for what",
            output::line(function)
        )));
    }
    Ok(addresses)
}

/// `nurse, Clinic of the Lake (certified until 2027-06-30)`.
pub(in crate::cli) fn certified_text(certified: &Certified) -> String {
    let (name, role) = (output::line(&certified.name), output::line(&certified.role));
    let until = time::iso(certified.ends)[..10].to_owned();
    let off = if certified.service_off { "; the organisation has switched mail off for its members" } else { "" };
    format!("{role}, {name} (certified until {until}{off})")
}

/// What a statement says, a line for each thing.
pub(super) fn statement_lines(statement: &OrganisationStatement, reached: &[(VerifyingKey, Address)]) -> Vec<String> {
    let policy = statement.policy();
    let mut lines = vec![
        format!("Name:          {}", output::line(statement.name())),
        format!("Address:       {}", statement.address()),
        format!("Statement:     {} of {}", statement.version(), time::short(statement.issued())),
        format!(
            "Signatures:    {} of {} administrators must sign",
            statement.threshold(),
            statement.administrators().len()
        ),
    ];
    for key in statement.administrators() {
        let at = reached.iter().find(|(known, _)| known == key).map(|(_, address)| format!(" ({address})"));
        lines.push(format!("Administrator: {}{}", key_text(key), at.unwrap_or_default()));
    }
    let services: Vec<_> = policy
        .services
        .iter()
        .map(|service| match service {
            medipeps_core::organisation::OrganisationService::Later(number) => number.to_string(),
            known => organisation_service_name(*known).to_owned(),
        })
        .collect();
    lines.push(format!(
        "Switched on:   {}",
        if services.is_empty() { "nothing".to_owned() } else { services.join(", ") }
    ));
    lines.push(format!("Seats:         {}", policy.seats));
    lines.push(match policy.retention_days {
        None => "Retention:     no bound".to_owned(),
        Some(days) => format!("Retention:     at most {days} days"),
    });
    if let Some(officer) = &policy.officer {
        lines.push(format!("Officer:       {officer}"));
    }
    if let Some(glass) = &policy.break_glass {
        let list = |addresses: &[Address]| addresses.iter().map(Address::as_str).collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "Emergencies:   {} of {} for {} minutes; told: {}; written in group {}",
            glass.required,
            list(&glass.who),
            glass.duration / 60_000,
            list(&glass.notified),
            short(&glass.log_id)
        ));
    }
    for entry in &policy.on_call {
        let who: Vec<_> = entry.addresses.iter().map(Address::as_str).collect();
        let (from, until) = (time::short(entry.from), time::short(entry.until));
        lines.push(format!("On call:       {from} to {until} {}: {}", output::line(&entry.function), who.join(", ")));
    }
    for serial in &policy.revoked {
        lines.push(format!("Revoked:       {serial}"));
    }
    if policy.serials_from > 0 {
        lines.push(format!("Revoked:       all below {}", policy.serials_from));
    }
    lines
}

/// What a certificate says, a line for each thing.
pub(super) fn certificate_lines(certificate: &MemberCertificate) -> Vec<String> {
    let ((from, until), account) = (certificate.period(), certificate.account());
    vec![
        format!("Member:        {}", account.address),
        format!("Account key:   {}", key_text(&account.account_key)),
        format!("Role:          {}", output::line(certificate.role())),
        format!("Holds:         {} to {}", time::short(from), time::short(until)),
        format!("Serial:        {}", certificate.serial()),
    ]
}

const fn state_name(standing: OrganisationStanding) -> &'static str {
    match standing {
        OrganisationStanding::Offered => "offered",
        OrganisationStanding::Joined => "joined",
        OrganisationStanding::Forked => "forked",
    }
}

fn standing_text(standing: &MemberStanding) -> String {
    match standing {
        MemberStanding::Unknown => "no certificate".to_owned(),
        MemberStanding::Certified(membership) => {
            format!("{} until {}", output::line(&membership.role), time::short(membership.ends))
        }
        MemberStanding::Lapsed { code, role, .. } => format!("{}: does not hold ({code})", output::line(role)),
    }
}

fn standing_json(standing: &MemberStanding) -> StandingJson {
    match standing {
        MemberStanding::Unknown => StandingJson { state: "unknown", code: None, role: None, ends_at: None },
        MemberStanding::Certified(membership) => StandingJson {
            state: "certified",
            code: None,
            role: Some(membership.role.clone()),
            ends_at: Some(time::iso(membership.ends)),
        },
        MemberStanding::Lapsed { code, role, ends } => StandingJson {
            state: "lapsed",
            code: Some(code),
            role: Some(role.clone()),
            ends_at: Some(time::iso(*ends)),
        },
    }
}

fn json_of(one: &OrganisationSummary) -> OrganisationJson {
    let (record, current) = (&one.record, one.chain.current());
    let policy = current.policy();
    let texts = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect();
    let administrator = |key: &VerifyingKey| AdministratorJson {
        key: key_text(key),
        address: record.administrators.iter().find(|(known, _)| known == key).map(|(_, address)| address.to_string()),
    };
    let service = |service: &medipeps_core::organisation::OrganisationService| match service {
        medipeps_core::organisation::OrganisationService::Later(number) => number.to_string(),
        known => organisation_service_name(*known).to_owned(),
    };
    OrganisationJson {
        id: id_text(&record.id),
        digits: record.id.digits(),
        name: current.name().to_owned(),
        address: current.address().to_string(),
        state: state_name(record.standing),
        offered_by: record.offered_by.as_ref().map(ToString::to_string),
        version: current.version(),
        issued_at: time::iso(current.issued()),
        threshold: current.threshold(),
        administrators: current.administrators().iter().map(administrator).collect(),
        services: policy.services.iter().map(service).collect(),
        seats: policy.seats,
        retention_days: policy.retention_days,
        officer: policy.officer.as_ref().map(ToString::to_string),
        on_call: policy.on_call.len(),
        break_glass: policy.break_glass.as_ref().map(|glass| BreakGlassJson {
            who: texts(&glass.who),
            required: glass.required,
            minutes: glass.duration / 60_000,
            notified: texts(&glass.notified),
            group: data_encoding::HEXLOWER.encode(&glass.log_id),
        }),
        revoked: policy.revoked.clone(),
        serials_from: policy.serials_from,
        own: standing_json(&one.own),
        fork: one.fork.as_ref().map(|fork| ForkJson {
            version: fork.other.version(),
            followed: fork.followed.map(|hash| data_encoding::HEXLOWER.encode(&hash)),
            other: data_encoding::HEXLOWER.encode(&fork.other.hash()),
            lines: statement_lines(&fork.other, &record.administrators),
        }),
    }
}
