//! Segments down a socket: runs of bytes with one vectored write, file ranges with `sendfile`.
//!
//! Invariant: a pending [`Outbox::flush`] may be dropped and begun again at any point; nothing is sent twice.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use bytes::{Buf, Bytes};
use ottla_disk::FileSlice;
use ottla_wire::Segment;
use rustix::net::SendFlags;
use tokio::{io::Interest, net::TcpStream};

use crate::latency::Timing;

/// Segments joined in one system call.
const SLICES_MAX: usize = 32;
/// A file range up to this is read and sent together with what surrounds it: one system call less than `sendfile`, and
/// the copy is small. Measured (docs/figures.md): at 4 KB copying costs less, at 8 KB `sendfile` does.
const COPIED_RANGE_BYTES_MAX: usize = 4 * 1024;
/// What one `sendfile` call may move before others on this thread have a turn.
const SENDFILE_BYTES_MAX: usize = 1024 * 1024;

/// How much is read of a file that could not be sent: a page, which is what the disk gives at least.
const PROBE_BYTES: usize = 4096;

/// What is still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// When the last answer was out: then it was the next one's turn, if it was there.
    turn: Option<Instant>,
}

#[derive(Debug)]
struct Piece {
    segment: Segment,
    /// With the last piece of an answer.
    timing: Option<Timing>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn push(&mut self, frame: super::Frame) {
        let mut segments = frame.segments;
        segments.retain(|segment| !segment.is_empty());
        let Some(last) = segments.pop() else { return };
        self.pieces.extend(segments.into_iter().map(|segment| Piece { segment, timing: None }));
        self.pieces.push_back(Piece { segment: last, timing: frame.timing });
    }

    /// Sends everything; returns the bytes sent by this call's last stretch only through `sent`.
    ///
    /// # Errors
    /// The connection failed, or a file could not be read: the response is cut short and the connection must end.
    pub(crate) async fn flush(&mut self, stream: &TcpStream, sent: &mut u64) -> io::Result<()> {
        while !self.pieces.is_empty() {
            match self.send_some(stream) {
                Ok(bytes) => *sent += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send_some(&mut self, stream: &TcpStream) -> io::Result<usize> {
        self.copy_small_range()?;
        match self.pieces.front().map(|piece| &piece.segment) {
            Some(Segment::File(slice)) if slice.file.fd().is_some() => self.send_file(stream),
            Some(Segment::File(_)) => {
                self.read_range()?;
                self.send_bytes(stream)
            }
            _ => self.send_bytes(stream),
        }
    }

    /// Turns a small file range behind a head of bytes into bytes.
    fn copy_small_range(&mut self) -> io::Result<()> {
        for Piece { segment, .. } in self.pieces.iter_mut().take(SLICES_MAX) {
            if let Segment::File(slice) = segment {
                if slice.len > COPIED_RANGE_BYTES_MAX {
                    return Ok(());
                }
                *segment = Segment::Bytes(slice.read()?);
            }
        }
        Ok(())
    }

    /// A file without a descriptor (a simulated disk) goes through memory.
    fn read_range(&mut self) -> io::Result<()> {
        if let Some(Piece { segment, .. }) = self.pieces.front_mut()
            && let Segment::File(slice) = segment
        {
            *segment = Segment::Bytes(slice.read()?);
        }
        Ok(())
    }

    fn send_bytes(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut more = false;
        for piece in &self.pieces {
            match &piece.segment {
                Segment::Bytes(bytes) if count < SLICES_MAX => {
                    slices[count] = IoSlice::new(bytes);
                    count += 1;
                }
                _ => {
                    more = true;
                    break;
                }
            }
        }
        // The kernel holds a head back until the file range behind it joins it in a full packet.
        let flags = if more { SendFlags::MORE } else { SendFlags::empty() } | SendFlags::NOSIGNAL;
        let sent = stream.try_io(Interest::WRITABLE, || send_vectored(stream.as_fd(), &slices[..count], flags))?;
        self.consume(sent);
        Ok(sent)
    }

    fn send_file(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let Some(Segment::File(slice)) = self.pieces.front().map(|piece| &piece.segment) else { return Ok(0) };
        let Some(file) = slice.file.fd() else { return Ok(0) };
        let sent = stream.try_io(Interest::WRITABLE, || {
            let mut position = slice.position;
            let count = slice.len.min(SENDFILE_BYTES_MAX);
            let sent = rustix::fs::sendfile(stream.as_fd(), file, Some(&mut position), count);
            if sent == Err(rustix::io::Errno::IO) {
                // Of the socket or of the file: where the file cannot be read its directory hears of it.
                let _ = slice.file.read_at(&mut [0; PROBE_BYTES], slice.position);
            }
            Ok(sent?)
        })?;
        if sent == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a segment ended before a range that was promised",
            ));
        }
        self.consume(sent);
        Ok(sent)
    }

    fn consume(&mut self, mut sent: usize) {
        while let Some(front) = self.pieces.front_mut() {
            let len = front.segment.len();
            if sent < len {
                advance(&mut front.segment, sent);
                return;
            }
            sent -= len;
            if let Some(timing) = self.pieces.pop_front().and_then(|piece| piece.timing) {
                let out = Instant::now();
                timing.sent(self.turn.unwrap_or(timing.encoded), out);
                self.turn = Some(out);
            }
        }
    }
}

fn advance(segment: &mut Segment, by: usize) {
    match segment {
        Segment::Bytes(bytes) => Bytes::advance(bytes, by),
        Segment::File(FileSlice { position, len, .. }) => {
            *position += by as u64;
            *len -= by;
        }
    }
}

fn send_vectored(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
    let mut control = rustix::net::SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, slices, &mut control, flags)?)
}
