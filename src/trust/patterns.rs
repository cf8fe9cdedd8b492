//! OpenSSH's patterns for names: `*`, `?`, and `!` in front of a pattern that excludes.

/// The most bytes in a pattern. A list with a longer one does not match in OpenSSH (match.c).
const PATTERN_BYTES_MAX: usize = 1022;

/// Whether a list of patterns, separated by commas, matches: at least one pattern matches, and no pattern with a `!` does
/// (`ssh_config(5)`, PATTERNS).
pub(super) fn matches_list(text: &str, patterns: &str) -> bool {
    let mut found = false;
    let is_too_long = |pattern: &str| pattern.strip_prefix('!').unwrap_or(pattern).len() > PATTERN_BYTES_MAX;
    if patterns.split(',').any(is_too_long) {
        return false;
    }
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(text.as_bytes(), pattern.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(text.as_bytes(), pattern.as_bytes()),
        }
    }
    found
}

/// Whether `pattern`, with `*` for any bytes and `?` for one, matches all of `text`. The number of steps is at most the product
/// of their lengths.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    // Where the last `*` is, and where the text after its match begins.
    let mut star = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[at] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((before, from)) = star else { return false };
                star = Some((before, from + 1));
                at = from + 1;
                next = before + 1;
            }
        }
    }
    pattern[next..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_openssh() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("abc", "a?c", true),
            ("abc", "a*", true),
            ("abc", "*b*", true),
            ("abc", "*bc*c", false),
            ("aXbXc", "a*b*c", true),
            ("abc", "A*", false),
            ("a", "a?", false),
        ] {
            assert_eq!(matches(text.as_bytes(), pattern.as_bytes()), expected, "{text} {pattern}");
        }
        assert!(!matches(&[b'a'; 300], format!("{}b", "*a".repeat(200)).as_bytes()));
        assert!(!matches_list("a", ""));
        assert!(!matches_list("a", "!b"));
        let long = "x".repeat(PATTERN_BYTES_MAX);
        assert!(matches_list("a", &format!("a,{long}")) && matches_list("a", &format!("a,!{long}")));
        assert!(!matches_list("a", &format!("a,{long}x")) && !matches_list("a", &format!("a,!{long}x")));
    }
}
