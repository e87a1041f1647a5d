//! Our own helper: answers requests out of a folder of files, as Docker and Kubernetes lay secrets down.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::confined::Folder;
use crate::secret::Wiped;

/// The Agent reads no more of an answer, unless `secret_backend_output_max_size` says otherwise, and throws away all of
/// one that is larger.
pub const LARGEST_ANSWER: usize = 1024 * 1024;
/// A request is not read beyond this.
pub const LARGEST_REQUEST: usize = 1024 * 1024;
/// What a secret may have if nothing else is said: the largest that fits many times into an answer.
pub const LARGEST_SECRET: usize = 64 * 1024;

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Request {
    version: String,
    secrets: Vec<String>,
}

/// How secrets are read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Bytes of one secret.
    pub largest: usize,
    /// A line break at the end of a file belongs to the secret.
    pub keep_line_break: bool,
}

/// The answer to a request. One secret that cannot be read is an error of its own; the others are answered.
pub fn answer(folder: &Folder, request: &[u8], reading: Reading) -> Result<Wiped> {
    let usage = |what: String| Error::new(Kind::Usage, what);
    let request: Request = serde_json::from_slice(request).map_err(|e| {
        usage(format!("standard input is no request: {e}")).hint(r#"it is {"version": "1.0", "secrets": ["handle"]}"#)
    })?;
    if request.version.split('.').next() != Some("1") {
        return Err(usage(format!("version {} of the protocol is not known", request.version.escape_debug())));
    }
    // Equal handles are one key of the answer.
    let handles: BTreeSet<&str> = request.secrets.iter().map(String::as_str).collect();
    let mut answer = Wiped::with_capacity(LARGEST_ANSWER);
    answer.push(b"{");
    // Room for every handle's error is kept, so that one large secret takes no other's answer.
    let mut reserved: usize = handles.iter().map(|handle| error_entry(handle, TOO_MUCH).len() + 1).sum();
    if reserved + 2 > LARGEST_ANSWER {
        return Err(usage(format!("{} handles have more answers than the Agent reads", handles.len())));
    }
    for (i, handle) in handles.iter().enumerate() {
        if i > 0 {
            answer.push(b",");
        }
        reserved -= error_entry(handle, TOO_MUCH).len() + 1;
        let room = LARGEST_ANSWER - answer.len() - reserved - 2;
        let said = match value(folder, handle, reading) {
            Ok(value) => entry(handle, &value, room),
            Err(why) => Some(plain(&error_entry(handle, &why))).filter(|said| said.len() <= room),
        };
        // For these words there is room.
        answer.push(&said.unwrap_or_else(|| plain(&error_entry(handle, TOO_MUCH))));
    }
    answer.push(b"}\n");
    Ok(answer)
}

const TOO_MUCH: &str = "no room left in the answer";

fn value(folder: &Folder, handle: &str, reading: Reading) -> std::result::Result<Wiped, String> {
    let mut value = folder.read(handle, reading.largest).map_err(|why| why.to_string())?;
    if !reading.keep_line_break {
        let without = value.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest).len());
        if let Some(length) = without {
            value.shorten(length);
        }
    }
    match std::str::from_utf8(&value) {
        _ if value.is_empty() => Err("the file is empty".into()),
        Ok(text) if text.contains('\0') => Err("the file holds a NUL byte".into()),
        Ok(_) => Ok(value),
        Err(_) => Err("the file is no UTF-8 text".into()),
    }
}

/// `"handle":{"value":"…","error":null}`, if there is room for it.
fn entry(handle: &str, value: &[u8], room: usize) -> Option<Wiped> {
    let mut entry = Wiped::with_capacity(room);
    let mut fits = entry.push(quoted(handle).as_bytes()) && entry.push(b":{\"value\":\"");
    for byte in value {
        let mut code = *b"\\u0000";
        let written: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => {
                code[4] = b'0' + (byte >> 4);
                code[5] = b"0123456789abcdef"[usize::from(byte & 15)];
                &code
            }
            other => std::slice::from_ref(other),
        };
        fits = fits && entry.push(written);
    }
    (fits && entry.push(b"\",\"error\":null}")).then_some(entry)
}

