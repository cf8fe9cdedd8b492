//! The user data of a recipe: none, one file as it is, or several parts that become one MIME document.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::{
    encoding::hex,
    error::{Context, Error, Result, bail, ensure},
    image::{digests::sha256, source::Source},
    os,
    userdata::cloud_config::{
        multipart_writer::{Part, multipart},
        part_type::{PART_TYPES, PartType, is_mime, windows_header},
    },
};

/// The most bytes in all parts together.
const PARTS_BYTES_MAX: u64 = 64 << 20;

/// The longest password, in bytes.
const ADMIN_PASS_BYTES_MAX: u64 = 1 << 10;

/// The most parts.
const PARTS_MAX: usize = 1000;

/// The user data of an image.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum UserData {
    /// There is none. NoCloud gets an empty file, because cloud-init needs one.
    #[default]
    Absent,
    /// A file that is stored unchanged.
    Whole(Source),
    /// Parts that become one MIME document. One part without a type is stored unchanged.
    Parts(Vec<UserDataPart>),
}

/// A part of user data for cloud-init.
#[derive(Clone, Debug)]
pub struct UserDataPart {
    /// Its bytes.
    pub source: Source,
    /// Its kind. `None`: its first line says it.
    pub kind: Option<PartType>,
}

impl From<Source> for UserData {
    fn from(source: Source) -> Self {
        Self::Whole(source)
    }
}

impl UserData {
    /// What the parts are: as few as can be said.
    #[must_use]
    pub fn of_parts(mut parts: Vec<UserDataPart>) -> Self {
        match parts.len() {
            0 => Self::Absent,
            1 if parts[0].kind.is_none() => parts.pop().map_or(Self::Absent, |part| Self::Whole(part.source)),
            _ => Self::Parts(parts),
        }
    }

    /// The sources, in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let (whole, parts) = match self {
            Self::Absent => (None, &[] as &[_]),
            Self::Whole(source) => (Some(source), &[] as &[_]),
            Self::Parts(parts) => (None, parts.as_slice()),
        };
        whole.into_iter().chain(parts.iter().map(|part| &part.source))
    }

    /// The source of the file on the image. Parts are read and joined.
    ///
    /// # Errors
    /// Fails if a part cannot be read, its kind is unknown, or the parts are too large.
    pub fn joined(self) -> Result<Option<Source>> {
        Ok(match self {
            Self::Absent => None,
            Self::Whole(source) => Some(source),
            Self::Parts(parts) => Some(Source::Bytes(join(&read(parts)?))),
        })
    }
}

/// Splits `PATH` or `PATH:TYPE`, where TYPE is a content type that agents know, with or without `text/`. What follows the colon
/// belongs to the path if it is not such a type.
///
/// # Errors
/// Fails if what follows the colon is not a known type, and there is a file with the name before the colon but none with the
/// whole name.
pub fn split_part(argument: &OsStr) -> Result<(PathBuf, Option<PartType>)> {
    let whole = || Ok((PathBuf::from(argument), None));
    let bytes = argument.as_bytes();
    let Some(colon) = bytes.iter().rposition(|&byte| byte == b':').filter(|&colon| colon > 0) else {
        return whole();
    };
    let path = Path::new(OsStr::from_bytes(&bytes[..colon]));
    let name = String::from_utf8_lossy(&bytes[colon + 1..]);
    match PartType::of_name(&name) {
        Some(kind) => Ok((path.to_path_buf(), Some(kind))),
        None if !Path::new(argument).exists() && path.is_file() => {
            let known: Vec<_> = PART_TYPES.iter().map(|kind| kind.mime.trim_start_matches("text/")).collect();
            bail!("{path:?}: unknown type {name:?}; use one of {}", known.join(", "))
        }
        None => whole(),
    }
}

/// Reads the password of an administrator: the first line of the file `path`, which nobody but its owner may read.
///
/// # Errors
/// Fails if the file cannot be read, if others may read it, if it belongs to a user other than this one or root, or if it is
/// empty, longer than 1 KiB, or has more than one line.
pub fn read_admin_pass(path: &Path) -> Result<String> {
    (|| {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mode = metadata.mode() & 0o777;
        ensure!(
            !metadata.is_file() || mode | 0o700 == 0o700,
            "other users can read the file (mode {mode:04o}); run: chmod 600 {path:?}"
        );
        let (owner, user) = (metadata.uid(), os::effective_user());
        ensure!(
            !metadata.is_file() || owner == user || owner == 0,
            "the file belongs to user {owner}, who can read and change it; it must belong to you (user {user}) or root"
        );
        let mut text = String::new();
        file.take(ADMIN_PASS_BYTES_MAX + 1).read_to_string(&mut text)?;
        ensure!(
            text.len() as u64 <= ADMIN_PASS_BYTES_MAX,
            "the file is larger than {ADMIN_PASS_BYTES_MAX} bytes"
        );
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        ensure!(!password.is_empty(), "the file is empty");
        ensure!(
            !password.contains(char::is_control),
            "the password has a control character or a second line"
        );
        Ok(password.to_owned())
    })()
    .with_context(|| format!("reading admin password {path:?}"))
}

