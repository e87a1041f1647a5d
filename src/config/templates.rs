//! The texts in `templates/`, rendered strictly: a variable that is not given is an error, never empty.

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::error::{Error, Kind, Result};

/// A file text that this program writes as a whole.
#[derive(Debug, Clone, Copy)]
pub enum Template {
    /// `conf.d/fips_proxy.d/conf.yaml`: the proxy's journal as a log source.
    FipsProxyLogs,
    /// `install_info`: which tool installed the Agent.
    InstallInfo,
    /// The report of a verification, in HTML.
    Report,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Template::FipsProxyLogs => include_str!("../../templates/agent/fips_proxy.yaml"),
            Template::InstallInfo => include_str!("../../templates/agent/install_info.yaml"),
            Template::Report => include_str!("../../templates/report/report.html"),
        }
    }

    /// Renders the text with `values` (`minijinja::context!`).
    pub fn render(self, values: Value) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // By the name's end: what is put into HTML is escaped.
        let name = if matches!(self, Template::Report) { "report.html" } else { "text" };
        environment
            .render_named_str(name, self.text(), values)
            // minijinja takes the last line end away.
            .map(|text| text + "\n")
            .map_err(|e| Error::new(Kind::Merge, format!("a template of ddinstall cannot be rendered ({self:?}): {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(Template::InstallInfo.render(minijinja::context! {}).is_err());
        let text = Template::InstallInfo.render(minijinja::context! { version => "1.2.3" }).unwrap();
        assert!(text.ends_with("installer_version: ddinstall-1.2.3\n"));
    }

    #[test]
    fn what_is_put_into_html_is_escaped_and_what_is_put_into_yaml_is_not() {
        let text = Template::InstallInfo.render(minijinja::context! { version => "<1>" }).unwrap();
        assert!(text.contains("ddinstall-<1>"));
    }
}
