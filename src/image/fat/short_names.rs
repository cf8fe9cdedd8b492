//! Short names: eight characters and three, in upper case ("Short Directory Entries").

use std::collections::{HashMap, HashSet};

/// Bytes of a short name, padded with blanks, without its dot.
pub(super) const SHORT_NAME_BYTES: usize = 11;

/// Bytes before the dot.
const BASE_BYTES: usize = 8;

/// A short name as it is stored.
pub(super) type ShortName = [u8; SHORT_NAME_BYTES];

/// The short names of the files of a directory, in the order of `names`, and whether a file needs a long name as well.
pub(super) fn short_names(names: &[&str]) -> Vec<(ShortName, bool)> {
    let own: Vec<_> = names.iter().map(|name| exact(&name.to_ascii_uppercase())).collect();
    let mut used: HashSet<ShortName> = own.iter().copied().flatten().collect();
    let mut next = HashMap::new();
    let each = names.iter().zip(own).map(|(name, own)| match own {
        Some(own) => (own, exact(name) != Some(own)),
        None => (numbered(name, &mut used, &mut next), true),
    });
    each.collect()
}

/// A name as a short name. `None`: it is not one.
fn exact(name: &str) -> Option<ShortName> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_valid = |part: &str, len| part.len() <= len && part.bytes().all(is_short);
    let has_empty_part = base.is_empty() || name.ends_with('.');
    (!has_empty_part && is_valid(base, BASE_BYTES) && is_valid(extension, SHORT_NAME_BYTES - BASE_BYTES))
        .then(|| join(base.as_bytes(), extension.as_bytes()))
}

fn is_short(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

fn join(base: &[u8], extension: &[u8]) -> ShortName {
    let mut name = [b' '; SHORT_NAME_BYTES];
    name[..base.len()].copy_from_slice(base);
    name[BASE_BYTES..BASE_BYTES + extension.len()].copy_from_slice(extension);
    name
}

/// A short name with a number, which no other file has: `USER-D~1`. `next`: the first number to try for what is before it.
fn numbered(name: &str, used: &mut HashSet<ShortName>, next: &mut HashMap<ShortName, u32>) -> ShortName {
    let (base, extension) = name.rsplit_once('.').filter(|(base, _)| !base.is_empty()).unwrap_or((name, ""));
    let short = |part: &str, len| -> Vec<u8> {
        let kept = part.chars().filter(|char| !matches!(char, ' ' | '.'));
        let kept =
            kept.map(|char| u8::try_from(char.to_ascii_uppercase()).ok().filter(|byte| is_short(*byte)));
        kept.map(|byte| byte.unwrap_or(b'_')).take(len).collect()
    };
    let (base, extension) = (short(base, BASE_BYTES), short(extension, SHORT_NAME_BYTES - BASE_BYTES));
    let number = next.entry(join(&base, &extension)).or_insert(1);
    loop {
        let tail = format!("~{number}");
        *number += 1;
        let kept = base.len().min(BASE_BYTES - tail.len());
        let found = join(&[&base[..kept], tail.as_bytes()].concat(), &extension);
        if used.insert(found) {
            return found;
        }
    }
}

/// What ties a long name to its short name (`ChkSum`).
pub(super) fn checksum(name: &ShortName) -> u8 {
    name.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[&str]) -> Vec<String> {
        let text = |name: ShortName| {
            let text = String::from_utf8(name.to_vec()).unwrap();
            let (base, extension) = text.split_at(8);
            format!("{}.{}", base.trim_end(), extension.trim_end())
        };
        short_names(names).into_iter().map(|(name, long)| text(name) + if long { "+" } else { "" }).collect()
    }

    #[test]
    fn names_become_short_as_everywhere() {
        let names = [
            "user-data",
            "meta-data",
            "network-config",
            "config",
            "CONFIG.TXT",
            "a.b.c",
            ".hidden",
            "Grün ß.txt",
        ];
        assert_eq!(
            shown(&names),
            [
                "USER-D~1.+",
                "META-D~1.+",
                "NETWOR~1.+",
                "CONFIG.+",
                "CONFIG.TXT",
                "AB~1.C+",
                "HIDDEN~1.+",
                "GR_N_~1.TXT+"
            ]
        );
        assert_eq!(
            shown(&["meta_data.json", "user_data", "vendor_data.json"]),
            ["META_D~1.JSO+", "USER_D~1.+", "VENDOR~1.JSO+"]
        );
    }

    #[test]
    fn no_two_files_have_one_short_name() {
        assert_eq!(
            shown(&["user-data", "USER-D~1", "user-data2"]),
            ["USER-D~2.+", "USER-D~1.", "USER-D~3.+"]
        );
        let names: Vec<_> = (0..20_000).map(|number| format!("configuration-{number}.txt")).collect();
        let short = short_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(short.iter().map(|(name, _)| name).collect::<HashSet<_>>().len(), names.len());
    }
}
