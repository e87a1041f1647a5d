//! Carries out edits: plans one step at a time, splices it, parses the result, and keeps it only if its data are the
//! old data plus exactly that step.

use std::collections::HashSet;

use crate::types::YamlPath;

use super::check::decode;
use super::data::{self, Norm};
use super::dotted::{self, Meeting};
use super::locate::Section;
use super::text::{Splice, splice};
use super::tree::{Entry, Kind};
use super::value::same_key;
use super::{Change, Edit, Edited, Parsed, Refusal, Value, list, replace};

/// How many dotted lines one edit brings into their section, each with a parse of its own.
const STEPS: usize = 200;

/// The deepest path that is edited; no setting of the Agent comes near.
const PATH: usize = 64;

/// What is to be done next for an edit.
pub(super) enum Step {
    /// The file says it already.
    Nothing,
    /// A part of it: one key of a map.
    Part(Edit),
    /// Ways to write it, the best first, and the data that must come out.
    Write {
        ways: Vec<Vec<Splice>>,
        expected: Norm,
        /// Brings dotted keys and their section together; the edit itself is still to do.
        unify: bool,
    },
}

impl Step {
    pub(super) fn unify(expected: Norm, ways: Vec<Vec<Splice>>) -> Step {
        Step::Write { ways, expected, unify: true }
    }
}

/// Makes all `edits`, in order, or none.
pub fn edit(text: &[u8], edits: &[Edit]) -> Result<Edited, Refusal> {
    let (mark, text) = decode(text)?;
    let before = text.clone();
    let mut parsed = Parsed::new(text)?;
    parsed.top()?;
    if edits.iter().any(|e| e.path().keys().len() > PATH) {
        return Err(
            Refusal::new(format!("a path of more than {PATH} keys")).hint("no setting of the Agent is that deep")
        );
    }
    let mut changes = Vec::new();
    if let Some((next, changed)) = together(&parsed, edits) {
        let (old, new) = (dotted::expand(&parsed.data), dotted::expand(&next.data));
        for edit in changed {
            changes.push(change(edit, &old, &new, false));
        }
        parsed = next;
    } else {
        let mut expected = parsed.norm();
        for edit in edits {
            let old = dotted::expand(&parsed.data);
            let (next, changed, unified) = run(parsed, edit, 0)?;
            parsed = next;
            if changed {
                changes.push(change(edit, &old, &dotted::expand(&parsed.data), unified));
            }
            expected.apply(edit);
        }
        if !expected.same(&parsed.norm()) {
            return Err(not_possible(None));
        }
    }
    // Edits may undo one another.
    if parsed.text == before {
        changes.clear();
    }
    Ok(Edited { text: format!("{mark}{}", parsed.text), changes })
}

fn change(edit: &Edit, old: &Value, new: &Value, unified: bool) -> Change {
    Change {
        path: edit.path().clone(),
        before: old.get(edit.path()).cloned(),
        after: new.get(edit.path()).cloned(),
        unified,
    }
}

/// All edits at one go, with one parse instead of one for each: the new file, and the edits that changed it. `None`
/// where they may meddle with one another, or one of them takes several steps or is refused; then they go one by one.
fn together<'e>(parsed: &Parsed, edits: &'e [Edit]) -> Option<(Parsed, Vec<&'e Edit>)> {
    for (n, edit) in edits.iter().enumerate() {
        let keys = edit.path().keys();
        let apart = |other: &Edit| keys.iter().zip(other.path().keys()).any(|(a, b)| !same_key(a, b));
        if !edits[..n].iter().all(apart) {
            return None;
        }
    }
    let mut all: Vec<Splice> = Vec::new();
    let mut known: HashSet<Splice> = HashSet::new();
    let mut changed = Vec::new();
    let mut expected = parsed.norm();
    for edit in edits {
        match plan(parsed, edit).ok()? {
            Step::Nothing => {}
            Step::Write { ways, unify: false, .. } => {
                for splice in ways.into_iter().next()? {
                    // Settings of one section all activate its line.
                    if splice.at.is_empty() || known.insert(splice.clone()) {
                        all.push(splice);
                    }
                }
                expected.apply(edit);
                changed.push(edit);
            }
            _ => return None,
        }
    }
    if changed.is_empty() {
        return None;
    }
    let new = Parsed::new(splice(&parsed.text, all)?).ok()?;
    (new.text != parsed.text && expected.same(&new.norm())).then_some((new, changed))
}

