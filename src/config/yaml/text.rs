//! Lines of a text and replacements in it, in bytes. Knows nothing of YAML.

use std::ops::Range;

/// Where the lines of a text start and end. Line ends are LF, CRLF and CR, as in YAML.
#[derive(Debug)]
pub(super) struct Lines {
    /// Start of each line; the last line may be empty.
    starts: Vec<usize>,
    /// End of each line, without its line end.
    ends: Vec<usize>,
}

impl Lines {
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut lines = Lines { starts: vec![0], ends: Vec::new() };
        let mut at = 0;
        while at < bytes.len() {
            let width = match bytes[at] {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
                b'\r' | b'\n' => 1,
                _ => {
                    at += 1;
                    continue;
                }
            };
            lines.ends.push(at);
            at += width;
            lines.starts.push(at);
        }
        lines.ends.push(bytes.len());
        lines
    }

    /// How many lines there are; a text that ends with a line end has an empty last one.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The line (from 0) that byte `at` stands in.
    pub fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|&s| s <= at).saturating_sub(1)
    }

    /// The line as people count them, from 1.
    pub fn number(&self, at: usize) -> usize {
        self.index(at) + 1
    }

    /// The line without its line end.
    pub fn span(&self, line: usize) -> Range<usize> {
        self.starts[line]..self.ends[line]
    }

    /// Where the next line starts; the end of the text for the last.
    pub fn next(&self, line: usize) -> usize {
        self.starts.get(line + 1).copied().unwrap_or(self.ends[self.ends.len() - 1])
    }

    /// The line end of `line`, or of the lines before it where it has none.
    pub fn eol<'t>(&self, text: &'t str, line: usize) -> &'t str {
        let mut line = line.min(self.count() - 1);
        loop {
            let eol = &text[self.ends[line]..self.next(line)];
            if !eol.is_empty() {
                return eol;
            }
            if line == 0 {
                return "\n";
            }
            line -= 1;
        }
    }

    pub fn has_eol(&self, line: usize) -> bool {
        line + 1 < self.starts.len()
    }
}

/// One replacement: the bytes of `at` become `with`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Splice {
    pub at: Range<usize>,
    pub with: String,
}

impl Splice {
    pub fn new(at: Range<usize>, with: impl Into<String>) -> Self {
        Splice { at, with: with.into() }
    }
}

/// Applies replacements, which must not overlap. `None` where they do or fall between the bytes of a character.
pub(super) fn splice(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|s| (s.at.start, s.at.end));
    let mut out = String::with_capacity(text.len() + splices.iter().map(|s| s.with.len()).sum::<usize>());
    let mut done = 0;
    for s in &splices {
        out.push_str(text.get(done..s.at.start)?);
        out.push_str(&s.with);
        done = s.at.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

/// New lines after `line`. A last line without line end gets one.
pub(super) fn after_line(text: &str, lines: &Lines, line: usize, new: &[String]) -> Splice {
    let eol = lines.eol(text, line);
    let mut with = String::new();
    if !lines.has_eol(line) {
        with.push_str(eol);
    }
    for l in new {
        with.push_str(l);
        with.push_str(eol);
    }
    let at = lines.next(line);
    Splice::new(at..at, with)
}

/// New lines before `line`.
pub(super) fn before_line(text: &str, lines: &Lines, line: usize, new: &[String]) -> Splice {
    let eol = lines.eol(text, line);
    let with: String = new.iter().flat_map(|l| [l.as_str(), eol]).collect();
    let at = lines.span(line).start;
    Splice::new(at..at, with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        let text = "a\nb\r\nc\rd";
        let lines = Lines::new(text);
        let all: Vec<&str> = (0..lines.count()).map(|i| &text[lines.span(i)]).collect();
        assert_eq!(all, ["a", "b", "c", "d"]);
        assert_eq!(lines.number(text.len() - 1), 4);
        assert_eq!(lines.eol(text, 3), "\r");
    }

    #[test]
    fn overlapping_replacements_are_refused() {
        assert_eq!(splice("abc", vec![Splice::new(0..2, "x"), Splice::new(1..3, "y")]), None);
        assert_eq!(splice("abc", vec![Splice::new(1..1, "x")]).as_deref(), Some("axbc"));
    }
}
