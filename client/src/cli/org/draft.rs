//! `medipeps org drafts`, `sign`, `publish`, `drop`

use std::io::BufRead;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::show::{certificate_lines, statement_lines};
use super::{Told, carry_out, id_text, key_text, read_file, short, write_file};
use crate::cli::{CommandError, output, time};
use crate::engine::{DraftSummary, OrganisationInput, OrganisationSummary};
use crate::shell::agent::Agent;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Sign {
    /// The beginning of its id, or a file
    #[arg(value_name = "DRAFT|FILE")]
    draft: String,
    /// Write it with your signature to a file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking
    #[arg(long)]
    yes: bool,
}

/// A draft, as JSON has it.
#[derive(Debug, Serialize)]
struct DraftJson {
    id: String,
    organisation: String,
    kind: &'static str,
    version: Option<u64>,
    address: Option<String>,
    role: Option<String>,
    ends_at: Option<String>,
    from: Option<String>,
    signed_by: Vec<String>,
    needed: u32,
    ready: bool,
    hindrance: Option<&'static str>,
    lines: Vec<String>,
}

pub(in crate::cli) fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let drafts = agent.organisation_drafts()?;
    if json {
        return output::print_json(&drafts.iter().map(json_of).collect::<Vec<_>>());
    }
    if drafts.is_empty() {
        return output::print("Nothing waits for signatures.\n");
    }
    let mut rows = vec![["DRAFT", "ORGANISATION", "WHAT", "SIGNED", "FROM"].map(str::to_owned).to_vec()];
    rows.extend(drafts.iter().map(|draft| {
        let signed = match draft.hindrance {
            Some(code) => code.to_owned(),
            None => format!("{} of {}", draft.signed.len(), draft.needed),
        };
        let from = draft.record.from.as_ref().map_or_else(|| "you".to_owned(), ToString::to_string);
        vec![short(&draft.id), short(&draft.record.organisation.0), what(draft), signed, from]
    }));
    output::print(&output::columns(&rows))
}

pub(in crate::cli) async fn sign(home: &Path, arguments: Sign) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let draft = take(&mut agent, &arguments.draft).await?;
        let organisations = agent.organisations()?;
        let organisation = organisations.iter().find(|one| one.record.id == draft.record.organisation);
        if !arguments.yes {
            output::print(&preview(&draft, organisation))?;
            eprintln!("Sign this? Type yes:");
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map_err(CommandError::file("standard input"))?;
            if line.trim() != "yes" {
                return Err(CommandError::Failed("nothing was signed".to_owned()));
            }
        }
        let told = carry_out(&mut agent, vec![OrganisationInput::Sign(draft.id)]).await?;
        tell(&mut agent, &told, arguments.out.as_deref())
    }
    .await;
    agent.close().await;
    result
}

pub(in crate::cli) async fn publish(home: &Path, typed: &str) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let draft = take(&mut agent, typed).await?;
        let told = carry_out(&mut agent, vec![OrganisationInput::Publish(draft.id)]).await?;
        told.say()?;
        output::print(&format!("Published: {}\n", what(&draft)))
    }
    .await;
    agent.close().await;
    result
}

pub(in crate::cli) async fn forget(home: &Path, typed: &str) -> Result<(), CommandError> {
    let mut agent = crate::cli::open(home)?;
    let result = async {
        let draft = find(typed, &agent.organisation_drafts()?)?;
        carry_out(&mut agent, vec![OrganisationInput::Drop(draft.id)]).await?.say()
    }
    .await;
    agent.close().await;
    result?;
    output::print("Done.\n")
}

/// Says what became of a draft that was made or signed, and writes it to a file.
pub(super) fn tell(agent: &mut Agent, told: &Told, out: Option<&Path>) -> Result<(), CommandError> {
    told.say()?;
    let (id, ..) = told.draft.ok_or_else(|| CommandError::Failed("the draft was not stored".to_owned()))?;
    let drafts = agent.organisation_drafts()?;
    let draft = drafts.iter().find(|draft| draft.id == id);
    let draft = draft.ok_or_else(|| CommandError::Failed("the draft was not stored".to_owned()))?;
    if let Some(path) = out {
        let bytes = draft.message().encode().map_err(|error| CommandError::Failed(error.to_string()))?;
        write_file(path, &bytes)?;
    }
    output::print(&format!("Draft {}: {} of {} signed\n", short(&id), draft.signed.len(), draft.needed))
}

