//! The evidence: what the server keeps and logs is searched for what was written, and so, as a control, are the exports.

use std::fs;
use std::path::{Path, PathBuf};

use super::DemoError;
use super::mails::PATIENT;
use super::post::Sent;
use super::professional::{Draft, Professional};
use super::report::Progress;
use super::search::{Needle, Searcher};
use super::server::Server;
use super::unpack::{RawDeflate, unpack};

/// The search of what the server keeps.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    needles: Vec<Needle>,
    searcher: Searcher,
    /// Where each needle comes from.
    origins: Vec<Origin>,
    /// What was found, where and when.
    pub(super) finds: Vec<String>,
    /// How many bytes were searched.
    pub(super) bytes: usize,
}

/// Where a needle comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A mail, by its number.
    Mail(usize),
    /// Someone's name, by their number.
    NameOf(usize),
}

impl Evidence {
    /// Sets what is looked for to everything written so far: subjects, bodies, attachments and their names, the patient's
    /// name, and how people sign. What was found before stays.
    pub(super) fn of_what_was_written(&mut self, people: &[Professional], sent: &[Sent]) {
        let mut needles = Vec::new();
        let mut origins = Vec::new();
        let mut add = |origin: Origin, label: String, bytes: &[u8]| {
            needles.push(Needle { label, bytes: bytes.to_vec() });
            origins.push(origin);
        };
        for (number, mail) in sent.iter().enumerate() {
            let Draft { subject, body, attachment, .. } = &mail.draft;
            add(Origin::Mail(number), format!("the subject '{subject}'"), subject.as_bytes());
            add(Origin::Mail(number), format!("the body of '{subject}'"), body.as_bytes());
            if let Some((name, bytes)) = attachment {
                add(Origin::Mail(number), format!("the attachment {name}"), bytes);
                add(Origin::Mail(number), format!("the name {name}"), name.as_bytes());
                add(Origin::Mail(number), "the patient's name".to_owned(), PATIENT.family.as_bytes());
            }
        }
        for (number, person) in people.iter().enumerate() {
            add(Origin::NameOf(number), format!("the name {}", person.name), person.name.as_bytes());
        }
        self.searcher = Searcher::new(&needles);
        self.needles = needles;
        self.origins = origins;
    }

    /// Looks for these lines and for the name of what has them, and for nothing else from here on.
    pub(super) fn of_lines(&mut self, name: &str, lines: &[String]) {
        let lines =
            lines.iter().map(|line| Needle { label: format!("'{}'", line.trim_end()), bytes: line.clone().into() });
        self.needles = lines.chain([Needle { label: format!("the name {name}"), bytes: name.into() }]).collect();
        self.searcher = Searcher::new(&self.needles);
        self.origins.clear();
    }

    /// Searches every file that the server keeps, their names, its log, and its own export of what it stores.
    pub(super) fn look_at(
        &mut self,
        server: &Server,
        folder: &Path,
        when: &str,
        progress: &Progress,
    ) -> Result<(), DemoError> {
        let before = (self.bytes, self.finds.len());
        let files = self.look_into_files(server, folder, when)?;
        let export = folder.join("server-export");
        server.export(&export)?;
        let bytes = fs::read(&export).map_err(DemoError::system("the server's export"))?;
        let _ = fs::remove_file(&export);
        self.look_into(&bytes, RawDeflate::Everywhere, &format!("the server's export, {when}"));
        self.say_found(&format!("{files} files and the export of the server {when}"), before, progress);
        Ok(())
    }

    /// The same without the export, for when it is large.
    pub(super) fn look_at_files(
        &mut self,
        server: &Server,
        folder: &Path,
        when: &str,
        progress: &Progress,
    ) -> Result<(), DemoError> {
        let before = (self.bytes, self.finds.len());
        let files = self.look_into_files(server, folder, when)?;
        self.say_found(&format!("{files} files of the server {when}"), before, progress);
        Ok(())
    }

