//! The only HTTP of the program: small downloads, with limits on everything. It sends nothing but the request.
//! Building a client costs nothing until the first request.

mod credentials;
mod route;

use std::error::Error as _;
use std::io::{self, Read};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking;
use reqwest::redirect::Policy;
use rustls::CertificateError;

use crate::error::{Error, Kind, Result};
use crate::event::Events;

pub use credentials::Credentials;
pub use route::{Proxies, Way, in_query, no_variable};

/// The size limit for signing keys and other small files, in bytes.
pub const SMALL: usize = 1 << 20;

const TRIES: usize = 3;
const MAX_REDIRECTS: usize = 5;

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    /// The longest silence of a server.
    pub stall: Duration,
    /// One URL with all its tries.
    pub overall: Duration,
    /// The pause before the second try; each further one is four times as long.
    pub backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            overall: Duration::from_secs(60),
            backoff: Duration::from_millis(500),
        }
    }
}

/// Where and how to connect.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub proxies: Proxies,
    /// Told to the addresses that they are for, and to no other.
    pub credentials: Vec<Credentials>,
    /// PEM certificates that are trusted beside the system's.
    pub extra_roots: Option<Vec<u8>>,
    pub limits: Limits,
}

/// Makes requests. Shared between threads.
pub struct Client {
    options: Options,
    events: Events,
    built: OnceLock<Result<Built>>,
}

struct Built {
    http: blocking::Client,
    /// Why https cannot be had, where that is so; plain http then still works.
    no_https: Option<Error>,
}

impl Client {
    pub fn new(options: Options, events: Events) -> Self {
        Client { options, events, built: OnceLock::new() }
    }

    /// Downloads one file of at most `limit` bytes. Plain http is for URLs that say so; no redirect leads there from https.
    /// Transport errors and answers of the 5xx class are tried again.
    ///
    /// Errors: exit code 5 with the URL (without credentials) and the cause, or 4 where the host trusts no authority at all.
    pub fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>> {
        let shown = redact(url);
        let parsed = match Url::parse(url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => parsed,
            _ => return Err(failed(&shown, "this is not an http or https URL")),
        };
        let built = self.built.get_or_init(|| build(&self.options));
        let built = built.as_ref().map_err(Clone::clone)?;
        if let (Some(error), "https") = (&built.no_https, parsed.scheme()) {
            return Err(error.clone().detail(format!("needed for {shown}")));
        }
        let limits = self.options.limits;
        let deadline = Instant::now() + limits.overall;
        let mut pause = limits.backoff;
        for attempt in 1.. {
            self.events.log(format!("GET {shown}"));
            let failure = match self.attempt(&built.http, &parsed, limit, deadline) {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let error = failed(&shown, failure.cause);
            let error = match failure.hint {
                Some(hint) => error.hint(hint),
                None => error,
            };
            if !failure.again || attempt == TRIES || Instant::now() + pause >= deadline {
                return Err(error);
            }
            self.events.log(format!("{error}; trying again"));
            thread::sleep(pause);
            pause *= 4;
        }
        unreachable!("the last try returns")
    }

    /// Downloads several files side by side. The answers stand in the order of the URLs.
    pub fn get_all(&self, urls: &[String], limit: usize) -> Vec<Result<Vec<u8>>> {
        thread::scope(|scope| {
            let running: Vec<_> = urls.iter().map(|url| scope.spawn(move || self.get(url, limit))).collect();
            let answers = running.into_iter().zip(urls).map(|(thread, url)| {
                let broken = |_| Err(failed(&redact(url), "the download broke off"));
                thread.join().unwrap_or_else(broken)
            });
            answers.collect()
        })
    }

    fn attempt(
        &self,
        http: &blocking::Client,
        url: &Url,
        limit: usize,
        deadline: Instant,
    ) -> std::result::Result<Vec<u8>, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.min(self.options.limits.stall);
        let request = http.get(url.clone()).timeout(timeout);
        let request = match self.options.credentials.iter().find(|credentials| credentials.fit(url.as_str())) {
            Some(known) => request.basic_auth(&known.login, Some(known.password.reveal())),
            None => request,
        };
        let mut response = request.send().map_err(|e| transport(&e))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure {
                cause: format!("the server answered {status}"),
                hint: match status.as_u16() {
                    401 => Some("check the user name and the password in its address".into()),
                    407 => Some(PROXY_WANTS.into()),
                    _ => None,
                },
                again: status.is_server_error(),
            });
        }
        let mut body = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => body.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let inner = e.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>());
                    return Err(match inner {
                        Some(inner) => transport(inner),
                        None => Failure::again(format!("the download broke off: {e}")),
                    });
                }
            }
            if body.len() > limit {
                return Err(Failure::last(format!("the answer is larger than {} KiB", limit / 1024)));
            }
            if Instant::now() >= deadline {
                let limit = self.options.limits.overall.as_secs();
                return Err(Failure::last(format!("the download took longer than {limit} seconds")));
            }
        }
        if body.is_empty() {
            return Err(Failure::last("the answer is empty".into()));
        }
        Ok(body)
    }
}

