//! What is wrong with an entry itself: its name, its mode, its content.

use std::ops::Range;

use super::{Entry, Mode, Node, RESERVED, parse::Parser};
use crate::output::names::NAME_BYTES;
use crate::userdata::{finding::Code, hostname};

/// The longest path below `/run/config/`, in bytes: Linux opens no path longer than `PATH_MAX` (`limits.h`), which counts
/// the NUL at its end.
const PATH_BYTES_MAX: usize = 4096 - 1 - 12;

impl Parser<'_, '_> {
    /// The mode of an entry. `Err`: it is not valid, and the entry is skipped with everything below it.
    pub(super) fn perm(&mut self, perm: Option<(String, Range<usize>)>) -> Result<Option<Mode>, ()> {
        let Some((text, span)) = perm.filter(|(text, _)| !text.is_empty()) else { return Ok(None) };
        let Ok(mode) = text.parse::<Mode>() else {
            let message = format!(
                "perm {text:?} is not an octal number up to 07777; the entry and everything below it is skipped"
            );
            let hint = Some("for example \"0600\" or \"0755\"".to_owned());
            self.find_with_hint(Code::BadPermission, span, message, hint);
            return Err(());
        };
        if mode.bits() & 0o7000 != 0 {
            let message =
                format!("perm {text:?} has the setuid, setgid or sticky bit, which the guest drops");
            self.find(Code::SpecialBits, span.clone(), message);
        }
        if mode.bits() & 0o002 != 0 {
            self.find(
                Code::WorldWritable,
                span,
                format!("perm {text:?} lets every user of the guest write to it"),
            );
        }
        Ok(Some(mode))
    }

    /// Whether the current entry can have its name.
    pub(super) fn check_name(&mut self, key: &Range<usize>) -> bool {
        let Some(name) = self.path.last() else { return true };
        let why = match name.as_str() {
            "" => "the name is empty",
            "." | ".." => "the name stands for an existing directory",
            _ if name.contains('/') => "the name contains '/', which would lead to another directory",
            _ if name.contains('\0') => "the name contains a NUL character",
            _ if name.len() > NAME_BYTES => "the name is longer than 255 bytes",
            _ if self.path_bytes > PATH_BYTES_MAX + 1 => {
                let message = format!("the path is longer than {PATH_BYTES_MAX} bytes; the entry is skipped");
                self.find(Code::TooDeep, key.clone(), message);
                return false;
            }
            reserved if self.path.len() == 1 && RESERVED.contains(&reserved) => {
                let message = format!("the name {reserved:?} belongs to the agent; the entry is skipped");
                self.find(Code::ReservedName, key.clone(), message);
                return false;
            }
            _ => return true,
        };
        let nested = name.contains('/') && !name.split('/').any(|part| matches!(part, "" | "." | ".."));
        let hint = nested.then(|| {
            "for a file in a directory, nest the entries: {\"a\": {\"entries\": {\"b\": …}}}".to_owned()
        });
        self.find_with_hint(Code::BadName, key.clone(), format!("{why}; the entry is skipped"), hint);
        false
    }

    pub(super) fn check_content(&mut self, entry: &Entry, key: Range<usize>) {
        let Node::File(content) = &entry.node else { return };
        if entry.permissions() & 0o044 != 0 && content.contains("PRIVATE KEY-----") {
            let message =
                format!("other users can read this private key, which has mode {:04o}", entry.permissions());
            let hint = Some("set \"perm\": \"0600\"".to_owned());
            self.find_with_hint(Code::ReadableKey, key.clone(), message, hint);
        }
        if self.path.len() == 1 && self.path[0] == "hostname" {
            let name = content.strip_suffix('\n').unwrap_or(content);
            if let Err(why) = hostname::check(name) {
                self.find(Code::HostName, key, format!("the host name {why}"));
            } else if name != content {
                let message =
                    "the host name ends with a newline, which LinuxKit's agent makes part of the name";
                self.find(Code::HostNameNewline, key, message);
            }
        }
    }
}
