//! The difference between two texts, within bounds.

use similar::{ChangeTag, TextDiff};

use super::escape::printable_source;

/// The largest file whose text is compared, in bytes.
pub(super) const BYTES_MAX: u64 = 4 << 20;

/// How many steps all comparisons of a run may take together. Two texts of `n` lines, without those that are the same at their
/// start and their end, take at most the square of `n`.
const STEPS_MAX: u64 = 1 << 28;

/// The lines around a change that are shown.
const CONTEXT_LINES: usize = 3;

/// What is left of the steps.
pub(super) struct Steps(u64);

impl Steps {
    pub(super) fn new() -> Self {
        Self(STEPS_MAX)
    }

    /// The unified difference between two files, called `names`. `None`: one is not text, or the comparison would take too long.
    pub(super) fn unified(&mut self, names: [&str; 2], files: [&[u8]; 2]) -> Option<String> {
        let [a, b] = files.map(|bytes| str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')));
        let (a, b) = (a?, b?);
        self.0 = self.0.checked_sub(cost(a, b))?;
        let diff = TextDiff::from_lines(a, b);
        let [from, to] = names.map(printable_source);
        let mut text = format!("--- {from}\n+++ {to}\n");
        for hunk in diff.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
            text.extend([&hunk.header().to_string(), "\n"]);
            for change in hunk.iter_changes() {
                text.push(match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                });
                text += &printable_source(change.value().strip_suffix('\n').unwrap_or(change.value()));
                text.push('\n');
                if change.missing_newline() {
                    text += "\\ No newline at end of file\n";
                }
            }
        }
        Some(text)
    }
}

/// The most steps that the comparison can take.
fn cost(a: &str, b: &str) -> u64 {
    let same_start = a.split_inclusive('\n').zip(b.split_inclusive('\n')).take_while(|(a, b)| a == b).count();
    let [a, b] = [a, b].map(|text| text.split_inclusive('\n').skip(same_start).collect::<Vec<_>>());
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let lines = (a.len() + b.len() - 2 * same_end) as u64;
    lines.saturating_mul(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unified(a: &str, b: &str) -> Option<String> {
        Steps::new().unified(["a", "b"], [a.as_bytes(), b.as_bytes()])
    }

    #[test]
    fn the_difference_is_unified_and_its_control_characters_are_escaped() {
        let text = unified("1\n2\n3\n4\n5\n6\x1b[2J\n", "1\n2\n3\n4\n5\n\u{202e}6\r\n7").unwrap();
        let expected = "--- a\n+++ b\n@@ -3,4 +3,5 @@\n 3\n 4\n 5\n-6\\u{1b}[2J\n+\\u{202e}6\\r\n+7\n\\ No newline at end of file\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_text_has_no_difference() {
        assert_eq!(Steps::new().unified(["a", "b"], [b"\xff", b"x"]), None);
        assert_eq!(unified("a\0", "b"), None);
    }

    #[test]
    fn long_texts_are_compared_if_they_differ_in_a_few_lines() {
        let lines =
            |from: u32, to: u32| (from..to).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
        let long = lines(0, 400_000);
        let changed = long.replace("\n200000\n", "\nx\n");
        assert_eq!(unified(&long, &changed).unwrap().lines().count(), 2 + 1 + 3 + 2 + 3);
        assert_eq!(unified(&long, &lines(400_000, 800_000)), None);
    }

    #[test]
    fn all_comparisons_of_a_run_together_are_bounded() {
        let mut steps = Steps::new();
        let text = |c: &str| format!("{c}\n").repeat(5_000);
        let (a, b) = (text("a"), text("b"));
        let done = (0..100).take_while(|_| steps.unified(["", ""], [a.as_bytes(), b.as_bytes()]).is_some());
        assert_eq!(done.count(), 2);
    }
}
