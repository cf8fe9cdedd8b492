//! Names that FAT can store, and which of them are the same to it.

use std::collections::HashMap;

use super::format::LABEL_BYTES;

/// The longest name in units of UTF-16.
const NAME_UNITS_MAX: usize = 255;

/// Why FAT cannot store a name, the rest of a sentence about it. `None`: it can.
#[must_use]
pub fn fault(name: &[u8]) -> Option<&'static str> {
    const RESERVED: &str = "\"*/:<>?\\|";
    let Ok(text) = str::from_utf8(name) else {
        return Some("is not UTF-8, which FAT requires");
    };
    if text.chars().any(|char| char < ' ' || char == '\x7f' || RESERVED.contains(char)) {
        Some("has a character that FAT cannot store: a control character or one of \"*:<>?\\|")
    } else if text.ends_with(['.', ' ']) {
        Some("ends in a dot or a blank, which FAT does not store")
    } else if text.encode_utf16().count() > NAME_UNITS_MAX {
        Some("is longer than 255 characters, the most that FAT stores")
    } else {
        None
    }
}

/// A name in the form in which FAT compares names: readers ignore case, each with its own table.
#[must_use]
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Why a volume cannot have all these paths, a sentence. `None`: it can.
#[must_use]
pub fn check<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    // Directories of the same name in different cases would be one.
    let mut known: HashMap<String, &[u8]> = HashMap::new();
    let text = String::from_utf8_lossy;
    for path in paths {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        let mut start = 0;
        for end in ends.chain([path.len()]) {
            if let Some(why) = fault(&path[start..end]) {
                return Some(format!("file name {:?} {why}", text(path)));
            }
            start = end + 1;
            let path = &path[..end];
            if let Some(other) = known.insert(folded(&text(path)), path).filter(|other| *other != path) {
                return Some(format!(
                    "file names {:?} and {:?} differ only in case, which FAT ignores",
                    text(other),
                    text(path)
                ));
            }
        }
    }
    None
}

/// A label as it is stored. Microsoft's programs write it in upper case, and those that look for `config-2` or `cidata` compare
/// bytes; so it stays as it is.
///
/// # Errors
/// Fails if FAT cannot store it, and says why: the rest of a sentence about it.
pub fn stored_label(label: &str) -> Result<[u8; LABEL_BYTES], String> {
    const RESERVED: &str = "\"*+,./:;<=>?[\\]|";
    if label.len() > LABEL_BYTES {
        return Err(format!("has {} bytes; FAT stores at most {LABEL_BYTES}", label.len()));
    }
    if label.chars().any(|char| !(' '..='~').contains(&char) || RESERVED.contains(char)) {
        return Err(
            "has a character that FAT cannot store: one outside of ASCII or one of \"*+,./:;<=>?[\\]|"
                .to_owned(),
        );
    }
    if label.starts_with(' ') || label.trim().is_empty() {
        return Err("begins with a blank, which FAT cannot store".to_owned());
    }
    let mut stored = [b' '; LABEL_BYTES];
    stored[..label.len()].copy_from_slice(label.as_bytes());
    Ok(stored)
}
