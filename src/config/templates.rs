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
    /// The report of a verification, in HTML.
    Report,
    Kubernetes,
    Helm,
    Docker,
    Compose,
    EcsFargate,
    EcsEc2,
    Beanstalk,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Template::FipsProxyLogs => include_str!("../../templates/agent/fips_proxy.yaml"),
            Template::InstallInfo => include_str!("../../templates/agent/install_info.yaml"),
            Template::Report => include_str!("../../templates/report/report.html"),
            Template::Kubernetes => include_str!("../../templates/render/kubernetes.yaml"),
            Template::Helm => include_str!("../../templates/render/values.yaml"),
            Template::Docker => include_str!("../../templates/render/docker.sh"),
            Template::Compose => include_str!("../../templates/render/compose.yaml"),
            Template::EcsFargate | Template::EcsEc2 => include_str!("../../templates/render/ecs.json"),
            Template::Beanstalk => include_str!("../../templates/render/Dockerrun.aws.json"),
        }
    }

    /// Renders the text with `values` (`minijinja::context!`).
    pub fn render(self, values: Value) -> Result<String> {
        let mut environment = template::environment();
        environment.add_filter("q", quoted);
        environment.add_filter("sh", shell);
        // By the name's end: what is put into HTML is escaped.
        let name = if matches!(self, Template::Report) { "report.html" } else { "text" };
        environment
            .render_named_str(name, &without_tag_lines(self.text()), values)
            // minijinja takes the last line end away, or leaves it where a tag stands last.
            .map(|text| format!("{}\n", text.trim_end_matches('\n')))
            .map_err(|e| Error::new(Kind::Merge, format!("a template of ddinstall cannot be rendered ({self:?}): {e}")))
    }
}

/// A line that holds nothing but a tag leaves no line behind.
fn without_tag_lines(text: &str) -> String {
    let only_tag = |line: &str| {
        let line = line.trim();
        line.starts_with("{%") && line.ends_with("%}") && line.matches("{%").count() == 1
    };
    text.split_inclusive('\n').map(|line| if only_tag(line) { line.trim() } else { line }).collect()
}

/// A text in double quotes, as YAML and JSON both read it back. What is no plain character is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' | '\u{a1}'..='\u{ff}' => out.push(c),
            '\u{10000}'.. => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// A word of a shell, in quotes where it must be.
pub fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@+,%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
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

    #[test]
    fn a_hostile_value_stays_a_value() {
        for text in ["a\"b\\c", "x\n- y: z", "#{{ x }}", "\u{7f}\u{85}\u{2028}é", "${IFS}`id`'; rm"] {
            let quoted = quoted(text);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            assert_eq!(serde_yaml::from_str::<String>(&quoted).unwrap(), text);
            let echoed = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", shell(text))]).output();
            assert_eq!(String::from_utf8(echoed.unwrap().stdout).unwrap(), text);
        }
    }
}
