//! Which way a request goes: as the machine is set up, directly, or through an HTTP proxy. One rule for our own
//! requests and for the package manager's.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;

use reqwest::Url;

use super::quoted;
use crate::secret::Secret;

/// How one address is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Nothing was said: a program's own configuration counts.
    Unsaid,
    /// NO_PROXY excepts it.
    Direct,
    /// Through this HTTP proxy. Its address may hold a password.
    Through(Secret),
}

/// The proxies that were named, and the hosts that are excepted from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Secret>,
    https: Option<Secret>,
    except: Vec<String>,
}

impl Proxies {
    /// `given` (from `--proxy`) is for all requests; without it HTTPS_PROXY, HTTP_PROXY and ALL_PROXY count, in small
    /// letters first. Errors name the variable and never repeat a password.
    pub fn new(given: Option<&str>, variables: &[(OsString, OsString)]) -> Result<Proxies, String> {
        let find = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let (_, value) = variables.iter().find(|(n, _)| n == OsStr::new(name))?;
                let text = value.to_string_lossy().trim().to_owned();
                (!text.is_empty()).then_some((name, text))
            })
        };
        let proxy = |named: Option<(&'static str, String)>| {
            named.map(|(name, text)| address(&text).map_err(|why| format!("{name}: {why}"))).transpose()
        };
        let except = find(["no_proxy", "NO_PROXY"]).map_or_else(Vec::new, |(_, text)| {
            let items = text.split(|c: char| c == ',' || c.is_whitespace()).map(str::to_ascii_lowercase);
            items.filter(|item| !item.is_empty()).collect()
        });
        if let Some(given) = given {
            let all = address(given)?;
            return Ok(Proxies { http: Some(all.clone()), https: Some(all), except });
        }
        let all = proxy(find(["all_proxy", "ALL_PROXY"]))?;
        Ok(Proxies {
            http: proxy(find(["http_proxy", "HTTP_PROXY"]))?.or_else(|| all.clone()),
            https: proxy(find(["https_proxy", "HTTPS_PROXY"]))?.or(all),
            except,
        })
    }

    /// The way to an address.
    pub fn way(&self, url: &str) -> Way {
        let Ok(url) = Url::parse(url) else { return Way::Unsaid };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if self.except.iter().any(|item| excepts(item, &host, url.port_or_known_default())) {
            return Way::Direct;
        }
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.clone().map_or(Way::Unsaid, Way::Through)
    }

    /// Passwords in them, which must not be shown, in every form in which they are written.
    pub fn secrets(&self) -> Vec<Secret> {
        let urls = [&self.http, &self.https].into_iter().flatten();
        urls.filter_map(|url| Url::parse(url.reveal()).ok())
            .filter_map(|url| url.password().map(str::to_owned))
            .flat_map(|password| [super::decoded(&password), in_query(&password), no_variable(&password), password])
            .map(Secret::new)
            .collect()
    }
}

/// A part of an address, percent-encoded as it is, as the value of a parameter in its query: there more has a meaning.
pub fn in_query(part: &str) -> String {
    no_variable(part).replace('&', "%26").replace('+', "%2B").replace('=', "%3D")
}

/// The same for a file in which `$` begins a variable.
pub fn no_variable(part: &str) -> String {
    part.replace('$', "%24")
}

/// The address of a proxy, as curl takes it: `http://user:password@host:port`, the scheme left out or not.
fn address(text: &str) -> Result<Secret, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let Ok(parsed) = Url::parse(&url) else { return Err(refused(&url)) };
    // An `@` behind the host ends a password that holds what it must not.
    let behind = [Some(parsed.path()), parsed.query(), parsed.fragment()];
    let whole = !behind.into_iter().flatten().any(|part| part.contains('@'));
    let named = parsed.host_str().is_some_and(|host| !host.is_empty());
    match matches!(parsed.scheme(), "http" | "https") && named && whole {
        true => Ok(Secret::new(parsed.as_str())),
        false => Err(refused(&url)),
    }
}

fn refused(url: &str) -> String {
    format!("{} is not the address of an HTTP proxy such as http://proxy.example.org:3128", quoted(url))
}

