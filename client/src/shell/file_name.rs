//! File names that came with mail, and must do no harm on this machine.

use medipeps_core::limits::ATTACHMENT_NAME_LENGTH_MAX;

/// C0, DEL and C1 controls; line and paragraph separators; marks, embeddings, overrides and isolates of the
/// bidirectional algorithm (UAX 9); what has no width.
#[must_use]
pub fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}' | '\u{200b}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name without path separators, control characters and what Windows does not allow; neither hidden nor a device.
/// [`numbered`] bounds its length.
#[must_use]
pub fn harmless(name: &str) -> String {
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
#[must_use]
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let suffix = if number == 1 { extension } else { format!(" ({number}){extension}") };
    shortened(stem, suffix.len()) + &suffix
}

/// The name of a file that is not whole yet: hidden, with the first digits of the blob's id, so that a later run finds it
/// again and two files of one name do not meet.
#[must_use]
pub fn partial(name: &str, blob_id: &[u8; 32]) -> String {
    let suffix = format!(".{}.part", data_encoding::HEXLOWER.encode(&blob_id[..4]));
    format!(".{}{suffix}", shortened(name, suffix.len() + 1))
}

/// So much of a name that it has at most 255 bytes with what is added to it; cut between letters.
fn shortened(name: &str, added: usize) -> String {
    let mut name = name.to_owned();
    while name.len() + added > ATTACHMENT_NAME_LENGTH_MAX {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_harmless() {
        for (name, expected) in [
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
            assert_eq!(harmless(name), expected);
        }
    }

    #[test]
    fn long_names_are_cut_between_letters_and_keep_their_ending() {
        let long = format!("{}.pdf", "é".repeat(300));
        let name = numbered(&long, 12);
        assert!(name.len() <= 255 && name.len() > 250, "{}", name.len());
        assert!(name.ends_with("é (12).pdf"));
        assert_eq!(numbered("archive.tar.gz", 2), "archive.tar (2).gz");
        assert_eq!(numbered("noending", 3), "noending (3)");
        let partial = partial(&long, &[0xab; 32]);
        assert!(partial.len() <= 255 && partial.starts_with(".é") && partial.ends_with("é.abababab.part"));
    }
}
