//! Dates and times of YAML 1.1.

use super::tree::{Kind, Meaning};

/// Takes up to `most` digits, at least `least`.
fn digits<'a>(text: &mut &'a str, least: usize, most: usize) -> Option<&'a str> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(count);
    *text = rest;
    (count >= least).then_some(digits)
}

fn character(text: &mut &str, is: impl Fn(char) -> bool) -> Option<()> {
    *text = text.strip_prefix(is)?;
    Some(())
}

fn blanks(text: &mut &str) -> usize {
    let rest = text.trim_start_matches([' ', '\t']);
    let count = text.len() - rest.len();
    *text = rest;
    count
}

/// The parts of a date, or of a date and time.
struct Parts {
    /// Whether month and day have two digits each.
    is_full: bool,
    date: [u32; 3],
    time: Option<[u32; 3]>,
    /// Hours of the offset from UTC.
    offset_hours: u32,
    offset_minutes: u32,
}

fn parts(mut text: &str) -> Option<Parts> {
    let text = &mut text;
    let number = |digits: &str| digits.parse::<u32>().ok();
    let year = digits(text, 4, 4)?;
    character(text, |it| it == '-')?;
    let month = digits(text, 1, 2)?;
    character(text, |it| it == '-')?;
    let day = digits(text, 1, 2)?;
    let mut parts = Parts {
        is_full: month.len() == 2 && day.len() == 2,
        date: [number(year)?, number(month)?, number(day)?],
        time: None,
        offset_hours: 0,
        offset_minutes: 0,
    };
    if text.is_empty() {
        return Some(parts);
    }
    if character(text, |it| matches!(it, 'T' | 't')).is_none() && blanks(text) == 0 {
        return None;
    }
    let hour = digits(text, 1, 2)?;
    character(text, |it| it == ':')?;
    let minute = digits(text, 2, 2)?;
    character(text, |it| it == ':')?;
    let second = digits(text, 2, 2)?;
    parts.time = Some([number(hour)?, number(minute)?, number(second)?]);
    if character(text, |it| it == '.').is_some() {
        digits(text, 0, usize::MAX)?;
    }
    if text.is_empty() {
        return Some(parts);
    }
    blanks(text);
    if character(text, |it| it == 'Z').is_none() {
        character(text, |it| matches!(it, '+' | '-'))?;
        parts.offset_hours = number(digits(text, 1, 2)?)?;
        if character(text, |it| it == ':').is_some() {
            parts.offset_minutes = number(digits(text, 2, 2)?)?;
        }
    }
    text.is_empty().then_some(parts)
}

/// Whether a plain scalar is a date or a date and time.
pub(super) fn is_timestamp(text: &str) -> bool {
    parts(text).is_some_and(|parts| parts.time.is_some() || parts.is_full)
}

/// Whether the text is a date or a date and time; PyYAML refuses dates that do not exist.
pub(super) fn kind(text: &str) -> Meaning {
    let Some(Parts { date: [year, month, day], time, offset_hours, offset_minutes, .. }) = parts(text) else {
        return Err("this is not a date");
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    };
    if year == 0 || day == 0 || day > days {
        return Err("this date does not exist");
    }
    let Some([hour, minute, second]) = time else { return Ok(Kind::Date) };
    if hour > 23 || minute > 59 || second > 59 || offset_hours * 60 + offset_minutes >= 24 * 60 {
        return Err("this time does not exist");
    }
    Ok(Kind::Timestamp)
}

/// Whether the text is a date in full: year, month and day.
#[cfg(feature = "check")]
pub(in crate::userdata) fn is_date(text: &str) -> bool {
    is_timestamp(text) && kind(text) == Ok(Kind::Date)
}
