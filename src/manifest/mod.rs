//! The manifest: what is on an image, and what its makers want to say about this boot.
//!
//! `manifest.json` in the root directory is one JSON object. Its bytes are canonical, so that whoever makes one of the same
//! facts makes the same bytes, and a signature of one is a signature of all: members in the order of their names, no
//! white space and no line end, strings in UTF-8 with no escape but `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r` and `\u00XX`
//! with small letters for other control characters up to U+001F, numbers as decimal digits. No member is `null`.
//!
//! | member | value |
//! |---|---|
//! | `audience` | who shall accept the image; may be missing |
//! | `created_at` | the image's date |
//! | `files` | every other file but the signature, by the bytes of its name: `name` from the root with `/`, `sha256` in small hexadecimal digits, `size` in bytes |
//! | `layout` | `linuxkit`, `nocloud` or `configdrive` |
//! | `not_after`, `not_before` | the last and the first second in which the image may be accepted; may be missing |
//! | `run_id` | the name of this boot |
//! | `user_provided_metadata` | an array of strings, each attached after the one before |
//! | `version` | 1: this format, and the layout of the image |
//! | `volume_identifier` | that of the primary volume descriptor without blanks at its end |
//!
//! Times are `YYYY-MM-DDThh:mm:ssZ`.

pub mod inventory;
pub mod timestamp;

use crate::error::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{inventory::Contents, timestamp::Moment};
use crate::{
    datasource::layout::Layout,
    encoding::hex,
    image::{
        DIGEST_BYTES,
        iso9660::writer::{DerivedFile, DerivedFrom, DerivedInput},
    },
};

/// The manifest's name on an image.
pub const NAME: &str = "manifest.json";

/// The signature's name on an image.
pub const SIGNATURE_NAME: &str = "manifest.json.sig";

/// The files of an image that are about the others.
pub const OWN_NAMES: [&str; 2] = [NAME, SIGNATURE_NAME];

/// Bytes of a manifest at most: twice what as many files as an image holds take, with the longest names.
pub const BYTES_MAX: u64 = 8 << 20;

/// The only version there is. It names the members of a manifest, and how an image that has one is laid out, byte for byte:
/// whoever verifies an image builds it again. So neither may change without a new version beside this one; the images in
/// testdata/frozen tell.
const VERSION: u32 = 1;

/// Bytes of a run id at most.
const RUN_ID_BYTES_MAX: usize = 255;

/// Hexadecimal digits of a run id that is made from the content.
const RUN_ID_DIGITS: usize = 32;

/// What is on an image, and what its makers say. The order of the members is that of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who shall accept the image; `None`: whoever trusts its signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The image's date.
    pub created_at: Moment,
    /// Every file on the image but the manifest and its signature, by name.
    pub files: Vec<File>,
    /// The image's layout.
    pub layout: Layout,
    /// The last second in which the image may be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
    /// The first second in which it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// The name of this boot.
    pub run_id: String,
    /// What was attached to it, oldest first.
    pub user_provided_metadata: Vec<String>,
    version: u32,
    /// The volume identifier.
    pub volume_identifier: String,
}

/// A file on an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path from the root.
    pub name: String,
    /// The SHA-256 digest of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Bytes in it.
    pub size: u64,
}

impl File {
    /// A file of that name, size and digest.
    ///
    /// # Errors
    /// The name is not UTF-8.
    pub fn new(name: &[u8], size: u64, digest: &[u8; DIGEST_BYTES]) -> Result<Self> {
        let name = str::from_utf8(name).ok().with_context(|| {
            format!("file name {:?} is not UTF-8, as a manifest asks for", String::from_utf8_lossy(name))
        })?;
        Ok(Self { name: name.to_owned(), sha256: hex(digest), size })
    }
}

/// The run id of a boot that is told `content`.
#[must_use]
pub fn run_id_of(content: &[u8]) -> String {
    hex(&Sha256::digest(content))[..RUN_ID_DIGITS].to_owned()
}

/// What a manifest says besides what is on the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The name of this boot; `None`: made from the content.
    pub run_id: Option<String>,
    /// What is attached to it.
    pub user_provided_metadata: Vec<String>,
    /// The first second in which the image may be accepted.
    pub not_before: Option<Moment>,
    /// The last one.
    pub not_after: Option<Moment>,
    /// Who shall accept the image.
    pub audience: Option<String>,
}

