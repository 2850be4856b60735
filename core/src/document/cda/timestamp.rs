//! Points in time as HL7 writes them.

use std::fmt;
use std::str::FromStr;

use super::Fault;

/// Minutes that a clock on earth may differ from UTC, either way.
const OFFSET_MINUTES_MAX: u16 = 14 * 60;
/// Digits of a second's fraction.
const FRACTION_DIGITS_MAX: usize = 9;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// A point in time in HL7's form `YYYY[MM[DD[hh[mm[ss[.s]]]]]][+hhmm]`, with the precision that it was given with.
///
/// The date exists in the Gregorian calendar, and an offset stands only behind an hour.
#[derive(Clone, PartialEq, Eq)]
pub struct Timestamp(String);

impl Timestamp {
    /// A second, given in seconds since 1970 and written in local time at `offset_minutes` east of UTC.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for a year outside of 1970 to 9999 or an offset over 14 hours.
    pub fn from_unix(seconds: i64, offset_minutes: i16) -> Result<Self, Fault> {
        if offset_minutes.unsigned_abs() > OFFSET_MINUTES_MAX {
            return Err(Fault::Malformed);
        }
        let local = seconds.checked_add(i64::from(offset_minutes) * 60).ok_or(Fault::Malformed)?;
        let (year, month, day) = date(local.div_euclid(DAY_SECONDS)).ok_or(Fault::Malformed)?;
        let second = local.rem_euclid(DAY_SECONDS);
        let (sign, minutes) = (if offset_minutes < 0 { '-' } else { '+' }, offset_minutes.unsigned_abs());
        let time = format!("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}{month:02}{day:02}{time}{sign}{:02}{:02}", minutes / 60, minutes % 60).parse()
    }

    /// The text, for instance `20210104160527+0100` or `19770714`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it says its offset from UTC, so that it is one moment everywhere.
    #[must_use]
    pub fn has_offset(&self) -> bool {
        self.0.contains(['+', '-'])
    }

    /// Whether it is exact to the day at least.
    #[must_use]
    pub fn has_day(&self) -> bool {
        self.0.len() >= 8
    }
}

impl FromStr for Timestamp {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        is_timestamp(text).then(|| Self(text.to_owned())).ok_or(Fault::Malformed)
    }
}

fn is_timestamp(text: &str) -> bool {
    let (local, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (digits, fraction) = match local.split_once('.') {
        Some((digits, fraction)) => (digits, Some(fraction)),
        None => (local, None),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|text| text.parse::<u16>().ok());
    let length = digits.len();
    if !is_number(digits) || !matches!(length, 4 | 6 | 8 | 10 | 12 | 14) {
        return false;
    }
    let within = |from: usize, limit: u16| length <= from || number(from, from + 2).is_some_and(|value| value < limit);
    let fraction_is_good =
        |text: &str| length == 14 && (1..=FRACTION_DIGITS_MAX).contains(&text.len()) && is_number(text);
    let offset_is_good = |text: &str| {
        let minutes = text.get(2..).and_then(|text| text.parse::<u16>().ok());
        let hours = text.get(..2).and_then(|text| text.parse::<u16>().ok());
        let total =
            hours.zip(minutes).filter(|(_, minutes)| *minutes < 60).map(|(hours, minutes)| hours * 60 + minutes);
        length >= 10 && text.len() == 4 && is_number(text) && total.is_some_and(|total| total <= OFFSET_MINUTES_MAX)
    };
    let day_exists = || {
        let month = if length < 6 { Some(1) } else { number(4, 6) };
        let day = if length < 8 { Some(1) } else { number(6, 8) };
        let (Some(year), Some(month), Some(day)) = (number(0, 4), month, day) else { return false };
        year > 0 && day > 0 && days_of(year, month).is_some_and(|days| day <= days)
    };
    day_exists()
        && within(8, 24)
        && within(10, 60)
        && within(12, 60)
        && fraction.is_none_or(fraction_is_good)
        && offset.is_none_or(offset_is_good)
}

/// Days of a month of the Gregorian calendar, if there is such a month.
fn days_of(year: u16, month: u16) -> Option<u16> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(28 + u16::from(is_leap)),
        _ => None,
    }
}

/// Year, month and day of a count of days since 1970-01-01, for the years 1970 to 9999: whole years and months are taken off.
fn date(days: i64) -> Option<(u16, u16, u64)> {
    let mut days = u64::try_from(days).ok()?;
    for year in 1970..=9999 {
        let months = (1..=12).filter_map(|month| Some((month, u64::from(days_of(year, month)?))));
        for (month, length) in months {
            if days < length {
                return Some((year, month, days + 1));
            }
            days -= length;
        }
    }
    None
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_local_time() {
        let text = |seconds, offset| Timestamp::from_unix(seconds, offset).unwrap().as_str().to_owned();
        assert_eq!(text(0, 0), "19700101000000+0000");
        assert_eq!(text(951_782_400, 60), "20000229010000+0100");
        assert_eq!(text(1_609_772_727, -210), "20210104113527-0330");
        assert_eq!(text(1_709_251_199, 0), "20240229235959+0000");
        assert_eq!(text(4_107_542_400, 0), "21000301000000+0000");
        assert_eq!(text(253_402_300_799, 0), "99991231235959+0000");
        assert!(Timestamp::from_unix(253_402_300_800, 0).is_err());
        assert!(Timestamp::from_unix(0, -1).is_err(), "still in 1969");
        assert!(Timestamp::from_unix(0, 900).is_err());
        assert!(Timestamp::from_unix(i64::MAX, 0).is_err());
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for good in
            ["1977", "197707", "19770714", "20240229", "2021010416", "202101041120+0100", "20210104160527.25-0330"]
        {
            assert_eq!(good.parse::<Timestamp>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "977",
            "19771",
            "00000101",
            "19770732",
            "20230229",
            "19771301",
            "1977-07-14",
            "2021010424",
            "202101041160",
            "20210104160560",
            "20210104+0100",
            "20210104160527+01",
            "20210104160527+1500",
            "20210104160527+0160",
            "20210104160527.",
            "2021010416.5",
            "20210104160527.1234567890",
            "20210104160527+0100+0100",
            "+0100",
            "１９７７",
            "20210104160527+é1",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
