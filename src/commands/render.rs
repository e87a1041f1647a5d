//! `ddinstall render`: from the request to a document on standard output; what is worth saying goes to standard error.

use serde_json::json;

use crate::cli::{Format, Invocation};
use crate::error::Error;
use crate::render::{Options, TARGETS, Target, render};
use crate::report::Redactor;
use crate::request::{Inputs, Request};

use super::{print, read_settings, refuse, say};

pub(super) fn run(invocation: &Invocation, target: Target, options: &Options) -> u8 {
    match document(invocation, target, options) {
        Ok(()) => 0,
        Err(error) => refuse("render", invocation.format, error),
    }
}

fn document(invocation: &Invocation, target: Target, options: &Options) -> Result<(), Error> {
    // Files of the host, such as the one with the API key, are not read: that they are named is enough. This passes for
    // a key as well as for a certificate.
    let unread = |_: &str| Ok(format!("{}\n-----BEGIN CERTIFICATE-----\n", "0".repeat(32)).into_bytes());
    let request = Request::new(Inputs {
        variables: std::env::vars_os().collect(),
        flags: invocation.flags.clone(),
        sets: invocation.sets.clone(),
        file: invocation.file.as_deref().map(read_settings).transpose()?,
        read: &unread,
    })?;
    let rendered = render(&request, target, options)?;
    let redactor = Redactor::new(request.secrets());
    let notes: Vec<String> = request.notes.iter().chain(&rendered.notes).map(|note| redactor.text(note)).collect();
    if invocation.format == Format::Json {
        let name = TARGETS.iter().find(|(_, known)| *known == target).map(|(name, _)| name);
        let document = json!({ "command": "render", "target": name, "document": rendered.text, "notes": notes });
        print(&format!("{document:#}\n"));
        return Ok(());
    }
    for note in notes {
        say(&format!("note: {note}\n"));
    }
    print(&rendered.text);
    Ok(())
}
