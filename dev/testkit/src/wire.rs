//! A client that sends whatever bytes it is given: for requests that no well-behaved client would make.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// Longest frame that [`Wire::read_frame`] takes, bytes.
const FRAME_MAX: usize = 256 << 20;

/// How long connecting and sending may take before the broker counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A blocking connection.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, STUCK_AFTER)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STUCK_AFTER))?;
        Ok(Self(stream))
    }

    /// Connects from an address of this machine, such as 127.0.0.2.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddrV4::new(source, 0))?;
        connect(&socket, &address)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STUCK_AFTER))?;
        Ok(Self(stream))
    }

    /// Sends `bytes` as they are, without a length before them.
    ///
    /// # Errors
    /// As the system says; `BrokenPipe` or `ConnectionReset` where the broker closed the connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends one frame: the length of `body` as four bytes, then `body`.
    ///
    /// # Errors
    /// As [`send_bytes`](Self::send_bytes); `InvalidInput` where `body` is longer than a frame can be.
    pub fn send_frame(&mut self, body: &[u8]) -> io::Result<()> {
        let len = i32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.send_bytes(&[&len.to_be_bytes(), body].concat())
    }

    /// Reads one frame without its length; none where the broker closed the connection between frames.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` where nothing came for `timeout`; `UnexpectedEof` where the connection ended inside a
    /// frame; `InvalidData` where the length is negative or over 256 MiB.
    pub fn read_frame(&mut self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        self.0.set_read_timeout(Some(timeout))?;
        let mut len = [0; 4];
        if !self.read_or_closed(&mut len)? {
            return Ok(None);
        }
        let len = usize::try_from(i32::from_be_bytes(len)).map_err(|_| io::ErrorKind::InvalidData)?;
        if len > FRAME_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = Vec::new();
        (&self.0).take(len as u64).read_to_end(&mut body)?;
        if body.len() < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(body)) }
    }

    /// Sends a frame and reads the answer.
    ///
    /// # Errors
    /// As of the two; `UnexpectedEof` where the broker closed the connection.
    pub fn exchange(&mut self, body: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
        self.send_frame(body)?;
        self.read_frame(timeout)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the broker closes the connection within `timeout` without sending another byte.
    ///
    /// # Errors
    /// As the system says, beyond what a closed connection and a timeout say.
    pub fn is_closed_within(&mut self, timeout: Duration) -> io::Result<bool> {
        self.0.set_read_timeout(Some(timeout))?;
        match self.0.read(&mut [0]) {
            Ok(read) => Ok(read == 0),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionReset => Ok(true),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Says that nothing more will be sent; answers can still be read.
    ///
    /// # Errors
    /// As the system says.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// False where the connection ended before the first byte.
    fn read_or_closed(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read(&mut buf[done..]) {
                Ok(0) if done == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && done == 0 => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A connection and the broker's end of it.
    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Wire::connect(listener.local_addr().unwrap()).unwrap();
        (wire, listener.accept().unwrap().0)
    }

    #[test]
    fn frames_go_both_ways() {
        let (mut wire, mut broker) = pair();
        wire.send_frame(b"ask").unwrap();
        wire.send_bytes(b"raw").unwrap();
        let mut got = [0; 10];
        broker.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"\0\0\0\x03askraw");
        broker.write_all(b"\0\0\0\x02hi\0\0\0\0").unwrap();
        assert_eq!(wire.read_frame(LONG).unwrap().unwrap(), b"hi");
        assert_eq!(wire.read_frame(LONG).unwrap().unwrap(), b"");
        drop(broker);
        assert_eq!(wire.read_frame(LONG).unwrap(), None);
        assert!(wire.is_closed_within(LONG).unwrap());
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for (bytes, kind) in [
            (&b"\0\0\0\x05abc"[..], io::ErrorKind::UnexpectedEof),
            (b"\0\0", io::ErrorKind::UnexpectedEof),
            (b"\xff\xff\xff\xff", io::ErrorKind::InvalidData),
            (b"\x7f\xff\xff\xff", io::ErrorKind::InvalidData),
        ] {
            let (mut wire, mut broker) = pair();
            broker.write_all(bytes).unwrap();
            drop(broker);
            assert_eq!(wire.read_frame(LONG).unwrap_err().kind(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn silence_is_told_from_an_end() {
        let (mut wire, _broker) = pair();
        let soon = Duration::from_millis(1);
        assert!(!wire.is_closed_within(soon).unwrap());
        assert!(matches!(
            wire.read_frame(soon).unwrap_err().kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ));
    }
}