/// One edit, step by step: the new text, whether it differs, and whether dotted keys were brought together.
fn run(mut parsed: Parsed, edit: &Edit, depth: usize) -> Result<(Parsed, bool, bool), Refusal> {
    let (mut changed, mut unified) = (false, false);
    let mut steps = 0;
    // Each step does some of the work for good; the limits are for what nobody has thought of.
    for _ in 0..10_000 {
        match plan(&parsed, edit)? {
            Step::Nothing => return Ok((parsed, changed, unified)),
            Step::Part(part) if depth < super::tree::DEPTH => {
                let (next, c, u) = run(parsed, &part, depth + 1)?;
                if !c {
                    return Err(not_possible(Some(edit)));
                }
                parsed = next;
                changed = true;
                unified |= u;
            }
            Step::Part(_) => return Err(not_possible(Some(edit))),
            Step::Write { ways, expected, unify } => {
                parsed = write(&parsed, ways, &expected).ok_or_else(|| not_possible(Some(edit)))?;
                changed = true;
                unified |= unify;
                steps += 1;
                if unify && steps > STEPS {
                    return Err(Refusal::new(format!("too many dotted keys beside `{}`", edit.path()))
                        .hint("write them as nested sections by hand, then run again"));
                }
                if !unify {
                    return Ok((parsed, changed, unified));
                }
            }
        }
    }
    Err(not_possible(Some(edit)))
}

/// The first way whose result holds the expected data.
fn write(parsed: &Parsed, ways: Vec<Vec<Splice>>, expected: &Norm) -> Option<Parsed> {
    ways.into_iter().find_map(|splices| {
        let new = splice(&parsed.text, splices)?;
        if new == parsed.text {
            return None;
        }
        let new = Parsed::new(new).ok()?;
        expected.same(&new.norm()).then_some(new)
    })
}

fn not_possible(edit: Option<&Edit>) -> Refusal {
    let what = edit.map_or_else(|| "the change".to_owned(), |e| format!("`{}`", e.path()));
    Refusal::new(format!("{what} cannot be changed without changing something else in the file"))
        .hint("make that change by hand, then run again")
}

fn plan(parsed: &Parsed, edit: &Edit) -> Result<Step, Refusal> {
    let path = edit.path();
    let mut section = parsed.root_section();
    let mut rest = path.keys();
    let shown = path.to_string();
    loop {
        let (nested, dots) = section.matching(&rest[0]);
        if let [a, b, ..] = nested[..] {
            let (la, lb) = (parsed.line_of(a), parsed.line_of(b));
            return Err(Refusal::at(
                lb,
                format!("`{}` in line {la} and `{}` in line {lb} are the same key to the Agent", a.name, b.name),
            )
            .hint("remove one of the two lines"));
        }
        let nested = nested.first().copied();
        if !dots.is_empty() {
            match meet(parsed, edit, section, rest, nested, &dots)? {
                Next::Step(step) => return Ok(step),
                Next::Leaf(entry) => return leaf(parsed, edit, section, entry),
                Next::Into(entry, used) => {
                    if matches!(edit, Edit::Remove { .. }) && !matches!(entry.value.kind, Kind::Map { .. }) {
                        return Ok(Step::Nothing);
                    }
                    section = parsed.section_of(entry, &shown)?;
                    rest = &rest[used..];
                    continue;
                }
                Next::Nested => {}
            }
        }
        match nested {
            None => return missing(parsed, edit, section, rest),
            Some(entry) if rest.len() == 1 => return leaf(parsed, edit, section, entry),
            Some(entry) => {
                let value = data::of_node(&parsed.tree, &entry.value);
                let is_map = matches!(value, Some(Value::Map(_)));
                if matches!(edit, Edit::Remove { .. }) && !is_map {
                    return Ok(Step::Nothing);
                }
                section = parsed.section_of(entry, &shown)?;
                rest = &rest[1..];
            }
        }
    }
}

