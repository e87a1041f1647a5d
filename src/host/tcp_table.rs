//! The kernel's table of TCP sockets, by netlink where the kernel has it: `/proc/net/tcp` walks all buckets of its hash
//! table, which is 14 ms on a machine with much memory, even if there are ten sockets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Host, ReadFailure};

/// States of a TCP socket (include/net/tcp_states.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Established = 1,
    Listen = 10,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub inode: u64,
    pub uid: u32,
}

/// The sockets in this state that are wanted, of IPv4 and IPv6.
pub(super) fn rows(
    host: &Host,
    state: State,
    wanted: impl Fn(&Row) -> bool,
) -> std::result::Result<Vec<Row>, ReadFailure> {
    if host.is_live()
        && let Ok(mut rows) = ask_kernel(state)
    {
        rows.retain(wanted);
        return Ok(rows);
    }
    let mut rows = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no second table.
        let text = host.read_text(table)?.unwrap_or_default();
        let parsed = text.lines().skip(1).filter_map(|l| parse_row(l, state));
        rows.extend(parsed.filter(&wanted));
    }
    Ok(rows)
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const HEADER: usize = 16;
const ROW: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const DUMP_INTERRUPTED: u16 = 0x10;
const DONE: u16 = 3;

fn ask_kernel(state: State) -> io::Result<Vec<Row>> {
    let mut socket = diag_socket()?;
    let mut rows = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut request = Vec::with_capacity(HEADER + 56);
        request.extend_from_slice(&(HEADER as u32 + 56).to_ne_bytes());
        request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        request.extend_from_slice(&[0; 8]);
        request.extend_from_slice(&[family as u8, libc::IPPROTO_TCP as u8, 0, 0]);
        request.extend_from_slice(&(1u32 << state as u32).to_ne_bytes());
        request.resize(HEADER + 56, 0);
        socket.write_all(&request)?;
        while !read_answer(&mut socket, &mut rows)? {}
    }
    Ok(rows)
}

#[allow(unsafe_code, reason = "our nix has no netlink sockets")]
fn diag_socket() -> io::Result<File> {
    // SAFETY: no pointers; the descriptor is new and owned by nobody else.
    let fd = unsafe {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG);
        OwnedFd::from_raw_fd(Errno::result(fd)?)
    };
    Ok(File::from(fd))
}

/// One datagram of several messages. True if it was the last. Whatever is not as expected is an error: then `/proc` is read.
fn read_answer(socket: &mut File, rows: &mut Vec<Row>) -> io::Result<bool> {
    let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ready, PollTimeout::from(1000u16))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut buffer = vec![0u8; 64 << 10];
    let length = socket.read(&mut buffer)?;
    parse_answer(&buffer[..length], rows).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse_answer(mut rest: &[u8], rows: &mut Vec<Row>) -> Option<bool> {
    while !rest.is_empty() {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let flags = u16::from_ne_bytes(rest.get(6..8)?.try_into().ok()?);
        if kind == DONE {
            return Some(true);
        }
        if kind != SOCK_DIAG_BY_FAMILY || flags & DUMP_INTERRUPTED != 0 {
            return None;
        }
        rows.push(parse_message(rest.get(HEADER..length)?)?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

/// `struct inet_diag_msg`: family and state, ports and addresses in network order, and at its end the user and the inode.
fn parse_message(message: &[u8]) -> Option<Row> {
    let message = message.get(..ROW)?;
    let family = i32::from(message[0]);
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let long = <[u8; 16]>::try_from(&message[at..at + 16]).ok()?;
        let short = <[u8; 4]>::try_from(&message[at..at + 4]).ok()?;
        match family {
            libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(short))),
            libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(long)).to_canonical()),
            _ => None,
        }
    };
    let uid = u32::from_ne_bytes(message[64..68].try_into().ok()?);
    let inode = u32::from_ne_bytes(message[68..72].try_into().ok()?);
    Some(Row {
        local: SocketAddr::new(address(8)?, port(4)),
        remote: SocketAddr::new(address(24)?, port(6)),
        inode: inode.into(),
        uid,
    })
}

fn parse_row(line: &str, wanted: State) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = parse_address(fields.next()?)?;
    let remote = parse_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    if state != wanted as u8 {
        return None;
    }
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Row { local, remote, inode, uid })
}

/// `0100007F:264B`: groups of 32 bits in the byte order of the machine, then the port. Mapped IPv4 comes out as IPv4.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for start in (0..address.len()).step_by(8) {
        let group = u32::from_str_radix(address.get(start..start + 8)?, 16).ok()?;
        bytes.extend_from_slice(&group.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_the_machines_byte_order() {
        let read = |text| parse_address(text).unwrap().to_string();
        if cfg!(target_endian = "little") {
            assert_eq!(read("0100007F:264B"), "127.0.0.1:9803");
            assert_eq!(read("00000000000000000000000001000000:1F90"), "[::1]:8080");
            assert_eq!(read("B80D0120000000000000000001000000:0050"), "[2001:db8::1]:80");
            assert_eq!(read("0000000000000000FFFF00000100007F:264C"), "127.0.0.1:9804");
        }
        assert_eq!(parse_address("0100007F"), None);
        assert_eq!(parse_address("01:264B"), None);
    }

    #[test]
    fn the_kernel_and_proc_tell_the_same() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let six = std::net::TcpListener::bind("[::1]:0").ok();
        let Ok(rows) = ask_kernel(State::Listen) else {
            return; // a kernel or a filter without it
        };
        let has = |s: &std::net::TcpListener| {
            let local = s.local_addr().unwrap();
            rows.iter().any(|r| r.local == local && r.inode > 0)
        };
        assert!(has(&server));
        assert!(six.as_ref().is_none_or(has));
        let text = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let row = text.lines().filter_map(|l| parse_row(l, State::Listen));
        let local = server.local_addr().unwrap();
        let listed: Vec<Row> = row.filter(|r| r.local == local).collect();
        assert!(listed.len() == 1 && rows.contains(&listed[0]));
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        let mut rows = Vec::new();
        let done = [20u32.to_ne_bytes(), [3, 0, 2, 0]].concat();
        assert_eq!(parse_answer(&done, &mut rows), Some(true));
        let cut = [88u32.to_ne_bytes(), [20, 0, 2, 0]].concat();
        assert_eq!(parse_answer(&cut, &mut rows), None);
        assert_eq!(parse_answer(&[1, 2, 3], &mut rows), None);
        let endless = [0u32.to_ne_bytes(), [20, 0, 2, 0]].concat();
        assert_eq!(parse_answer(&endless, &mut rows), None);
    }
}
