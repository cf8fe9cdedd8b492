//! The `meta-data` that is made from options.
//!
//! It is the text that cloud-localds 0.33 makes, byte for byte: it looks like JSON, but values are not escaped. cloud-init reads it
//! as YAML.

/// The instance ID of every generated `meta-data`. cloud-init therefore treats a changed seed as the same instance.
const INSTANCE_ID: &[u8] = b"iid-local01";

/// The text. `interfaces`: the content of a file with network interfaces, whose line ends become `\n` but for the last. What is empty
/// is left out.
pub(super) fn generate(hostname: &[u8], interfaces: &[u8], dsmode: &[u8]) -> Vec<u8> {
    let interfaces = in_one_line(interfaces);
    let members: [(&str, &[u8]); 4] = [
        ("instance-id", INSTANCE_ID),
        ("local-hostname", hostname),
        ("interfaces", &interfaces),
        ("dsmode", dsmode),
    ];
    let lines = members.iter().filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> =
        lines.map(|(key, value)| [b"\"", key.as_bytes(), b"\": \"", value, b"\""].concat()).collect();
    [b"{\n", &lines.join(&b",\n"[..])[..], b"\n}\n"].concat()
}

/// The lines of a text in one, without NUL, which the shell of the original cannot hold.
fn in_one_line(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut line = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\n' => line.extend(b"\\n"),
            0 => {}
            _ => line.push(*byte),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_there_in_its_order() {
        assert_eq!(generate(b"", b"", b""), b"{\n\"instance-id\": \"iid-local01\"\n}\n");
        assert_eq!(
            String::from_utf8(generate(b"h\"x", b"a\nb \"q\"\n\n", b"local")).unwrap(),
            "{\n\"instance-id\": \"iid-local01\",\n\"local-hostname\": \"h\"x\",\n\"interfaces\": \"a\\nb \"q\"\\n\",\n\
             \"dsmode\": \"local\"\n}\n"
        );
    }

    #[test]
    fn only_the_last_line_end_is_dropped() {
        for (text, line) in
            [("", ""), ("\n", ""), ("\n\n", "\\n"), ("a", "a"), ("a\nb", "a\\nb"), ("a\0\r\n", "a\r")]
        {
            assert_eq!(in_one_line(text.as_bytes()), line.as_bytes(), "{text:?}");
        }
    }
}
