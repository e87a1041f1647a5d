//! The proxy's own statistics (HAProxy's page as CSV, on its first port): which backends are up, and how their last
//! connection to the intake ended. A page that wants a password is passed over.

use crate::config::value_at;
use crate::config::yaml::Value;
use crate::desired::{FIRST_PORT, PROXY_CFG, PROXY_UNIT};
use crate::host::Host;
use crate::host::services::{Init, restart_command};
use crate::host::sockets::{Probe, http_get, unframed};
use crate::settings::File;

use super::{Cause, Check, Look, Mend, firewall};

/// One server of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    backend: String,
    /// `UP`, `DOWN`, `MAINT (resolution)`, `UP 2/3`, …
    status: String,
    /// How its last check ended: `L6OK`, `L4CON`, `L6RSP`, … (HAProxy's management guide, 9.1).
    check: String,
    /// Its words for that.
    last: String,
}

impl Server {
    fn is_up(&self) -> bool {
        self.status.starts_with("UP") || self.status == "no check"
    }

    /// Whether its last check failed, even if it counts as up for some checks more.
    fn fails(&self) -> bool {
        !self.is_up() || (self.check.starts_with('L') && !self.check.contains("OK"))
    }
}

pub(super) fn checks(look: &Look) -> Vec<Check> {
    let backends = Check::of("proxy.backends", "every backend that is used has a server");
    let dns = Check::of("proxy.dns", "addresses for the intake's names");
    let tls = Check::of("proxy.tls", "a TLS handshake with a checked certificate, TLS 1.2 or later");
    if ![&backends, &dns, &tls].iter().any(|check| look.choice.takes(&check.id)) {
        return Vec::new();
    }
    let (text, why) = match http_get(FIRST_PORT, "/;csv;norefresh") {
        Probe::Answer { status: 200, body } => (unframed(&body), String::new()),
        Probe::Answer { status, .. } => (String::new(), format!("its statistics page answers HTTP {status}")),
        _ => (String::new(), "its statistics page does not answer".into()),
    };
    let all = parse(&text);
    if all.is_empty() {
        let why = if why.is_empty() { "its statistics page is none of HAProxy's".to_owned() } else { why };
        return [backends, dns, tls].into_iter().map(|check| check.skipped(&why)).collect();
    }
    let used: Vec<&Server> = all.iter().filter(|server| is_used(look, &server.backend)).collect();
    // Servers of a template that got no address are spare ones while their backend has others.
    let counts = |server: &&&Server| {
        !server.status.starts_with("MAINT") || !all.iter().any(|o| o.backend == server.backend && o.is_up())
    };
    let used: Vec<&Server> = used.iter().filter(counts).copied().collect();
    vec![dns_check(dns, look, &used), tls_check(tls, look, &used), backends_check(backends, look, &all, &used)]
}

/// Whether the Agent of this host sends through a backend. Names are the vendor's; metrics and the validation of keys
/// are always used.
fn is_used(look: &Look, backend: &str) -> bool {
    let on = |path| {
        let document = look.current.document(File::Datadog.path()).and_then(|document| document.as_ref().ok());
        document.and_then(|document| value_at(document, path)) == Some(&Value::Bool(true))
    };
    let asked = &look.desired.asked;
    backend.ends_with("api")
        || backend.ends_with("metrics")
        || (backend.contains("logs") && on("logs_enabled"))
        || (backend.contains("runtime-security") && asked.cws_on())
        || (backend.contains("compliance") && asked.compliance_on())
}

fn names(servers: &[&Server]) -> String {
    let mut names: Vec<&str> = servers.iter().map(|server| server.backend.as_str()).collect();
    names.dedup();
    names.join(", ")
}

