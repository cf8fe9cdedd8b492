//! Input that is not JSON Lines, recognized by its first line.

/// What the input is and what to do about it, if its first line shows that it is not JSON Lines.
pub(super) fn what_else(line: &[u8]) -> Option<&'static str> {
    // An image begins with 32 KiB of zeros (ECMA-119, 6.2.1).
    if line.contains(&0) {
        return Some("the input is an image or other binary data, not text with a JSON object on every line");
    }
    let text = str::from_utf8(line).ok()?.trim();
    if text.starts_with('[') {
        return Some("the input is a JSON list; make a line of every item: jq -c '.[]' FILE");
    }
    if text.starts_with('{') {
        let continues = text == "{" || text.ends_with([',', '{', '[']);
        return continues
            .then_some("the input is JSON over several lines; make a line of every object: jq -c . FILE");
    }
    if text.starts_with("- ") || text.split_once(": ").is_some_and(|(key, _)| is_word(key)) || text == "---" {
        return Some("the input looks like YAML; every line must be a JSON object");
    }
    let is_table = [',', ';', '\t'].iter().any(|separator| {
        let mut cells = text.split(*separator);
        text.contains(*separator) && cells.all(|cell| !cell.contains(['{', '}']))
    });
    is_table.then_some(
        "the input looks like a table (CSV); make an object of every line, here of a host name and a file: jq -Rc \
         'split(\",\") | {image: \"\\(.[0]).iso\", layout: \"nocloud\", hostname: .[0], user_data: .[1]}' FILE",
    )
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_recognized_by_their_first_line() {
        for (line, word) in [
            ("\0\0\0", "image"),
            ("[{\"image\": \"a\"},\n", "list"),
            ("[\n", "list"),
            ("{\n", "several lines"),
            ("{ \"image\": \"a\",\n", "several lines"),
            ("image,data\n", "CSV"),
            ("web-1;#cloud-config\n", "CSV"),
            ("- image: a\n", "YAML"),
            ("image: a\n", "YAML"),
        ] {
            assert!(what_else(line.as_bytes()).is_some_and(|said| said.contains(word)), "{line:?}");
        }
        for line in [
            "{\"image\":\"a\"}\n",
            "{\"image\"\n",
            "\n",
            "hello\n",
            "\u{feff}{\"image\": \"a\", \"data\": \"\"}\n",
            "{} {}",
        ] {
            assert_eq!(what_else(line.as_bytes()), None, "{line:?}");
        }
    }
}