/// A URL as it may be shown: without user name, password and query, which may carry a token.
pub fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, _)| url.split_at(scheme.len() + 3));
    let start = userinfo(rest).map_or(0, |at| at + 1);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let shown = rest.get(start..end).unwrap_or("********");
    format!("{scheme}{shown}").chars().filter(|c| !c.is_control()).collect()
}

/// An address that was refused, as its message names it. Where one with `@` is no address, nobody knows where its
/// password ends: it is not quoted.
pub fn quoted(address: &str) -> String {
    match address.contains('@') {
        true => "what it says (in a password `/`, `?`, `#` and `@` are written %2F, %3F, %23 and %40)".into(),
        false => format!("`{}`", redact(address).escape_debug()),
    }
}

/// The place of the `@` that ends user name and password in what follows `://`. A password may hold a slash that it
/// should not: what does not begin with a host and a port is one up to its last `@`.
pub fn userinfo(rest: &str) -> Option<usize> {
    let host = rest.split('/').next().unwrap_or("");
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let is_host = !host.contains('@') && (port.ends_with(']') || port.bytes().all(|c| c.is_ascii_digit()));
    if is_host { None } else { rest.rfind('@') }
}

/// Percent signs decoded, as in the user name and the password of an address.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|d| *first == b'%' && d.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why one try failed.
struct Failure {
    /// Completes "cannot download URL: …".
    cause: String,
    hint: Option<String>,
    again: bool,
}

impl Failure {
    fn again(cause: String) -> Self {
        Failure { cause, hint: None, again: true }
    }