impl Statement {
    /// Finds what no image could make right.
    ///
    /// # Errors
    /// An empty or unprintable run id or audience, or an interval that ends before it begins.
    pub fn check(&self) -> Result<()> {
        for (what, text) in [("run id", &self.run_id), ("audience", &self.audience)] {
            match text.as_deref() {
                Some("") => bail!("the {what} is empty"),
                Some(text) if text.chars().any(char::is_control) => {
                    bail!("{what} {text:?} has control characters")
                }
                Some(text) if text.len() > RUN_ID_BYTES_MAX => {
                    bail!("the {what} has {} bytes, and {RUN_ID_BYTES_MAX} is the most", text.len())
                }
                _ => {}
            }
        }
        if let (Some(after), Some(before)) = (self.not_before, self.not_after) {
            ensure!(after <= before, "the image may be accepted until {before}, before it may from {after}");
        }
        Ok(())
    }
}

/// What a volume is, for its manifest.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The volume identifier.
    pub identifier: String,
    /// The layout.
    pub layout: Layout,
    /// The date.
    pub created_at: Moment,
}

impl Manifest {
    /// The manifest of a volume with these files, which are in the order of their names.
    #[must_use]
    pub fn new(volume: &Volume, files: Vec<File>, statement: Statement) -> Self {
        let mut manifest = Self {
            audience: None,
            created_at: volume.created_at,
            files,
            layout: volume.layout,
            not_after: None,
            not_before: None,
            run_id: String::new(),
            user_provided_metadata: Vec::new(),
            version: VERSION,
            volume_identifier: volume.identifier.trim_end_matches(' ').to_owned(),
        };
        // Of the content alone: what is attached later does not change it.
        let derived = || run_id_of(&manifest.to_bytes());
        manifest.run_id = statement.run_id.unwrap_or_else(derived);
        manifest.audience = statement.audience;
        manifest.not_after = statement.not_after;
        manifest.not_before = statement.not_before;
        manifest.user_provided_metadata = statement.user_provided_metadata;
        manifest
    }

    /// The canonical bytes.
    ///
    /// # Panics
    /// Never: all of it is JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys only")
    }

    /// Parses the bytes of a manifest.
    ///
    /// # Errors
    /// They are no manifest, one of another version, or not canonical.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let parse = || {
            let Versioned { version } = serde_json::from_slice(bytes)?;
            ensure!(
                version <= VERSION,
                "it has version {version}, and this program knows no newer one than {VERSION} (use a newer metadata)"
            );
            ensure!(version == VERSION, "it has version {version}, which is none");
            let manifest: Self = serde_json::from_slice(bytes)?;
            ensure!(manifest.to_bytes() == bytes, "its bytes are not canonical");
            ensure!(
                manifest.files.is_sorted_by(|one, other| one.name < other.name),
                "its files are not in order"
            );
            manifest.statement().check()?;
            Ok(manifest)
        };
        parse().with_context(|| format!("reading {NAME}"))
    }

    /// What it says besides what is on the image.
    #[must_use]
    pub fn statement(&self) -> Statement {
        Statement {
            run_id: Some(self.run_id.clone()),
            user_provided_metadata: self.user_provided_metadata.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
            audience: self.audience.clone(),
        }
    }

    /// Whether it describes the image with these contents.
    ///
    /// # Errors
    /// It does not. The error says in what.
    pub fn check(&self, contents: &Contents) -> Result<()> {
        self.compare(contents).with_context(|| format!("comparing the image with its {NAME}"))
    }

    fn compare(&self, contents: &Contents) -> Result<()> {
        let identifier = &contents.volume.identifier;
        ensure!(
            *identifier == self.volume_identifier,
            "the volume is called {identifier:?}, not {:?}",
            self.volume_identifier
        );
        let created = contents.volume.created.as_deref().unwrap_or("no date");
        ensure!(
            created == self.created_at.to_string(),
            "the volume's date is {created}, not {}",
            self.created_at
        );
        let mut listed = self.files.iter().peekable();
        for file in &contents.files {
            match listed.next_if(|listed| listed.name <= file.name) {
                Some(listed) if listed == file => {}
                Some(listed) if listed.name == file.name => {
                    ensure!(
                        listed.size == file.size,
                        "file {:?} has {} bytes, not {}",
                        file.name,
                        file.size,
                        listed.size
                    );
                    bail!("file {:?} is another one: its digest is {}", file.name, file.sha256);
                }
                Some(listed) => bail!("file {:?} is missing", listed.name),
                None => bail!("file {:?} is not in it", file.name),
            }
        }
        match listed.next() {
            Some(listed) => bail!("file {:?} is missing", listed.name),
            None => Ok(()),
        }
    }
}

/// Makes the manifest of an image that is being built.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    pub(crate) volume: Volume,
    pub(crate) statement: Statement,
}

