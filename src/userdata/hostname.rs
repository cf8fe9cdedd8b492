//! The rule for host names.

/// The longest host name, in bytes: `HOST_NAME_MAX` of Linux (`limits.h`).
const NAME_BYTES: usize = 64;

/// The longest label, in bytes (RFC 1035, 2.3.4).
const LABEL_BYTES: usize = 63;

/// Checks that `name` is a host name: labels of letters, digits and `-`, separated by dots.
///
/// # Errors
/// Fails if it is not. The text says why and reads on from the name.
pub fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > NAME_BYTES {
        return Err("is longer than 64 bytes");
    }
    if name.ends_with('\n') {
        return Err("ends with a newline");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
        return Err("has characters other than letters, digits, '-' and '.'");
    }
    if name.split('.').any(str::is_empty) {
        return Err("has an empty part between dots");
    }
    if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        return Err("has a part that begins or ends with '-'");
    }
    if name.split('.').any(|label| label.len() > LABEL_BYTES) {
        return Err("has a part longer than 63 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_that_linux_and_dns_accept_pass() {
        for name in ["a", "web-1", "Web.Example.com", "10", &"a".repeat(63)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let long_label = "a".repeat(64);
        for (name, why) in [
            ("", "is empty"),
            (&*"ab.".repeat(22), "is longer than 64 bytes"),
            ("web\n", "ends with a newline"),
            ("web_1", "has characters other than letters, digits, '-' and '.'"),
            ("wéb", "has characters other than letters, digits, '-' and '.'"),
            ("web..de", "has an empty part between dots"),
            (".web", "has an empty part between dots"),
            ("web.", "has an empty part between dots"),
            ("-web", "has a part that begins or ends with '-'"),
            ("web-.de", "has a part that begins or ends with '-'"),
            (&*long_label, "has a part longer than 63 bytes"),
        ] {
            assert_eq!(check(name), Err(why), "{name}");
        }
    }
}
