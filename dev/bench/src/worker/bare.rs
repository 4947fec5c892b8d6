//! Bare loops: what the machine can do when there is no broker.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Result, ensure};
use rustix::{fs::sendfile, net::SendFlags};

use super::measure;
use crate::clients::Measured;
use crate::parameters::CHUNK_BYTES;

/// What stands before the records of a fetch of one partition.
const HEAD_BYTES: usize = 64;

/// Waits for the one peer; the address is the first line of the report.
fn accept() -> Result<TcpStream> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Receives `bytes` bytes and writes them to `file`, a chunk at a time.
pub(crate) fn receive(bytes: u64, file: &Path) -> Result<Measured> {
    let mut out = File::create(file)?;
    let mut stream = accept()?;
    let mut chunk = vec![0; CHUNK_BYTES];
    measure(|| {
        let mut left = bytes;
        while left > 0 {
            let want = chunk.len().min(left as usize);
            stream.read_exact(&mut chunk[..want])?;
            out.write_all(&chunk[..want])?;
            left -= want as u64;
        }
        Ok(bytes)
    })
}

/// Appends `bytes` bytes to `file`, a batch at a time, and flushes each of them.
pub(crate) fn synced(bytes: u64, file: &Path, batch: usize) -> Result<Measured> {
    let mut out = File::create(file)?;
    let batch = vec![7; batch];
    measure(|| {
        let mut written = 0;
        while written < bytes {
            out.write_all(&batch)?;
            out.sync_data()?;
            written += batch.len() as u64;
        }
        Ok(written)
    })
}

/// Sends `bytes` bytes.
pub(crate) fn send(address: SocketAddr, bytes: u64) -> Result<Measured> {
    let mut stream = TcpStream::connect(address)?;
    let chunk = vec![7; CHUNK_BYTES];
    measure(|| {
        let mut left = bytes;
        while left > 0 {
            let want = chunk.len().min(left as usize);
            stream.write_all(&chunk[..want])?;
            left -= want as u64;
        }
        Ok(bytes)
    })
}

/// Sends `file` again and again until `bytes` bytes were sent.
pub(crate) fn sendfile_loop(bytes: u64, file: &Path) -> Result<Measured> {
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    ensure!(size > 0, "an empty file");
    let stream = accept()?;
    measure(|| {
        let (mut left, mut offset) = (bytes, 0);
        while left > 0 {
            offset = if offset == size { 0 } else { offset };
            let want = (size - offset).min(left).min(CHUNK_BYTES as u64 * 8);
            left -= sendfile(&stream, &file, Some(&mut offset), want as usize)? as u64;
        }
        Ok(bytes)
    })
}

/// Sends `file` again and again in ranges, each behind a head as long as a fetch response's, until `bytes` bytes were sent.
pub(crate) fn ranges(bytes: u64, file: &Path, range: usize, copied: bool) -> Result<Measured> {
    let file = File::open(file)?;
    let size = file.metadata()?.len() / range as u64 * range as u64;
    ensure!(size > 0, "an empty file");
    let mut stream = accept()?;
    let mut frame = vec![0; HEAD_BYTES + range];
    measure(|| {
        let mut at = 0;
        for _ in 0..bytes / range as u64 {
            at = if at == size { 0 } else { at };
            if copied {
                file.read_exact_at(&mut frame[HEAD_BYTES..], at)?;
                stream.write_all(&frame)?;
                at += range as u64;
            } else {
                rustix::net::send(&stream, &frame[..HEAD_BYTES], SendFlags::MORE)?;
                let end = at + range as u64;
                while at < end {
                    let left = (end - at) as usize;
                    sendfile(&stream, &file, Some(&mut at), left)?;
                }
            }
        }
        Ok(bytes)
    })
}

/// Reads until the sender ends.
pub(crate) fn drain(address: SocketAddr) -> Result<Measured> {
    let mut stream = TcpStream::connect(address)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    measure(|| {
        let mut bytes = 0;
        loop {
            match stream.read(&mut chunk)? {
                0 => return Ok(bytes),
                count => bytes += count as u64,
            }
        }
    })
}