fn backends_check(check: Check, look: &Look, all: &[Server], used: &[&Server]) -> Check {
    let down = |servers: &[&Server]| -> Vec<Server> {
        let of = |server: &&&Server| !servers.iter().any(|other| other.backend == server.backend && !other.fails());
        servers.iter().filter(of).map(|server| (*server).clone()).collect()
    };
    let everything: Vec<&Server> = all.iter().collect();
    let failing = down(used);
    if let Some(first) = failing.first() {
        let (cause, mend) =
            cause_of(look.host, look.facts.init, &format!("{} {} {}", first.status, first.check, first.last));
        let failing: Vec<&Server> = failing.iter().collect();
        let words = [first.status.as_str(), first.check.as_str(), first.last.as_str()].map(str::trim);
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        return check
            .fails(
                format!("{} of {} servers fail ({}): {}", failing.len(), used.len(), names(&failing), words.join(", ")),
                "let the proxy reach the intake on port 443 (https://ip-ranges.ddog-gov.com/ lists its addresses)",
            )
            .because(cause, mend);
    }
    match down(&everything).as_slice() {
        [] => check.passes(format!("{} servers up", all.iter().filter(|server| server.is_up()).count())),
        rest => check.warns(
            format!("those of products that are not used here are down: {}", names(&rest.iter().collect::<Vec<_>>())),
            "data of these products would not arrive",
        ),
    }
}

fn dns_check(check: Check, look: &Look, used: &[&Server]) -> Check {
    let nameless: Vec<&Server> = used.iter().filter(|server| server.status.starts_with("MAINT")).copied().collect();
    match nameless.is_empty() {
        true => check.passes("the proxy has them"),
        false => check
            .fails(
                format!("none for {}", names(&nameless)),
                format!("see /etc/resolv.conf and the name server it names; then {}", look.restart(PROXY_UNIT)),
            )
            .because(Cause::Dns, Mend::Command(look.restart(PROXY_UNIT))),
    }
}

/// HAProxy's words for a failure, in its log or on its page, and what is behind it.
pub(super) fn cause_of(host: &Host, init: Init, words: &str) -> (Cause, Mend) {
    let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
    if has(&["bind socket"]) {
        (Cause::ServiceFailed, Mend::Fix)
    } else if has(&["MAINT"]) {
        (Cause::Dns, Mend::Command(restart_command(init, PROXY_UNIT)))
    } else if has(&["L6", "Layer6", "SSL handshake failure", "certificate verify failed"])
        && !has(&["L6TOUT", "Layer6 timeout"])
    {
        (Cause::TlsRefused, Mend::Hand)
    } else if has(&["L4TOUT", "L6TOUT", "Layer4 timeout", "Layer6 timeout", "No route", "unreachable"]) {
        (Cause::IntakeBlocked, firewall::open_intake(host))
    } else if has(&["L7", "Layer7"]) {
        (Cause::IntakeBroken, Mend::Hand)
    } else {
        (Cause::IntakeRefused, Mend::Hand)
    }
}

fn tls_check(check: Check, look: &Look, used: &[&Server]) -> Check {
    let done: Vec<&Server> = used.iter().filter(|s| ["L6OK", "L7OK"].contains(&s.check.as_str())).copied().collect();
    let refused = used.iter().find(|server| matches!(server.check.as_str(), "L6RSP" | "L6TOUT"));
    let text = match look.host.read_text(PROXY_CFG) {
        Ok(text) => text.unwrap_or_default(),
        Err(failure) => return check.unknown(failure.to_string()),
    };
    if let Some(server) = refused {
        return check
            .fails(
                format!("{}: {} {}", server.backend, server.check, server.last),
                "see who answers in the intake's place: `openssl s_client -connect api.ddog-gov.com:443`; a firewall that opens TLS must let these names through, and the clock must be right",
            )
            .because(Cause::TlsRefused, Mend::Hand);
    }
    if done.is_empty() {
        return check.skipped("no server was reached so far");
    }
    let versions = versions(&text);
    let seen =
        format!("{} handshakes of {} done; the configuration allows {}", done.len(), used.len(), versions.join(", "));
    let old = versions.iter().any(|version| ["SSLv3", "TLS 1.0", "TLS 1.1"].contains(version));
    match old || words(&text).windows(2).any(|pair| pair == ["verify", "none"]) {
        true => check
            .warns(seen, "the configuration allows more than TLS 1.2 with a checked certificate: take the vendor's"),
        false => check.passes(seen),
    }
}

fn words(configuration: &str) -> Vec<&str> {
    configuration.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace()).collect()
}

