//! The manifest: what is on an image, and what its makers state about this boot.
//!
//! `manifest.json` in the root directory is one JSON object. Its bytes are canonical: equal content has equal bytes, and so one
//! signature. Members are in the order of their names. There is no white space and no line end. Strings are UTF-8, and their only
//! escapes are `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r`, and `\u00XX` with lower-case letters for other control characters up to
//! U+001F. Numbers are decimal digits. No member is `null`.
//!
//! | member | value |
//! |---|---|
//! | `audience` | who may accept the image; optional |
//! | `created_at` | the image's date |
//! | `files` | every file except manifest and signature, in the order of the bytes of its name: `name` from the root with `/`, `sha256` in lower-case hexadecimal digits, `size` in bytes |
//! | `layout` | `linuxkit`, `nocloud` or `configdrive` |
//! | `not_after`, `not_before` | the last and the first second in which the image may be accepted; optional |
//! | `run_id` | the name of this boot |
//! | `user_provided_metadata` | an array of strings, each attached after the one before |
//! | `version` | 1: this format, and the layout of the image |
//! | `volume_identifier` | the volume identifier of the primary volume descriptor, without trailing blanks |
//!
//! Times are `YYYY-MM-DDThh:mm:ssZ`.

pub mod inventory;
pub mod timestamp;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{inventory::Contents, timestamp::Timestamp};
use crate::{
    datasource::layout::Layout,
    encoding::hex,
    error::{Context, Result, bail, ensure},
    image::{
        DIGEST_BYTES,
        iso9660::writer::{DerivedFile, DerivedFrom, DerivedInput},
    },
};

/// The manifest's name on an image.
pub const NAME: &str = "manifest.json";

/// The signature's name on an image.
pub const SIGNATURE_NAME: &str = "manifest.json.sig";

/// The files on an image that a manifest does not list.
pub const OWN_NAMES: [&str; 2] = [NAME, SIGNATURE_NAME];

/// The most bytes in a manifest: twice the size for as many files as an image can hold, with the longest names.
pub const BYTES_MAX: u64 = 8 << 20;

/// The only version. It fixes the members of a manifest, and every byte of the layout of an image that has one, since `verify`
/// builds the image again. A change of either needs another version beside this one. The images in testdata/frozen test this.
const VERSION: u32 = 1;

/// The most bytes in a run ID, and in an audience.
const RUN_ID_BYTES_MAX: usize = 255;

/// Hexadecimal digits of a run ID that is made from the content.
const RUN_ID_DIGITS: usize = 32;

/// What is on an image, and what its makers state. The fields are in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who may accept the image; `None`: anyone who trusts its signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The image's date.
    pub created_at: Timestamp,
    /// Every file on the image except the manifest and its signature, in the order of their names.
    pub files: Vec<ListedFile>,
    /// The image's layout.
    pub layout: Layout,
    /// The last second in which the image may be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The first second in which the image may be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The name of this boot.
    pub run_id: String,
    /// The strings that were attached, oldest first.
    pub user_provided_metadata: Vec<String>,
    version: u32,
    /// The volume identifier.
    pub volume_identifier: String,
}

/// A file that a manifest lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Its path from the root.
    pub name: String,
    /// The SHA-256 digest of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// The number of bytes.
    pub size: u64,
}

impl ListedFile {
    /// A file with this name, size and digest.
    ///
    /// # Errors
    /// Fails if the name is not UTF-8.
    pub fn new(name: &[u8], size: u64, digest: &[u8; DIGEST_BYTES]) -> Result<Self> {
        let name = str::from_utf8(name).ok().with_context(|| {
            format!(
                "the file name {:?} is not UTF-8, which a manifest requires",
                String::from_utf8_lossy(name)
            )
        })?;
        Ok(Self { name: name.to_owned(), sha256: hex(digest), size })
    }
}

/// The run ID that is made from `content`.
#[must_use]
pub fn run_id_of(content: &[u8]) -> String {
    hex(&Sha256::digest(content))[..RUN_ID_DIGITS].to_owned()
}