    fn last(cause: String) -> Self {
        Failure { again: false, ..Failure::again(cause) }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn failed(shown: &str, cause: impl AsRef<str>) -> Error {
    Error::new(Kind::Repository, format!("cannot download {shown}: {}", cause.as_ref()))
}

fn build(options: &Options) -> Result<Built> {
    // Another installed provider would be ours as well: this is the only place that installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let limits = options.limits;
    let builder = || {
        let mut builder = blocking::Client::builder()
            .user_agent(concat!("ddinstall/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .referer(false)
            .redirect(Policy::custom(|attempt| {
                let came_from_https = attempt.previous().last().map(Url::scheme) == Some("https");
                if attempt.previous().len() > MAX_REDIRECTS {
                    attempt.error("the server redirects again and again")
                } else if came_from_https && attempt.url().scheme() != "https" {
                    attempt.error("the server redirects from https to plain http")
                } else {
                    attempt.follow()
                }
            }));
        let proxies = options.proxies.clone();
        // One rule for all: what the library reads from the environment itself does not count.
        let proxy = reqwest::Proxy::custom(move |url| match proxies.way(url.as_str()) {
            Way::Through(proxy) => Some(proxy.reveal().to_owned()),
            Way::Direct | Way::Unsaid => None,
        });
        builder = builder.no_proxy().proxy(proxy);
        Ok::<_, Error>(builder)
    };
    let mut with_store = builder()?;
    if let Some(pem) = &options.extra_roots {
        let bad = || Error::new(Kind::Usage, "the CA file holds no PEM certificates");
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| bad())?;
        if roots.is_empty() {
            return Err(bad());
        }
        with_store = with_store.tls_certs_merge(roots);
    }
    let failure = match with_store.build() {
        Ok(http) => {
            return Ok(Built { http, no_https: None });
        }
        Err(e) => e,
    };
    let no_store =
        Error::new(Kind::Prerequisite, "this host has no certificate authorities to check https servers with")
            .detail(chain(&failure))
            .hint("install the package ca-certificates, or name a file of certificates with --ca-file");
    let plain = builder()?.tls_certs_only([]).build();
    let http = plain.map_err(|e| Error::new(Kind::Repository, chain(&e)))?;
    Ok(Built { http, no_https: Some(no_store) })
}

/// The texts of an error and of its causes, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    if texts.is_empty() {
        texts.push("the request failed".into());
    }
    texts.join(": ")
}

/// The first cause of this type. An io::Error hides what it wraps from `source`, so it is opened.
fn cause_of<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let (None, Some(found)) = (wrapped, cause.downcast_ref()) {
            return Some(found);
        }
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

const PROXY_WANTS: &str =
    "the HTTP proxy wants a user name and a password: http://user:password@proxy:port in HTTPS_PROXY or DD_REPO_PROXY";
const PROXY_REFUSES: &str = "does the HTTP proxy want a user name and a password (http://user:password@proxy:port in \
    HTTPS_PROXY or DD_REPO_PROXY), and does it let this host through?";
const REACH: &str = "is a firewall or a proxy in the way? HTTPS_PROXY names a proxy";

/// What went wrong between us and the server, in plain words.
fn transport(error: &reqwest::Error) -> Failure {
    if let Some(tls) = cause_of::<rustls::Error>(error) {
        return certificate(tls);
    }
    let io = cause_of::<io::Error>(error).map(io::Error::kind);
    if io == Some(io::ErrorKind::ConnectionRefused) {
        return Failure::again("the connection was refused".into()).hint(REACH);
    }
    if error.is_redirect() {
        return Failure::last(chain(error));
    }
    let text = chain(error);
    if text.contains("proxy authorization required") || text.contains("407 Proxy") {
        return Failure::last("the HTTP proxy refused the connection".into()).hint(PROXY_WANTS);
    }
    // An answer that is not 200; of a proxy that speaks HTTP/1.0, 407 too.
    if text.contains("tunnel error: unsuccessful") {
        return Failure::last("the HTTP proxy refused the connection".into()).hint(PROXY_REFUSES);
    }
    if error.is_dns() {
        return Failure::again("its host name cannot be resolved".into())
            .hint("check the name, and this host's DNS; HTTPS_PROXY names a proxy");
    }
    if error.is_timeout() {
        return Failure::again("the server did not answer in time".into()).hint(REACH);
    }
    Failure::again(chain(error))
}

fn certificate(error: &rustls::Error) -> Failure {
    let rustls::Error::InvalidCertificate(cause) = error else {
        return Failure::again(format!("the TLS connection failed: {error}"));
    };
    match cause {
        CertificateError::UnknownIssuer => Failure::last(
            "its certificate was issued by an authority that this host does not trust".into(),
        )
        .hint(
            "if the authority is your own, name its certificate with --ca-file or add it to the system's trust store",
        ),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            Failure::last(format!("its certificate is not valid today: {cause}")).hint("check the clock of this host")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::last(format!("its certificate belongs to another name: {cause}"))
        }
        _ => Failure::last(format!("its certificate is not valid: {cause}")),
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