enum Next<'t> {
    Step(Step),
    Leaf(&'t Entry),
    /// Into the section that is this entry's value, with so many keys used.
    Into(&'t Entry, usize),
    /// The dotted lines are in nobody's way.
    Nested,
}

/// The section has dotted lines: how they and the edit go together.
fn meet<'t>(
    parsed: &'t Parsed,
    edit: &Edit,
    section: Section<'t>,
    rest: &[String],
    nested: Option<&'t Entry>,
    dots: &[super::locate::Dotted<'t>],
) -> Result<Next<'t>, Refusal> {
    let removing = matches!(edit, Edit::Remove { .. });
    let exact = |d: &&super::locate::Dotted| d.parts.len() == rest.len() && d.leads_to(rest);
    if removing {
        // What stands at the path, or below it.
        let below =
            dots.iter().find(|d| d.parts.len() >= rest.len() && rest.iter().zip(&d.parts).all(|(a, b)| same_key(a, b)));
        if let Some(d) = below {
            let ways = vec![dotted::drop_line(parsed, &section, d)?];
            let expected = dotted::without(parsed, section, d.entry);
            return Ok(Next::Step(Step::unify(expected, ways)));
        }
        if nested.is_some() {
            return Ok(Next::Nested);
        }
        return Ok(match dots.iter().find(|d| d.leads_to(rest)) {
            Some(d) => Next::Into(d.entry, d.parts.len()),
            None => Next::Step(Step::Nothing),
        });
    }
    if rest.len() == 1 {
        let d = &dots[0];
        return Err(Refusal::at(
            parsed.line_of(d.entry),
            format!("`{}` is a part of `{}`, which would be set as a whole", d.entry.name, edit.path()),
        )
        .hint("set the parts one by one, or remove that line first"));
    }
    let Some(nested) = nested else {
        let leading: Vec<_> = dots.iter().filter(|d| d.leads_to(rest)).collect();
        let below =
            dots.iter().any(|d| d.parts.len() > rest.len() && rest.iter().zip(&d.parts).all(|(a, b)| same_key(a, b)));
        return match leading[..] {
            [d] if !below && exact(&d) => Ok(Next::Leaf(d.entry)),
            [d] if !below && dots.iter().filter(|o| dotted::overlaps(o, d)).count() == 1 => {
                Ok(Next::Into(d.entry, d.parts.len()))
            }
            _ => Ok(Next::Step(dotted::fold(parsed, &section, dots)?)),
        };
    };
    let d = &dots[0];
    match dotted::compare(parsed, nested, d) {
        Meeting::Apart => Ok(Next::Step(dotted::fold_into(parsed, &section, nested, d)?)),
        Meeting::Same => {
            let ways = vec![dotted::drop_line(parsed, &section, d)?];
            Ok(Next::Step(Step::unify(parsed.norm(), ways)))
        }
        Meeting::Different if exact(&d) && matches!(edit, Edit::Set { .. }) => {
            let ways = vec![dotted::drop_line(parsed, &section, d)?];
            let expected = dotted::without(parsed, section, d.entry);
            Ok(Next::Step(Step::unify(expected, ways)))
        }
        Meeting::Different => Err(dotted::both(parsed, d.entry, nested)),
    }
}

fn expected(parsed: &Parsed, edit: &Edit) -> Norm {
    let mut norm = parsed.norm();
    norm.apply(edit);
    norm
}

fn done(parsed: &Parsed, edit: &Edit, ways: Vec<Vec<Splice>>) -> Step {
    Step::Write { ways, expected: expected(parsed, edit), unify: false }
}

