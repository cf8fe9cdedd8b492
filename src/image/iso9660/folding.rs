//! The name by which each reader finds a file: the only place that knows how readers fold names.
//!
//! An image has three trees. Rock Ridge has the names as they were given. Joliet has them in UCS-2, without its reserved
//! characters. The plain tree, of ISO 9660's own names, has 30 letters, digits and underscores of them. Readers ignore more:
//! case, final dots and spaces, version numbers. Two names with the same *key* are the same name to that reader.
//!
//! Unicode can write a text in several ways, such as with composed and decomposed letters, and a mount option like
//! `iocharset=iso8859-1` shows characters as `?`. Neither is folded here: the names that agents look for are ASCII.
//!
//! Sources: Linux, `fs/isofs/{dir,joliet,namei,rock,inode}.c`; the Joliet specification, "Allowed Character Set"; Microsoft,
//! "Naming Files, Paths, and Namespaces"; hadris-iso, which writes the trees, and with which a test compares this.

use super::shown::without_final_dots;

/// Bytes of a Rock Ridge name that Linux reads (`get_rock_ridge_filename`).
pub(crate) const ROCK_RIDGE_BYTES_MAX: usize = 253;

/// Bytes that remain of a longer name: those in the first of its `NM` entries, as hadris cuts it.
const ROCK_RIDGE_CUT_BYTES: usize = 250;

/// The most characters in a Joliet name.
const JOLIET_CHARACTERS_MAX: usize = 64;

/// The most characters in a file name in the plain tree, with a dot and without a version (ECMA-119, 7.5.1).
const PLAIN_CHARACTERS_MAX: usize = 30;

/// The most characters in a directory name in the plain tree (ECMA-119, 7.6.3).
const PLAIN_DIRECTORY_CHARACTERS_MAX: usize = 31;

/// A way to read the names of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameReader {
    /// Linux, by Rock Ridge.
    Linux,
    /// Linux, by Joliet.
    LinuxJoliet,
    /// Windows and 7-Zip, by Joliet.
    Windows,
    /// Any reader of Rock Ridge that copies the files to where case is ignored, or removes versions from all names.
    Lenient,
    /// The names of ISO 9660 itself, as Linux shows them.
    Plain,
}

impl NameReader {
    /// All readers, the most common in guests first.
    pub(super) const ALL: [Self; 5] =
        [Self::Linux, Self::LinuxJoliet, Self::Windows, Self::Lenient, Self::Plain];

    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::LinuxJoliet => "Linux with the mount option norock",
            Self::Windows => "Windows",
            Self::Lenient => "a reader that ignores case, final dots and versions",
            Self::Plain => "a reader of plain ISO 9660 names",
        }
    }

    /// The key by which this reader finds the file or directory at `path`.
    pub(super) fn key(self, path: &[u8], is_directory: bool) -> Vec<u8> {
        let mut key = Vec::with_capacity(path.len());
        let mut parts = path.split(|&byte| byte == b'/').peekable();
        while let Some(part) = parts.next() {
            let above = parts.peek().is_some();
            key.extend(self.fold(part, above || is_directory));
            if above {
                key.push(b'/');
            }
        }
        key
    }

    fn fold(self, part: &[u8], is_directory: bool) -> Vec<u8> {
        match self {
            Self::Linux => rock_ridge(part).to_vec(),
            Self::LinuxJoliet => without_final_dots(&joliet(part)).to_ascii_lowercase().into_bytes(),
            Self::Windows => lenient(&joliet(part)).into_bytes(),
            Self::Lenient => lenient(&String::from_utf8_lossy(rock_ridge(part))).into_bytes(),
            Self::Plain => plain(part, is_directory).into_bytes(),
        }
    }
}

/// The Rock Ridge name that Linux reads.
fn rock_ridge(part: &[u8]) -> &[u8] {
    if part.len() > ROCK_RIDGE_BYTES_MAX { &part[..ROCK_RIDGE_CUT_BYTES] } else { part }
}

/// The Joliet name: UCS-2, without the characters that Joliet reserves.
fn joliet(part: &[u8]) -> String {
    let text = String::from_utf8_lossy(part);
    let convert = |c: char| {
        let reserved = matches!(c, '\0'..='\x1f' | '*' | '/' | ':' | ';' | '?' | '\\');
        if reserved || u32::from(c) > 0xffff { '_' } else { c }
    };
    text.chars().take(JOLIET_CHARACTERS_MAX).map(convert).collect()
}

