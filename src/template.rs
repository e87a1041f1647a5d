//! Filling in the texts of `templates/`: strictly, and with as much of the language as they use.

use minijinja::{Environment, Error, UndefinedBehavior, Value, filters, functions, tests};

/// Only what the templates use is known: minijinja's other filters, tests and functions, a hundred, are 0.1 MB and stay
/// out of the binary like this. A value that a template names and does not get is an error, never empty.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("join", filters::join);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("replace", filters::replace);
    environment.add_test("defined", tests::is_defined);
    environment.add_function("namespace", functions::namespace);
    environment
}

/// The text with its values.
pub fn render(text: &str, values: Value) -> Result<String, Error> {
    // minijinja takes the last line end away.
    environment().render_str(text, values).map(|text| text + "\n")
}
