//! Frames off a socket: a 4-byte length, then that many bytes.
//!
//! Invariants: a buffer grows to at most twice what has arrived, or to the size of a frame that this peer completed
//! before; dropping a pending [`FrameReader::next`] loses nothing.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{net::TcpStream, time::timeout};

use super::buffers::{FrameMemory, Lease, SMALL_FRAME_BYTES};

/// Bytes of the length that precedes each frame.
const LENGTH_BYTES: usize = 4;
/// A frame that stands half read this long without a byte arriving, or without memory to go on, ends its connection:
/// what it holds would be missing elsewhere.
const STALLED_FRAME: Duration = Duration::from_secs(30);

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// A negative length, or one over `socket.request.max.bytes`.
    #[error("a frame of {announced} bytes is announced, {allowed} are allowed")]
    Length { announced: i32, allowed: usize },
    /// Nothing more of a begun frame arrived.
    #[error("a frame stood half sent for {} s", STALLED_FRAME.as_secs())]
    Stalled,
    /// The socket failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    memory: Arc<FrameMemory>,
    frame_bytes_max: usize,
    buffer: BytesMut,
    lease: Lease,
    /// Largest frame that this peer completed, with its length: it may announce as much again and is believed.
    completed_bytes: usize,
    /// When bytes came last.
    arrived: Instant,
}

impl FrameReader {
    pub(crate) fn new(memory: Arc<FrameMemory>, frame_bytes_max: usize) -> Self {
        Self {
            memory,
            frame_bytes_max,
            buffer: BytesMut::new(),
            lease: Lease::default(),
            completed_bytes: 0,
            arrived: Instant::now(),
        }
    }

    /// The next frame without its length, or none where the peer ended the connection between frames.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(crate) async fn next(&mut self, stream: &TcpStream) -> Result<Option<Bytes>, FrameError> {
        loop {
            let announced = self.announced()?;
            if let Some(len) = announced
                && self.buffer.len() >= LENGTH_BYTES + len
            {
                return Ok(Some(self.take_frame(len)));
            }
            if self.buffer.is_empty() {
                self.lease = Lease::default();
            }
            let limit = self.make_room(announced).await?;
            match stream.try_read_buf(&mut (&mut self.buffer).limit(limit)) {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => self.arrived = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(stream).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// When the frame that [`Self::next`] gave last was complete: nothing is read while a whole frame is there.
    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Length of the frame at the head of the buffer, once its prefix is there.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Ok(len) if len <= self.frame_bytes_max => Ok(Some(len)),
            _ => Err(FrameError::Length { announced, allowed: self.frame_bytes_max }),
        }
    }

    fn take_frame(&mut self, len: usize) -> Bytes {
        self.completed_bytes = self.completed_bytes.max(LENGTH_BYTES + len);
        self.buffer.advance(LENGTH_BYTES);
        self.buffer.split_to(len).freeze()
    }

    /// Reserves room for more of the frame and says how many bytes to read into it.
    async fn make_room(&mut self, announced: Option<usize>) -> Result<usize, FrameError> {
        let have = self.buffer.len();
        if have == 0 && !self.buffer.try_reclaim(SMALL_FRAME_BYTES) {
            self.buffer = self.memory.take();
        }
        let Some(len) = announced else {
            self.buffer.reserve(SMALL_FRAME_BYTES - have);
            return Ok(SMALL_FRAME_BYTES - have);
        };
        let whole = LENGTH_BYTES + len;
        let believed = self.completed_bytes.max(2 * have).max(SMALL_FRAME_BYTES);
        let room = whole.min(believed);
        if room > SMALL_FRAME_BYTES {
            let leased = timeout(STALLED_FRAME, self.memory.extend(&mut self.lease, room)).await;
            leased.map_err(|_| FrameError::Stalled)?;
        }
        self.buffer.reserve(room.max(SMALL_FRAME_BYTES) - have);
        // Exactly to the frame's end where it is large, so that its successor begins a buffer of its own.
        Ok(room.max(SMALL_FRAME_BYTES) - have)
    }

    /// Waits for bytes; between frames without holding a buffer.
    async fn wait(&mut self, stream: &TcpStream) -> Result<(), FrameError> {
        if self.buffer.is_empty() {
            self.memory.give(std::mem::take(&mut self.buffer));
            stream.readable().await?;
            return Ok(());
        }
        timeout(STALLED_FRAME, stream.readable()).await.map_err(|_| FrameError::Stalled)??;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_completed_a_frame_gets_room_for_all_of_another_one() {
        const LEN: usize = 100_000;
        let mut reader = FrameReader::new(Arc::new(FrameMemory::new(1 << 20)), 1 << 20);
        reader.buffer.put_bytes(0, LENGTH_BYTES + LEN);
        assert_eq!(reader.take_frame(LEN).len(), LEN);
        let limit = reader.make_room(None).await.unwrap();
        assert_eq!(limit, SMALL_FRAME_BYTES);
        reader.buffer.put_bytes(0, limit);
        let rest = reader.make_room(Some(LEN)).await.unwrap();
        assert_eq!(limit + rest, LENGTH_BYTES + LEN, "the frame arrives in two reads");
    }
}
