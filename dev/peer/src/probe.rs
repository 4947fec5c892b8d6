//! Is a broker ready? Asked with one ApiVersions request, as any client would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two questions; short, since the time to the first answer is measured with it.
const PAUSE: Duration = Duration::from_millis(1);
/// Bound on an answer: ApiVersions of every broker known is under 1 KB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// ApiVersions, version 0, correlation id 7, no client id, with its length in front.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// A loopback port that is free now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// One question; true when it was answered without an error.
pub fn is_ready(address: SocketAddr) -> bool {
    ask(address).unwrap_or(false)
}

fn ask(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&REQUEST)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if !(6..=ANSWER_BYTES_MAX).contains(&length) {
        return Ok(false);
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer[..4] == REQUEST[8..12] && answer[4..6] == [0, 0])
}

/// Asks until there is an answer. `alive` says whether waiting makes sense still: its error ends the wait.
pub fn wait_ready(address: SocketAddr, patience: Duration, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    while !is_ready(address) {
        alive()?;
        if begin.elapsed() > patience {
            bail!("no answer from {address} within {patience:?}");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
