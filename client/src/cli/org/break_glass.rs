//! `medipeps org break-glass`

use std::path::Path;

use clap::Subcommand;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{find, id_text};
use crate::cli::{CommandError, group_told, output, time};
use crate::engine::{BreakGlassInput, BreakGlassSummary, Input, OrganisationInput};
use crate::shell::agent::Agent;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Ask for access; it is written in the log of the group that the policy names
    Request {
        /// Its name, its address, or the beginning of its id
        #[arg(value_name = "ORGANISATION")]
        organisation: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// What is to be opened
        #[arg(long, value_name = "TEXT")]
        subject: String,
    },
    /// Agree to a request, if the policy names you
    Agree {
        /// The beginning of its id
        #[arg(value_name = "REQUEST")]
        request: String,
    },
    /// Use what enough have agreed to: it is written and told first, and open once both are done
    Open {
        /// The beginning of its id
        #[arg(value_name = "REQUEST")]
        request: String,
    },
    /// End your use before its time
    End {
        /// The beginning of its id
        #[arg(value_name = "REQUEST")]
        request: String,
    },
    /// List requests and uses
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A request, as JSON has it.
#[derive(Debug, Serialize)]
struct RequestJson {
    id: String,
    organisation: String,
    state: &'static str,
    requester: String,
    reason: String,
    subject: String,
    requested_at: String,
    agreed: Vec<String>,
    required: u32,
    from: Option<String>,
    until: Option<String>,
    ended_at: Option<String>,
}

pub(in crate::cli) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    if let Command::List { json } = command {
        return list(home, json);
    }
    let mut agent = crate::cli::open(home)?;
    let result = act(&mut agent, command).await;
    agent.close().await;
    result
}

async fn act(agent: &mut Agent, command: Command) -> Result<(), CommandError> {
    let mut requests = Vec::new();
    if !matches!(command, Command::Request { .. }) {
        // What others have said meanwhile comes first.
        agent.run(Input::Group(crate::engine::GroupInput::ReadAll), &mut |_| {}).await?;
        agent.send_due(&mut |_| {}).await?;
        requests = agent.break_glass()?;
    }
    let of = |typed: &str| {
        let wanted = typed.trim().to_ascii_lowercase();
        let good = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = requests.iter().filter(|one| good && HEXLOWER.encode(&one.record.request).starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok((one.record.organisation, one.record.request)),
            _ => Err(CommandError::Failed(format!(
                "there is no such request \"{}\", or several; `org break-glass list` shows all",
                output::line(typed)
            ))),
        }
    };
    let input = match &command {
        Command::Request { organisation, reason, subject } => BreakGlassInput::Request {
            organisation: find(organisation, &agent.organisations()?)?.record.id,
            reason: reason.clone(),
            subject: subject.clone(),
        },
        Command::Agree { request } => {
            let (organisation, request) = of(request)?;
            BreakGlassInput::Agree { organisation, request }
        }
        Command::Open { request } => {
            let (organisation, request) = of(request)?;
            BreakGlassInput::Open { organisation, request }
        }
        Command::End { request } => {
            let (organisation, request) = of(request)?;
            BreakGlassInput::End { organisation, request }
        }
        Command::List { .. } => return Ok(()),
    };
    let organisation = match &input {
        BreakGlassInput::Request { organisation, .. }
        | BreakGlassInput::Agree { organisation, .. }
        | BreakGlassInput::Open { organisation, .. }
        | BreakGlassInput::End { organisation, .. } => *organisation,
    };
    let mut told = super::Told::default();
    let mut groups = group_told::Told::default();
    agent
        .run(Input::Organisation(OrganisationInput::BreakGlass(input)), &mut |event| {
            told.hear(event);
            groups.hear(event);
        })
        .await?;
    let organisations = agent.organisations()?;
    let glass = organisations.iter().find(|one| one.record.id == organisation);
    let log = glass.and_then(|one| one.chain.current().policy().break_glass.as_ref().map(|glass| glass.log_id));
    if let Some(log) = log {
        let problem = agent
            .settle_group(&log, &mut |event| {
                told.hear(event);
                groups.hear(event);
            })
            .await?;
        if let Some(problem) = problem {
            told.waits(problem);
        }
    }
    told.say()?;
    groups.say();
    let all = agent.break_glass()?;
    let mine = all.iter().rev().find(|one| one.record.organisation == organisation);
    let mine = match &command {
        Command::Request { .. } => mine,
        Command::Agree { request } | Command::Open { request } | Command::End { request } => {
            let wanted = request.trim().to_ascii_lowercase();
            all.iter().find(|one| HEXLOWER.encode(&one.record.request).starts_with(&wanted))
        }
        Command::List { .. } => None,
    };
    match mine {
        Some(one) => output::print(&format!("{} {}\n", &HEXLOWER.encode(&one.record.request)[..8], one.state)),
        None => output::print("It waits until it is in the group's log; `sync` goes on with it.\n"),
    }
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let all = crate::cli::open(home)?.break_glass()?;
    if json {
        return output::print_json(&all.iter().map(json_of).collect::<Vec<_>>());
    }
    if all.is_empty() {
        return output::print("No emergency access was asked for.\n");
    }
    let mut rows = vec![["REQUEST", "STATE", "BY", "AGREED", "UNTIL", "WHAT", "WHY"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|one| {
        let record = &one.record;
        vec![
            HEXLOWER.encode(&record.request)[..8].to_owned(),
            one.state.to_owned(),
            record.requester.to_string(),
            format!("{} of {}", record.agreed.len(), one.required),
            record.used.map(|(_, until)| time::short(until)).unwrap_or_default(),
            output::cut(&output::line(&record.subject), 40),
            output::cut(&output::line(&record.reason), 40),
        ]
    }));
    output::print(&output::columns(&rows))
}

fn json_of(one: &BreakGlassSummary) -> RequestJson {
    let record = &one.record;
    RequestJson {
        id: HEXLOWER.encode(&record.request),
        organisation: id_text(&record.organisation),
        state: one.state,
        requester: record.requester.to_string(),
        reason: record.reason.clone(),
        subject: record.subject.clone(),
        requested_at: time::iso(record.requested),
        agreed: record.agreed.iter().map(ToString::to_string).collect(),
        required: one.required,
        from: record.used.map(|(from, _)| time::iso(from)),
        until: record.used.map(|(_, until)| time::iso(until)),
        ended_at: record.ended.map(time::iso),
    }
}
