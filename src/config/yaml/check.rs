//! What a file must be before it is parsed: UTF-8, of bearable size, without characters that readers disagree about.

use super::{LIMIT, Refusal};

/// The text without its byte order mark, and the mark.
pub(super) fn decode(bytes: &[u8]) -> Result<(&'static str, String), Refusal> {
    if bytes.len() > LIMIT {
        return Err(Refusal::new(format!("{} MB of YAML; the limit is {} MB", bytes.len() >> 20, LIMIT >> 20))
            .hint("a configuration file of this size is a mistake"));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        Refusal::at(line, "not UTF-8").hint("convert the file: iconv -f latin1 -t utf-8")
    })?;
    let (mark, text) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    // Nearly all files are plain text, and looking at bytes is quicker.
    let ordinary = |b: u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    if text.bytes().all(ordinary) {
        return Ok((mark, text.to_owned()));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| unreadable(*c)) {
        let line = 1 + text[..at].bytes().filter(|&b| b == b'\n').count();
        return Err(Refusal::at(
            line,
            format!("the character U+{:04X}, which YAML readers treat differently or refuse", c as u32),
        )
        .hint("remove it, or write it as an escape in double quotes"));
    }
    Ok((mark, text.to_owned()))
}

/// Control characters are refused by the Agent's reader; U+0085, U+2028 and U+2029 end a line there and not here.
fn unreadable(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}
