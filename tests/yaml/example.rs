//! Example files of the size and the two layouts that the Agent's packages ship, made up line by line: some 190 KB of
//! comments in which every setting but `api_key` stands commented out.

use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `  # enabled: false` below `# section:`, explanations with `##`.
    Classic,
    /// Every line starts with `#` in the first column.
    New,
}

const TOP: &[(&str, &str)] = &[
    ("site", "datadoghq.com"),
    ("dd_url", "https://app.datadoghq.com"),
    ("skip_ssl_validation", "false"),
    ("hostname", "<HOSTNAME_NAME>"),
    ("env", "<environment name>"),
    ("remote_updates", "true"),
    ("logs_enabled", "false"),
];

const SECTIONS: &[(&str, &[&str])] = &[
    ("fips", &["enabled", "local_address", "port_range_start", "https"]),
    ("runtime_security_config", &["enabled", "fim_enabled", "socket", "activity_dump/enabled", "network/enabled"]),
    ("compliance_config", &["enabled", "check_interval", "host_benchmarks/enabled"]),
    ("apm_config", &["enabled", "env", "receiver_port", "obfuscation/enabled"]),
    ("process_config", &["process_collection/enabled", "container_collection/enabled"]),
];

struct Writer {
    text: String,
    layout: Layout,
}

impl Writer {
    fn banner(&mut self, title: &str) {
        let rule = "#".repeat(title.len() + 6);
        let _ = write!(self.text, "{rule}\n## {title} ##\n{rule}\n\n");
    }

    fn line(&mut self, indent: usize, explains: bool, content: &str) {
        let pad = " ".repeat(indent);
        let _ = match (self.layout, explains) {
            (Layout::Classic, true) => writeln!(self.text, "{pad}## {content}"),
            (Layout::Classic, false) => writeln!(self.text, "{pad}# {content}"),
            (Layout::New, true) => writeln!(self.text, "# {pad}# {content}"),
            (Layout::New, false) => writeln!(self.text, "# {pad}{content}"),
        };
    }

    fn setting(&mut self, indent: usize, name: &str, value: &str, prose: usize) {
        self.line(indent, true, &format!("@param {name} - custom - optional - default: {value}"));
        self.line(indent, true, &format!("@env DD_{} - custom - optional", name.to_uppercase()));
        for n in 0..prose {
            self.line(indent, true, &format!("{name}: explanation {n} of what this does, why, and what it costs."));
        }
        let blank = if self.layout == Layout::Classic { " ".repeat(indent) } else { String::new() };
        let _ = writeln!(self.text, "{blank}#");
        self.line(indent, false, &format!("{name}: {value}").replace(": \"\"", ":"));
        self.text.push('\n');
    }
}

/// A `datadog.yaml.example` of about 190 KB.
pub fn datadog(layout: Layout) -> String {
    let mut w = Writer { text: String::new(), layout };
    w.banner("Basic Configuration");
    w.line(0, true, "@param api_key - string - required");
    w.text.push_str("api_key:\n\n");
    for (name, value) in TOP {
        let quoted = format!("\"{value}\"");
        let text = layout == Layout::New && value.contains(".com");
        w.setting(0, name, if text { &quoted } else { value }, 6);
    }
    w.line(0, true, "@param tags - list of key:value elements - optional");
    w.line(0, false, "tags:");
    w.line(0, false, "  - team:infra");
    w.line(0, false, "  - <TAG_KEY>:<TAG_VALUE>");
    w.text.push('\n');
    let mut round = 0;
    while w.text.len() < 190_000 {
        for (section, keys) in SECTIONS {
            let name = if round == 0 { (*section).to_owned() } else { format!("{section}_{round}") };
            w.banner(&format!("Configuration of {name}"));
            w.line(0, true, &format!("@param {name} - custom object - optional"));
            w.line(0, false, &format!("{name}:"));
            w.text.push('\n');
            let mut open = "";
            for key in *keys {
                match key.split_once('/') {
                    None => w.setting(2, key, "false", 5),
                    Some((outer, inner)) => {
                        if open != outer {
                            w.setting(2, outer, "\"\"", 2);
                            open = outer;
                        }
                        w.setting(4, inner, "false", 5);
                    }
                }
            }
        }
        round += 1;
    }
    w.text
}
