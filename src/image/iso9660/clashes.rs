//! Finds names on an image that some reader cannot distinguish, and decides whether the image can still be signed.
//!
//! *Refused* are names under which a reader could get other bytes than the guest that verified the image:
//!
//! - Two paths that are the same in Rock Ridge or Joliet. These trees have the names that were given, so a reader that opens one
//!   may get the file of the other.
//! - A path that a reader takes for one that an agent looks for, although it is not exactly that. The reader opens it in place of
//!   the agent's file, or where there should be no file.
//! - A path in more directories than ISO 9660 has levels: in the plain tree it is somewhere else.
//! - A volume identifier that a reader of Joliet takes for one that agents look for, since Joliet cuts off what follows blanks.
//!
//! *Doubtful* are two paths that are the same in the plain tree only. The names there are made up, have 30 characters without
//! even a dash, and are numbered where they would be the same. So a reader has to list them to know them, and no agent looks for
//! them. `create` and `sign` warn of them, and `verify` accepts them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::error::{Result, error};

use super::folding::NameReader;
use crate::image::{Image, JOLIET_IDENTIFIER_CHARACTERS, Kind, Record, Volume};

/// How many directories below the root a file may be in: there are at most eight levels, with that of the root (ECMA-119,
/// 6.8.2.1).
const DIRECTORIES_MAX: usize = 7;

/// Clashes of names on an image, a sentence for each kind: the first one, and a count of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clashes {
    /// Why the image cannot be signed, and why its signature is not accepted.
    pub refused: Option<String>,
    /// What is likely to be a mistake.
    pub doubtful: Option<String>,
}

impl Clashes {
    /// Checks the paths of all `files` of an image. `looked_for`: names that agents look for; `own`: additional files of a signed
    /// image. No other path may be taken for one of these.
    #[must_use]
    pub fn of<'a>(
        files: impl Iterator<Item = &'a [u8]>,
        looked_for: &Reserved,
        own: &[&'static str],
    ) -> Self {
        let mut paths = BTreeMap::new();
        for file in files {
            for (end, _) in file.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                paths.insert(&file[..end], true);
            }
            paths.insert(file, false);
        }
        let (mut refused, mut doubtful) = (Sentences::default(), Sentences::default());
        for path in paths.iter().filter(|(_, is_directory)| !**is_directory).map(|(path, _)| *path) {
            if path.split(|&byte| byte == b'/').count() > DIRECTORIES_MAX + 1 {
                refused.add(path, || {
                    let path = String::from_utf8_lossy(path);
                    format!(
                        "file {path:?} is more than {DIRECTORIES_MAX} directories deep, which plain ISO 9660 cannot store"
                    )
                });
            }
        }
        for reader in NameReader::ALL {
            let looked_for = looked_for.of(reader);
            let own: Vec<_> = own.iter().map(|name| (reader.key(name.as_bytes(), false), *name)).collect();
            let mut keys = BTreeMap::new();
            for (&path, &is_directory) in &paths {
                let key = reader.key(path, is_directory);
                let own = own.iter().find(|(other, _)| *other == key).map(|(_, name)| name);
                let known = looked_for.get(&key).or(own).map(|name| name.as_bytes());
                let other = known.or(keys.get(&key).copied());
                keys.insert(key, path);
                let Some(other) = other.filter(|other| *other != path) else { continue };
                let made_up = reader == NameReader::Plain && known.is_none();
                let sentences = if made_up { &mut doubtful } else { &mut refused };
                sentences.add(path, || {
                    let kind = if is_directory { "directory" } else { "file" };
                    let [path, other] = [path, other].map(String::from_utf8_lossy);
                    format!("{kind} {path:?} is the same as {other:?} to {}", reader.name())
                });
            }
        }
        doubtful.paths.retain(|path| !refused.paths.contains(path));
        Self { refused: refused.summary(), doubtful: doubtful.summary() }
    }

    /// The same, with clashes of the volume identifier.
    #[must_use]
    pub fn on_volume(mut self, identifier: &str, looked_for: &Reserved) -> Self {
        if let Some(known) = looked_for.volume_taken_for(identifier) {
            let why = || {
                format!(
                    "volume identifier {identifier:?} is the same as {known:?} to Windows, since Joliet stores 16 characters"
                )
            };
            self.refused.get_or_insert_with(why);
        }
        self
    }
}

