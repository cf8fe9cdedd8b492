//! The text of a label as blkid shows it (util-linux, `libblkid/src/superblocks/vfat.c` and `libblkid/src/probe.c`).

use super::{
    directory::{DELETED, DELETED_BYTE_IN_NAME, decoded},
    format::LABEL_BYTES,
};

/// The text of a label in the root directory. `None`: it is blank.
pub(super) fn of_root_directory(stored: &[u8; LABEL_BYTES]) -> Option<String> {
    let mut stored = *stored;
    if stored[0] == DELETED_BYTE_IN_NAME {
        stored[0] = DELETED;
    }
    Some(text(&stored)).filter(|text| !text.is_empty())
}

/// The text of a label in the boot sector, where blanks before it do not count either. `None`: it is blank.
pub(super) fn of_boot_sector(stored: &[u8; LABEL_BYTES]) -> Option<String> {
    let text = text(stored);
    Some(text.trim_start_matches(WHITE_SPACE).to_owned()).filter(|text| !text.is_empty())
}

/// What `isspace` of C takes for white space.
const WHITE_SPACE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// A label ends at a NUL.
fn text(stored: &[u8; LABEL_BYTES]) -> String {
    let text: String = stored.iter().take_while(|byte| **byte != 0).map(|byte| decoded(*byte)).collect();
    text.trim_end_matches(WHITE_SPACE).to_owned()
}