/// What the makers of an image state in its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The name of this boot; `None`: made from the content.
    pub run_id: Option<String>,
    /// The attached strings.
    pub user_provided_metadata: Vec<String>,
    /// The first second in which the image may be accepted.
    pub not_before: Option<Timestamp>,
    /// The last second in which it may be accepted.
    pub not_after: Option<Timestamp>,
    /// Who may accept the image.
    pub audience: Option<String>,
}

impl Statement {
    /// Checks the statement without an image.
    ///
    /// # Errors
    /// Fails if the run ID or the audience is empty, too long or has control characters, or if `not_after` is before `not_before`.
    pub fn check(&self) -> Result<()> {
        for (what, text) in [("run ID", &self.run_id), ("audience", &self.audience)] {
            match text.as_deref() {
                Some("") => bail!("the {what} is empty"),
                Some(text) if text.chars().any(char::is_control) => {
                    bail!("the {what} {text:?} has control characters")
                }
                Some(text) if text.len() > RUN_ID_BYTES_MAX => {
                    bail!("the {what} has {} bytes; at most {RUN_ID_BYTES_MAX} are allowed", text.len())
                }
                _ => {}
            }
        }
        if let (Some(after), Some(before)) = (self.not_before, self.not_after) {
            ensure!(after <= before, "not_after {before} is before not_before {after}");
        }
        Ok(())
    }
}

/// What a manifest says about the volume.
#[derive(Clone, Debug)]
pub struct VolumeInfo {
    /// The volume identifier.
    pub identifier: String,
    /// The layout.
    pub layout: Layout,
    /// The date.
    pub created_at: Timestamp,
}

impl Manifest {
    /// The manifest of a volume with these files, which must be in the order of their names.
    #[must_use]
    pub fn new(volume: &VolumeInfo, files: Vec<ListedFile>, statement: Statement) -> Self {
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
        // Made from the content alone, so that strings that are attached later do not change it.
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
    /// Never: every manifest can be written as JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys only")
    }

