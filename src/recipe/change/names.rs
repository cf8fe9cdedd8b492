//! What the names on an image say about it.

use std::collections::HashMap;

use crate::image::Record;

/// The paths on a FAT volume.
pub(super) struct FatNames<'a> {
    /// The paths in lower case, with their stored form.
    stored: HashMap<Vec<u8>, &'a [u8]>,
}

impl<'a> FatNames<'a> {
    pub(super) fn new(records: &'a [Record]) -> Self {
        let stored = records.iter().map(|record| (record.path.to_ascii_lowercase(), &record.path[..]));
        Self { stored: stored.collect() }
    }

    /// The path that a guest means by `name`: that of the file, or of the directories above it as far as they are there.
    pub(super) fn meant(&self, name: &[u8]) -> Vec<u8> {
        let folded = name.to_ascii_lowercase();
        let ends = (0..name.len()).rev().filter(|&at| name[at] == b'/');
        let known = [name.len()]
            .into_iter()
            .chain(ends)
            .find_map(|end| Some([self.stored.get(&folded[..end])?, &name[end..]].concat()));
        known.unwrap_or_else(|| name.to_vec())
    }
}

/// Whether a program that stores only the letters of plain ISO 9660 stores the name `whole` as `stored`, in lower case as Linux
/// shows it: each part with at most 8 and 3 letters (ECMA-119, 10.1), or with at most 30 (7.5).
pub(super) fn is_cut(stored: &[u8], whole: &[u8]) -> bool {
    let is_part = |stored: &[u8], whole: &[u8], short: usize| {
        let plain = |byte: &u8| match byte.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => b'_',
        };
        let whole: Vec<_> = whole.iter().map(plain).collect();
        [short, 30].iter().any(|&most| stored == &whole[..whole.len().min(most)])
    };
    let split = |name: &[u8]| match name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) => (name[..dot].to_vec(), name[dot + 1..].to_vec()),
        None => (name.to_vec(), Vec::new()),
    };
    let (stored, whole) = (stored.split(|&byte| byte == b'/'), whole.split(|&byte| byte == b'/'));
    let [stored, whole]: [Vec<_>; 2] = [stored.map(split).collect(), whole.map(split).collect()];
    stored.len() == whole.len()
        && stored.iter().zip(&whole).all(|((stem, ending), (whole_stem, whole_ending))| {
            is_part(stem, whole_stem, 8) && is_part(ending, whole_ending, 3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_cut_are_recognized() {
        for (stored, whole, expected) in [
            ("user_dat", "user-data", true),
            ("user_data", "user-data", true),
            ("openstac/latest/meta_dat.jso", "openstack/latest/meta_data.json", true),
            ("openstack/latest/meta_data.json", "openstack/latest/meta_data.json", true),
            ("user_dat", "meta-data", false),
            ("user_da", "user-data", false),
            ("user_dat", "user-data.yaml", false),
            ("user_dat", "d/user-data", false),
            ("config", "config", true),
        ] {
            assert_eq!(is_cut(stored.as_bytes(), whole.as_bytes()), expected, "{stored} for {whole}");
        }
    }
}
