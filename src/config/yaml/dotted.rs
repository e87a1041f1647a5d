//! Dotted keys (`runtime_security_config.enabled: true`): as data, as notes, and made into nested sections.
//! The Agent reads both forms, and where a file has both of the same setting it takes either, at random.

use std::collections::{BTreeMap, HashMap};

use super::data::{self, Norm};
use super::edit::Step;
use super::locate::{Dotted, Section};
use super::render;
use super::replace;
use super::text::Splice;
use super::tree::Entry;
use super::value::{dotted, same_key};
use super::{Parsed, Refusal, Value};

/// The data with the dotted keys of the top level expanded; the nested form wins.
pub(super) fn expand(value: &Value) -> Value {
    let Value::Map(entries) = value else {
        return value.clone();
    };
    let mut map: Vec<(String, Value)> = Vec::new();
    let mut late: Vec<(Vec<&str>, &Value)> = Vec::new();
    for (key, value) in entries {
        match dotted(key) {
            None => map.push((key.clone(), value.clone())),
            Some(parts) => late.push((parts, value)),
        }
    }
    if !late.is_empty() {
        let late = late.iter().map(|(p, v)| (p.as_slice(), *v)).collect();
        add(&mut map, late);
    }
    Value::Map(map)
}

/// Adds values at their paths, below what is there. A level at a time, since a file may hold very many.
fn add(map: &mut Vec<(String, Value)>, additions: Vec<(&[&str], &Value)>) {
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, (key, _)) in map.iter().enumerate() {
        places.entry(key.to_lowercase()).or_insert(at);
    }
    let mut deeper: BTreeMap<usize, Vec<(&[&str], &Value)>> = BTreeMap::new();
    for (parts, value) in additions {
        let [first, rest @ ..] = parts else { continue };
        let at = *places.entry(first.to_lowercase()).or_insert_with(|| {
            map.push(((*first).to_owned(), Value::Null));
            map.len() - 1
        });
        if rest.is_empty() && map[at].1 == Value::Null {
            map[at].1 = value.clone();
        } else {
            deeper.entry(at).or_default().push((rest, value));
        }
    }
    for (at, additions) in deeper {
        let slot = &mut map[at].1;
        if *slot == Value::Null {
            *slot = Value::Map(Vec::new());
        }
        let Value::Map(inner) = slot else { continue };
        // A whole section that is added: its keys one by one.
        let mut flat: Vec<(Vec<&str>, &Value)> = Vec::new();
        for (rest, value) in additions {
            match value {
                Value::Map(more) if rest.is_empty() => {
                    flat.extend(more.iter().map(|(k, v)| (vec![k.as_str()], v)));
                }
                _ => flat.push((rest.to_vec(), value)),
            }
        }
        add(inner, flat.iter().map(|(p, v)| (p.as_slice(), *v)).collect());
    }
}

/// What an operator should know of the top level: keys that stand there in two forms or two spellings.
pub(super) fn notes(parsed: &Parsed) -> Vec<String> {
    let root = parsed.root_section();
    let mut notes = Vec::new();
    let mut lower: std::collections::HashMap<String, &Entry> = std::collections::HashMap::new();
    for entry in root.entries() {
        if let Some(first) = lower.insert(entry.name.to_lowercase(), entry) {
            notes.push(format!(
                "line {} and line {}: `{}` and `{}` are the same key to the Agent",
                parsed.line_of(first),
                parsed.line_of(entry),
                first.name,
                entry.name
            ));
        }
    }
    for entry in root.entries() {
        let Some(parts) = dotted(&entry.name) else {
            continue;
        };
        if let Some(section) = lower.get(&parts[0].to_lowercase()) {
            notes.push(format!(
                "line {}: `{}` stands beside the section in line {}; where both set the same, the Agent takes either",
                parsed.line_of(entry),
                entry.name,
                parsed.line_of(section)
            ));
        }
    }
    notes
}

/// Dotted lines without a nested section: they become one, where the first of them stands.
pub(super) fn fold(parsed: &Parsed, section: &Section, dots: &[Dotted]) -> Result<Step, Refusal> {
    movable(parsed, section, dots)?;
    let Some(first) = dots.first() else {
        return Ok(Step::Nothing);
    };
    let mut top = Branch::default();
    for d in dots {
        top.add(parsed, &d.parts, d.entry)?;
    }
    let indent = column(parsed, first.entry);
    let eol = parsed.lines.eol(&parsed.text, first_line(parsed, first.entry));
    let mut block = String::new();
    top.write(parsed, indent, eol, &mut block);
    let mut splices = Vec::new();
    for (n, d) in dots.iter().enumerate() {
        let mut extent = extent(parsed, d.entry);
        let mut with = String::new();
        if n == 0 {
            with = std::mem::take(&mut block);
            // A file without a last line end keeps it so.
            if !parsed.text[extent.clone()].ends_with(['\n', '\r']) {
                with.truncate(with.trim_end_matches(['\n', '\r']).len());
                extent.end = parsed.text.len();
            }
        }
        splices.push(Splice::new(extent, with));
    }
    Ok(Step::unify(parsed.norm(), vec![splices]))
}

