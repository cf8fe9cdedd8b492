//! Where a directory record has its fields: the reader of directories and the writer of other names share them.
//!
//! Source: ECMA-119, 9.1.

/// How many sectors its extended attributes have.
pub(super) const ATTRIBUTES_SECTORS: usize = 1;
/// The first sector of the file or directory, in both byte orders.
pub(super) const EXTENT: usize = 2;
/// How many bytes the file or directory has, in both byte orders.
pub(super) const DATA_LEN: usize = 10;
/// When it was recorded.
pub(super) const DATE: usize = 18;
pub(super) const FLAGS: usize = 25;
/// The size of a piece of an interleaved file, and of what is between two pieces.
pub(super) const UNIT_LEN: usize = 26;
pub(super) const GAP_LEN: usize = 27;
/// How many bytes the name has.
pub(super) const NAME_LEN: usize = 32;
pub(super) const NAME: usize = 33;

/// A flag: it is the record of a directory.
pub(super) const DIRECTORY: u8 = 0x02;
/// A flag: it belongs to the file of the same name, as a resource fork does (9.1.6).
pub(super) const ASSOCIATED: u8 = 0x04;
/// A flag: it is not the last record of its file.
pub(super) const NOT_FINAL: u8 = 0x80;

/// The system use area of a record, for extensions of ISO 9660 (9.1.13). It begins at an even offset.
pub(super) fn system_use(record: &[u8]) -> &[u8] {
    let start = (NAME + usize::from(record[NAME_LEN])).next_multiple_of(2);
    record.get(start..).unwrap_or_default()
}
