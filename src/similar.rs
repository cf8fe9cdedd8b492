//! Names that people mistype.

/// The longest name that is compared, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The candidate that `name` was probably meant to be: it differs in at most a third of its letters, whatever their case.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let near =
        candidates.into_iter().filter(|candidate| candidate.len() <= NAME_BYTES_MAX).map(|candidate| {
            let distance = distance(&name, &candidate.to_lowercase());
            (distance, candidate)
        });
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= candidate.chars().count().max(3)).then_some(candidate)
}

/// How many letters must be changed, left out or added (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<_> = (0..=other.chars().count()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in other.chars().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_found() {
        let known = ["user-data", "meta-data", "config"];
        assert_eq!(nearest("userdata", known), Some("user-data"));
        assert_eq!(nearest("user_data", known), Some("user-data"));
        assert_eq!(nearest("METADATA", known), Some("meta-data"));
        assert_eq!(nearest("confg", known), Some("config"));
        assert_eq!(nearest("vendor", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