/// Whether an item of NO_PROXY means this host: `*`, a name with all below it, an address, a network (`10.0.0.0/8`);
/// each may end in a port.
fn excepts(item: &str, host: &str, port: Option<u16>) -> bool {
    if item == "*" {
        return true;
    }
    let ip: Option<IpAddr> = host.parse().ok();
    if let (Some((network, bits)), Some(ip)) = (item.split_once('/'), ip) {
        return matches!((network.parse(), bits.parse()), (Ok(network), Ok(bits)) if is_within(ip, network, bits));
    }
    if let (Ok(item), Some(ip)) = (item.trim_matches(['[', ']']).parse::<IpAddr>(), ip) {
        return item == ip;
    }
    let (name, only) = match item.rsplit_once(':') {
        Some((name, digits)) if digits.bytes().all(|c| c.is_ascii_digit()) => (name, digits.parse().ok()),
        _ => (item, None),
    };
    let name = name.trim_start_matches('*').trim_start_matches('.').trim_matches(['[', ']']);
    let below = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    !name.is_empty() && (host == name || (below && ip.is_none())) && (only.is_none() || only == port)
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    bits <= width && (bits == 0 || (ip ^ network) >> (width - bits) == 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn proxies(given: Option<&str>, variables: &[(&str, &str)]) -> Result<Proxies, String> {
        let variables: Vec<_> = variables.iter().map(|(n, v)| (n.into(), v.into())).collect();
        Proxies::new(given, &variables)
    }

    fn through(url: &str) -> Way {
        Way::Through(Secret::new(url))
    }

    #[test]
    fn variables_of_both_cases_count() {
        let both = proxies(None, &[("HTTPS_PROXY", "http://big:1"), ("https_proxy", "small:2")]).unwrap();
        assert_eq!(both.way("https://apt.datadoghq.com/"), through("http://small:2/"));
        assert_eq!(both.way("http://apt.datadoghq.com/"), Way::Unsaid);
        let all = proxies(None, &[("ALL_PROXY", "http://all:1"), ("HTTP_PROXY", "")]).unwrap();
        assert_eq!(all.way("http://x/"), through("http://all:1/"));
        let given = proxies(Some("http://mine:1"), &[("HTTPS_PROXY", "http://big:1")]).unwrap();
        assert_eq!(given.way("https://x/"), through("http://mine:1/"));
        assert_eq!(given.way("http://x/"), through("http://mine:1/"));
    }

    #[test]
    fn excepted_hosts_are_reached_directly() {
        let way = |no_proxy: &str, url: &str| proxies(Some("http://p:1"), &[("NO_PROXY", no_proxy)]).unwrap().way(url);
        for (no_proxy, url) in [
            ("*", "https://x/"),
            ("a.org, example.org", "https://apt.example.org/"),
            (".example.org", "https://example.org/"),
            ("*.example.org", "https://apt.EXAMPLE.org/"),
            ("example.org:443", "https://example.org/"),
            ("10.0.0.0/8", "http://10.200.1.1/"),
            ("10.1.2.3", "http://10.1.2.3:80/"),
            ("::1", "http://[::1]/"),
            ("fd00::/8", "http://[fd12::1]/"),
        ] {
            assert_eq!(way(no_proxy, url), Way::Direct, "{no_proxy} {url}");
        }
        for (no_proxy, url) in [
            ("ample.org", "https://example.org/"),
            ("example.org:8443", "https://example.org/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/99", "http://10.0.0.1/"),
            ("fd00::/8", "http://10.0.0.1/"),
            (" , ,", "https://x/"),
            (".", "https://x/"),
        ] {
            assert_eq!(way(no_proxy, url), through("http://p:1/"), "{no_proxy} {url}");
        }
        assert_eq!(proxies(None, &[("no_proxy", "x")]).unwrap().way("https://x/"), Way::Direct);
    }

    #[test]
    fn what_is_no_http_proxy_is_refused_without_its_password() {
        for bad in [
            "socks5h://u:hunter2@p:1",
            "http://u:hunter2@",
            "http://u:hunter2@p:port",
            "http://u:hunter2/more@p:1",
            "http://u:hunter2#more@p:1",
            "http://u:hunter2?more@p:1",
            "u:a@b/hunter2@p:1",
            "http://u:12/hunter2@p:1",
            "a://hunter2@p:1",
        ] {
            let why = proxies(None, &[("https_proxy", bad)]).unwrap_err();
            let shown = ["hunter2", "more"].iter().any(|part| why.contains(part));
            assert!(why.starts_with("https_proxy: ") && why.contains("%2F") && !shown, "{why}");
        }
        assert!(proxies(Some("socks5h://p:1"), &[]).unwrap_err().starts_with("`socks5h://p:1` is not"));
        let secrets = proxies(Some("http://u:p%40ss-word@p:1"), &[]).unwrap().secrets();
        assert!(secrets.contains(&Secret::new("p@ss-word")) && secrets.contains(&Secret::new("p%40ss-word")));
        let secrets = proxies(Some("http://u:a$b&c+d@p:1"), &[]).unwrap().secrets();
        for form in ["a$b&c+d", "a%24b&c+d", "a%24b%26c%2Bd"] {
            assert!(secrets.contains(&Secret::new(form)), "{form}: {secrets:?}");
        }
        assert!(!format!("{:?}", proxies(Some("http://u:hunter2@p:1"), &[])).contains("hunter2"));
    }
}
