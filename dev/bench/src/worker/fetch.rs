//! A reader that only asks and throws away: Fetch requests of version 4, one partition each, all of them under way at
//! once on one connection, so that the broker never waits for the reader.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use super::measure;
use crate::clients::Measured;
use crate::parameters::{CHUNK_BYTES, FETCH_BYTES, PARTITIONS};

const FETCH: i16 = 1;
const VERSION: i16 = 4;
const CLIENT_ID: &str = "bare";
/// A batch's length field stands behind its base offset and counts what follows it.
const BATCH_PREFIX: usize = 12;
const LAST_OFFSET_DELTA_AT: usize = 23;
const RECORD_COUNT_AT: usize = 57;
const BATCH_HEADER: usize = 61;

/// Reads all partitions of a topic with `records` records, which were sent round them in turn, `passes` times.
pub(crate) fn consume(bootstrap: SocketAddr, topic: &str, records: u64, passes: u64) -> Result<Measured> {
    let stream = TcpStream::connect(bootstrap)?;
    stream.set_nodelay(true)?;
    let mut responses = Responses { stream, buffer: vec![0; CHUNK_BYTES].into(), start: 0, end: 0 };
    let mut offsets = [0; PARTITIONS as usize];
    measure(|| {
        let mut read = 0;
        for partition in 0..PARTITIONS {
            responses.stream.write_all(&request(topic, partition, 0))?;
        }
        while read < records * passes {
            let (partition, count, next) = responses.receive()?;
            read += count;
            let offset = offsets.get_mut(partition as usize).context("an unknown correlation id")?;
            *offset = next.unwrap_or(*offset);
            // From the beginning again as soon as its end is reached: the broker never waits for more records.
            let end = (records + PARTITIONS as u64 - 1 - partition as u64) / PARTITIONS as u64;
            *offset = if *offset >= end as i64 { 0 } else { *offset };
            responses.stream.write_all(&request(topic, partition, *offset))?;
        }
        Ok(read)
    })
}

/// A request with its length in front; the partition is its correlation id.
fn request(topic: &str, partition: i32, offset: i64) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(FETCH.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(partition.to_be_bytes());
    string(&mut body, CLIENT_ID);
    body.extend((-1_i32).to_be_bytes()); // no replica
    body.extend(500_i32.to_be_bytes()); // wait at most, ms
    body.extend(1_i32.to_be_bytes()); // bytes at least
    body.extend((FETCH_BYTES as i32).to_be_bytes());
    body.push(0); // uncommitted records too
    body.extend(1_i32.to_be_bytes()); // topics
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes()); // partitions
    body.extend(partition.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend((FETCH_BYTES as i32).to_be_bytes());
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn string(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as i16).to_be_bytes());
    body.extend(text.as_bytes());
}

fn number(bytes: &[u8], at: usize) -> Result<i32> {
    let bytes = bytes.get(at..at + 4).context("a response that ends early")?;
    Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Responses read through a buffer as small as a bare drain's: heads are looked at, bodies skipped.
struct Responses {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Responses {
    /// The next response with one partition: the partition, how many records came, the offset behind them.
    fn receive(&mut self) -> Result<(i32, u64, Option<i64>)> {
        let mut left = number(self.take(4)?, 0)? as usize;
        let correlation = number(self.take(4)?, 0)?;
        // Throttle time, number of topics, the topic's name, number of partitions.
        self.take(8)?;
        let name = self.take(2)?;
        let name_bytes = usize::from(u16::from_be_bytes([name[0], name[1]]));
        self.take(name_bytes + 4)?;
        // Partition, error, high watermark, last stable offset, aborted transactions, size of the records.
        let head = self.take(4 + 2 + 8 + 8 + 4 + 4)?;
        let (error, aborted, size) = (number(head, 4)? >> 16, number(head, 22)?, number(head, 26)?.max(0) as usize);
        ensure!(error == 0, "error {error}");
        ensure!(aborted <= 0, "aborted transactions");
        left = left.checked_sub(4 + 8 + 2 + name_bytes + 4 + 30).context("a response that is too short")?;
        ensure!(left == size, "{left} bytes where {size} bytes of records were announced");
        let (count, next) = self.walk(size)?;
        Ok((correlation, count, next))
    }

    /// Counts the records of whole batches; the last batch may be cut.
    fn walk(&mut self, mut left: usize) -> Result<(u64, Option<i64>)> {
        let (mut records, mut next) = (0, None);
        while left >= BATCH_HEADER {
            let head = self.take(BATCH_HEADER)?;
            let size = BATCH_PREFIX + number(head, 8)? as usize;
            let base = (i64::from(number(head, 0)?) << 32) | i64::from(number(head, 4)? as u32);
            let (last, count) = (number(head, LAST_OFFSET_DELTA_AT)?, number(head, RECORD_COUNT_AT)?);
            ensure!(size >= BATCH_HEADER, "a batch of {size} bytes");
            if size > left {
                left -= BATCH_HEADER;
                break;
            }
            self.skip(size - BATCH_HEADER)?;
            records += count as u64;
            next = Some(base + i64::from(last) + 1);
            left -= size;
        }
        self.skip(left)?;
        Ok((records, next))
    }

    /// The next `count` bytes, which must fit the buffer.
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        ensure!(count <= self.buffer.len(), "{count} bytes at once");
        if self.end - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.end, self.start) = (self.end - self.start, 0);
            while self.end < count {
                self.fill()?;
            }
        }
        self.start += count;
        Ok(&self.buffer[self.start - count..self.start])
    }

    fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > self.end - self.start {
            count -= self.end - self.start;
            (self.start, self.end) = (0, 0);
            self.fill()?;
        }
        self.start += count;
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let read = self.stream.read(&mut self.buffer[self.end..])?;
        ensure!(read > 0, "the broker closed the connection");
        self.end += read;
        Ok(())
    }
}
