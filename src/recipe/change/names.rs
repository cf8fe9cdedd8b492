//! What the names on an image say about it.

use crate::{
    datasource::layout::{Layout, is_cidata},
    image::{Record, Volume},
};

/// The layout of a volume, even if a file of it is missing.
pub(super) fn likely_layout(volume: &Volume, records: &[Record]) -> Option<Layout> {
    let has = |name: &str| records.iter().any(|record| record.path == name.as_bytes());
    let identifier = &volume.identifier;
    Layout::of(volume, records).or_else(|| {
        let is_config_drive = identifier.eq_ignore_ascii_case(Layout::ConfigDrive.volume_identifier());
        let is_nocloud = is_cidata(identifier) && (has("user-data") || has("meta-data"));
        match (is_config_drive, is_nocloud) {
            (true, _) => Some(Layout::ConfigDrive),
            (_, true) => Some(Layout::NoCloud),
            _ => None,
        }
    })
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
