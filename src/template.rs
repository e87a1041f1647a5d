//! Filling in the texts of `templates/`: strictly, and with the language alone.

use minijinja::{Environment, Error, UndefinedBehavior, Value};

/// Without minijinja's own filters and functions, which are a hundred and stay out of the binary like this: whoever
/// needs one adds it, as in `environment.add_filter("join", minijinja::filters::join)`.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// The text with its values. A value that it names and does not get is an error, never empty.
pub fn render(text: &str, values: Value) -> Result<String, Error> {
    // minijinja takes the last line end away.
    environment().render_str(text, values).map(|text| text + "\n")
}
