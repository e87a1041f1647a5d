//! What a local firewall must be told. Asked only where a connection did not come through; nothing is changed here.

use std::time::Duration;

use crate::config::templates::shell;
use crate::desired::PORTS;
use crate::host::process::is_installed;
use crate::host::{Command, Host};

use super::Mend;

/// A chain of nftables that may hold back what we look for.
#[derive(Debug, PartialEq, Eq)]
struct Chain {
    /// `inet filter output`, as words of a shell.
    name: String,
    /// Whether it sees packets on their way out; otherwise on their way in.
    output: bool,
}

/// Lets the Agent reach the proxy.
pub(super) fn open_loopback(host: &Host) -> Mend {
    let (first, last) = (PORTS.start(), PORTS.end());
    let rule = |chain: &Chain| {
        let way = if chain.output { "oifname" } else { "iifname" };
        let insert = |end: &str| format!("nft insert rule {} {way} lo tcp {end} {first}-{last} accept", chain.name);
        format!("{} && {}", insert("dport"), insert("sport"))
    };
    let iptables = format!(
        "iptables -I OUTPUT -o lo -p tcp --dport {first}:{last} -j ACCEPT && iptables -I INPUT -i lo -p tcp --dport {first}:{last} -j ACCEPT"
    );
    opening(host, |_| true, rule, &iptables)
}

/// Lets the proxy reach the intake.
pub(super) fn open_intake(host: &Host) -> Mend {
    let rule = |chain: &Chain| format!("nft insert rule {} tcp dport 443 accept", chain.name);
    let iptables = "iptables -I OUTPUT -p tcp --dport 443 -j ACCEPT";
    opening(host, |chain| chain.output, rule, iptables)
}

fn opening(host: &Host, concerns: fn(&Chain) -> bool, rule: impl Fn(&Chain) -> String, iptables: &str) -> Mend {
    if is_installed(host, "nft") {
        let rules = Command::new("nft").args(["list", "ruleset"]).deadline(Duration::from_secs(5)).run(host);
        let text = rules.map(|output| output.stdout_text()).unwrap_or_default();
        let found: Vec<String> = chains(&text).iter().filter(|chain| concerns(chain)).map(rule).collect();
        if !found.is_empty() {
            return Mend::Command(found.join(" && "));
        }
    }
    match is_installed(host, "iptables") {
        true => Mend::Command(iptables.to_owned()),
        false => Mend::Hand,
    }
}

/// The base chains that drop or reject something.
fn chains(ruleset: &str) -> Vec<Chain> {
    let mut found = Vec::new();
    let (mut table, mut chain) = ("", None::<(&str, Option<bool>, bool)>);
    for line in ruleset.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches('{').trim();
        } else if let Some(name) = line.strip_prefix("chain ") {
            chain = Some((name.trim_end_matches('{').trim(), None, false));
        } else if let Some((name, hook, holds)) = &mut chain {
            if line == "}" {
                if let (Some(output), true) = (*hook, *holds) {
                    let words = table.split_whitespace().chain([*name]).map(shell);
                    found.push(Chain { name: words.collect::<Vec<_>>().join(" "), output });
                }
                chain = None;
                continue;
            }
            if line.contains(" hook output ") {
                *hook = Some(true);
            } else if line.contains(" hook input ") {
                *hook = Some(false);
            }
            *holds |= line.split([' ', ';']).any(|word| word == "drop" || word == "reject");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_hold_something_back_are_found() {
        let ruleset = "table inet filter {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tct state established accept\n\t}\n\tchain output {\n\t\ttype filter hook output priority filter; policy accept;\n\t\ttcp dport 9804 reject with tcp reset\n\t}\n\tchain free {\n\t\ttype filter hook output priority 1; policy accept;\n\t}\n\tchain jumped {\n\t\tdrop\n\t}\n}\n";
        let names: Vec<(String, bool)> = chains(ruleset).into_iter().map(|c| (c.name, c.output)).collect();
        assert_eq!(names, [("inet filter input".to_owned(), false), ("inet filter output".to_owned(), true)]);
        assert!(chains("").is_empty());
        let odd = "table inet a$(id) {\n\tchain `id` {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n";
        assert_eq!(chains(odd)[0].name, "inet 'a$(id)' '`id`'");
    }
}
