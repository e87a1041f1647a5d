//! Names that were probably meant, for those that are in no row.

use super::TABLE;

/// The variable that a `DD_*` name was probably meant to be: one or two letters away from it.
pub fn misspelt(name: &str) -> Option<&'static str> {
    let known = || TABLE.iter().flat_map(|s| s.variables.iter().copied());
    if !name.starts_with("DD_") || name.len() < 7 || known().any(|k| k == name) {
        return None;
    }
    known().filter(|k| k.len() >= 7).find(|k| distance(name.as_bytes(), k.as_bytes()) <= 2)
}

/// The key of the table that is nearest to a word, if any is near.
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let word = word.strip_prefix("dd_").unwrap_or(&word);
    let scored = TABLE.iter().map(|s| (distance(word.as_bytes(), s.key.as_bytes()), s.key));
    // A third of the letters may differ.
    scored.min().filter(|(distance, key)| *distance * 3 <= key.len().max(word.len())).map(|(_, key)| key)
}

/// The number of letters to insert, delete or replace to get from one word to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
