//! Warnings about an image that differs from that of the original, each once.

use std::str;

use super::{found::Tree, settings::Settings};

/// UTF-16 units that a Joliet name holds. `-joliet-long` allows 103 in the original.
const JOLIET_UNITS_MAX: usize = 64;

/// Passes the warnings to `say`.
pub(super) fn warn(settings: &Settings, tree: &Tree, say: &mut dyn FnMut(&str)) {
    if settings.joliet && !settings.names_are_utf8 && tree.keys().any(|path| str::from_utf8(path).is_err()) {
        say("Warning: Joliet names are made of UTF-8; other characters are replaced");
    }
    if settings.quiet {
        return;
    }
    if settings.joliet && tree.keys().any(|path| is_long(path)) {
        say(&format!(
            "Warning: Joliet names have at most {JOLIET_UNITS_MAX} characters; longer ones are cut"
        ));
    }
    if settings.no_relocation {
        let done = if settings.rock_ridge { "moved to rr_moved" } else { "left out" };
        say(&format!("Warning: -D has no effect; directories deeper than 8 levels are {done}"));
    }
}

/// Whether the last component of a path is too long for Joliet.
fn is_long(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.len() > JOLIET_UNITS_MAX && String::from_utf8_lossy(name).encode_utf16().count() > JOLIET_UNITS_MAX
}
