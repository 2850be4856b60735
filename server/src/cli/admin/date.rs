//! Days and months as an operator types them: ISO 8601, UTC.

use std::fmt;
use std::str::FromStr;

use time::{Date, Month as MonthOfYear};

use crate::service::DAY_MS;

/// The Julian day of 1 January 1970.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// A month, as `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Month {
    year: i32,
    month: MonthOfYear,
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a month is written as 2026-10";
        let (year, month) = text.split_once('-').ok_or(wrong)?;
        let (year, month) = (number(year, 4).ok_or(wrong)?, number(month, 2).ok_or(wrong)?);
        let month = u8::try_from(month).ok().and_then(|month| MonthOfYear::try_from(month).ok()).ok_or(wrong)?;
        if year < 1970 { Err(wrong) } else { Ok(Self { year, month }) }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.year, u8::from(self.month))
    }
}

impl Month {
    /// Its first and its last day, since 1970.
    pub(super) fn days(self) -> Option<(u32, u32)> {
        let first = day(Date::from_calendar_date(self.year, self.month, 1).ok()?)?;
        Some((first, first + u32::from(self.month.length(self.year)) - 1))
    }
}

/// The end of a day, as `2026-12-31`, in milliseconds since 1970.
pub(super) fn end_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, of_month) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let month = MonthOfYear::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(of_month).ok()?).ok()?;
    Some((u64::from(day(date)?) + 1) * DAY_MS)
}

/// The last day of which some time lies before this, as `2026-12-31`.
pub(super) fn day_before(end_ms: u64) -> String {
    let days = i32::try_from(end_ms.saturating_sub(1) / DAY_MS).unwrap_or(i32::MAX);
    let date = days.checked_add(EPOCH_JULIAN_DAY).and_then(|julian| Date::from_julian_day(julian).ok());
    date.map_or_else(
        || "never".to_owned(),
        |date| format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()),
    )
}

fn day(date: Date) -> Option<u32> {
    u32::try_from(date.to_julian_day() - EPOCH_JULIAN_DAY).ok()
}

fn number(text: &str, digits: usize) -> Option<i32> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_read() {
        assert_eq!("1970-01".parse::<Month>().unwrap().days(), Some((0, 30)));
        assert_eq!("2024-02".parse::<Month>().unwrap().days(), Some((19_754, 19_782)));
        assert_eq!("2026-10".parse::<Month>().unwrap().to_string(), "2026-10");
        for wrong in ["2026", "2026-13", "2026-00", "26-10", "2026-1", "1969-12", "2026-10-01"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
        assert_eq!(end_of_day("1970-01-01"), Some(DAY_MS));
        let end = end_of_day("2026-12-31").unwrap();
        assert_eq!((day_before(end), day_before(end + 1)), ("2026-12-31".to_owned(), "2027-01-01".to_owned()));
        for wrong in ["2026-02-30", "2026-12", "31-12-2026", "2026-12-31-01", "1969-12-31"] {
            assert_eq!(end_of_day(wrong), None, "{wrong}");
        }
        assert_eq!(day_before(u64::MAX), "never");
    }
}
