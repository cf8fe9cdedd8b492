//! The known word that a mistyped one was most likely meant to be, for "did you mean".

/// The longest word that is compared, in characters.
const WORD_MAX: usize = 40;

/// The word among `known` that `word` was most likely meant to be.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    nearest_within(word, known, (word.chars().take(WORD_MAX).count() / 3).clamp(1, 4))
}

/// The question about a word that was probably meant.
#[must_use]
pub fn did_you_mean(word: &str) -> String {
    format!("did you mean {word:?}?")
}

/// How much is looked up for all the findings about one text. What comes after that gets no suggestion.
#[derive(Debug)]
pub struct Budget {
    words: usize,
    comparisons: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { words: 200, comparisons: 40_000 }
    }
}

impl Budget {
    /// As [`nearest`]. `None` also if nothing is left.
    pub fn nearest<'k>(&mut self, word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        self.words = self.words.checked_sub(1)?;
        let comparisons = &mut self.comparisons;
        let known = known.into_iter().take_while(|_| {
            *comparisons = comparisons.saturating_sub(1);
            *comparisons > 0
        });
        nearest(word, known)
    }
}

/// As [`nearest`], with at most `most` characters that differ.
#[must_use]
pub fn nearest_within<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
    most: usize,
) -> Option<&'k str> {
    let characters = normal(word);
    if characters.is_empty() || characters.len() > WORD_MAX {
        return None;
    }
    let distances = known.into_iter().filter(|known| known.len() <= WORD_MAX).filter_map(|known| {
        let other = normal(known);
        if other.len().abs_diff(characters.len()) > most {
            return None;
        }
        let distance = distance(&characters, &other);
        // Words of which nothing stays.
        (distance <= most && distance < other.len().max(characters.len())).then_some((distance, known))
    });
    distances.min_by_key(|&(distance, _)| distance).map(|(_, known)| known)
}

/// A word without what people mix up most: case, hyphens and underscores.
fn normal(word: &str) -> Vec<char> {
    word.chars().take(WORD_MAX + 1).map(|it| if it == '-' { '_' } else { it.to_ascii_lowercase() }).collect()
}

/// How many characters must be put in, left out, replaced, or swapped with the next one (Damerau and Levenshtein).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut cheapest = replaced.min(last[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                cheapest = cheapest.min(before_last[column - 1] + 1);
            }
            line.push(cheapest);
        }
        before_last = std::mem::replace(&mut last, line);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_what_is_like_it() {
        let known = ["packages", "package_update", "users", "user", "sudo", "on", "ssh_authorized_keys"];
        let found = |word| nearest(word, known);
        assert_eq!(found("package"), Some("packages"));
        assert_eq!(found("pakcages"), Some("packages"));
        assert_eq!(found("ssh-authorized-key"), Some("ssh_authorized_keys"));
        assert_eq!(found("Users"), Some("users"));
        assert_eq!(found("usres"), Some("users"));
        assert_eq!(found("xyz"), None);
        assert_eq!(found("zz"), None);
        assert_eq!(found(""), None);
        assert_eq!(found(&"x".repeat(1000)), None);
    }
    #[test]
    fn the_name_of_a_file_is_found() {
        let known = ["user-data", "meta-data", "config"];
        assert_eq!(nearest("userdata", known), Some("user-data"));
        assert_eq!(nearest("user_data", known), Some("user-data"));
        assert_eq!(nearest("METADATA", known), Some("meta-data"));
        assert_eq!(nearest("confg", known), Some("config"));
        assert_eq!(nearest("vendor", known), None);
    }
}
