//! JSON documents, one after the other, out of a stream that may be cut off, wrong or endless.
//! No more than one document is held, and none beyond [`LIMIT`].

use std::io::{self, BufRead};

/// Bytes of a document; a verification has some 12,000.
pub const LIMIT: usize = 2 << 20;

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// An object, from its first brace to its last. Nothing else of it was checked.
    Document { line: u64, bytes: Vec<u8> },
    /// Something that is none, by the number of its first line.
    Broken { line: u64, why: &'static str },
}

/// Splits a stream into documents. Between them stand line ends, blanks, nothing at all, or what makes them an array.
pub struct Documents<'a> {
    input: &'a mut dyn BufRead,
    document: Vec<u8>,
    /// Brackets that are open. 0: between documents.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Longer than it may be: it is read to its end, and forgotten.
    huge: bool,
    /// Between documents, after something that is none: only a line that begins with a brace counts.
    lost: bool,
    /// The last byte that is no blank.
    last: u8,
    line: u64,
    begun: u64,
    at_line_start: bool,
}

impl<'a> Documents<'a> {
    pub fn new(input: &'a mut dyn BufRead) -> Documents<'a> {
        Documents {
            input,
            document: Vec::new(),
            depth: 0,
            in_string: false,
            escaped: false,
            huge: false,
            lost: false,
            last: 0,
            line: 1,
            begun: 1,
            at_line_start: true,
        }
    }

    /// The next piece; None at the end. An error is the stream's own.
    pub fn piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                let cut = std::mem::take(&mut self.depth) > 0;
                return Ok(cut.then(|| self.broken("it ends in the middle of a document")));
            }
            let buffer = buffer.to_vec();
            let mut i = 0;
            while i < buffer.len() {
                if self.in_string && !self.escaped {
                    // Most of a document is text.
                    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n');
                    let end = buffer[i..].iter().position(special).map_or(buffer.len(), |n| i + n);
                    self.keep(&buffer[i..end]);
                    i = end;
                }
                let Some(byte) = buffer.get(i) else { break };
                if let Some((piece, taken)) = self.byte(*byte) {
                    self.input.consume(i + usize::from(taken));
                    return Ok(Some(piece));
                }
                i += 1;
            }
            self.input.consume(buffer.len());
        }
    }

    /// Takes a byte. What it ends, and whether the byte itself belongs to that.
    fn byte(&mut self, byte: u8) -> Option<(Piece, bool)> {
        let first = std::mem::replace(&mut self.at_line_start, byte == b'\n');
        if self.depth == 0 {
            let piece = self.between(byte, first);
            self.line += u64::from(byte == b'\n');
            return piece.map(|piece| (piece, true));
        }
        if self.in_string {
            self.keep(&[byte]);
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.lost = true;
                    return Some((self.broken("a document is cut off in the middle of a text"), true));
                }
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return None;
        }
        match byte {
            // Inside a document an object follows one of these; anywhere else it is the next document.
            b'{' if !matches!(self.last, b'[' | b',' | b':') => {
                self.at_line_start = first;
                return Some((self.broken("a document is cut off, and another one begins"), false));
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b'"' => self.in_string = true,
            b'\n' => self.line += 1,
            _ => {}
        }
        self.keep(&[byte]);
        if !byte.is_ascii_whitespace() {
            self.last = byte;
        }
        if self.depth > 0 {
            return None;
        }
        let huge = self.huge;
        let bytes = std::mem::take(&mut self.document);
        let piece = match huge {
            true => self.broken("a document is larger than 2 MiB"),
            false => Piece::Document { line: self.begun, bytes },
        };
        Some((piece, true))
    }

    fn between(&mut self, byte: u8, first: bool) -> Option<Piece> {
        match byte {
            b'{' if first || !self.lost => {
                self.depth = 1;
                (self.huge, self.lost, self.last, self.begun) = (false, false, byte, self.line);
                self.keep(&[byte]);
                None
            }
            _ if self.lost || byte.is_ascii_whitespace() => None,
            // Byte order mark and record separator, and what makes an array of them.
            0xef | 0xbb | 0xbf | 0x1e | b'[' | b']' | b',' => None,
            _ => {
                self.begun = self.line;
                self.lost = true;
                Some(Piece::Broken { line: self.begun, why: "what stands there is no JSON document" })
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.huge |= self.document.len() + bytes.len() > LIMIT;
        if !self.huge {
            self.document.extend_from_slice(bytes);
        }
    }

    fn broken(&mut self, why: &'static str) -> Piece {
        self.document = Vec::new();
        (self.depth, self.in_string, self.escaped) = (0, false, false);
        Piece::Broken { line: self.begun, why }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Documents as text, and what is broken as `line: why`; read a few bytes at a time.
    fn pieces(text: &str) -> Vec<String> {
        let mut input = io::BufReader::with_capacity(3, text.as_bytes());
        let mut documents = Documents::new(&mut input);
        let mut all = Vec::new();
        while let Some(piece) = documents.piece().unwrap() {
            all.push(match piece {
                Piece::Document { bytes, .. } => String::from_utf8(bytes).unwrap(),
                Piece::Broken { line, why } => format!("{line}: {why}"),
            });
        }
        all
    }

    #[test]
    fn documents_are_told_apart_however_they_are_joined() {
        let text = r#"{"a":"}\"{"}"#;
        for joint in ["", "\n", " \r\n\t", ",\n", "\u{1e}"] {
            assert_eq!(pieces(&format!("{text}{joint}{text}")), [text, text], "{joint:?}");
        }
        assert_eq!(pieces(&format!("[{text},\n{text}]\n")), [text, text]);
        assert_eq!(pieces("{\n  \"a\": [\n    {\n    },\n{\n}\n  ]\n}\n").len(), 1);
        assert!(pieces(" \n\n").is_empty() && pieces("").is_empty());
    }

    #[test]
    fn what_is_cut_off_or_wrong_takes_nothing_else_with_it() {
        let whole = r#"{"a":{"b":1}}"#;
        let cut = "a document is cut off, and another one begins";
        assert_eq!(pieces(&format!("{{\"a\":{{\"b\":1\n{whole}\n{whole}")), [&format!("1: {cut}"), whole, whole]);
        assert_eq!(pieces(&format!("{{\"a\":tr{whole}")), [&format!("1: {cut}"), whole]);
        let text = "a document is cut off in the middle of a text";
        assert_eq!(pieces(&format!("\n{{\"a\":\"tex\n{whole}\n")), [&format!("2: {text}"), whole]);
        let none = "what stands there is no JSON document";
        assert_eq!(pieces(&format!("Error: x {{ }}\nmore\n{whole}")), [&format!("1: {none}"), whole]);
        assert_eq!(pieces(&format!("{whole}\n{{\"a\":[")), [whole, "2: it ends in the middle of a document"]);
    }

    #[test]
    fn a_huge_document_is_passed_over() {
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(LIMIT));
        assert_eq!(pieces(&format!("{huge}\n{{}}")), ["1: a document is larger than 2 MiB", "{}"]);
    }
}