    /// Searches files that must have everything.
    pub(super) fn control_in(&self, files: &[PathBuf], progress: &Progress) -> Result<(), DemoError> {
        let mut found = vec![false; self.needles.len()];
        for path in files {
            let bytes = fs::read(path).map_err(DemoError::system(path.display().to_string()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            for haystack in [bytes.as_slice(), name.as_bytes()] {
                self.searcher.search(haystack).iter().for_each(|find| found[find.needle] = true);
            }
        }
        let count = found.iter().filter(|found| **found).count();
        progress.say(&format!("  control: the same search of what the reader has finds {count} of {}", found.len()));
        if count == found.len() { Ok(()) } else { Err(DemoError::Broken("the search misses what is there".to_owned())) }
    }

    fn say_found(&self, what: &str, before: (usize, usize), progress: &Progress) {
        progress.say(&format!(
            "searched {what}, {} bytes with what unpacks: {} finds",
            self.bytes - before.0,
            self.finds.len() - before.1
        ));
        self.finds[before.1..].iter().for_each(|find| progress.say(&format!("  FOUND: {find}")));
    }

    /// Every file that the server keeps, their names, and its log; gives back how many there are.
    fn look_into_files(&mut self, server: &Server, folder: &Path, when: &str) -> Result<usize, DemoError> {
        let mut files = vec![server.log(), server.config()];
        collect_files(&server.data(), &mut files)?;
        if files.len() < 3 {
            return Err(DemoError::Broken("the server keeps no file, so there is nothing to search".to_owned()));
        }
        for file in &files {
            let bytes = fs::read(file).map_err(DemoError::system(file.display().to_string()))?;
            let name = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned();
            self.look_into(name.as_bytes(), RawDeflate::Nowhere, &format!("the file name {name}, {when}"));
            self.look_into(&bytes, RawDeflate::Nowhere, &format!("{name}, {when}"));
        }
        Ok(files.len())
    }

    fn look_into(&mut self, bytes: &[u8], raw_deflate: RawDeflate, place: &str) {
        let mut finds = Vec::new();
        let mut length = 0;
        unpack(bytes, raw_deflate, &mut |part| {
            length += part.len();
            finds.extend(self.searcher.search(part));
        });
        self.bytes += length;
        for find in finds {
            self.finds.push(format!("{} as {} in {place}", self.needles[find.needle].label, find.encoding));
        }
    }

    /// The same search where it must find: every recipient's export has the mails, and the names of who wrote to them.
    pub(super) fn control(&self, people: &[Professional], sent: &[Sent]) -> Result<Control, DemoError> {
        let mut control = Control::default();
        for (number, person) in people.iter().enumerate() {
            let export = person.export()?;
            let mut found = vec![false; self.needles.len()];
            unpack(&export, RawDeflate::Nowhere, &mut |part| {
                self.searcher.search(part).iter().for_each(|find| found[find.needle] = true);
            });
            for (needle, origin) in self.origins.iter().enumerate() {
                let expected = match *origin {
                    Origin::Mail(mail) => sent[mail].recipients.contains(&number),
                    Origin::NameOf(writer) => {
                        sent.iter().any(|mail| mail.from == writer && mail.recipients.contains(&number))
                    }
                };
                if expected {
                    control.expected += 1;
                    if !found[needle] {
                        control.missing.push(format!(
                            "{} in the export of {}",
                            self.needles[needle].label,
                            person.address()
                        ));
                    }
                }
            }
        }
        Ok(control)
    }
}

/// The search of the recipients' exports, which must find everything.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// How many finds there must be.
    pub(super) expected: usize,
    /// Those that there are not.
    pub(super) missing: Vec<String>,
}

impl Control {
    /// How many finds there are.
    pub(super) fn found(&self) -> usize {
        self.expected - self.missing.len()
    }

    /// Whether everything was found, and there was something to find.
    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.expected > 0
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DemoError> {
    let failed = || folder.display().to_string();
    for entry in fs::read_dir(folder).map_err(DemoError::system(failed()))? {
        let path = entry.map_err(DemoError::system(failed()))?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else if path.is_file() {
            files.push(path); // sockets and pipes keep nothing
        }
    }
    Ok(())
}
