//! Graft points: `target=source` stores a file or directory under another path.

/// Where an operand goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The path on the image: components joined by `/`.
    pub(super) path: Vec<u8>,
    /// A file goes into it under its own name.
    pub(super) is_directory: bool,
}

/// The target, if the operand has one and `graft_points` are wanted, and the source. A backslash makes the character after it one of
/// the name.
pub(super) fn split_graft(operand: &[u8], graft_points: bool) -> (Option<Target>, Vec<u8>) {
    if !graft_points {
        return (None, operand.to_vec());
    }
    let (mut parts, mut escaped) = (vec![Vec::new()], false);
    for byte in operand {
        let last = parts.len() - 1;
        match byte {
            _ if escaped => {
                // Other characters keep the backslash.
                if !matches!(byte, b'=' | b'\\') {
                    parts[last].push(b'\\');
                }
                parts[last].push(*byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'=' if last == 0 => parts.push(Vec::new()),
            byte => parts[last].push(*byte),
        }
    }
    if escaped && let Some(last) = parts.last_mut() {
        last.push(b'\\');
    }
    let source = parts.pop().unwrap_or_default();
    (parts.pop().map(|target| normal(&target)), source)
}

/// A target without empty components, `.` and `..`.
fn normal(target: &[u8]) -> Target {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    Target { path: components.join(&b'/'), is_directory: target.ends_with(b"/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_ends_at_the_first_equals_sign_that_is_not_escaped() {
        for (operand, expected) in [
            ("a=b", Some(("a", false, "b"))),
            ("a=b=c", Some(("a", false, "b=c"))),
            (r"a\=b=c\=d", Some(("a=b", false, "c=d"))),
            (r"a\\=b", Some((r"a\", false, "b"))),
            (r"a\n=b", Some((r"a\n", false, "b"))),
            ("/x//y/./z/../=b", Some(("x/y", true, "b"))),
            ("../../x=b", Some(("x", false, "b"))),
            ("..data=b", Some(("..data", false, "b"))),
            ("/=b", Some(("", true, "b"))),
            ("a", None),
        ] {
            let (target, source) = split_graft(operand.as_bytes(), true);
            let found = target.map(|target| (target.path, target.is_directory, source));
            let expected = expected.map(|(path, is_directory, source)| {
                (path.as_bytes().to_vec(), is_directory, source.as_bytes().to_vec())
            });
            assert_eq!(found, expected, "{operand}");
        }
        assert_eq!(split_graft(b"a=b", false), (None, b"a=b".to_vec()));
    }
}
