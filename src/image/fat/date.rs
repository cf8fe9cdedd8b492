//! Dates of directory entries: local time, which here is UTC, from 1980 to 2107, in steps of two seconds ("Date and Time Formats").

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The first second that an entry can store, since 1970.
pub(super) const FIRST_SECOND: i64 = 315_532_800;

/// The first second of the year 2108, which no entry can store.
pub(crate) const SECONDS_END: u64 = 4_354_819_200;

/// A date and a time as an entry stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FatDate {
    pub(super) date: u16,
    pub(super) time: u16,
}

impl FatDate {
    /// That of a second since 1970, or the nearest one.
    pub(super) fn of(seconds: i64) -> Self {
        let last = i64::try_from(SECONDS_END).unwrap_or(i64::MAX) - 1;
        let timestamp = Timestamp::from_second(seconds.clamp(FIRST_SECOND, last)).unwrap_or_default();
        let at = TimeZone::UTC.to_datetime(timestamp);
        let bits = |number: i16| u16::try_from(number).unwrap_or_default();
        let [month, day, hour, minute, second] =
            [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(|number| bits(number.into()));
        Self {
            date: (bits(at.year() - 1980) << 9) | (month << 5) | day,
            time: (hour << 11) | (minute << 5) | (second / 2),
        }
    }

    /// The second since 1970. `None`: it is not a date.
    pub(super) fn seconds(self) -> Option<i64> {
        self.timestamp().map(Timestamp::as_second)
    }

    /// The date in UTC, as `YYYY-MM-DDThh:mm:ssZ`. `None`: it is not a date.
    pub(super) fn to_text(self) -> Option<String> {
        self.timestamp().map(|timestamp| timestamp.to_string())
    }

    fn timestamp(self) -> Option<Timestamp> {
        let Self { date, time } = self;
        let year = i16::try_from(1980 + (date >> 9)).ok()?;
        let number = |bits: u16| i8::try_from(bits).ok();
        let (month, day) = (number(date >> 5 & 15)?, number(date & 31)?);
        let (hour, minute, second) = (number(time >> 11)?, number(time >> 5 & 63)?, number((time & 31) * 2)?);
        let at = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        TimeZone::UTC.to_timestamp(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (315_532_800, "1980-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_709_251_199, "2024-02-29T23:59:58Z"),
            (1_764_370_800, "2025-11-28T23:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:58Z"),
            (4_354_819_199, "2107-12-31T23:59:58Z"),
        ] {
            assert_eq!(FatDate::of(seconds).to_text().as_deref(), Some(text));
        }
        assert_eq!(FatDate::of(0), FatDate::of(FIRST_SECOND));
        assert_eq!(FatDate::of(i64::MAX), FatDate::of(4_354_819_199));
    }

    #[test]
    fn every_date_is_read_as_it_was_written() {
        for seconds in (FIRST_SECOND..4_354_819_200).step_by(1_234_568) {
            assert_eq!(FatDate::of(seconds).seconds(), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_date_has_no_second() {
        for (date, time) in
            [(0, 0), (1 << 5, 0), (13 << 5 | 1, 0), (2 << 5 | 31, 0), (33, 24 << 11), (33, 30)]
        {
            assert_eq!(FatDate { date, time }.seconds(), None, "{date}, {time}");
        }
    }
}
