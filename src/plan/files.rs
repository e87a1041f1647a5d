//! A wished file against the one that is there: bytes are made here, in memory, before anything is written.

use crate::config::yaml::{Document, Edit, Value};
use crate::config::{self, yaml};
use crate::current::{Current, Seen};
use crate::desired::{AGENT_USER, Base, Content, FileWish, PROXY_CFG, Wish};
use crate::error::Result;
use crate::host::{Attributes, FileMeta, Stored, system};
use crate::step::FileChange;

use super::Context;

/// Where the text of a file that is planned again comes from.
const FROM_EXAMPLE: &str = "from the example in the package";

/// What is to be done about one file.
pub enum FilePlan {
    Nothing {
        notes: Vec<String>,
    },
    Change {
        change: Box<FileChange>,
        notes: Vec<String>,
    },
    /// What it is made from is still inside a package.
    Later {
        from: &'static str,
        changes: Vec<String>,
    },
}

/// The bytes that a file should have, and what that changes.
struct Target {
    bytes: Vec<u8>,
    changes: Vec<String>,
    notes: Vec<String>,
}

enum Made {
    Target(Target),
    Stays(Vec<String>),
    Later(&'static str, Vec<String>),
}

pub(super) fn plan(wish: &FileWish, current: &Current, context: &Context) -> Result<FilePlan> {
    let seen = current.file(wish.path);
    if let Seen::Denied(why) = seen {
        let note = format!("{why}: whether it must change is not known without root");
        return Ok(FilePlan::Nothing { notes: vec![note] });
    }
    let stored = seen.stored();
    let made = match &wish.content {
        Content::Edits { base, wishes } => edited(wish, base, wishes, stored, current, context)?,
        Content::Vendor { example, reset } => vendor(example, *reset, stored, current, context),
        Content::Variables(lines) => variables(lines, stored, current),
        Content::Note(text) => note(text, stored, current, context),
        Content::Program(from) => program(from.as_deref(), stored, current),
    };
    let target = match made {
        Made::Target(target) => target,
        Made::Later(from, changes) => return Ok(FilePlan::Later { from, changes }),
        Made::Stays(notes) => match stored {
            None => return Ok(FilePlan::Nothing { notes }),
            Some(stored) => Target { bytes: stored.bytes.clone(), changes: Vec::new(), notes },
        },
    };
    let Some(fresh) = current.attributes(wish.rights) else {
        // The user that owns it is made by the package.
        return Ok(FilePlan::Later { from: "", changes: target.changes });
    };
    Ok(change(wish, stored, target, fresh, current.agent_user.unwrap_or_default()))
}

fn change(wish: &FileWish, stored: Option<&Stored>, target: Target, fresh: Attributes, agent: (u32, u32)) -> FilePlan {
    let Target { bytes: after, mut changes, notes } = target;
    let mut rights = fresh;
    if let Some(stored) = stored {
        let wrong = match &wish.content {
            Content::Program(_) => not_exactly(&stored.meta, fresh),
            _ => mistake(&stored.meta, agent, wish.rights.is_public()),
        };
        match wrong {
            None => rights = stored.meta.attributes(),
            Some(why) => changes.push(format!("owner and mode: {why}")),
        }
        if stored.bytes == after && stored.meta.attributes() == rights {
            return FilePlan::Nothing { notes };
        }
    }
    let r = wish.rights;
    let rights_text = if rights == fresh {
        format!("{}:{} {:04o}", r.owner, r.group, r.mode)
    } else {
        format!("owner and mode stay, {:04o}", rights.mode)
    };
    let change = FileChange {
        path: wish.path.into(),
        before: stored.cloned(),
        rights,
        rights_text,
        changes,
        // What keeps others out alone is no reason to read it again.
        read_by: wish.read_by.filter(|_| stored.is_none_or(|s| s.bytes != after || !agent_reads(&s.meta, agent))),
        after,
    };
    FilePlan::Change { change: Box::new(change), notes }
}

/// What is wrong with a file's owner and mode, if anything is. The vendor's packages and its script
/// choose different ones (0440 and 0640, root or dd-agent); all that keep others out are accepted.
/// `agent` is the (uid, gid) of the Agent's user; a `public` file may be read by everybody.
pub fn mistake(meta: &FileMeta, agent: (u32, u32), public: bool) -> Option<String> {
    let mode = meta.mode;
    if mode & if public { 0o003 } else { 0o007 } != 0 {
        Some(format!("mode {mode:04o} lets every user in"))
    } else if mode & 0o020 != 0 {
        Some(format!("mode {mode:04o} lets its group write"))
    } else if mode & 0o7111 != 0 {
        Some(format!("mode {mode:04o} makes it executable or special"))
    } else if ![0, agent.0].contains(&meta.uid) {
        Some(format!("it belongs to user {}, neither root nor {AGENT_USER}", meta.uid))
    } else if !public && !agent_reads(meta, agent) {
        Some(format!("owner, group and mode {mode:04o} keep {AGENT_USER} out"))
    } else {
        None
    }
}

/// What is wrong with the owner and mode of a program that the Agent runs: it takes no others.
pub fn not_exactly(meta: &FileMeta, wanted: Attributes) -> Option<String> {
    let seen = meta.attributes();
    let text = |a: Attributes| format!("uid {}, gid {}, mode {:04o}", a.uid, a.gid, a.mode);
    (seen != wanted).then(|| format!("{}, where the Agent wants {}", text(seen), text(wanted)))
}

fn agent_reads(meta: &FileMeta, (uid, gid): (u32, u32)) -> bool {
    (meta.uid == uid && meta.mode & 0o400 != 0) || (meta.gid == gid && meta.mode & 0o040 != 0) || meta.mode & 0o004 != 0
}

fn edited(
    wish: &FileWish,
    base: &Base,
    wishes: &[Wish],
    stored: Option<&Stored>,
    current: &Current,
    context: &Context,
) -> Result<Made> {
    let sure = |w: &&Wish| w.when.is_none() && !w.drops;
    let summary = || wishes.iter().filter(sure).map(|w| explain(&w.edit, w.why)).collect();
    let text: Vec<u8> = match (stored, base) {
        (Some(stored), _) => stored.bytes.clone(),
        (None, Base::None) => return Ok(Made::Stays(Vec::new())),
        (None, Base::Text(text)) => text.clone().into_bytes(),
        (None, Base::Example(example)) => match current.file(example) {
            Seen::Present(example) => example.bytes.clone(),
            _ if !context.packages_done => return Ok(Made::Later(FROM_EXAMPLE, summary())),
            _ if wish.path == crate::settings::File::SecurityAgent.path() => {
                let note =
                    format!("this Agent ships no {example}: system-probe does its work, and the file is not made");
                return Ok(Made::Stays(vec![note]));
            }
            _ if wishes.is_empty() => {
                let note = format!("{example} is not there, so {} is not made", wish.path);
                return Ok(Made::Stays(vec![note]));
            }
            _ => Vec::new(),
        },
    };
    let refuse = |refusal: yaml::Refusal| refusal.into_error(std::path::Path::new(wish.path));
    let fresh;
    let document = match current.document(wish.path) {
        Some(Ok(document)) => document,
        Some(Err(refusal)) => return Err(refuse(refusal.clone())),
        None => {
            fresh = yaml::load(&text).map_err(refuse)?;
            &fresh
        }
    };
    let mut edits = Vec::new();
    let mut notes: Vec<String> = document.notes().iter().map(|note| format!("{}: {note}", wish.path)).collect();
    for w in wishes.iter().filter(|w| w.when.as_ref().is_none_or(|when| when.holds(document))) {
        if w.drops {
            edits.extend(without(document, &w.edit));
        } else if let Some(told) = w.yields.as_ref().filter(|_| stored.is_some() && said_otherwise(document, &w.edit)) {
            notes.push(format!("{}: {told}", wish.path));
        } else if !holds(document, &w.edit) {
            edits.push(w.edit.clone());
        }
    }
    if edits.is_empty() {
        return Ok(Made::Target(Target { bytes: text, changes: Vec::new(), notes }));
    }
    let edited = yaml::edit(&text, &edits).map_err(refuse)?;
    let mut changes: Vec<String> = Vec::new();
    for change in &edited.changes {
        let why = wishes.iter().find(|w| *w.edit.path() == change.path).map_or("", |w| w.why);
        changes.push(explain_change(change, why));
    }
    let target = Target { bytes: edited.text.into_bytes(), changes, notes };
    Ok(Made::Target(target))
}

/// The edit that takes an item out of its list, if it is in there.
pub fn without(document: &Document, edit: &Edit) -> Option<Edit> {
    let Edit::Append { path, value } = edit else { return None };
    let Some(Value::Seq(items)) = document.get(path) else { return None };
    let rest: Vec<Value> = items.iter().filter(|item| *item != value).cloned().collect();
    (rest.len() < items.len()).then(|| Edit::Set { path: path.clone(), value: Value::Seq(rest) })
}

/// Whether the operator's file holds another value than the edit would set.
fn said_otherwise(document: &Document, edit: &Edit) -> bool {
    match edit {
        Edit::Set { path, value } => {
            document.get(path).is_some_and(|found| !found.is_to_the_agent(value) && *found != Value::Null)
        }
        _ => false,
    }
}

/// Whether the file already says what the edit would make it say. A list may hold an item that says the same in other
/// words: the same `type` and `include_units`.
pub fn holds(document: &Document, edit: &Edit) -> bool {
    let (path, wanted) = match edit {
        // Where a key stands twice, dotted and nested, the editor must look.
        Edit::Set { path, value } => {
            let said = document.get(path).is_some_and(|found| found.is_to_the_agent(value));
            return said && document.notes().is_empty();
        }
        Edit::Append { path, value: Value::Map(wanted) } => (path, wanted),
        Edit::Append { path, value } => {
            return matches!(document.get(path), Some(Value::Seq(items)) if items.contains(value));
        }
        Edit::Remove { .. } => return false,
    };
    let Some(Value::Seq(items)) = document.get(path) else { return false };
    let same = |item: &Value, key: &str| match item {
        Value::Map(entries) => {
            let of = |entries: &[(String, Value)]| entries.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
            of(entries).is_some() && of(entries) == of(wanted)
        }
        _ => false,
    };
    items.iter().any(|item| same(item, "type") && same(item, "include_units"))
}

fn vendor(example: &str, reset: bool, stored: Option<&Stored>, current: &Current, context: &Context) -> Made {
    let Some(example_file) = current.file(example).stored() else {
        if context.packages_done {
            return Made::Stays(vec![format!("{example} is not there: {PROXY_CFG} cannot be held against it")]);
        }
        return if stored.is_some() {
            Made::Stays(Vec::new())
        } else {
            Made::Later(FROM_EXAMPLE, vec!["a copy, unmodified".into()])
        };
    };
    let made =
        |why: String| Made::Target(Target { bytes: example_file.bytes.clone(), changes: vec![why], notes: Vec::new() });
    match stored {
        None => made(format!("copy of {example}, unmodified")),
        Some(stored) if stored.bytes == example_file.bytes => Made::Stays(Vec::new()),
        Some(_) if reset => made(format!("{example} again, unmodified, in place of the changed file")),
        Some(stored) if context.proxy_examples.contains(&system::sha256_hex(&stored.bytes)) => {
            made(format!("follows the new {example}"))
        }
        Some(_) => Made::Stays(vec![format!(
            "{PROXY_CFG} was changed by hand and stays: FIPS compliance is not guaranteed with it (--reset-proxy-config takes the vendor's example)"
        )]),
    }
}

/// The file with each of these lines in it. Other lines stay as they are.
fn variables(wanted: &[(&str, &str)], stored: Option<&Stored>, current: &Current) -> Made {
    let changes = || wanted.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    if current.agent_user.is_none() && stored.is_none() {
        return Made::Later("", changes());
    }
    let mut text = stored.map_or_else(Vec::new, |stored| stored.bytes.clone());
    let missing: Vec<_> =
        wanted.iter().filter(|(name, value)| variable(&text, name).as_deref() != Some(value)).collect();
    if missing.is_empty() {
        return Made::Stays(Vec::new());
    }
    // The last line of a name counts (systemd.exec), so that nothing of the operator's must go.
    for (name, value) in missing {
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        text.extend(format!("{name}={value}\n").bytes());
    }
    Made::Target(Target { bytes: text, changes: changes(), notes: Vec::new() })
}

/// What an environment file says a variable is: its last line counts.
pub fn variable(text: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let of = |line: &str| {
        let (found, value) = line.trim().split_once('=')?;
        (found.trim() == name).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    text.lines().filter_map(of).next_back()
}

fn program(from: Option<&str>, stored: Option<&Stored>, current: &Current) -> Made {
    let why = format!("a copy of {}", from.unwrap_or("this program"));
    let wanted = current.program.as_deref().unwrap_or_default();
    if current.agent_user.is_none() {
        return Made::Later("", vec![why]);
    }
    match stored {
        Some(stored) if stored.bytes == wanted => Made::Stays(Vec::new()),
        _ => Made::Target(Target { bytes: wanted.to_vec(), changes: vec![why], notes: Vec::new() }),
    }
}

fn note(text: &str, stored: Option<&Stored>, current: &Current, context: &Context) -> Made {
    if current.agent_user.is_none() {
        return Made::Later("", vec!["tells the Agent which tool installed it".into()]);
    }
    // The packages write this name; another tool's record, and that of an Agent that was there before us, stay.
    let of_package = |s: &Stored| {
        let text = String::from_utf8_lossy(&s.bytes);
        text.lines().any(|line| matches!(line.trim(), "tool: dpkg" | "tool: rpm"))
    };
    match stored {
        Some(stored) if !context.agent_is_ours || !of_package(stored) => Made::Stays(Vec::new()),
        _ => Made::Target(Target {
            bytes: text.as_bytes().to_vec(),
            changes: vec!["tells the Agent which tool installed it".into()],
            notes: Vec::new(),
        }),
    }
}

/// Whether the setting at a path holds a secret, which is never shown.
pub fn is_secret(path: &str) -> bool {
    path.rsplit('.').next().is_some_and(crate::secret::is_named_by)
}

fn explain(edit: &Edit, why: &str) -> String {
    match edit {
        Edit::Set { path, value } => format!("{path}: {} ({why})", shown(&path.to_string(), value)),
        Edit::Append { path, value: value @ Value::Str(_) } => {
            format!("{path}: {} as well ({why})", config::shown(value))
        }
        Edit::Append { path, .. } => format!("{path}: one item more ({why})"),
        Edit::Remove { path } => format!("{path}: removed ({why})"),
    }
}

fn explain_change(change: &yaml::Change, why: &str) -> String {
    let path = change.path.to_string();
    let value = |v: &Option<Value>| v.as_ref().map_or_else(|| "unset".into(), |v| shown(&path, v));
    let why = match (why.is_empty(), change.unified) {
        (_, true) => " (its dotted key is now in its section: the Agent reads the two in random order)".to_owned(),
        (true, false) => String::new(),
        (false, false) => format!(" ({why})"),
    };
    match (&change.before, &change.after) {
        (Some(Value::Seq(_)), Some(Value::Seq(_))) => format!("{path}: one item more{why}"),
        (None | Some(Value::Null), after) => format!("{path}: {}{why}", value(after)),
        (before, after) => format!("{path}: {} instead of {}{why}", value(after), value(before)),
    }
}

fn shown(path: &str, value: &Value) -> String {
    if is_secret(path) && !matches!(value, Value::Bool(_)) { "********".into() } else { config::shown(value) }
}
