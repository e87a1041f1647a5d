//! The house as ARCHITECTURE.md draws it: src/lib.rs says which floor a module stands on, and no module uses one
//! above its own. Every file is a room that one can see across.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST: usize = 500;

/// Beside the floors: what a module must not use though it stands below or beside.
const NEVER: [(&str, &[&str]); 5] = [
    ("desired", &["host", "net"]),
    ("render", &["host", "net"]),
    ("review", &["host", "net"]),
    ("cli", &["report", "commands"]),
    ("report", &["cli", "commands"]),
];

#[test]
fn no_module_uses_one_of_a_floor_above_its_own() {
    let floors = floors(&fs::read_to_string(source().join("lib.rs")).unwrap());
    assert!(floors.len() > 20, "{floors:?}");
    let mut wrong = Vec::new();
    for file in files() {
        let module = module_of(&file);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let own = *floors.get(&module).unwrap_or_else(|| panic!("{module} stands on no floor in src/lib.rs"));
        for used in used(&fs::read_to_string(&file).unwrap()) {
            let floor = *floors.get(&used).unwrap_or_else(|| panic!("{}: no module {used}", file.display()));
            let never = NEVER.iter().any(|(of, others)| *of == module && others.contains(&used.as_str()));
            if floor > own || never {
                wrong.push(format!("{} (floor {own}) uses crate::{used} (floor {floor})", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_can_be_seen_across() {
    let lines = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<String> =
        files().iter().filter(|f| lines(f) > LONGEST).map(|f| format!("{}: {} lines", f.display(), lines(f))).collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn nothing_is_left_to_do() {
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for leftover in [["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["FIX", "ME"]].map(|p| p.concat()) {
            assert!(!text.contains(&leftover), "{}: {leftover}", file.display());
        }
    }
}

#[test]
fn uses_are_found_wherever_they_stand() {
    let text = "//! as crate::above says\nuse crate::error::{Error, Kind};\nuse crate::{secret, host::{Host, Lock}, types::Site};\nfn f() -> crate::net::Url { crate::plan::x() } // crate::cli\n";
    assert_eq!(used(text), ["error", "secret", "host", "types", "net", "plan"]);
    assert_eq!(floors("// Floor 0\npub mod a;\nmod b;\n// Floor 1\npub mod c;\n")["c"], 1);
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&source(), &mut found);
    assert!(found.len() > 40, "{found:?}");
    found
}

/// `src/host/files.rs` and `src/net_tests.rs` belong to `host` and `net`.
fn module_of(file: &Path) -> String {
    let first = file.strip_prefix(source()).ok().and_then(|path| path.components().next()).expect("a file of src");
    let name = first.as_os_str().to_string_lossy();
    let name = name.strip_suffix(".rs").unwrap_or(&name);
    name.strip_suffix("_tests").unwrap_or(name).to_owned()
}

fn floors(lib: &str) -> BTreeMap<String, u32> {
    let mut floor = None;
    let mut floors = BTreeMap::new();
    for line in lib.lines() {
        if let Some(number) = line.strip_prefix("// Floor ") {
            floor = Some(number.trim().parse().expect("a number"));
        } else if let Some((_, name)) = line.split_once("mod ").filter(|_| line.ends_with(';')) {
            floors.insert(name.trim_end_matches(';').to_owned(), floor.expect("a module before the first floor"));
        }
    }
    floors
}

/// The modules of the crate that a file names: in `use crate::x`, inside braces, and in `crate::x::…` in the code.
fn used(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        let Some(list) = part.strip_prefix('{') else {
            found.push(name(part));
            continue;
        };
        let mut depth = 0;
        let mut expected = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => expected = true,
                _ if expected && !c.is_whitespace() => {
                    found.push(name(&list[at..]));
                    expected = false;
                }
                _ => {}
            }
        }
    }
    // `crate::VERSION` or a macro is no module.
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}