    /// Parses the bytes of a manifest.
    ///
    /// # Errors
    /// Fails if they are not a manifest, have another version, or are not canonical.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let parse = || {
            let Versioned { version } = serde_json::from_slice(bytes)?;
            ensure!(NewerVersion:
                version <= VERSION,
                "version {version} is newer than {VERSION}, the newest that this program supports (use a newer metadata)"
            );
            ensure!(version == VERSION, "version {version} does not exist");
            let manifest: Self = serde_json::from_slice(bytes)?;
            ensure!(manifest.to_bytes() == bytes, "the manifest is not canonical");
            ensure!(
                manifest.files.is_sorted_by(|one, other| one.name < other.name),
                "the files are not in the order of their names"
            );
            manifest.statement().check()?;
            Ok(manifest)
        };
        parse().with_context(|| format!("reading {NAME}"))
    }

    /// What its makers state.
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

    /// Checks that it matches the image with these contents.
    ///
    /// # Errors
    /// Fails if the volume identifier, the date, a size or a digest differs, or a file is missing or not listed. The error names
    /// the first difference.
    pub fn check(&self, contents: &Contents) -> Result<()> {
        self.compare(contents).with_context(|| format!("comparing the image with its {NAME}"))
    }

    fn compare(&self, contents: &Contents) -> Result<()> {
        let identifier = &contents.volume.identifier;
        ensure!(
            *identifier == self.volume_identifier,
            "the volume identifier is {identifier:?} instead of {:?}",
            self.volume_identifier
        );
        let created = contents.volume.created.as_deref().unwrap_or("missing");
        ensure!(
            created == self.created_at.to_string(),
            "the date of the volume is {created} instead of {}",
            self.created_at
        );
        let mut listed = self.files.iter().peekable();
        for file in &contents.files {
            match listed.next_if(|listed| listed.name <= file.name) {
                Some(listed) if listed == file => {}
                Some(listed) if listed.name == file.name => {
                    ensure!(
                        listed.size == file.size,
                        "file {:?} has {} bytes instead of {}",
                        file.name,
                        file.size,
                        listed.size
                    );
                    bail!("file {:?} has other content, with the SHA-256 digest {}", file.name, file.sha256);
                }
                Some(listed) => bail!("file {:?} is missing", listed.name),
                None => bail!("file {:?} is not in the manifest", file.name),
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
pub(crate) struct ManifestFile {
    pub(crate) volume: VolumeInfo,
    pub(crate) statement: Statement,
}

impl DerivedFile for ManifestFile {
    fn derived_from(&self) -> DerivedFrom {
        DerivedFrom::Files
    }

    fn render(&self, input: &DerivedInput) -> Result<Vec<u8>> {
        let signed = input.files.iter().filter(|file| file.name != SIGNATURE_NAME.as_bytes());
        let listed = signed.map(|file| ListedFile::new(file.name, file.len, &file.digest));
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
    fn a_manifest_has_the_documented_bytes() -> Result<()> {
        let manifest = Manifest::parse(BYTES.as_bytes())?;
        assert_eq!(manifest.user_provided_metadata, ["a \"b\"\n\u{1b}\\/é"]);
        assert_eq!(manifest.not_after, Some(Timestamp::parse("2027-01-01T00:00:00Z")?));
        assert_eq!(String::from_utf8(manifest.to_bytes())?, BYTES);
        Ok(())
    }

    #[test]
    fn other_spellings_of_a_manifest_are_rejected() {
        let rejected = |from: &str, to: &str, because: &str| {
            assert!(BYTES.contains(from), "{from}");
            let error = Manifest::parse(BYTES.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(format!("{error:#}").contains(because), "{from} -> {to}: {error:#}");
        };
        let canonical = "not canonical";
        rejected(r#"{"audience":"web","#, r#"{ "audience":"web","#, canonical);
        rejected(r#""audience":"web","#, r#""audience":null,"#, canonical);
        rejected(r"\/é", r"/\u00e9", canonical);
        rejected(r"\u001b", r"\u001B", canonical);
        rejected(
            r#""version":1,"volume_identifier":"CIDATA""#,
            r#""volume_identifier":"CIDATA","version":1"#,
            canonical,
        );
        rejected(r#""size":5"#, r#""size":5.0"#, "invalid type");
        rejected(r#""size":5"#, r#""size":05"#, "invalid number");
        rejected(r#""size":5"#, r#""size":-5"#, "invalid value");
        rejected(r#""run_id":"r1","#, r#""run_id":"r1","run_id":"r2","#, "duplicate field");
        rejected(r#""run_id":"r1","#, r#""run_id":"r1","signed":true,"#, "unknown field");
        rejected(r#""run_id":"r1","#, "", "missing field");
        rejected(r#""run_id":"r1","#, r#""run_id":"","#, "the run ID is empty");
        rejected(r#""layout":"linuxkit""#, r#""layout":"floppy""#, "unknown variant");
        rejected(r#""version":1"#, r#""version":2"#, "version 2 is newer than 1");
        rejected("2027-01-01T00:00:00Z", "2027-01-01T00:00:00+00:00", "is not a time");
        rejected("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.5Z", "is not a time");
        rejected(
            "2027-01-01T00:00:00Z",
            "2025-01-01T00:00:00Z",
            "not_after 2025-01-01T00:00:00Z is before not_before",
        );
        rejected("\"volume_identifier\":\"CIDATA\"}", "\"volume_identifier\":\"CIDATA\"}\n", canonical);
        rejected(
            r#"[{"name":"config","#,
            r#"[{"name":"z","sha256":"","size":1},{"name":"config","#,
            "the files are not in the order of their names",
        );
    }

    #[test]
    fn attached_strings_do_not_change_the_run_id() {
        let volume = VolumeInfo {
            identifier: "X".to_owned(),
            layout: Layout::LinuxKit,
            created_at: Timestamp::from_seconds(0).unwrap(),
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
