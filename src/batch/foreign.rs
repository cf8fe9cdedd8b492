//! Input that is not JSON Lines, recognized by its first line.

/// What the input is and what to do about it, if its first line shows that it is not JSON Lines.
pub(super) fn what_else(line: &[u8]) -> Option<String> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    // An image begins with 32 KiB of zeros (ECMA-119, 6.2.1).
    if line.contains(&0) {
        return Some(
            "the input is an image or other binary data, not text with a JSON object on every line"
                .to_owned(),
        );
    }
    let whole = str::from_utf8(line).ok()?;
    let text = whole.trim();
    if text.starts_with('[') {
        return Some("the input is a JSON list; make a line of every item: jq -c '.[]' FILE".to_owned());
    }
    if text.starts_with('{') {
        let continues = text == "{" || text.ends_with([',', '{', '[']);
        return continues.then(|| {
            "the input is JSON over several lines; make a line of every object: jq -c . FILE".to_owned()
        });
    }
    if text.starts_with("#!") || text.starts_with("#cloud-") || text.starts_with("## template:") {
        return Some(
            "the input is user data for one image: metadata create --layout nocloud --user-data FILE IMAGE"
                .to_owned(),
        );
    }
    if text.starts_with("- ") || text.split_once(": ").is_some_and(|(key, _)| is_word(key)) || text == "---" {
        return Some("the input looks like YAML; every line must be a JSON object".to_owned());
    }
    Table::of(whole).map(|table| table.advice())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// What separates the cells of a table, how jq writes it, and what such a table is called.
const SEPARATORS: [(char, &str, &str); 3] =
    [('\t', "\\t", "separated by tabs"), (';', ";", "separated by semicolons"), (',', ",", "CSV")];

/// Names of columns with host names, as they are compared.
const HOSTS: [&str; 9] = ["name", "host", "hostname", "vm", "machine", "node", "server", "image", "fqdn"];

/// Names of columns with the paths of user data.
const FILES: [&str; 9] =
    ["userdata", "data", "datafile", "file", "config", "path", "cloudconfig", "cloudinit", "userdatafile"];

/// The first line of a table.
struct Table<'a> {
    separator: (char, &'static str, &'static str),
    cells: Vec<&'a str>,
    has_carriage_return: bool,
}

impl<'a> Table<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let text = line.trim_matches(['\r', '\n']);
        let separator = SEPARATORS.into_iter().find(|(separator, ..)| text.contains(*separator))?;
        // Only the first cells are looked at.
        let cells: Vec<_> = text.split(separator.0).take(20).collect();
        let is_table = !text.contains(['{', '}']);
        is_table.then(|| Self { separator, cells, has_carriage_return: line.ends_with("\r\n") })
    }

    /// The column whose name is one of `names`.
    fn column(&self, names: &[&str]) -> Option<usize> {
        self.cells.iter().position(|cell| {
            let plain: String = cell.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            names.contains(&plain.to_ascii_lowercase().as_str())
        })
    }

    /// What the table is, and the command that makes lines of it.
    fn advice(&self) -> String {
        let (_, written, kind) = self.separator;
        let (host, file) = (self.column(&HOSTS), self.column(&FILES));
        let has_header = host.is_some() || file.is_some();
        let host = host.unwrap_or(usize::from(file == Some(0)));
        let file = file.unwrap_or(usize::from(host == 0));
        let input = if has_header { "tail -n +2 FILE | jq" } else { "jq" };
        let operand = if has_header { "" } else { " FILE" };
        let mut cells = format!("split(\"{written}\")");
        if self.cells.iter().any(|cell| cell.starts_with('"')) {
            cells = format!("gsub(\"\\\"\"; \"\") | {cells}");
        }
        if self.has_carriage_return {
            cells = format!("rtrimstr(\"\\r\") | {cells}");
        }
        let header = if has_header { " with a header" } else { "" };
        format!(
            "the input looks like a table{header} ({kind}); make an object of every line, here of a host name and a file: \
             {input} -Rc '{cells} | {{image: \"\\(.[{host}]).iso\", layout: \"nocloud\", hostname: .[{host}], \
             user_data: .[{file}]}}'{operand}"
        )
    }
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
            ("image,data\n", "table with a header (CSV)"),
            ("web-1;#!/bin/sh\n", "table (separated by semicolons)"),
            ("web-1\ta b, c\n", "table (separated by tabs)"),
            (
                "\u{feff}\"host name\",\"user-data\"\r\n",
                "rtrimstr(\"\\r\") | gsub(\"\\\"\"; \"\") | split(\",\")",
            ),
            (
                "ip;file;Host\n",
                "image: \"\\(.[2]).iso\", layout: \"nocloud\", hostname: .[2], user_data: .[1]",
            ),
            ("user-data,x\n", "hostname: .[1], user_data: .[0]"),
            ("#cloud-config\n", "user data for one image"),
            ("- image: a\n", "YAML"),
            ("image: a\n", "YAML"),
        ] {
            let said = what_else(line.as_bytes()).unwrap_or_default();
            assert!(said.contains(word), "{line:?}: {said}");
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
