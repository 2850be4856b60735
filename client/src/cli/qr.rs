//! A text as a QR code (ISO/IEC 18004) on a terminal, two modules in the height of a letter.

use std::io::{self, IsTerminal};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::CommandError;

/// White on black whatever the terminal's own colours are: a reader looks for dark modules on a light ground.
const COLOURS: (&str, &str) = ("\u{1b}[97;40m", "\u{1b}[0m");

/// The code of a text, for standard output, with the quiet zone around it that readers need. What is light is drawn.
pub(super) fn draw(text: &str) -> Result<String, CommandError> {
    let plain = plain(text)?;
    if !io::stdout().is_terminal() {
        return Ok(plain);
    }
    let (begin, end) = COLOURS;
    Ok(plain.lines().map(|line| format!("{begin}{line}{end}\n")).collect())
}

fn plain(text: &str) -> Result<String, CommandError> {
    // On a screen little is lost: the least redundancy gives the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|_| CommandError::Failed("the text is too long for a QR code".to_owned()))?;
    // The names are for ink on paper.
    Ok(code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of a module.
    const SCALE: usize = 4;

    /// What somebody else's reader makes of what is drawn.
    fn read(drawn: &str) -> String {
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for line in drawn.lines() {
            rows.push(line.chars().map(|letter| matches!(letter, '█' | '▀')).collect());
            rows.push(line.chars().map(|letter| matches!(letter, '█' | '▄')).collect());
        }
        let (width, height) = (rows[0].len() * SCALE, rows.len() * SCALE);
        let light = |x: usize, y: usize| if rows[y / SCALE][x / SCALE] { 255 } else { 0 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, light);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one code is drawn:\n{drawn}");
        grids[0].decode().unwrap().1
    }

    #[test]
    fn another_program_reads_what_is_drawn() {
        for text in ["medipeps-verify:ABCDEFGH234567", &"medipeps-link:abc234".repeat(12)] {
            assert_eq!(read(&plain(text).unwrap()), text);
        }
    }

    #[test]
    fn a_text_that_no_code_holds_is_refused() {
        assert!(plain(&"a".repeat(3000)).is_err());
    }
}
