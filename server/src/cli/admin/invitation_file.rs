//! Invitations out of a CSV file, and into another one with their codes.
//!
//! The codes are appended to `OUT.partial` batch by batch, and the file gets its name when it is whole; so an interrupted
//! command goes on where it was. At worst a batch of invitations was made whose codes nobody has; they run out unused.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use medipeps_core::Address;
use medipeps_core::invitation::Invitation;
use medipeps_core::limits::{INVITATIONS_AT_ONCE_MAX, NAME_LENGTH_MAX};
use medipeps_core::wire::control::{ControlInvite, ControlRequest, ControlResponse};
use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::cli::store::Orders;
use crate::config::Config;
use crate::limits::{INVITATION_LINES_MAX, INVITATION_MISTAKES_SHOWN};
use crate::service::DAY_MS;

/// A line of the file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    address: Address,
    organisation: Option<String>,
    days: u32,
}

/// A line as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedLine {
    address: String,
    organisation: String,
    valid_days: String,
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
struct MadeLine {
    address: String,
    organisation: String,
    valid_days: u32,
    code: String,
}

/// Reads and checks all lines; every mistake is named by its line.
pub(super) fn read(path: &Path, config: &Config) -> Result<Vec<Line>, Failure> {
    let failed = |error: csv::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    read_lines(file, &config.domain, config.retention.invitation_days)
        .map_err(|mistakes| Failure::Usage(format!("{}:\n  {}", path.display(), mistakes.join("\n  "))))
}

fn read_lines(input: impl io::Read, domain: &str, default_days: u32) -> Result<Vec<Line>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let (mut lines, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut typed = csv::StringRecord::new();
    let headers = reader.headers().cloned().map_err(|error| vec![error.to_string()])?;
    loop {
        if lines.len() >= INVITATION_LINES_MAX {
            mistakes.push(format!("there are more than {INVITATION_LINES_MAX} lines; cut the file"));
            break;
        }
        let at = match reader.read_record(&mut typed) {
            Ok(false) => break,
            Ok(true) => typed.position().map_or(0, csv::Position::line),
            Err(error) => {
                mistakes.push(error.to_string());
                break;
            }
        };
        let read = typed.deserialize(Some(&headers)).map_err(|error| error.to_string());
        match read.and_then(|typed| check(&typed, domain, default_days)) {
            Ok(line) if !seen.insert(line.address.clone()) => {
                mistakes.push(format!("line {at}: {} comes a second time", line.address));
            }
            Ok(line) => lines.push(line),
            Err(mistake) => mistakes.push(format!("line {at}: {mistake}")),
        }
    }
    if mistakes.is_empty() && lines.is_empty() {
        mistakes.push("there is no line".to_owned());
    }
    if mistakes.is_empty() {
        return Ok(lines);
    }
    if mistakes.len() > INVITATION_MISTAKES_SHOWN {
        let more = mistakes.len() - INVITATION_MISTAKES_SHOWN;
        mistakes.truncate(INVITATION_MISTAKES_SHOWN);
        mistakes.push(format!("and {more} more"));
    }
    Err(mistakes)
}

fn check(typed: &TypedLine, domain: &str, default_days: u32) -> Result<Line, String> {
    let address: Address =
        typed.address.parse().map_err(|error| format!("{:?} is no address: {error}", typed.address))?;
    if address.domain() != domain {
        return Err(format!("{address} is not of {domain}"));
    }
    if typed.organisation.len() > NAME_LENGTH_MAX {
        return Err(format!("an organisation has at most {NAME_LENGTH_MAX} bytes"));
    }
    let days = match typed.valid_days.as_str() {
        "" => Some(default_days),
        days => days.parse().ok().filter(|days| (1..=3650).contains(days)),
    };
    let organisation = Some(typed.organisation.clone()).filter(|name| !name.is_empty());
    Ok(Line { address, organisation, days: days.ok_or("valid_days takes 1 to 3650")? })
}

/// Makes an invitation for each line, and writes them with their codes.
pub(super) async fn invite_all(
    orders: &mut Orders<'_>,
    tenant: u64,
    lines: &[Line],
    out: &Path,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", out.display()));
    if out.exists() {
        return Err(Failure::Failed(format!("{} exists: these invitations have been made", out.display())));
    }
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut made = Made::open(&partial, lines).map_err(failed)?;
    let missing: Vec<&Line> = lines.iter().filter(|line| !made.codes.contains_key(&line.address)).collect();
    for batch in missing.chunks(INVITATIONS_AT_ONCE_MAX) {
        let invitations = batch.iter().map(|line| ControlInvite {
            organisation: line.organisation.clone(),
            valid: u64::from(line.days) * DAY_MS,
            tenant,
            address: Some(line.address.clone()),
        });
        let request = ControlRequest::InviteMany(invitations.collect());
        let ControlResponse::Invitations(codes) = orders.give(request).await? else {
            return Err(Failure::failed("the server answered something else"));
        };
        if codes.len() != batch.len() {
            return Err(Failure::failed("the server made another number of invitations"));
        }
        made.add(batch, codes).map_err(failed)?;
        if io::stderr().is_terminal() {
            eprint!("\r{} of {}", made.codes.len(), lines.len());
        }
    }
    if io::stderr().is_terminal() {
        eprintln!();
    }
    // Unlike a rename, this replaces nothing.
    fs::hard_link(&partial, out).map_err(failed)?;
    fs::remove_file(&partial).map_err(failed)
}

