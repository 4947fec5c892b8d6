//! Bare loops: what the machine can do when there is no broker.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FallocateFlags, fallocate, sendfile, syncfs};
use rustix::net::SendFlags;

use super::measure;
use crate::cases::Commit;
use crate::clients::Measured;
use crate::parameters::{APPENDED_BATCH_BYTES, CHUNK_BYTES, FETCH_BYTES, PARTITIONS, SET_ASIDE_BYTES};

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

/// Receives `bytes` bytes and writes them to a file of `folder` a chunk at a time; or a batch at a time to as many files in turn as
/// a topic has partitions.
pub(crate) fn receive(bytes: u64, folder: &Path, in_batches: bool) -> Result<Measured> {
    let (files, len) = if in_batches { (PARTITIONS, APPENDED_BATCH_BYTES) } else { (1, CHUNK_BYTES) };
    let create = |number: i32| File::create(folder.join(number.to_string()));
    let mut files = (0..files).map(create).collect::<Result<Vec<_>, _>>()?;
    let mut stream = accept()?;
    let mut chunk = vec![0; len];
    measure(|| {
        let mut left = bytes;
        while left > 0 {
            for out in &mut files {
                let want = chunk.len().min(left as usize);
                stream.read_exact(&mut chunk[..want])?;
                out.write_all(&chunk[..want])?;
                left -= want as u64;
            }
        }
        Ok(bytes)
    })
}

/// Appends `bytes` bytes to the files of `folder` in turn, a batch at a time; where wanted, blocks are set aside ahead of their ends.
pub(crate) fn append(bytes: u64, folder: &Path, set_aside: bool) -> Result<Measured> {
    let create = |number: i32| File::create(folder.join(number.to_string()));
    let files = (0..PARTITIONS).map(create).collect::<Result<Vec<_>, _>>()?;
    let batch = vec![7; APPENDED_BATCH_BYTES];
    measure(|| {
        let (mut end, mut set_aside_to) = (0, if set_aside { 0 } else { u64::MAX });
        while end * (files.len() as u64) < bytes {
            let next = end + batch.len() as u64;
            let short = next > set_aside_to;
            for file in &files {
                if short {
                    fallocate(file, FallocateFlags::KEEP_SIZE, end, batch.len() as u64 + SET_ASIDE_BYTES)?;
                }
                file.write_all_at(&batch, end)?;
            }
            set_aside_to = if short { next + SET_ASIDE_BYTES } else { set_aside_to };
            end = next;
        }
        Ok(end * files.len() as u64)
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

/// Appends to many files, a group of them made durable at a time.
#[derive(Debug, clap::Args)]
pub(crate) struct Group {
    bytes: u64,
    folder: PathBuf,
    batch: usize,
    files: usize,
    /// Appends of a group.
    group: usize,
    commit: Commit,
}

/// After so many bytes the shared file begins anew.
const SHARED_FILE_BYTES: usize = 512 << 20;
/// Threads that flush file by file, as many as a broker has.
const FLUSHING_THREADS: usize = 4;

/// Appends to the files in turn and makes each group of appends durable before the next begins.
pub(crate) fn group(load: &Group) -> Result<Measured> {
    let create = |number: usize| File::create(load.folder.join(number.to_string()));
    let mut files = (0..load.files).map(create).collect::<Result<Vec<_>, _>>()?;
    let mut shared = File::create(load.folder.join("shared"))?;
    let volume = File::open(&load.folder)?;
    let batch = vec![7; load.batch];
    syncfs(&volume)?;
    measure(|| {
        let (mut next, mut written, mut in_shared) = (0, 0, 0);
        while written < load.bytes {
            let group: Vec<_> = (0..load.group).map(|number| (next + number) % files.len()).collect();
            next = (next + load.group) % files.len();
            for &at in &group {
                files[at].write_all(&batch)?;
            }
            match load.commit {
                Commit::EachFile => sync_each(&files, &group)?,
                Commit::Volume => syncfs(&volume)?,
                Commit::SharedFile => {
                    in_shared += load.group * batch.len();
                    (0..load.group).try_for_each(|_| shared.write_all(&batch))?;
                    shared.sync_data()?;
                    if in_shared >= SHARED_FILE_BYTES {
                        syncfs(&volume)?;
                        shared = File::create(load.folder.join("shared"))?;
                        in_shared = 0;
                    }
                }
            }
            written += (load.group * batch.len()) as u64;
        }
        Ok(written)
    })
}

fn sync_each(files: &[File], group: &[usize]) -> Result<()> {
    let share = group.len().div_ceil(FLUSHING_THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = group
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().try_for_each(|&at| files[at].sync_data())))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(synced) => Ok(synced?),
            Err(_) => anyhow::bail!("a flushing thread ended"),
        })
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

/// Reads until the sender ends; where it is `polled`, as librdkafka does: it waits for bytes, then takes those that are there.
pub(crate) fn drain(address: SocketAddr, polled: bool) -> Result<Measured> {
    let mut stream = TcpStream::connect(address)?;
    let mut chunk = vec![0; if polled { FETCH_BYTES as usize } else { CHUNK_BYTES }];
    measure(|| {
        let mut bytes = 0;
        loop {
            if polled {
                poll(&mut [PollFd::new(&stream, PollFlags::IN)], None)?;
            }
            match stream.read(&mut chunk)? {
                0 => return Ok(bytes),
                count => bytes += count as u64,
            }
        }
    })
}
