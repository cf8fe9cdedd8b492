//! Whether text is base64, as Python decodes it: characters outside the alphabet are skipped.

/// Whether Python's `base64.decodebytes` accepts the text.
pub(super) fn is_base64(text: &str) -> bool {
    let mut digits = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'=' if digits % 4 >= 2 => {
                padding += 1;
                if digits % 4 + padding >= 4 {
                    // The end: what follows is ignored.
                    return true;
                }
            }
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => {
                digits += 1;
                padding = 0;
            }
            _ => {}
        }
    }
    text.is_ascii() && digits.is_multiple_of(4)
}
