//! Files made to hurt: each is refused or edited, quickly.

use std::time::{Duration, Instant};

use ddinstall::config::yaml::{Edit, LIMIT, Value, edit, load};

fn set(path: &str) -> Vec<Edit> {
    vec![Edit::Set { path: path.parse().expect("a path"), value: Value::Bool(true) }]
}

/// Whether the edit is made. Generous limits: the tests run unoptimised, on busy machines.
fn quickly(text: &str, path: &str) -> bool {
    let start = Instant::now();
    let made = edit(text.as_bytes(), &set(path)).is_ok();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?} for {} bytes", text.len());
    made
}

#[test]
fn deep_nesting_is_refused_at_once() {
    for part in ["[", "{", "- ", "? ", "[a, {b: ", "{a: "] {
        assert!(!quickly(&part.repeat(200_000), "a"), "{part}");
        assert!(!quickly(&format!("a: {}", part.repeat(200_000)), "b"), "{part}");
    }
    let steps: String = (0..2000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(!quickly(&steps, "b"));
}

#[test]
fn aliases_do_not_blow_up() {
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for n in 1..30 {
        let items = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert!(!quickly(&laughs, "b"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(", "));
    assert!(!quickly(&long, "c"));
    assert!(!quickly("a: &a [*a]\n", "b"));
}

#[test]
fn very_many_keys_are_edited() {
    let keys: String = (0..25_000).map(|n| format!("k{n}: some value\n")).collect();
    assert!(!quickly(&keys, "k5.x") && quickly(&keys, "b.c"));
    let items: String = (0..100_000).map(|n| format!("  - i{n}\n")).collect();
    let append = vec![Edit::Append { path: "a".parse().expect("a path"), value: Value::Bool(true) }];
    assert!(edit(format!("a:\n{items}").as_bytes(), &append).is_ok());
    let replaced = Edit::Set { path: "a".parse().expect("a path"), value: Value::Seq(vec![Value::Bool(true)]) };
    let start = Instant::now();
    assert!(edit(format!("a:\n{items}").as_bytes(), &[replaced]).is_ok());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let comments: String = (0..25_000).map(|n| format!("# b: {n}\n#   c: 1\n")).collect();
    assert!(quickly(&comments, "b.c"));
    let dots: String = (0..25_000).map(|n| format!("k{n}.x: 1\n")).collect();
    assert!(quickly(&dots, "k5.x"));
    let same: String = (0..25_000).map(|n| format!("k.x{n}: 1\n")).collect();
    assert!(quickly(&same, "k.x5") && !quickly(&same, "k.y"));
    assert!(load(same.as_bytes()).is_ok());
    let parts = format!("{}: 1\n", vec!["a"; 400].join("."));
    assert!(quickly(&parts, "a.b"));
}

#[test]
fn long_lines_and_texts_are_edited() {
    assert!(quickly(&format!("a: {}\n", "x ".repeat(500_000)), "b"));
    assert!(quickly(&format!("a: \"{}\"\n", "\\n".repeat(500_000)), "b"));
    assert!(quickly(&format!("a: |\n{}", "  x\n".repeat(250_000)), "b"));
    assert!(quickly(&"\n".repeat(1_000_000), "b"));
    assert!(quickly(&"#\n".repeat(500_000), "b"));
    quickly(&":".repeat(1_000_000), "b");
    quickly(&"'".repeat(1_000_000), "b");
    quickly(&"&a ".repeat(300_000), "b");
    quickly(&"a: \n? ".repeat(100_000), "b");
}

#[test]
fn more_than_the_limit_is_refused() {
    let text = "#\n".repeat(LIMIT / 2 + 1);
    assert!(load(text.as_bytes()).is_err());
}

#[test]
fn a_dotted_key_over_several_lines_is_refused() {
    let text = "?\r\r a.b\u{7fe}\r: 1\r?\r\r a.\r  b: ~\n: 2\n";
    for path in ["a.b", "a.c"] {
        let _ = edit(text.as_bytes(), &set(path));
    }
    // Found by fuzzing.
    let found = ":  \n?\r\r A.::~~~~~SSSSS.::~~~~~~#\u{7fe}SSSSa:SS\n: \n?\r\r A.::10~~~~~:SESSS:\u{7fe}:\n  PPPP: )";
    let refused = edit(found.as_bytes(), &set("a.b"));
    assert!(refused.is_err(), "{refused:?}");
}