impl DerivedFile for Maker {
    fn derived_from(&self) -> DerivedFrom {
        DerivedFrom::Files
    }

    fn render(&self, input: &DerivedInput) -> Result<Vec<u8>> {
        let signed = input.files.iter().filter(|file| file.name != SIGNATURE_NAME.as_bytes());
        let listed = signed.map(|file| File::new(file.name, file.len, &file.digest));
        let manifest = Manifest::new(&self.volume, listed.collect::<Result<_>>()?, self.statement.clone());
        let bytes = manifest.to_bytes();
        ensure!(bytes.len() as u64 <= BYTES_MAX, "the manifest is longer than {BYTES_MAX} bytes");
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &str = concat!(
        r#"{"audience":"web","created_at":"1980-01-01T00:00:00Z","files":[{"name":"config","sha256":"#,
        r#""2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5}],"layout":"linuxkit","#,
        r#""not_after":"2027-01-01T00:00:00Z","not_before":"2026-01-01T00:00:00Z","run_id":"r1","#,
        r#""user_provided_metadata":["a \"b\"\n\u001b\\/é"],"version":1,"volume_identifier":"CIDATA"}"#
    );

    #[test]
    fn a_manifest_has_the_bytes_that_the_documentation_says() -> Result<()> {
        let manifest = Manifest::parse(BYTES.as_bytes())?;
        assert_eq!(manifest.user_provided_metadata, ["a \"b\"\n\u{1b}\\/é"]);
        assert_eq!(manifest.not_after, Some(Moment::parse("2027-01-01T00:00:00Z")?));
        assert_eq!(String::from_utf8(manifest.to_bytes())?, BYTES);
        Ok(())
    }

    #[test]
    fn another_spelling_of_a_manifest_is_refused() {
        let refused = |from: &str, to: &str, because: &str| {
            assert!(BYTES.contains(from), "{from}");
            let error = Manifest::parse(BYTES.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(format!("{error:#}").contains(because), "{from} -> {to}: {error:#}");
        };
        let canonical = "not canonical";
        refused(r#"{"audience":"web","#, r#"{ "audience":"web","#, canonical);
        refused(r#""audience":"web","#, r#""audience":null,"#, canonical);
        refused(r"\/é", r"/\u00e9", canonical);
        refused(r"\u001b", r"\u001B", canonical);
        refused(
            r#""version":1,"volume_identifier":"CIDATA""#,
            r#""volume_identifier":"CIDATA","version":1"#,
            canonical,
        );
        refused(r#""size":5"#, r#""size":5.0"#, "invalid type");
        refused(r#""size":5"#, r#""size":05"#, "invalid number");
        refused(r#""size":5"#, r#""size":-5"#, "invalid value");
        refused(r#""run_id":"r1","#, r#""run_id":"r1","run_id":"r2","#, "duplicate field");
        refused(r#""run_id":"r1","#, r#""run_id":"r1","signed":true,"#, "unknown field");
        refused(r#""run_id":"r1","#, "", "missing field");
        refused(r#""run_id":"r1","#, r#""run_id":"","#, "the run id is empty");
        refused(r#""layout":"linuxkit""#, r#""layout":"floppy""#, "unknown variant");
        refused(
            r#""version":1"#,
            r#""version":2"#,
            "it has version 2, and this program knows no newer one than 1",
        );
        refused("2027-01-01T00:00:00Z", "2027-01-01T00:00:00+00:00", "is no time");
        refused("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.5Z", "is no time");
        refused("2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "until 2025-01-01T00:00:00Z");
        refused("\"volume_identifier\":\"CIDATA\"}", "\"volume_identifier\":\"CIDATA\"}\n", canonical);
        refused(
            r#"[{"name":"config","#,
            r#"[{"name":"z","sha256":"","size":1},{"name":"config","#,
            "its files are not in order",
        );
    }

    #[test]
    fn what_is_attached_later_does_not_change_the_run_id() {
        let volume = Volume {
            identifier: "X".to_owned(),
            layout: Layout::LinuxKit,
            created_at: Moment::from_seconds(0).unwrap(),
        };
        let id = |strings: &[&str]| {
            let user_provided_metadata = strings.iter().map(|&string| string.to_owned()).collect();
            let statement = Statement { user_provided_metadata, ..Statement::default() };
            Manifest::new(&volume, Vec::new(), statement).run_id
        };
        assert_eq!(id(&["a"]), id(&["a", "b"]));
        assert_eq!(id(&[]).len(), RUN_ID_DIGITS);
    }
}