/// Moves one dotted line into the nested section that stands beside it.
pub(super) fn fold_into(parsed: &Parsed, section: &Section, nested: &Entry, dot: &Dotted) -> Result<Step, Refusal> {
    movable(parsed, section, std::slice::from_ref(dot))?;
    let mut inner = parsed.section_of(nested, &dot.entry.name)?;
    let mut rest = &dot.parts[1..];
    while rest.len() > 1 {
        let Some(next) = inner.entries().iter().find(|e| same_key(&e.name, rest[0])) else {
            break;
        };
        inner = parsed.section_of(next, &dot.entry.name)?;
        rest = &rest[1..];
    }
    if inner.is_flow() {
        return Err(both(parsed, dot.entry, nested));
    }
    let mut branch = Branch::default();
    branch.add(parsed, rest, dot.entry)?;
    let eol = parsed.lines.eol(&parsed.text, first_line(parsed, nested));
    let mut block = String::new();
    branch.write(parsed, replace::child_indent(parsed, &inner), eol, &mut block);
    let block: Vec<String> = block.lines().map(str::to_owned).collect();
    let mut splices = replace::clear_null(parsed, &inner);
    splices.push(replace::insertion(parsed, &inner, &block)?);
    splices.push(Splice::new(extent(parsed, dot.entry), ""));
    Ok(Step::unify(parsed.norm(), vec![splices]))
}

/// The refusal where one setting has two values.
pub(super) fn both(parsed: &Parsed, dot: &Entry, nested: &Entry) -> Refusal {
    let (a, b) = (parsed.line_of(dot), parsed.line_of(nested));
    Refusal::at(
        a,
        format!(
            "`{}` in line {a} and the section `{}` in line {b} set the same differently; the Agent takes either",
            dot.name, nested.name
        ),
    )
    .hint(format!("remove line {a}, or the setting in the section"))
}

/// Lines that can be taken as they are and put elsewhere.
fn movable(parsed: &Parsed, section: &Section, dots: &[Dotted]) -> Result<(), Refusal> {
    if dots.len() > 1000 {
        return Err(Refusal::new("more than a thousand dotted keys of one section"));
    }
    for d in dots {
        let line = parsed.line_of(d.entry);
        let refuse = |why: &str| {
            Refusal::at(line, format!("`{}` {why}", d.entry.name))
                .hint("write it as a nested section by hand, then run again")
        };
        let in_one_line = d.entry.key.span.end <= parsed.lines.span(first_line(parsed, d.entry)).end;
        if section.is_flow() || !replace::starts_line(parsed, d.entry) || !in_one_line {
            return Err(refuse("is a dotted key that cannot be made into a section here"));
        }
        if dots.iter().any(|o| !o.parts[0].eq(d.parts[0])) {
            return Err(refuse("is spelt in another way on another line"));
        }
        if replace::unterminated(parsed, &d.entry.value) {
            return Err(refuse("ends with the file inside a text block"));
        }
    }
    Ok(())
}

/// Dotted lines as the section that they mean.
#[derive(Default)]
struct Branch<'t> {
    children: Vec<(String, Branch<'t>)>,
    leaf: Option<&'t Entry>,
}

impl<'t> Branch<'t> {
    fn add(&mut self, parsed: &Parsed, parts: &[&str], entry: &'t Entry) -> Result<(), Refusal> {
        let conflict = |other: &Entry| {
            let (a, b) = (parsed.line_of(other), parsed.line_of(entry));
            Refusal::at(b, format!("`{}` in line {a} and `{}` in line {b} set the same", other.name, entry.name))
                .hint("remove one of the two lines")
        };
        if let Some(other) = self.leaf {
            return Err(conflict(other));
        }
        let Some((first, rest)) = parts.split_first() else {
            if let Some(other) = self.any() {
                return Err(conflict(other));
            }
            self.leaf = Some(entry);
            return Ok(());
        };
        let at = self.children.iter().position(|(k, _)| same_key(k, first));
        let at = at.unwrap_or_else(|| {
            self.children.push(((*first).to_owned(), Branch::default()));
            self.children.len() - 1
        });
        self.children[at].1.add(parsed, rest, entry)
    }