/// The path in the Joliet tree, as Linux shows it.
pub(super) fn joliet_path(path: &[u8]) -> Vec<u8> {
    let shown = |part| without_final_dots(&joliet(part)).to_owned();
    let parts: Vec<_> = path.split(|&byte| byte == b'/').map(shown).collect();
    parts.join("/").into_bytes()
}

/// A name without case, final dots and spaces, and version.
fn lenient(name: &str) -> String {
    let ends = |name: &str| name.trim_end_matches(['.', ' ']).len();
    let mut kept = &name[..ends(name)];
    if let Some((base, version)) = kept.rsplit_once(';')
        && version.bytes().all(|byte| byte.is_ascii_digit())
    {
        kept = &base[..ends(base)];
    }
    if kept.is_empty() {
        kept = name;
    }
    kept.chars().map(one_case).collect()
}

/// A character in upper case and then in lower case: to some readers, `ſ` and the kelvin sign are `s` and `k`. A character that
/// would become several stays, since no reader compares names of different lengths as equal.
fn one_case(c: char) -> char {
    fn single(mut all: impl Iterator<Item = char>, c: char) -> char {
        match (all.next(), all.next()) {
            (Some(one), None) => one,
            _ => c,
        }
    }
    let upper = single(c.to_uppercase(), c);
    single(upper.to_lowercase(), upper)
}

/// The name in the plain tree, as Linux shows it: in lower case, without version and without a dot at its end.
fn plain(part: &[u8], is_directory: bool) -> String {
    let text = String::from_utf8_lossy(part);
    let convert = |text: &str, max: usize| -> String {
        let convert = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        text.chars().take(max).map(convert).collect()
    };
    match text.rsplit_once('.') {
        _ if is_directory => convert(&text, PLAIN_DIRECTORY_CHARACTERS_MAX),
        Some((base, extension)) => {
            let extension = convert(extension, PLAIN_CHARACTERS_MAX - 2);
            let base = convert(base, PLAIN_CHARACTERS_MAX - 1 - extension.len());
            if extension.is_empty() { base } else { format!("{base}.{extension}") }
        }
        None => convert(&text, PLAIN_CHARACTERS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reader: NameReader, path: &str) -> String {
        String::from_utf8(reader.key(path.as_bytes(), false)).unwrap()
    }

    #[test]
    fn every_reader_folds_names_in_its_own_way() {
        for (path, keys) in [
            ("user-data", ["user-data", "user-data", "user-data", "user-data", "user_data"]),
            ("USER-DATA", ["USER-DATA", "user-data", "user-data", "user-data", "user_data"]),
            ("user-data...", ["user-data...", "user-data", "user-data", "user-data", "user_data__"]),
            ("config.", ["config.", "config", "config", "config", "config"]),
            ("config . ", ["config . ", "config . ", "config", "config", "config_._"]),
            ("config;1", ["config;1", "config_1", "config_1", "config", "config_1"]),
            ("config.;27", ["config.;27", "config._27", "config._27", "config", "config._27"]),
            ("config;x", ["config;x", "config_x", "config_x", "config;x", "config_x"]),
            ("a:b*c", ["a:b*c", "a_b_c", "a_b_c", "a:b*c", "a_b_c"]),
            ("日本語", ["日本語", "日本語", "日本語", "日本語", "___"]),
            ("Ä😀", ["Ä😀", "Ä_", "ä_", "ä😀", "__"]),
            (
                "networ\u{212a}ſß",
                ["networ\u{212a}ſß", "networ\u{212a}ſß", "networksß", "networksß", "networ___"],
            ),
            ("...", ["...", ".", "...", "...", "__"]),
            ("a.b/C.d", ["a.b/C.d", "a.b/c.d", "a.b/c.d", "a.b/c.d", "a_b/c.d"]),
        ] {
            assert_eq!(NameReader::ALL.map(|reader| key(reader, path)), keys, "{path:?}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        let n = |count: usize| "n".repeat(count);
        assert_eq!(key(NameReader::Linux, &n(253)), n(253));
        assert_eq!(key(NameReader::Linux, &n(254)), n(250));
        assert_eq!(key(NameReader::Windows, &n(65)), n(64));
        assert_eq!(key(NameReader::Plain, &n(40)), n(30));
        assert_eq!(key(NameReader::Plain, &format!("{}.json", n(40))), format!("{}.json", n(25)));
        assert_eq!(key(NameReader::Plain, &format!("x.{}", n(40))), format!("x.{}", n(28)));
        assert_eq!(NameReader::Plain.key(n(40).as_bytes(), true), n(31).into_bytes());
    }
}
