//! What a child says, gathered from pipes or from files in memory, cut into lines and bounded.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Stream;

/// So much of each output is kept, in bytes: the end of it.
const KEPT: usize = 4 << 20;
/// A line longer than this is handed out in pieces.
const LONGEST_LINE: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Channels(Vec<Channel>);

struct Channel {
    stream: Stream,
    file: File,
    /// How far a file in memory was read. None for a pipe.
    at: Option<u64>,
    open: bool,
    line: Vec<u8>,
    kept: Vec<u8>,
}

type Listener<'a> = &'a mut dyn FnMut(Stream, &str);

impl Channels {
    pub(super) fn add_pipe(&mut self, stream: Stream, pipe: OwnedFd) -> io::Result<()> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.0.push(Channel::new(stream, pipe.into(), None));
        Ok(())
    }

    pub(super) fn add_file(&mut self, stream: Stream, file: File) {
        self.0.push(Channel::new(stream, file, Some(0)));
    }

    /// Takes what is there now. True if there was something.
    pub(super) fn drain(&mut self, listener: Listener<'_>) -> bool {
        let mut heard = false;
        for channel in &mut self.0 {
            heard |= channel.drain(listener);
        }
        heard
    }

    /// After the end of the child: the rest, and the last line without an end.
    pub(super) fn finish(&mut self, listener: Listener<'_>) {
        for channel in &mut self.0 {
            // Bounded, for a daemon that was left behind may go on talking into the pipe.
            let mut rounds = 0;
            while channel.drain(listener) && rounds < 256 {
                rounds += 1;
            }
            channel.end_line(listener);
        }
    }

    /// Waits until a pipe has something or ends. False, at once, if no pipe is open.
    pub(super) fn poll(&self, limit: Duration) -> bool {
        let mut fds: Vec<PollFd> = self
            .0
            .iter()
            .filter(|c| c.open && c.at.is_none())
            .map(|c| PollFd::new(c.file.as_fd(), PollFlags::POLLIN))
            .collect();
        if fds.is_empty() {
            return false;
        }
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        // An interruption by a signal only makes the caller look once more.
        let _ = poll(&mut fds, limit);
        true
    }

    pub(super) fn take(&mut self, stream: Stream) -> Vec<u8> {
        let channel = self.0.iter_mut().find(|c| c.stream == stream);
        channel.map(|c| std::mem::take(&mut c.kept)).unwrap_or_default()
    }
}

impl Channel {
    fn new(stream: Stream, file: File, at: Option<u64>) -> Self {
        Channel { stream, file, at, open: true, line: Vec::new(), kept: Vec::new() }
    }

    fn drain(&mut self, listener: Listener<'_>) -> bool {
        let mut heard = false;
        let mut buffer = [0u8; 16 << 10];
        // Bounded, so that a child that never stops talking cannot keep us from looking at its deadline.
        for _ in 0..256 {
            let count = match self.read(&mut buffer) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => 0,
            };
            if count == 0 {
                self.open = self.at.is_some();
                break;
            }
            heard = true;
            self.keep(&buffer[..count]);
            self.cut(&buffer[..count], listener);
        }
        heard
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(at) = &mut self.at else {
            return if self.open { self.file.read(buffer) } else { Ok(0) };
        };
        let mut count = self.file.read_at(buffer, *at)?;
        if count == 0 && *at > 0 && self.file.metadata()?.len() < *at {
            // A child opened its output anew and emptied it: what is there now is all new.
            *at = 0;
            count = self.file.read_at(buffer, 0)?;
        }
        *at += count as u64;
        Ok(count)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.kept.len() + bytes.len() > 2 * KEPT {
            self.kept.drain(..self.kept.len() - KEPT);
        }
        self.kept.extend_from_slice(bytes);
    }

    fn cut(&mut self, bytes: &[u8], listener: Listener<'_>) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                self.end_line(listener);
            } else {
                self.line.push(byte);
                if self.line.len() >= LONGEST_LINE {
                    self.end_line(listener);
                }
            }
        }
    }

    fn end_line(&mut self, listener: Listener<'_>) {
        if !self.line.is_empty() {
            listener(self.stream, &String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}
