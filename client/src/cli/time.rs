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

/// As [`parse`], except that a day is meant to its end; for arguments of commands.
pub(super) fn moment(text: &str) -> Result<u64, &'static str> {
    let day = if text.contains('T') { 0 } else { 86_400_000 };
    parse(text).map(|at| at + day).ok_or("a time is a day as 2026-11-30, or 2026-11-30T18:00Z; both are UTC")
}

/// Milliseconds since 1970 of `2026-12-24`, which is its first moment, `2026-12-24T20:00Z` or `2026-12-24T20:00:30Z`; UTC.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, clock) = match text.split_once('T') {
        None => (text, None),
        Some((date, clock)) => (date, Some(clock.strip_suffix('Z')?)),
    };
    let number = |part: &str, digits: usize| -> Option<u64> {
        let good = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if good { part.parse().ok() } else { None }
    };
    let mut date = date.split('-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    if date.next().is_some() {
        return None;
    }
    let clock = match clock {
        Some(clock) => clock.split(':').map(|part| number(part, 2)).collect::<Option<Vec<u64>>>()?,
        None => vec![0, 0],
    };
    let (hour, minute, second) = match *clock.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    // The day since 1970-01-01, by the same calendar as below; a day that the month does not have comes back as another.
    let shifted_year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = days.checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
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
    fn moments_are_read_as_they_are_written() {
        assert_eq!(moment("2024-02-29"), Ok(1_709_164_800_000 + 86_400_000));
        assert_eq!(moment("2024-02-29T00:00Z"), Ok(1_709_164_800_000));
        assert_eq!(moment("2100-03-01T00:00Z"), Ok(4_107_542_400_000));
        assert_eq!(moment("1970-01-01T00:01Z"), Ok(60_000));
        for text in [
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "2024-02-29T24:00Z",
            "2024-02-29T10:00",
            "1969-12-31",
            "tomorrow",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
        for day in [0_u64, 58, 59, 365, 789, 20_000, 47_000] {
            let text = iso(day * 86_400_000);
            assert_eq!(moment(&format!("{}:00Z", &text[..13])), Ok(day * 86_400_000));
        }
    }

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
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2024-02-29T00:00Z", Some(1_709_164_800)),
            ("2025-12-31T23:59:59Z", Some(1_767_225_599)),
            ("2100-03-01", Some(4_107_542_400)),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-1-1T24:00Z", None),
            ("2026-12-24T20:00", None),
            ("1969-12-31", None),
            ("2026", None),
            ("", None),
        ] {
            assert_eq!(parse(text), seconds.map(|seconds: u64| seconds * 1000), "{text}");
        }
        assert_eq!(short(1_709_164_800_999), "2024-02-29 00:00");
    }
}
