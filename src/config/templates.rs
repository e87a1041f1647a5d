//! The texts in `templates/`, rendered strictly: a variable that is not given is an error, never empty.

use minijinja::Value;

use crate::error::{Error, Kind, Result};
use crate::template;

/// A file text that this program writes as a whole.
#[derive(Debug, Clone, Copy)]
pub enum Template {
    /// `conf.d/fips_proxy.d/conf.yaml`: the proxy's journal as a log source.
    FipsProxyLogs,
    /// `install_info`: which tool installed the Agent.
    InstallInfo,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Template::FipsProxyLogs => include_str!("../../templates/agent/fips_proxy.yaml"),
            Template::InstallInfo => include_str!("../../templates/agent/install_info.yaml"),
        }
    }

    /// Renders the text with `values` (`minijinja::context!`).
    pub fn render(self, values: Value) -> Result<String> {
        template::render(self.text(), values)
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
}