/// Reads parts, and finds their kinds.
pub(crate) fn read(parts: Vec<UserDataPart>) -> Result<Vec<Part>> {
    ensure!(parts.len() <= PARTS_MAX, "the user data has more than {PARTS_MAX} parts");
    let mut room = PARTS_BYTES_MAX;
    let mut read = Vec::with_capacity(parts.len());
    for UserDataPart { source, kind } in parts {
        let content = source.read(room).map_err(|error| match error.kind() {
            crate::error::ErrorKind::TooLarge => Error::new(format!(
                "the parts of the user data are larger than {} MiB",
                PARTS_BYTES_MAX >> 20
            )),
            _ => error,
        })?;
        room -= content.len() as u64;
        let path = source.path();
        let of_part = || match path {
            Some(path) => format!("user data {path:?}"),
            None => format!("part {} of the user data", read.len() + 1),
        };
        let kind = match kind {
            Some(kind) => kind,
            None => kind_of(&content, path).with_context(of_part)?,
        };
        let name = path.and_then(|path| path.file_name()).unwrap_or_default();
        read.push(Part { name: plain(&name.to_string_lossy()), kind, content });
    }
    Ok(read)
}

/// The MIME document of these parts.
pub(crate) fn join(parts: &[Part]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend(sha256(&part.content));
        all.extend(sha256(part.kind.mime.as_bytes()));
    }
    multipart(parts, &format!("==={}===", &hex(&sha256(&all))[..32]))
}

/// A file name with `_` for what would need an encoding in a MIME document. Its ending stays, by which cloudbase-init runs it.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.+@=,".contains(c) { c } else { '_' }).collect()
}

fn kind_of(content: &[u8], path: Option<&Path>) -> Result<PartType> {
    if is_mime(content) {
        bail!("is itself a MIME document, which cannot be a part of another one");
    }
    PartType::of_content(content).with_context(|| {
        let what = path.and_then(|path| windows_header(&path.to_string_lossy()));
        let what = what.unwrap_or("add it, or give the type as PATH:TYPE");
        format!("cloud-init does not recognize the first line, such as #cloud-config or #!/bin/sh; {what}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str, kind: Option<&str>) -> UserDataPart {
        let kind = kind.map(|name| PartType::of_name(name).expect("a known kind"));
        UserDataPart { source: Source::Bytes(text.into()), kind }
    }

    #[test]
    fn only_several_parts_or_a_given_type_need_a_document() -> Result<()> {
        let bytes = |parts| match UserData::of_parts(parts).joined()? {
            Some(source) => source.read(u64::MAX).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            None => Ok("absent".to_owned()),
        };
        assert_eq!(bytes(vec![])?, "absent");
        assert_eq!(bytes(vec![part("anything", None)])?, "anything");
        assert!(bytes(vec![part("anything", Some("cloud-boothook"))])?.contains("text/cloud-boothook"));
        let two = || vec![part("#cloud-config\n", None), part("#!/bin/sh\n", None)];
        let document = bytes(two())?;
        assert!(
            document.contains("text/cloud-config") && document.contains("text/x-shellscript"),
            "{document}"
        );
        assert_eq!(bytes(two())?, document);
        assert_ne!(bytes(two().into_iter().rev().collect())?, document);
        Ok(())
    }

    #[test]
    fn a_part_of_unknown_kind_is_an_error() {
        for (text, expected) in [
            ("packages: []\n", "part 2 of the user data: cloud-init does not recognize the first line"),
            ("Content-Type: multipart/mixed\n", "part 2 of the user data: is itself a MIME document"),
        ] {
            let parts = vec![part("#!/bin/sh\n", None), part(text, None)];
            let error = UserData::of_parts(parts).joined().expect_err("it is not a known kind");
            assert!(format!("{error:#}").starts_with(expected), "{error:#}");
        }
    }
}