fn error_entry(handle: &str, why: &str) -> String {
    format!("{}:{{\"value\":null,\"error\":{}}}", quoted(handle), quoted(why))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn plain(text: &str) -> Wiped {
    let mut bytes = Wiped::with_capacity(text.len());
    bytes.push(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::fs;

    const READING: Reading = Reading { largest: LARGEST_SECRET, keep_line_break: false };

    fn asked(files: &[(&str, &[u8])], handles: &[&str], reading: Reading) -> Value {
        let top = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(top.path().join(name), bytes).unwrap();
        }
        let folder = Folder::open(top.path()).unwrap();
        let request = json!({"version": "1.1", "secrets": handles, "secret_backend_timeout": 30}).to_string();
        let answer = answer(&folder, request.as_bytes(), reading).unwrap();
        assert!(answer.len() <= LARGEST_ANSWER);
        serde_json::from_slice(&answer).unwrap()
    }

    #[test]
    fn page_handles_are_names_of_files_in_the_folder() {
        let answer = asked(&[("db_prod_password", b"swordfish\n")], &["db_prod_password", "absent", "../x"], READING);
        assert_eq!(
            answer,
            json!({
                "db_prod_password": {"value": "swordfish", "error": null},
                "absent": {"value": null, "error": "no such file"},
                "../x": {"value": null, "error": "not a name inside the folder"},
            })
        );
    }

    #[test]
    fn a_value_arrives_as_it_is_but_for_one_line_break_at_its_end() {
        let odd = "a\"b\\c\n\u{1}\u{1f}\té😀\r\n\n";
        let of = |bytes: &[u8], keep| {
            asked(&[("s", bytes)], &["s", "s"], Reading { keep_line_break: keep, ..READING })["s"]["value"].clone()
        };
        assert_eq!(of(odd.as_bytes(), false), odd.strip_suffix('\n').unwrap());
        assert_eq!(of(odd.as_bytes(), true), odd);
        assert_eq!(of(b"x\r\n", false), "x");
    }

    #[test]
    fn what_is_no_text_or_too_large_is_an_error_of_its_own() {
        let large = vec![b'x'; 101];
        let files: [(&str, &[u8]); 6] =
            [("ok", b"1"), ("empty", b""), ("break", b"\n"), ("nul", b"a\0b"), ("latin", b"\xe9"), ("large", &large)];
        let handles = files.map(|(name, _)| name);
        let answer = asked(&files, &handles, Reading { largest: 100, ..READING });
        let error = |name: &str| answer[name]["error"].as_str().unwrap_or("none").to_owned();
        assert_eq!(
            handles.map(error),
            [
                "none",
                "the file is empty",
                "the file is empty",
                "the file holds a NUL byte",
                "the file is no UTF-8 text",
                "larger than allowed"
            ]
        );
    }

    #[test]
    fn an_answer_never_outgrows_what_the_agent_reads() {
        let large = vec![b'\x01'; LARGEST_SECRET];
        let names: Vec<String> = (0..20).map(|i| format!("s{i:02}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), large.as_slice())).collect();
        let handles: Vec<&str> = names.iter().map(String::as_str).collect();
        let answer = asked(&files, &handles, READING);
        let answered = handles.iter().filter(|name| answer[**name]["value"].is_string()).count();
        let full = handles.iter().filter(|name| answer[**name]["error"] == TOO_MUCH).count();
        assert_eq!((answered, full), (2, 18));
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let folder = Folder::open(top.path()).unwrap();
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"version": "2.0", "secrets": []}"#,
            r#"{"version": 1, "secrets": []}"#,
            r#"{"version": "1.0", "secrets": [1]}"#,
        ] {
            assert_eq!(answer(&folder, wrong.as_bytes(), READING).unwrap_err().kind, Kind::Usage, "{wrong}");
        }
        assert_eq!(&*answer(&folder, br#"{"version": "1.0", "secrets": []}"#, READING).unwrap(), b"{}\n");
    }
}
