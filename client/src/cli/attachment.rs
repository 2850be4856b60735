//! Files that go out with mail, and file names that came with mail and must do no harm here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use medipeps_core::limits::{ATTACHMENT_NAME_LENGTH_MAX, INLINE_ATTACHMENTS_LENGTH_MAX};

use super::CommandError;
use super::output::is_harmful;
use crate::engine::{Attachment, AttachmentSource};

/// Tries at a name that is not taken.
const NUMBERED_NAMES_MAX: u32 = 10_000;

/// Reads a file to be attached. What is too large is refused before it is read whole.
pub(super) fn read(path: &Path) -> Result<Attachment, CommandError> {
    let failed = || CommandError::file(path.display());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| CommandError::Use(format!("{} is no file", path.display())))?;
    let mut data = Vec::new();
    let limit = INLINE_ATTACHMENTS_LENGTH_MAX as u64;
    let file = File::open(path).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    file.take(limit + 1).read_to_end(&mut data).map_err(failed())?;
    if data.len() as u64 > limit {
        return Err(CommandError::Failed(format!(
            "the attachment \"{}\" has {} bytes; {limit} fit a message until larger ones can be sent",
            super::output::line(&name),
            length.max(limit + 1),
        )));
    }
    Ok(Attachment { media_type: media_type(&name).to_owned(), name, source: AttachmentSource::Inline(data) })
}

/// Saves a received file under a harmless name that is not taken; returns the path.
pub(super) fn save(folder: &Path, name: &str, data: &[u8]) -> Result<PathBuf, CommandError> {
    let name = harmless_name(name);
    let mut number = 1;
    loop {
        let path = folder.join(numbered(&name, number));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(data).and_then(|()| file.sync_all()).map_err(CommandError::file(path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NUMBERED_NAMES_MAX => number += 1,
            Err(error) => return Err(CommandError::file(path.display())(error)),
        }
    }
}

/// A name without path separators, control characters and what Windows does not allow; of at most 255 bytes, and
/// neither hidden nor a device.
fn harmless_name(name: &str) -> String {
    let replaced: String = name
        .chars()
        .map(|letter| if is_harmful(letter) || "/\\:*?\"<>|".contains(letter) { '_' } else { letter })
        .collect();
    let trimmed = replaced.trim().trim_start_matches(['.', '-', '~']).trim_end_matches(['.', ' ']);
    let name = if trimmed.is_empty() { "attachment" } else { trimmed };
    let stem = name.split('.').next().unwrap_or_default().trim().to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || ((stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.chars().count() == 4
            && stem.ends_with(|last: char| last.is_ascii_digit() || "¹²³".contains(last)));
    if device { format!("_{name}") } else { name.to_owned() }
}

/// `report.xml`, `report (2).xml`, ...; the stem is shortened so that the whole has at most 255 bytes.
fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let suffix = if number == 1 { extension } else { format!(" ({number}){extension}") };
    let mut stem = stem.to_owned();
    while stem.len() + suffix.len() > ATTACHMENT_NAME_LENGTH_MAX {
        stem.pop();
    }
    stem + &suffix
}

/// By the ending of the name; what is not known is bytes.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        "json" => "application/json",
        "zip" => "application/zip",
        "dcm" => "application/dicom",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "tif" | "tiff" => "image/tiff",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "odt" => "application/vnd.oasis.opendocument.text",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_harmless() {
        for (name, harmless) in [
            ("report.xml", "report.xml"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..\\..\\boot.ini", "_.._boot.ini"),
            (".bashrc", "bashrc"),
            ("", "attachment"),
            ("...", "attachment"),
            ("a\u{0}b\u{1b}[2Jc\nd\u{202e}fdp.exe", "a_b_[2Jc_d_fdp.exe"),
            ("NUL.txt", "_NUL.txt"),
            ("com1", "_com1"),
            ("-rf", "rf"),
            ("Compte rendu é.pdf", "Compte rendu é.pdf"),
        ] {
            assert_eq!(harmless_name(name), harmless);
        }
    }

    #[test]
    fn long_names_are_cut_between_letters_and_keep_their_ending() {
        let name = numbered(&format!("{}.pdf", "é".repeat(300)), 12);
        assert!(name.len() <= 255 && name.len() > 250, "{}", name.len());
        assert!(name.ends_with("é (12).pdf"));
        assert_eq!(numbered("archive.tar.gz", 2), "archive.tar (2).gz");
        assert_eq!(numbered("noending", 3), "noending (3)");
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.txt", "a.txt", "../a.txt", "/etc/a.txt"];
        let paths: Vec<_> = names.iter().map(|name| save(folder.path(), name, name.as_bytes()).unwrap()).collect();
        assert!(paths.iter().all(|path| path.parent() == Some(folder.path())));
        assert_eq!(std::fs::read(&paths[0]).unwrap(), b"a.txt");
        assert_eq!(paths[1].file_name().unwrap(), "a (2).txt");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_file_over_the_limit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.png");
        std::fs::write(&path, vec![0; INLINE_ATTACHMENTS_LENGTH_MAX + 1]).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("scan.png") && refused.contains("49153"), "{refused}");
        std::fs::write(&path, vec![0; INLINE_ATTACHMENTS_LENGTH_MAX]).unwrap();
        assert_eq!(read(&path).unwrap().media_type, "image/png");
    }
}