/// The draft that a person names; one in a file is taken in first.
async fn take(agent: &mut Agent, typed: &str) -> Result<DraftSummary, CommandError> {
    let path = Path::new(typed);
    if !path.is_file() {
        return find(typed, &agent.organisation_drafts()?);
    }
    let told = carry_out(agent, vec![OrganisationInput::Take(read_file(path)?)]).await?;
    if let Some(code) = &told.refused {
        return Err(CommandError::Failed(format!("{}: what is in it is refused ({code})", path.display())));
    }
    let Some((id, ..)) = told.draft else {
        return Err(CommandError::Failed(format!("{} has nothing to sign in it", path.display())));
    };
    let found = agent.organisation_drafts()?.into_iter().find(|draft| draft.id == id);
    found.ok_or_else(|| CommandError::Failed("the draft was not stored".to_owned()))
}

fn find(typed: &str, drafts: &[DraftSummary]) -> Result<DraftSummary, CommandError> {
    let wanted = typed.trim().to_ascii_lowercase();
    let good = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = drafts.iter().filter(|draft| good && HEXLOWER.encode(&draft.id).starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(draft), None) => Ok(draft.clone()),
        (None, _) => {
            Err(CommandError::Failed(format!("there is no draft \"{}\"; `org drafts` shows all", output::line(typed))))
        }
        _ => Err(CommandError::Failed("more than one draft begins so; type more of the id".to_owned())),
    }
}

fn what(draft: &DraftSummary) -> String {
    match (&draft.statement, &draft.certificate) {
        (Some(statement), _) => format!("statement {} of {}", statement.version(), output::line(statement.name())),
        (_, Some(certificate)) => {
            let (_, ends) = certificate.period();
            let account = certificate.account();
            format!("{} as {} until {}", account.address, output::line(certificate.role()), time::short(ends))
        }
        _ => String::new(),
    }
}

/// What a person signs: of a statement all of it, with what differs from the present one marked.
fn preview(draft: &DraftSummary, organisation: Option<&OrganisationSummary>) -> String {
    let mut text = String::new();
    if let Some(statement) = &draft.statement {
        let now = organisation.map(|one| statement_lines(one.chain.current(), &one.record.administrators));
        let now = now.unwrap_or_default();
        for line in statement_lines(statement, &draft.record.administrators) {
            let mark = if now.is_empty() || now.contains(&line) { ' ' } else { '+' };
            text.push_str(&format!("{mark} {line}\n"));
        }
        let next = statement_lines(statement, &draft.record.administrators);
        for line in now.iter().filter(|line| !next.contains(line)) {
            text.push_str(&format!("- {line}\n"));
        }
        if statement.version() == 1 {
            text.push_str(&format!("  Id:            {}\n", draft.record.organisation.digits()));
        }
    }
    if let Some(certificate) = &draft.certificate {
        for line in certificate_lines(certificate) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if let Some(from) = &draft.record.from {
        text.push_str(&format!("  Sent by:       {from}\n"));
    }
    text
}

fn json_of(draft: &DraftSummary) -> DraftJson {
    let lines = match (&draft.statement, &draft.certificate) {
        (Some(statement), _) => statement_lines(statement, &draft.record.administrators),
        (_, Some(certificate)) => certificate_lines(certificate),
        _ => Vec::new(),
    };
    let certificate = draft.certificate.as_ref();
    DraftJson {
        id: HEXLOWER.encode(&draft.id),
        organisation: id_text(&draft.record.organisation),
        kind: if certificate.is_some() { "certificate" } else { "statement" },
        version: draft.statement.as_ref().map(medipeps_core::organisation::OrganisationStatement::version),
        address: certificate.map(|one| one.account().address.to_string()),
        role: certificate.map(|one| one.role().to_owned()),
        ends_at: certificate.map(|one| time::iso(one.period().1)),
        from: draft.record.from.as_ref().map(ToString::to_string),
        signed_by: draft.signed.iter().map(key_text).collect(),
        needed: draft.needed,
        ready: draft.is_ready(),
        hindrance: draft.hindrance,
        lines,
    }
}