/// The TLS versions that the configuration leaves for connections to servers.
fn versions(configuration: &str) -> Vec<&'static str> {
    const ALL: [(&str, &str, &str); 5] = [
        ("SSLv3", "no-sslv3", "SSLv3"),
        ("TLSv1.0", "no-tlsv10", "TLS 1.0"),
        ("TLSv1.1", "no-tlsv11", "TLS 1.1"),
        ("TLSv1.2", "no-tlsv12", "TLS 1.2"),
        ("TLSv1.3", "no-tlsv13", "TLS 1.3"),
    ];
    let all: Vec<&str> = configuration
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .filter(|line| line.contains("server"))
        .flat_map(str::split_whitespace)
        .collect();
    let bound = |name: &str| {
        let at = all.windows(2).find(|pair| pair[0] == name)?;
        ALL.iter().position(|(version, ..)| *version == at[1])
    };
    // Without a word HAProxy allows TLS 1.2 and later (since 2.2).
    let any = all.iter().any(|word| word.starts_with("no-tlsv") || word.starts_with("no-sslv"));
    let first = bound("ssl-min-ver").unwrap_or(if any { 0 } else { 3 });
    let last = bound("ssl-max-ver").unwrap_or(4);
    let left = ALL.iter().enumerate().filter(|(i, (_, off, _))| (first..=last).contains(i) && !all.contains(off));
    left.map(|(_, (.., name))| *name).collect()
}

/// The servers of HAProxy's CSV. Columns are found by their names.
fn parse(csv: &str) -> Vec<Server> {
    let mut lines = csv.lines();
    let Some(header) = lines.next().and_then(|line| line.strip_prefix("# ")) else { return Vec::new() };
    let columns: Vec<&str> = header.split(',').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name);
    let (Some(backend), Some(name), Some(status)) = (column("pxname"), column("svname"), column("status")) else {
        return Vec::new();
    };
    let (check, last) = (column("check_status"), column("last_chk"));
    let server = |line: &str| {
        let fields = fields(line);
        let field = |at: Option<usize>| at.and_then(|at| fields.get(at)).cloned().unwrap_or_default();
        let is_server = !matches!(field(Some(name)).as_str(), "" | "FRONTEND" | "BACKEND");
        is_server.then(|| Server {
            backend: field(Some(backend)),
            status: field(Some(status)),
            check: field(check).trim_start_matches("* ").to_owned(),
            last: field(last),
        })
    };
    lines.filter_map(server).collect()
}

/// The fields of a line of CSV; a quoted one may hold commas.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_are_left_are_told() {
        let vendors = "global\n  ssl-default-server-options no-sslv3 no-tlsv10 no-tlsv11 no-tlsv13\n";
        assert_eq!(versions(vendors), ["TLS 1.2"]);
        assert_eq!(versions("global\n  ssl-default-server-options ssl-min-ver TLSv1.2\n"), ["TLS 1.2", "TLS 1.3"]);
        assert_eq!(versions("listen a\n"), ["TLS 1.2", "TLS 1.3"]);
        assert_eq!(versions("default-server no-tlsv13 # no-tlsv10\n"), ["SSLv3", "TLS 1.0", "TLS 1.1", "TLS 1.2"]);
    }

    #[test]
    fn servers_are_read_from_the_statistics() {
        let csv = "# pxname,svname,status,check_status,last_chk,\nstats,FRONTEND,OPEN,,,\ndatadog-api,mothership1,UP 2/3,* L4CON,\"Connection refused, at step 1\",\ndatadog-api,BACKEND,UP,,,\ndatadog-api,mothership2,MAINT (resolution),,,\n";
        let servers = parse(csv);
        assert_eq!(servers.len(), 2);
        assert_eq!((servers[0].check.as_str(), servers[0].last.as_str()), ("L4CON", "Connection refused, at step 1"));
        assert!(servers[0].is_up() && servers[0].fails() && servers[1].fails());
        assert!(parse("<html>").is_empty());
    }

    #[test]
    fn what_haproxy_says_has_a_cause() {
        let host = Host::new(tempfile::tempdir().unwrap().path()).unwrap();
        let cause = |words: &str| cause_of(&host, Init::Systemd, words).0;
        assert_eq!(cause("DOWN L4CON Connection refused"), Cause::IntakeRefused);
        assert_eq!(cause("Server datadog-api/mothership3 is DOWN, reason: Layer4 timeout"), Cause::IntakeBlocked);
        assert_eq!(cause("reason: Layer6 invalid response, info: \"SSL handshake failure\""), Cause::TlsRefused);
        assert_eq!(cause("DOWN L6TOUT"), Cause::IntakeBlocked);
        assert_eq!(cause("MAINT (resolution)"), Cause::Dns);
    }
}
