//! One plain HTTP request to a port on loopback, to see whether a proxy answers. For nothing else: `net` has the real client.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The connection and the whole answer have this time.
const LIMIT: Duration = Duration::from_secs(5);
/// More of an answer is not read, in bytes.
const MOST: usize = 256 << 10;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP answer: its status, and the beginning of its body as it came (a chunked one with its frames).
    Answer { status: u16, body: String },
    /// The connection was taken and closed without a byte (curl's "empty reply"): a TCP proxy whose backend is away.
    Empty,
    /// Nobody listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// Something answered that is not HTTP; the beginning of it.
    NotHttp(String),
    /// Another error, such as a connection reset.
    Failed(String),
}

/// What comes of a connection to a port on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knock {
    Open,
    /// Refused, or reset: nobody listens, or somebody in between says so.
    Refused,
    /// No answer in half a second, which on the loopback nobody needs.
    Silent,
}

/// Connects to 127.0.0.1:`port`, and sends nothing.
pub fn knock(port: u16) -> Knock {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        Ok(_) => Knock::Open,
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Knock::Silent,
        Err(_) => Knock::Refused,
    }
}

/// The body of an answer without the frames of a chunked one.
pub fn unframed(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16) else { break };
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else {
            // The end, or a body that was cut off within a chunk.
            out.push_str(if size > 0 { after } else { "" });
            return out;
        };
        out.push_str(chunk);
        rest = after[size..].trim_start_matches("\r\n");
    }
    if out.is_empty() { body.to_owned() } else { out }
}

/// `GET path` from 127.0.0.1:`port`, with a limit of 5 seconds.
pub fn http_get(port: u16, path: &str) -> Probe {
    get(port, path, LIMIT)
}

fn get(port: u16, path: &str, limit: Duration) -> Probe {
    let until = Instant::now() + limit;
    let mut bytes = Vec::new();
    match exchange(port, path, limit, until, &mut bytes) {
        Ok(()) => parse(&bytes),
        // What was said before the connection broke counts.
        Err(_) if bytes.starts_with(b"HTTP/") => parse(&bytes),
        Err(e) => match e.kind() {
            io::ErrorKind::ConnectionRefused => Probe::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Probe::TimedOut,
            _ => Probe::Failed(e.to_string()),
        },
    }
}

fn exchange(port: u16, path: &str, limit: Duration, until: Instant, bytes: &mut Vec<u8>) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_write_timeout(Some(limit))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: ddinstall\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut buffer = [0u8; 4096];
    while bytes.len() < MOST {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Probe {
    if bytes.is_empty() {
        return Probe::Empty;
    }
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|w| w.starts_with("HTTP/"));
    match words.next().map(str::parse) {
        Some(Ok(status)) if is_http => Probe::Answer { status, body: body.to_owned() },
        _ => Probe::NotHttp(text.chars().take(200).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(answer: Option<&'static str>) -> Probe {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            match answer {
                Some(text) => stream.write_all(text.as_bytes()).unwrap(),
                // Until the other side has had enough.
                None => while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {},
            }
        });
        let patience = if answer.is_some() { Duration::from_secs(10) } else { Duration::from_millis(200) };
        let probe = get(port, "/", patience);
        thread.join().unwrap();
        probe
    }

    #[test]
    fn an_answer_an_empty_reply_and_silence_are_told_apart() {
        let answer = answering(Some("HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n{}"));
        let body = "{}".to_owned();
        assert_eq!(answer, Probe::Answer { status: 403, body });
        assert_eq!(answering(Some("")), Probe::Empty);
        assert_eq!(answering(None), Probe::TimedOut);
        let other = "SSH-2.0-OpenSSH\r\n";
        assert_eq!(answering(Some(other)), Probe::NotHttp(other.into()));
    }

    #[test]
    fn frames_are_taken_off() {
        assert_eq!(unframed("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(unframed("# pxname,svname\na,b\n"), "# pxname,svname\na,b\n");
        assert_eq!(unframed("ff\r\ncut"), "cut");
    }

    #[test]
    fn a_port_without_a_listener_refuses() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        drop(server);
        assert_eq!(http_get(port, "/"), Probe::Refused);
        assert_eq!(knock(port), Knock::Refused);
    }
}
