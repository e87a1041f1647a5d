#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

// An authority and a server key made for these tests; they are valid for a hundred years.
const CA: &[u8] = include_bytes!("../tests/tls/ca.pem");

/// A server that answers the nth connection as `answer` says, and counts.
struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
}

fn serve(answer: impl Fn(usize, &str, &mut dyn Write) + Send + 'static, tls: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let n = counter.fetch_add(1, Ordering::SeqCst);
            if tls {
                let mut connection = rustls::ServerConnection::new(server_config()).unwrap();
                let mut stream = stream;
                let mut stream = rustls::Stream::new(&mut connection, &mut stream);
                if let Some(head) = head(&mut stream) {
                    answer(n, &head, &mut stream);
                }
                connection.send_close_notify();
            } else {
                let mut stream: TcpStream = stream;
                if let Some(head) = head(&mut stream) {
                    answer(n, &head, &mut stream);
                }
            }
        }
    });
    let (scheme, host) = if tls { ("https", "localhost") } else { ("http", "127.0.0.1") };
    Server { url: format!("{scheme}://{host}:{port}/key"), requests }
}

fn server_config() -> Arc<rustls::ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::from_pem_slice(include_bytes!("../tests/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tests/tls/server.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![chain], key).unwrap())
}

fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn reply(out: &mut dyn Write, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let _ = write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
    let _ = out.flush();
}

fn client(extra_roots: Option<&[u8]>) -> Client {
    patient(extra_roots, Duration::from_secs(20))
}

/// A client that waits so long for an answer, and three times as long for all tries.
fn patient(extra_roots: Option<&[u8]>, stall: Duration) -> Client {
    let limits =
        Limits { connect: Duration::from_secs(20), stall, overall: 3 * stall, backoff: Duration::from_millis(10) };
    let options = Options { extra_roots: extra_roots.map(<[u8]>::to_vec), limits, ..Options::default() };
    Client::new(options, Events::new(|_| {}))
}

#[test]
fn several_files_come_in_the_order_of_their_urls() {
    let server = serve(
        |_, head, out| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            reply(out, if path == "/b" { "404 Not Found" } else { "200 OK" }, "", path);
        },
        false,
    );
    let base = server.url.trim_end_matches("/key");
    let urls = ["/a", "/b", "/c"].map(|path| format!("{base}{path}"));
    let answers = client(None).get_all(&urls, SMALL);
    assert_eq!(answers[0].as_deref().unwrap(), b"/a");
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.kind, Kind::Repository);
    assert_eq!(error.what, format!("cannot download {}: the server answered 404 Not Found", urls[1]));
    assert_eq!(answers[2].as_deref().unwrap(), b"/c");
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[test]
fn we_say_who_we_are_and_nothing_else() {
    let server = serve(|_, head, out| reply(out, "200 OK", "", head), false);
    let head = String::from_utf8(client(None).get(&server.url, SMALL).unwrap()).unwrap();
    let mut names: Vec<_> = head.lines().filter_map(|l| l.split_once(": ")).collect();
    names.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
    names.sort();
    assert_eq!(names, [("accept", "*/*"), ("user-agent", concat!("ddinstall/", env!("CARGO_PKG_VERSION")))]);
}

#[test]
fn a_server_that_recovers_is_asked_again() {
    let server = serve(
        |n, _, out| match n {
            0 => reply(out, "503 Service Unavailable", "", ""),
            1 => {}
            _ => reply(out, "200 OK", "", "key"),
        },
        false,
    );
    assert_eq!(client(None).get(&server.url, SMALL).unwrap(), b"key");
}

#[test]
fn a_server_that_stays_broken_is_given_up() {
    let server = serve(|_, _, out| reply(out, "500 Oops", "", ""), false);
    let error = client(None).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.contains("500"), "{}", error.what);
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[test]
fn empty_and_endless_answers_are_refused() {
    let server = serve(|_, _, out| reply(out, "200 OK", "", ""), false);
    let error = client(None).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.ends_with("the answer is empty"));
    let server = serve(
        |_, _, out| {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while out.write_all(&[b'x'; 4096]).is_ok() {}
        },
        false,
    );
    let error = client(None).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.ends_with("larger than 1024 KiB"));
}