/// The setting is there.
fn leaf(parsed: &Parsed, edit: &Edit, section: Section, entry: &Entry) -> Result<Step, Refusal> {
    let shown = edit.path().to_string();
    let value = current(parsed, entry);
    match edit {
        Edit::Remove { .. } => {
            let mut anchors = Vec::new();
            entry.value.anchors(&mut anchors);
            if anchors.iter().any(|a| parsed.tree.aliased.contains(a)) {
                return Err(Refusal::at(
                    parsed.line_of(entry),
                    format!("`{shown}` holds an anchor that an alias uses in another place"),
                )
                .hint("write the data out in the other place first"));
            }
            Ok(done(parsed, edit, vec![replace::deletion(parsed, &section, entry)?]))
        }
        Edit::Set { value: wanted, .. } => {
            if value.as_ref() == Some(wanted) {
                return Ok(Step::Nothing);
            }
            if let Value::Map(entries) = wanted
                && let Some(part) = part(edit.path(), value.as_ref(), entries)
            {
                return Ok(Step::Part(part));
            }
            parsed.not_aliased(&entry.value, &shown)?;
            Ok(done(parsed, edit, vec![replace::replace(parsed, &section, entry, wanted)?]))
        }
        Edit::Append { value: item, path } => match value {
            Some(Value::Seq(items)) if items.contains(item) => Ok(Step::Nothing),
            Some(Value::Seq(_)) => {
                parsed.not_aliased(&entry.value, &shown)?;
                if matches!(entry.value.kind, Kind::Alias(_)) {
                    return Err(Refusal::at(parsed.line_of(entry), format!("`{shown}` is an alias of another list"))
                        .hint("write the list out in this place first"));
                }
                Ok(done(parsed, edit, vec![list::append(parsed, entry, item)?]))
            }
            Some(Value::Null) => {
                Ok(Step::Part(Edit::Set { path: path.clone(), value: Value::Seq(vec![item.clone()]) }))
            }
            other => Err(Refusal::at(
                parsed.line_of(entry),
                format!("`{shown}` is {}, not a list", other.map_or("not readable", |v| v.kind())),
            )
            .hint("make it a list first, one item a line")),
        },
    }
}

/// The value of a live entry; where the whole file is known to resolve, so does this.
fn current(parsed: &Parsed, entry: &Entry) -> Option<Value> {
    data::of_node(&parsed.tree, &entry.value)
}

/// A map is set key by key, so that each finds the line that documents it: the next key to set or remove. `None` where
/// the map must be written as a whole.
fn part(path: &YamlPath, current: Option<&Value>, wanted: &[(String, Value)]) -> Option<Edit> {
    let now = match current {
        Some(Value::Map(now)) => now.as_slice(),
        None | Some(Value::Null) if !wanted.is_empty() => &[],
        _ => return None,
    };
    let named = |key: &str| -> Option<YamlPath> {
        (!key.contains('.')).then(|| format!("{path}.{key}").parse().ok()).flatten()
    };
    if now.iter().chain(wanted).any(|(k, _)| named(k).is_none()) {
        return None;
    }
    for (key, value) in wanted {
        if now.iter().find(|(k, _)| same_key(k, key)).map(|(_, v)| v) != Some(value) {
            return Some(Edit::Set { path: named(key)?, value: value.clone() });
        }
    }
    let gone = now.iter().find(|(k, _)| !wanted.iter().any(|(w, _)| same_key(w, k)))?;
    Some(Edit::Remove { path: named(&gone.0)? })
}

/// The setting is not there; `rest` is missing from `section`.
fn missing(parsed: &Parsed, edit: &Edit, section: Section, rest: &[String]) -> Result<Step, Refusal> {
    let value = match edit {
        Edit::Remove { path } => {
            if parsed.data.get(path).is_some() {
                return Err(Refusal::new(format!("`{path}` comes from a merge key (`<<`)"))
                    .hint("remove it where the anchor stands"));
            }
            return Ok(Step::Nothing);
        }
        Edit::Set { value, .. } => value.clone(),
        Edit::Append { value, .. } => Value::Seq(vec![value.clone()]),
    };
    if let (Edit::Set { path, .. }, Value::Map(entries)) = (edit, &value)
        && let Some(part) = part(path, None, entries)
    {
        return Ok(Step::Part(part));
    }
    let mut ways = parsed.commented().activations(parsed, &section, rest, &value);
    match replace::insert(parsed, &section, rest, &value) {
        Ok(way) => ways.push(way),
        Err(refusal) if ways.is_empty() => return Err(refusal),
        Err(_) => {}
    }
    Ok(done(parsed, edit, ways))
}
