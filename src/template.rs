//! Filling in the texts of `templates/`: strictly, and with as much of the language as they use.

use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value, filters, functions, tests};

/// Only what the templates use is known: minijinja's other filters, tests and functions, a hundred, are 0.1 MB and stay
/// out of the binary like this. A value that a template names and does not get is an error, never empty; what is put into
/// a text whose name ends in `.html` is escaped.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.add_filter("join", filters::join);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("upper", filters::upper);
    environment.add_test("defined", tests::is_defined);
    environment.add_function("namespace", functions::namespace);
    environment
}

/// The text with its values.
pub fn render(text: &str, values: Value) -> Result<String, Error> {
    // minijinja takes the last line end away.
    environment().render_str(text, values).map(|text| text + "\n")
}

#[cfg(test)]
mod test {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use minijinja::ErrorKind;

    use super::*;

    /// The word that follows each `mark` inside the tags of a text.
    fn words(text: &str, mark: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let is_tag = |part: &str| part.starts_with('%') || text.contains(&format!("{{{{{part}}}}}"));
        for tag in text.split(['{', '}']).filter(|part| is_tag(part)) {
            // What stands in quotes is text.
            let code: Vec<&str> = tag.split('"').step_by(2).collect();
            for rest in code.concat().split(mark).skip(1) {
                let word = rest.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
                found.insert(word.collect::<String>());
            }
        }
        found.remove("");
        found
    }

    fn texts(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => texts(&path, found),
                false => found.push(fs::read_to_string(path).unwrap()),
            }
        }
    }

    #[test]
    fn what_the_templates_use_is_known() {
        let mut all = Vec::new();
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut all);
        let (mut filters, mut tests) = (BTreeSet::new(), BTreeSet::new());
        for text in &all {
            filters.extend(words(text, "|"));
            tests.extend(words(&text.replace(" is not ", " is "), " is "));
        }
        assert!(
            filters.contains("join") && filters.contains("q") && tests.contains("defined"),
            "{filters:?} {tests:?}"
        );
        // Those of `config::templates`.
        for name in filters.iter().filter(|name| !["q", "sh"].contains(&name.as_str())) {
            let tried = environment().render_str(&format!("{{{{ []|{name} }}}}"), ());
            assert!(tried.err().is_none_or(|e| e.kind() != ErrorKind::UnknownFilter), "no filter {name}");
        }
        for name in tests {
            let tried = environment().render_str(&format!("{{{{ 1 is {name} }}}}"), ());
            assert!(tried.err().is_none_or(|e| e.kind() != ErrorKind::UnknownTest), "no test {name}");
        }
    }

    #[test]
    fn what_is_put_into_a_page_is_escaped() {
        let values = || minijinja::context! { text => "<script>\"&'" };
        let page = environment().render_named_str("report.html", "{{ text }}", values()).unwrap();
        assert!(!page.contains(['<', '"', '\'']), "{page}");
        assert_eq!(environment().render_named_str("text", "{{ text }}", values()).unwrap(), "<script>\"&'");
    }
}