/// Names that agents look for, in the form in which each reader compares them. No other name may be taken for one of them.
///
/// The forms are made when they are first needed: most images have no other files than those of their layout.
#[derive(Debug)]
pub struct Reserved {
    files: LazyLock<NameKeys, Box<dyn FnOnce() -> NameKeys + Send>>,
    volumes: Vec<&'static str>,
}

/// For each reader, names by the form in which it compares them.
type NameKeys = [BTreeMap<Vec<u8>, &'static str>; NameReader::ALL.len()];

impl Reserved {
    /// The names of files, which are asked for at most once, and the identifiers of volumes.
    pub fn new(
        files: impl FnOnce() -> Vec<&'static str> + Send + 'static,
        volumes: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let keys = move || {
            let files = files();
            NameReader::ALL
                .map(|reader| files.iter().map(|name| (reader.key(name.as_bytes(), false), *name)).collect())
        };
        Self { files: LazyLock::new(Box::new(keys)), volumes: volumes.into_iter().collect() }
    }

    /// The reserved identifier that a reader of Joliet takes `identifier` for, if other readers do not.
    fn volume_taken_for(&self, identifier: &str) -> Option<&'static str> {
        let cut: String = identifier.chars().take(JOLIET_IDENTIFIER_CHARACTERS).collect();
        let [all, cut] = [identifier, &cut].map(|text| text.trim_end_matches(' '));
        let taken = self.volumes.iter().copied().find(|known| cut.eq_ignore_ascii_case(known));
        taken.filter(|_| all != cut)
    }

    /// The keys of the names for a reader.
    pub(super) fn of(&self, reader: NameReader) -> &BTreeMap<Vec<u8>, &'static str> {
        &self.files[reader as usize]
    }
}

/// Findings about paths, of which only the first is worded.
#[derive(Default)]
struct Sentences<'a> {
    paths: BTreeSet<&'a [u8]>,
    first: Option<String>,
}

impl<'a> Sentences<'a> {
    fn add(&mut self, path: &'a [u8], what: impl FnOnce() -> String) {
        self.paths.insert(path);
        self.first.get_or_insert_with(what);
    }

    fn summary(self) -> Option<String> {
        let first = self.first?;
        Some(match self.paths.len() {
            0 => return None,
            1 => first,
            count => format!("{first} (and {} more)", count - 1),
        })
    }
}