/// The file of what has been made.
struct Made {
    file: File,
    codes: HashMap<Address, String>,
}

impl Made {
    /// Opens the file, with what an interrupted command left in it. A torn last line is dropped.
    fn open(path: &Path, lines: &[Line]) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let wanted: HashMap<&Address, &Line> = lines.iter().map(|line| (&line.address, line)).collect();
        let mut codes = HashMap::new();
        let mut kept = Vec::new();
        for made in csv::Reader::from_reader(&file).deserialize::<MadeLine>().map_while(Result::ok) {
            let whole = made.code.parse::<Invitation>().is_ok();
            let line = made.address.parse::<Address>().ok().and_then(|address| wanted.get(&address).copied());
            match line {
                Some(line) if whole => {
                    codes.insert(line.address.clone(), made.code.clone());
                    kept.push(made);
                }
                None if whole => {
                    return Err(io::Error::other(format!("{} is of another list", path.display())));
                }
                _ => break,
            }
        }
        file.set_len(0)?;
        io::Seek::rewind(&mut file)?;
        write(&mut file, kept, true)?;
        Ok(Self { file, codes })
    }

    fn add(&mut self, batch: &[&Line], codes: Vec<String>) -> io::Result<()> {
        let rows = batch.iter().zip(&codes).map(|(line, code)| MadeLine {
            address: line.address.to_string(),
            organisation: line.organisation.clone().unwrap_or_default(),
            valid_days: line.days,
            code: code.clone(),
        });
        write(&mut self.file, rows.collect(), false)?;
        self.codes.extend(batch.iter().map(|line| line.address.clone()).zip(codes));
        Ok(())
    }
}

/// Appends rows, and the line of names before them, and waits for the disk.
fn write(file: &mut File, rows: Vec<MadeLine>, names: bool) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if names {
        writer.write_record(["address", "organisation", "valid_days", "code"])?;
    }
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    file.write_all(&bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<Line>, Vec<String>> {
        read_lines(text.as_bytes(), "clinic.example", 14)
    }

    #[test]
    fn lines_are_read_with_what_they_leave_out() {
        let read = lines(
            "address, organisation ,valid_days\nclaire@clinic.example,\"Ward, 3\",30\r\nkarim@clinic.example,,\n",
        );
        let expected = [("claire@clinic.example", Some("Ward, 3"), 30), ("karim@clinic.example", None, 14)];
        let expected = expected.map(|(address, organisation, days)| Line {
            address: address.parse().unwrap(),
            organisation: organisation.map(str::to_owned),
            days,
        });
        assert_eq!(read, Ok(expected.to_vec()));
    }

    #[test]
    fn every_mistake_is_named_by_its_line() {
        let mistakes = lines(
            "address,organisation,valid_days\nclaire@clinic.example,,0\nno address,,\nkarim@other.example,,\n\
             karim@clinic.example,,7\nkarim@clinic.example,,7\n",
        )
        .unwrap_err();
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        for (mistake, named) in mistakes.iter().zip(["line 2: valid", "line 3: \"no", "line 4: karim", "line 6: karim"])
        {
            assert!(mistake.starts_with(named), "{mistake}");
        }
        assert!(lines("address,org\nclaire@clinic.example,x\n").unwrap_err()[0].contains("line 2"));
        assert!(lines("address,organisation,valid_days\na@clinic.example,x\n").is_err(), "a field is missing");
        assert_eq!(lines("address,organisation,valid_days\n").unwrap_err(), ["there is no line"]);
        let many: String = (0..40).map(|line| format!("{line},,\n")).collect();
        let mistakes = lines(&format!("address,organisation,valid_days\n{many}")).unwrap_err();
        assert_eq!(mistakes.last().unwrap(), &format!("and {} more", 40 - INVITATION_MISTAKES_SHOWN));
    }

    #[test]
    fn what_an_interrupted_command_left_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.partial");
        let lines = lines("address,organisation,valid_days\na@clinic.example,,\nb@clinic.example,,\n").unwrap();
        let secret = medipeps_core::crypto::secret::Secret::<16>::zeroed();
        let code = Invitation { secret, server_key_hash: [1; 32] }.code();
        let mut made = Made::open(&path, &lines).unwrap();
        made.add(&[&lines[0]], vec![code.clone()]).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"b@clinic.example,,14,AB"].concat()).unwrap();
        let again = Made::open(&path, &lines).unwrap();
        assert_eq!(again.codes, HashMap::from([(lines[0].address.clone(), code)]));
        assert_eq!(fs::read(&path).unwrap(), whole, "the torn line is gone");
        assert!(Made::open(&path, &lines[1..]).is_err(), "the file is of another list");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}
