//! Dates of directory entries: local time, which here is UTC, from 1980 to 2107, in steps of two seconds ("Date and Time Formats").

/// The first second that an entry can store, since 1970.
pub(super) const FIRST_SECOND: i64 = 315_532_800;

/// The first second of the year 2108, which no entry can store.
pub(crate) const SECONDS_END: u64 = 4_354_819_200;

const DAY_SECONDS: i64 = 86_400;

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
        let seconds = seconds.clamp(FIRST_SECOND, last);
        let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
        let second = seconds.rem_euclid(DAY_SECONDS);
        let bits = |number: i64| u16::try_from(number).unwrap_or_default();
        Self {
            date: bits((year - 1980) << 9 | month << 5 | day),
            time: bits((second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2)),
        }
    }

    /// The second since 1970. `None`: it is no date.
    pub(super) fn seconds(self) -> Option<i64> {
        let [date, time] = [self.date, self.time].map(i64::from);
        let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
        let (hour, minute, second) = (time >> 11, time >> 5 & 63, (time & 31) * 2);
        let days = days(year, month, day);
        let exists = (1..=12).contains(&month) && civil(days) == (year, month, day);
        (exists && hour < 24 && minute < 60 && second < 60)
            .then_some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
    }

    /// The date in UTC, as `YYYY-MM-DDThh:mm:ssZ`. `None`: it is no date.
    pub(super) fn to_text(self) -> Option<String> {
        let seconds = self.seconds()?;
        let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
        let second = seconds.rem_euclid(DAY_SECONDS);
        let [hour, minute, second] = [second / 3600, second / 60 % 60, second % 60];
        Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. The year is counted from March, so that a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

/// Year, month and day of a day from 1970-01-01 on.
fn civil(day: i64) -> (i64, i64, i64) {
    // One year is 365.2425 days, so the estimate is wrong by one at most.
    let guess = 1970 + day * 400 / 146_097;
    let year = (guess - 1..=guess + 1).rev().find(|year| days(*year, 1, 1) <= day).unwrap_or(guess);
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap_or(1);
    (year, month, day - days(year, month, 1) + 1)
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
