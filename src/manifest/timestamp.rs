//! Points in time, as manifests, `allowed_signers` files and users write them.
//!
//! Sources: RFC 3339; ssh-keygen(1), `TIME INTERVALS` of "ALLOWED SIGNERS".

use std::{fmt, time::SystemTime};

use crate::error::{Context, Error, Result, ensure};
use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The first second after the year 9999: years have four digits.
const SECONDS_END: i64 = 253_402_300_800;

/// A point in time, to the second, from 1970 to 9999. Its text is `YYYY-MM-DDThh:mm:ssZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
}

impl Timestamp {
    /// Now.
    ///
    /// # Errors
    /// Fails if the clock is before 1970 or after 9999.
    pub fn now() -> Result<Self> {
        let since = SystemTime::UNIX_EPOCH.elapsed().context("reading the clock")?;
        Self::from_seconds(since.as_secs()).context("reading the clock")
    }

    /// Now, to the nanosecond, in RFC 3339 format, for logs.
    #[must_use]
    pub fn precise_now() -> String {
        format!("{:.9}", jiff::Timestamp::now())
    }

    /// The time that is `seconds` after the start of 1970, UTC.
    ///
    /// # Errors
    /// Fails if the time is after the year 9999.
    pub fn from_seconds(seconds: u64) -> Result<Self> {
        let seconds = i64::try_from(seconds).unwrap_or(SECONDS_END);
        ensure!((0..SECONDS_END).contains(&seconds), "the time is not between 1970 and 9999");
        Ok(Self { seconds })
    }

    /// Seconds since the start of 1970, UTC.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.seconds.unsigned_abs()
    }

    /// Parses a time that a user writes: `2026-12-31T23:59:59Z`, the same with an offset, `2026-12-31`, or the digits of
    /// OpenSSH. A time without a zone is local.
    ///
    /// # Errors
    /// Fails if the text is in none of these formats.
    pub fn parse(text: &str) -> Result<Self> {
        let context = || {
            format!(
                "{text:?} is not a time from 1970 to 9999 such as 2026-12-31T23:59:59Z, 2026-12-31 or 20261231235959Z"
            )
        };
        if text.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && !text.contains('-') {
            return Self::parse_openssh(text).with_context(context);
        }
        let timestamp = match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => timestamp,
            Err(_) => local(text.parse::<civil::DateTime>().map_err(Error::of).with_context(context)?)?,
        };
        Self::of(timestamp).with_context(context)
    }

    /// Parses a time in the digits of OpenSSH: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in the local zone unless
    /// a `Z` follows.
    ///
    /// # Errors
    /// Fails if the text is not such a time.
    pub fn parse_openssh(text: &str) -> Result<Self> {
        Self::parse_digits(text, local)
    }

    /// As [`Timestamp::parse_openssh`], but as `ssh-keygen` reads times in `allowed_signers`: a local time is standard time,
    /// in summer too.
    ///
    /// # Errors
    /// Fails if the text is not such a time, or if clocks showed the local time twice or not at all.
    #[cfg(feature = "trust")]
    pub(crate) fn parse_signer_time(text: &str) -> Result<Self> {
        let timestamp = Self::parse_digits(text, |at| standard(at, &TimeZone::system()))?;
        // OpenSSH rejects 0.
        ensure!(timestamp.seconds > 0, "the time is the start of 1970, which OpenSSH rejects");
        Ok(timestamp)
    }

    fn parse_digits(text: &str, local: impl Fn(civil::DateTime) -> Result<jiff::Timestamp>) -> Result<Self> {
        let (digits, utc) = match text.strip_suffix('Z').or_else(|| text.strip_suffix("UTC")) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        ensure!(
            digits.bytes().all(|byte| byte.is_ascii_digit()),
            "the time has characters other than digits"
        );
        ensure!(matches!(digits.len(), 8 | 12 | 14), "the time does not have 8, 12 or 14 digits");
        let number = |from: usize, len: usize| -> Result<i8> {
            Ok(digits.get(from..from + len).map_or(Ok(0), str::parse)?)
        };
        let date = civil::Date::new(digits[..4].parse()?, number(4, 2)?, number(6, 2)?).map_err(Error::of)?;
        let time = civil::Time::new(number(8, 2)?, number(10, 2)?, number(12, 2)?, 0).map_err(Error::of)?;
        let at = civil::DateTime::from_parts(date, time);
        let timestamp =
            if utc { at.to_zoned(TimeZone::UTC).map_err(Error::of)?.timestamp() } else { local(at)? };
        Self::of(timestamp)
    }

    fn of(timestamp: jiff::Timestamp) -> Result<Self> {
        let seconds = timestamp.as_second();
        ensure!((0..SECONDS_END).contains(&seconds), "the time is not between 1970 and 9999");
        Ok(Self { seconds })
    }
}