    fn any(&self) -> Option<&'t Entry> {
        self.leaf.or_else(|| self.children.iter().find_map(|(_, b)| b.any()))
    }

    fn write(&self, parsed: &Parsed, indent: usize, eol: &str, out: &mut String) {
        for (key, branch) in &self.children {
            out.push_str(&" ".repeat(indent));
            out.push_str(&render::key(key));
            match branch.leaf {
                Some(entry) => moved(parsed, entry, indent, eol, out),
                None => {
                    out.push(':');
                    out.push_str(eol);
                    branch.write(parsed, indent + 2, eol, out);
                }
            }
        }
    }
}

/// The entry's lines from behind its key on, shifted to `indent`.
fn moved(parsed: &Parsed, entry: &Entry, indent: usize, eol: &str, out: &mut String) {
    let lines = &parsed.lines;
    let (from, to) = (first_line(parsed, entry), last_line(parsed, entry));
    let old = column(parsed, entry);
    out.push_str(&parsed.text[entry.key.span.end..lines.span(from).end]);
    out.push_str(eol);
    for line in from + 1..=to {
        let content = &parsed.text[lines.span(line)];
        if content.trim().is_empty() {
            out.push_str(content);
        } else if indent >= old {
            out.push_str(&" ".repeat(indent - old));
            out.push_str(content);
        } else {
            let cut = (old - indent).min(content.len() - content.trim_start_matches(' ').len());
            out.push_str(&content[cut..]);
        }
        out.push_str(if lines.has_eol(line) { &parsed.text[lines.span(line).end..lines.next(line)] } else { eol });
    }
}

fn column(parsed: &Parsed, entry: &Entry) -> usize {
    let at = entry.key.span.start;
    at - parsed.lines.span(parsed.lines.index(at)).start
}

fn first_line(parsed: &Parsed, entry: &Entry) -> usize {
    parsed.lines.index(entry.key.span.start)
}

fn last_line(parsed: &Parsed, entry: &Entry) -> usize {
    replace::last_line(parsed, entry)
}

/// The whole lines of an entry.
pub(super) fn extent(parsed: &Parsed, entry: &Entry) -> std::ops::Range<usize> {
    parsed.lines.span(first_line(parsed, entry)).start..parsed.lines.next(last_line(parsed, entry))
}

/// Whether a dotted entry and the nested section say the same, say different things, or do not meet.
pub(super) fn compare(parsed: &Parsed, nested: &Entry, dot: &Dotted) -> Meeting {
    let keys: Vec<String> = dot.parts[1..].iter().map(|p| (*p).to_owned()).collect();
    let section = data::of_node(&parsed.tree, &nested.value);
    let Some(found) = section.as_ref().and_then(|v| v.find(&keys)) else {
        return Meeting::Apart;
    };
    match data::of_node(&parsed.tree, &dot.entry.value) {
        Some(value) if value == *found => Meeting::Same,
        _ => Meeting::Different,
    }
}

pub(super) enum Meeting {
    Apart,
    Same,
    Different,
}

/// Deletes a dotted line, so that the nested form alone speaks.
pub(super) fn drop_line(parsed: &Parsed, section: &Section, dot: &Dotted) -> Result<Vec<Splice>, Refusal> {
    replace::deletion(parsed, section, dot.entry)
}

/// Whether the key of `other` lies in the section that `of` names, or is the same.
pub(super) fn overlaps(other: &Dotted, of: &Dotted) -> bool {
    other.parts.iter().zip(&of.parts).all(|(a, b)| same_key(a, b))
}

/// The data of the file without one of its entries.
pub(super) fn without(parsed: &Parsed, section: Section, entry: &Entry) -> Norm {
    fn drop(value: &mut Value, keys: &[&str]) {
        let (Value::Map(entries), Some((first, rest))) = (value, keys.split_first()) else {
            return;
        };
        if rest.is_empty() {
            entries.retain(|(k, _)| k != first);
        } else if let Some((_, inner)) = entries.iter_mut().find(|(k, _)| k == first) {
            drop(inner, rest);
        }
    }
    fn trail<'t>(map: Section<'t>, to: &Entry, keys: &mut Vec<&'t str>) -> bool {
        for e in map.entries() {
            keys.push(&e.name);
            let inner = Section { owner: Some(e), map: Some(&e.value) };
            if std::ptr::eq(e, to) || trail(inner, to, keys) {
                return true;
            }
            keys.pop();
        }
        false
    }
    let mut keys = Vec::new();
    let mut value = parsed.data.clone();
    if section.map.is_some() && trail(parsed.root_section(), entry, &mut keys) {
        drop(&mut value, &keys);
    }
    Norm::of(&value)
}
