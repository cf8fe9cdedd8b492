//! Numbers of YAML 1.1: octal `0644`, binary `0b101`, `1_000`, and numbers to the base 60 such as `1:30`.

/// The most decimal digits that Python converts to an integer.
const DIGITS_MAX: usize = 4300;

/// The text without its sign.
fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

/// Whether the text begins with a digit that `first` allows, and goes on with digits and underscores.
fn is_digits(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| first(byte))
        && bytes.iter().all(|&byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether the parts behind the first of a number to the base 60 are in order.
fn is_base_60<'a>(mut parts: impl Iterator<Item = &'a str>) -> bool {
    parts.all(|part| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    })
}

/// Whether a plain scalar is an integer.
pub(super) fn is_integer(text: &str) -> bool {
    let text = unsigned(text);
    let all = |digits: &str, is: fn(u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|byte| is(byte) || byte == b'_')
    };
    if let Some(digits) = text.strip_prefix("0b") {
        return all(digits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix('0') {
        return digits.is_empty() || all(digits, |byte| (b'0'..=b'7').contains(&byte));
    }
    let mut parts = text.split(':');
    let is_first = |byte: u8| (b'1'..=b'9').contains(&byte);
    parts.next().is_some_and(|part| is_digits(part, is_first)) && is_base_60(parts)
}

/// The value of an integer ([`is_integer`]).
pub(super) fn integer(text: &str) -> Result<i128, &'static str> {
    let is_negative = text.starts_with('-');
    let text = unsigned(text).replace('_', "");
    let value = if let Some(digits) = text.strip_prefix("0b") {
        radix(digits, 2)?
    } else if let Some(digits) = text.strip_prefix("0x") {
        radix(digits, 16)?
    } else if text.starts_with('0') {
        radix(&text, 8)?
    } else {
        let mut value = 0_i128;
        for part in text.split(':') {
            if part.len() > DIGITS_MAX {
                return Err("the number has more than 4300 digits");
            }
            value = value.saturating_mul(60).saturating_add(radix(part, 10)?);
        }
        value
    };
    Ok(if is_negative { -value } else { value })
}

fn radix(digits: &str, radix: u32) -> Result<i128, &'static str> {
    if digits.is_empty() {
        return Err("the number has no digits");
    }
    digits.chars().try_fold(0_i128, |value, digit| {
        let digit = digit.to_digit(radix).ok_or("the number has a digit of another base")?;
        Ok(value.saturating_mul(radix.into()).saturating_add(digit.into()))
    })
}

/// Whether a plain scalar is a floating-point number.
pub(super) fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let signless = unsigned(text);
    if matches!(signless, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some((before, behind)) = signless.split_once('.') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if let Some((first, rest)) = before.split_once(':') {
        return is_digits(first, |byte| byte.is_ascii_digit())
            && is_base_60(rest.split(':'))
            && digits(behind);
    }
    let (fraction, exponent) = match behind.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (behind, None),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        exponent
            .strip_prefix(['+', '-'])
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let is_number = if before.is_empty() {
        // `.5` has no sign.
        signless.len() == text.len() && is_digits(fraction, |byte| byte.is_ascii_digit())
    } else {
        is_digits(before, |byte| byte.is_ascii_digit()) && digits(fraction)
    };
    is_number && is_exponent
}

/// The value of a floating-point number, or `None` if it is none.
pub(super) fn float(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let text = unsigned(text).replace('_', "").to_ascii_lowercase();
    let value = match &*text {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        text => {
            let mut value = 0.0;
            for part in text.split(':') {
                value = value * 60.0 + part.parse::<f64>().ok()?;
            }
            value
        }
    };
    Some(sign * value)
}
