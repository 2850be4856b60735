//! Times as people and programs read them: ISO 8601, UTC.

/// `2026-11-22T19:26:04Z`, from milliseconds since 1970.
pub(super) fn iso(milliseconds: u64) -> String {
    let (date, [hour, minute, second]) = parts(milliseconds);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-11-22 19:26`, for columns.
pub(super) fn short(milliseconds: u64) -> String {
    let (date, [hour, minute, _]) = parts(milliseconds);
    format!("{date} {hour:02}:{minute:02}")
}

fn parts(milliseconds: u64) -> (String, [u64; 3]) {
    let seconds = milliseconds / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    (format!("{year:04}-{month:02}-{day:02}"), [second / 3600, second / 60 % 60, second % 60])
}

/// The Gregorian date of a day since 1970-01-01. Years begin in March, so that the leap day is the last of its year;
/// 719 468 days lie between 0000-03-01 and 1970-01-01, and 146 097 in 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso(seconds * 1000), text);
        }
        assert_eq!(short(1_709_164_800_999), "2024-02-29 00:00");
    }
}
