//! Names of character sets that genisoimage knows. Names are stored as they are: UTF-8 to Joliet, bytes to Rock Ridge.

use std::ffi::OsStr;

/// Whether a character set is UTF-8, or the default, which is UTF-8 here.
pub(super) fn is_utf8(name: &OsStr) -> bool {
    matches!(normal(name).as_str(), "utf8" | "default" | "ascii" | "usascii" | "ansix341968")
}

/// Whether genisoimage knows a character set.
pub(super) fn is_known(name: &OsStr) -> bool {
    const FAMILIES: [&str; 9] = ["iso8859", "cp", "koi8", "latin", "windows", "mac", "euc", "iso646", "big5"];
    let name = normal(name);
    let is_family = |family: &str| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|rest| family == "big5" || rest.chars().next().is_some_and(char::is_alphanumeric))
    };
    let is_other =
        matches!(name.as_str(), "utf16" | "ucs2" | "shiftjis" | "sjis" | "gbk" | "gb2312" | "gb18030");
    is_utf8(OsStr::new(&name)) || is_other || FAMILIES.iter().any(|family| is_family(family))
}

/// A name in lower case, without the characters that are left out in some spellings.
fn normal(name: &OsStr) -> String {
    let name = name.to_string_lossy().to_ascii_lowercase();
    name.chars().filter(|character| !matches!(character, '-' | '_' | '.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_callers_are_known() {
        for name in
            ["utf8", "UTF-8", "utf-8", "iso8859-1", "ISO_8859-15", "cp437", "koi8-r", "latin1", "default"]
        {
            assert!(is_known(OsStr::new(name)), "{name}");
        }
        for name in ["klingon", "", "cp", "C"] {
            assert!(!is_known(OsStr::new(name)), "{name}");
        }
        assert!(is_utf8(OsStr::new("UTF-8")) && !is_utf8(OsStr::new("iso8859-1")));
    }
}