impl Image {
    /// Checks that every reader finds the same files under the names of `records`, which are all of the image, and takes `volume`
    /// for the same volume. For `looked_for` and `own` see [`Clashes::of`].
    ///
    /// # Errors
    /// Fails if two names mean the same to a reader, a name looks like one of `looked_for`, or the volume identifier is cut to one
    /// that agents look for.
    pub fn check_names(
        volume: &Volume,
        records: &[Record],
        looked_for: &Reserved,
        own: &[&'static str],
    ) -> Result<()> {
        let files = records.iter().filter(|record| record.kind == Kind::File);
        let clashes = Clashes::of(files.map(|record| record.path.as_slice()), looked_for, own)
            .on_volume(&volume.identifier, looked_for);
        clashes.refused.map_or(Ok(()), |why| Err(error!(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserved(files: &[&'static str]) -> Reserved {
        let files = files.to_vec();
        Reserved::new(move || files, ["CIDATA", "config-2"])
    }

    #[test]
    fn a_volume_is_taken_for_another_if_joliet_cuts_off_what_follows_blanks() {
        let taken_for = |identifier| reserved(&[]).volume_taken_for(identifier);
        assert_eq!(taken_for("CIDATA          x"), Some("CIDATA"));
        assert_eq!(taken_for("Config-2         x"), Some("config-2"));
        for identifier in
            ["CIDATA", "CIDATA  ", "CIDATA         x", "CIDATA2         x", "x", "12345678901234567"]
        {
            assert_eq!(taken_for(identifier), None, "{identifier}");
        }
    }

    fn clashes(paths: &[&str]) -> Clashes {
        let paths = paths.iter().map(|path| path.as_bytes()).chain([&b"config"[..]]);
        let agents = [
            "config",
            "user-data",
            "meta-data",
            "network-config",
            "vendor-data",
            "openstack/latest/user_data",
            "openstack/2017-02-22/user_data",
            "openstack/2018-08-27/user_data",
            "ec2/latest/meta-data.json",
            "meta.js",
        ];
        Clashes::of(paths, &reserved(&agents), &["manifest.json"])
    }

    #[test]
    fn names_that_could_give_a_reader_other_bytes_are_refused() {
        let norock = "Linux with the mount option norock";
        let n = "n".repeat(253);
        let [long, longer] = ["a", "b"].map(|end| format!("{n}{end}"));
        let cut = "x".repeat(64);
        let [cut_1, cut_2] = ["1", "2"].map(|end| format!("{cut}{end}"));
        for (paths, path, other, reader) in [
            (&["USER-DATA"][..], "USER-DATA", "user-data", norock),
            (&["user-data..."], "user-data...", "user-data", norock),
            (&["META-DATA"], "META-DATA", "meta-data", norock),
            (&["Config"], "Config", "config", norock),
            (&["config."], "config.", "config", norock),
            (&["config "], "config ", "config", "Windows"),
            (&["config;1"], "config;1", "config", "a reader that ignores case, final dots and versions"),
            (&["Manifest.json"], "Manifest.json", "manifest.json", norock),
            (&["user_data"], "user_data", "user-data", "a reader of plain ISO 9660 names"),
            (&["user+data/x"], "user+data", "user-data", "a reader of plain ISO 9660 names"),
            (
                &["OpenStack/Latest/user_data"],
                "OpenStack/Latest/user_data",
                "openstack/latest/user_data",
                norock,
            ),
            (
                &["openstack/2018-08-27/USER_DATA"],
                "openstack/2018-08-27/USER_DATA",
                "openstack/2018-08-27/user_data",
                norock,
            ),
            (&["meta.js;1"], "meta.js;1", "meta.js", "a reader that ignores case, final dots and versions"),
            (&["networ\u{212a}-config"], "networ\u{212a}-config", "network-config", "Windows"),
            (&["A/x", "a/y"], "a", "A", norock),
            (&["a:b", "a_b"], "a_b", "a:b", norock),
            (&["😀", "😁"], "😁", "😀", norock),
            (&["Ä", "ä"], "ä", "Ä", "Windows"),
            (&[&long, &longer], &longer, &long, "Linux"),
            (&[&cut_1, &cut_2], &cut_2, &cut_1, norock),
        ] {
            let sentence = format!(" {path:?} is the same as {other:?} to {reader}");
            let found = clashes(paths).refused.unwrap_or_default();
            assert!(found.contains(&sentence), "{paths:?}: {found}");
        }
    }

    #[test]
    fn names_that_differ_in_every_tree_are_fine() {
        for paths in [
            &["日", "日本語"][..],
            &["user-data", "meta-data", "network-config", "vendor-data", "openstack/latest/user_data"],
            &["a.b", "a.c", "ab", "keys/ca.pem", "keys/config", "keys/USER-DATA"],
            &["ä", "c?d", "a b", "1/2/3/4/5/6/7/8"],
            &[
                "openstack/2018-08-27/user_data",
                "openstack/2017-02-22/user_data",
                "ec2/latest/meta-data.json",
            ],
        ] {
            assert_eq!(clashes(paths), Clashes::default(), "{paths:?}");
        }
    }

    #[test]
    fn names_that_only_the_plain_tree_changes_are_doubtful() {
        let doubtful = |what: &str| Clashes { refused: None, doubtful: Some(what.to_owned()) };
        let reader = "a reader of plain ISO 9660 names";
        assert_eq!(
            clashes(&["a+", "a-"]),
            doubtful(&format!("file \"a-\" is the same as \"a+\" to {reader}"))
        );
        assert_eq!(
            clashes(&["a+", "a-", "a=", "日", "本"]),
            doubtful(&format!("file \"a-\" is the same as \"a+\" to {reader} (and 2 more)"))
        );
    }

    #[test]
    fn directories_may_be_seven_deep() {
        let why =
            "file \"1/2/3/4/5/6/7/8/9\" is more than 7 directories deep, which plain ISO 9660 cannot store";
        assert_eq!(clashes(&["1/2/3/4/5/6/7/8/9"]).refused.as_deref(), Some(why));
        assert_eq!(clashes(&["1/2/3/4/5/6/7/8/9", "CONFIG"]).refused, Some(format!("{why} (and 1 more)")));
    }
}