fn local(at: civil::DateTime) -> Result<jiff::Timestamp> {
    // Without a configured zone this is UTC, as in the C library.
    Ok(at.to_zoned(TimeZone::system()).map_err(Error::of)?.timestamp())
}

/// The time at which clocks in `zone` would show `at` without daylight saving time. OpenSSH calls `mktime` with a
/// `tm_isdst` of 0, and the C library then uses the offset of the nearest time without daylight saving time.
#[cfg(feature = "trust")]
fn standard(at: civil::DateTime, zone: &TimeZone) -> Result<jiff::Timestamp> {
    /// Seconds between the times that are tried: glibc, `stride` in time/mktime.c.
    const STRIDE: i64 = 601_200;
    /// Times that are tried on either side: more than a year.
    const STRIDES: i64 = 60;

    let ambiguous = zone.to_ambiguous_timestamp(at);
    let is_ambiguous = ambiguous.is_ambiguous();
    let shown = ambiguous.compatible().map_err(Error::of)?;
    if !zone.to_offset_info(shown).dst().is_dst() {
        // Clocks changed for another reason than daylight saving time. C libraries differ here.
        ensure!(!is_ambiguous, "local clocks showed this time twice or not at all");
        return Ok(shown);
    }
    let strides = (1..=STRIDES).flat_map(|count| [-count * STRIDE, count * STRIDE]);
    let near = strides.filter_map(|seconds| jiff::Timestamp::from_second(shown.as_second() + seconds).ok());
    let standard = near.map(|near| zone.to_offset_info(near)).find(|info| !info.dst().is_dst());
    let standard = standard.context("the zone has no standard time within a year")?;
    standard.offset().to_timestamp(at).map_err(Error::of)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_second(self.seconds).map_err(|_| fmt::Error)?;
        write!(f, "{timestamp}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Accepts only the text that [`Timestamp`] itself writes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parse = || {
            let timestamp = Self::of(text.parse().map_err(Error::of)?)?;
            ensure!(timestamp.to_string() == text, "{text:?} is not a time such as 2026-12-31T23:59:59Z");
            Ok(timestamp)
        };
        parse().map_err(|error: Error| de::Error::custom(format!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_with_a_zone_is_the_same_in_every_spelling() -> Result<()> {
        for text in
            ["2026-12-31T23:59:59Z", "2027-01-01T00:59:59+01:00", "20261231235959Z", "20261231235959UTC"]
        {
            assert_eq!(Timestamp::parse(text)?.to_string(), "2026-12-31T23:59:59Z", "{text}");
        }
        assert_eq!(Timestamp::parse("20261231Z")?.to_string(), "2026-12-31T00:00:00Z");
        assert_eq!(Timestamp::parse("202612312359Z")?.to_string(), "2026-12-31T23:59:00Z");
        assert_eq!(Timestamp::parse("1970-01-01T00:00:00Z")?.seconds(), 0);
        Ok(())
    }

    #[test]
    #[cfg(feature = "trust")]
    fn a_local_time_of_a_signer_is_standard_time() -> Result<()> {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").map_err(Error::of)?;
        let dublin = TimeZone::posix("IST-1GMT0,M10.5.0,M3.5.0/1").map_err(Error::of)?;
        for (zone, at, expected) in [
            (&berlin, "2026-01-01T12:00", "2026-01-01T11:00:00Z"),
            (&berlin, "2026-07-01T12:00", "2026-07-01T11:00:00Z"),
            // Clocks skipped the first and showed the second twice.
            (&berlin, "2026-03-29T02:30", "2026-03-29T01:30:00Z"),
            (&berlin, "2026-10-25T02:30", "2026-10-25T01:30:00Z"),
            // Daylight saving time is in winter, with a negative offset.
            (&dublin, "2026-07-01T12:00", "2026-07-01T11:00:00Z"),
            (&dublin, "2026-01-01T12:00", "2026-01-01T11:00:00Z"),
            (&TimeZone::UTC, "2026-07-01T12:00", "2026-07-01T12:00:00Z"),
        ] {
            assert_eq!(standard(at.parse().map_err(Error::of)?, zone)?.to_string(), expected, "{at}");
        }
        assert!(Timestamp::parse_signer_time("19700101Z").is_err());
        assert_eq!(Timestamp::parse_signer_time("19700101000001Z")?.seconds(), 1);
        Ok(())
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "Z",
            "tomorrow",
            "2026",
            "20261331Z",
            "2026123Z",
            "20260230Z",
            "202612312460Z",
            "+7d",
            "1969-12-31T23:59:59Z",
            "99999-01-01T00:00:00Z",
            "0020261231Z",
            "2026-12-31T23:59:59Z ",
            "１９８００１０１",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
    }
}