#[test]
fn a_cut_answer_is_an_error() {
    let server = serve(
        |_, _, out| {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nkey");
        },
        false,
    );
    assert!(client(None).get(&server.url, SMALL).is_err());
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[test]
fn silent_and_dripping_servers_end_by_a_limit() {
    let hasty = || patient(None, Duration::from_millis(400));
    let silent = serve(|_, _, _| thread::sleep(Duration::from_secs(60)), false);
    let start = Instant::now();
    let error = hasty().get(&silent.url, SMALL).unwrap_err();
    assert!(error.what.ends_with("did not answer in time"), "{}", error.what);
    let dripping = serve(
        |_, _, out| {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while out.write_all(b"x").and_then(|()| out.flush()).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        },
        false,
    );
    assert!(hasty().get(&dripping.url, SMALL).is_err());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn nobody_listening_is_said_so() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client(None).get(&format!("http://127.0.0.1:{port}/"), SMALL).unwrap_err();
    assert!(error.what.ends_with("the connection was refused"), "{}", error.what);
}

#[test]
fn an_unknown_host_is_said_so() {
    let error = client(None).get("http://no-such-host.invalid/", SMALL).unwrap_err();
    assert!(error.what.ends_with("host name cannot be resolved"), "{}", error.what);
}

#[test]
fn only_http_urls_are_fetched() {
    for url in ["file:///etc/passwd", "ftp://x/", "nonsense"] {
        assert!(client(None).get(url, SMALL).is_err());
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let server = serve(|_, _, out| reply(out, "200 OK", "", "key"), true);
    let error = client(None).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.contains("this host does not trust") || error.kind == Kind::Prerequisite);
    assert!(error.hint.unwrap().contains("--ca-file"));
    assert_eq!(client(Some(CA)).get(&server.url, SMALL).unwrap(), b"key");
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    let server = serve(|_, _, out| reply(out, "200 OK", "", "key"), true);
    let url = server.url.replace("localhost", "127.0.0.1");
    let error = client(Some(CA)).get(&url, SMALL).unwrap_err();
    assert!(error.what.contains("another name"), "{}", error.what);
}

#[test]
fn redirects_never_leave_https() {
    let plain = serve(|_, _, out| reply(out, "200 OK", "", "key"), false);
    let location = format!("Location: {}\r\n", plain.url);
    let server = serve(move |_, _, out| reply(out, "302 Found", &location, ""), true);
    let error = client(Some(CA)).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.contains("from https to plain http"), "{}", error.what);
    assert_eq!(plain.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = serve(
        |n, _, out| match n {
            0 => reply(out, "302 Found", "Location: /other\r\n", ""),
            _ => reply(out, "200 OK", "", "key"),
        },
        false,
    );
    assert_eq!(client(None).get(&server.url, SMALL).unwrap(), b"key");
    let server = serve(|_, _, out| reply(out, "302 Found", "Location: /again\r\n", ""), false);
    let error = client(None).get(&server.url, SMALL).unwrap_err();
    assert!(error.what.contains("again and again"), "{}", error.what);
    assert!(server.requests.load(Ordering::SeqCst) < 10);
}

#[test]
fn a_ca_file_without_certificates_is_the_operators_mistake() {
    let error = client(Some(b"hello")).get("https://localhost/", SMALL).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
}

#[test]
fn credentials_are_not_shown() {
    assert_eq!(redact("https://me:s3cret@h.example/k?token=1#x"), "https://h.example/k");
    assert_eq!(redact("https://h.example"), "https://h.example");
    assert_eq!(redact("https://h.example/a@b"), "https://h.example/a@b");
    assert_eq!(redact("https://[fd00::1]:80/a@b"), "https://[fd00::1]:80/a@b");
    assert_eq!(redact("me:s3/cret@h.example/k"), "h.example/k");
    assert_eq!(redact("https://me:s3/cr@et@h.example/k"), "https://h.example/k");
    for unclear in ["https://me:s3#cret@h.example/k", "https://me:s3?cret@h.example", "https://me:s@h/k?token=cr@et"] {
        assert_eq!(redact(unclear), "https://********", "{unclear}");
    }
    let error = client(None).get("http://me:s3cret@127.0.0.1:1/?t=s3cret", SMALL).unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"));
}
