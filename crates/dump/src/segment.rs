//! Files of record batches: segments of partitions and of Kafka's metadata log, and snapshots of the latter.
//!
//! Invariant: behind a broken batch the look goes on at the next place where a whole batch with a right checksum begins.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use ottla_records::{BatchError, BatchHeader, BatchRef, HEADER_LEN, Record, records_of, verify_crc};
use ottla_types::TimestampType;
use ottla_wire::Shown;

use crate::{
    Failure, Request, Shows,
    decode::{self, Decoding},
    out::{Fields, Out},
};

/// Bytes looked through at a time for the next batch.
const WINDOW: usize = 1 << 20;

/// Batches of a file, one by one.
pub(crate) struct Scan {
    file: File,
    len: u64,
    pub(crate) position: u64,
}

/// What stands at a place.
pub(crate) enum Found {
    /// A whole batch; its checksum is right unless an error says so.
    Batch(BatchHeader, Vec<u8>, Option<BatchError>),
    /// No batch.
    Broken(BatchError),
}

impl Scan {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(Failure::Read)?;
        let len = file.metadata().map_err(Failure::Read)?.len();
        Ok(Self { file, len, position: 0 })
    }

    /// What stands at the position; none at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Found)>, Failure> {
        let position = self.position;
        if position >= self.len {
            return Ok(None);
        }
        let found = self.at(position)?;
        if let Found::Batch(header, ..) = &found {
            self.position += header.size_in_bytes() as u64;
        }
        Ok(Some((position, found)))
    }

    fn at(&self, position: u64) -> Result<Found, Failure> {
        let left = self.len - position;
        let head = self.read(position, (HEADER_LEN as u64).min(left) as usize)?;
        let header = match BatchHeader::parse(&head) {
            Ok(header) => header,
            Err(error) => return Ok(Found::Broken(error)),
        };
        let need = header.size_in_bytes();
        if need as u64 > left {
            return Ok(Found::Broken(BatchError::Incomplete { have: left as usize, need }));
        }
        let bytes = self.read(position, need)?;
        let wrong = verify_crc(&bytes).err();
        Ok(Found::Batch(header, bytes, wrong))
    }

    fn read(&self, position: u64, len: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, position).map_err(Failure::Read)?;
        Ok(bytes)
    }

    /// Moves to the next whole batch behind the position; the bytes that were passed over.
    pub(crate) fn resync(&mut self) -> Result<u64, Failure> {
        let from = self.position;
        let mut at = from + 1;
        while at + HEADER_LEN as u64 <= self.len {
            let window = self.read(at, (WINDOW as u64).min(self.len - at) as usize)?;
            let places = window.len().saturating_sub(HEADER_LEN - 1);
            for place in 0..places {
                let Ok(header) = BatchHeader::parse(&window[place..]) else { continue };
                let position = at + place as u64;
                if header.base_offset.0 >= 0
                    && header.size_in_bytes() as u64 <= self.len - position
                    && matches!(self.at(position)?, Found::Batch(_, _, None))
                {
                    self.position = position;
                    return Ok(position - from);
                }
            }
            at += places.max(1) as u64;
        }
        self.position = self.len;
        Ok(self.len - from)
    }
}

/// Shows a file of batches; `base` is the offset that its name says.
pub(crate) fn show(request: &Request, path: &Path, base: Option<i64>, out: &mut Out<'_>) -> Shows {
    let decoding = request.decoder.of(path);
    let mut scan = Scan::open(path)?;
    let mut next = base.unwrap_or(0);
    while request.bytes_max.is_none_or(|max| scan.position < max) {
        let Some((position, found)) = scan.next()? else { break };
        match found {
            Found::Broken(error) => {
                let skipped = scan.resync()?;
                let hint =
                    if matches!(error, BatchError::Magic(0 | 1)) { " (a message format before version 2)" } else { "" };
                out.damage(Some(position), &format_args!("{error}{hint}; {skipped} bytes are passed over"))?;
            }
            Found::Batch(header, bytes, wrong) => {
                if !request.skip_record_metadata {
                    out.row("batch", 0, &batch_fields(&header, position, wrong.is_none()))?;
                }
                if header.base_offset.0 < next {
                    let what = format_args!("offset {} where {next} is the least", header.base_offset);
                    out.damage(Some(position), &what)?;
                }
                next = next.max(header.next_offset().0);
                if let Some(error) = wrong {
                    out.damage(Some(position), &error)?;
                } else if request.deep || request.print_data {
                    show_records(request, decoding, &bytes, position, out)?;
                }
            }
        }
    }
    Ok(())
}

fn batch_fields(header: &BatchHeader, position: u64, valid: bool) -> Fields {
    let attributes = header.attributes;
    let codec = attributes.compression().map_or_else(|error| error.to_string(), |codec| codec.name().to_owned());
    let mut fields: Fields = vec![
        ("baseOffset", header.base_offset.0.into()),
        ("lastOffset", header.last_offset().0.into()),
        ("count", header.records_count.into()),
        ("baseSequence", header.base_sequence.into()),
        ("lastSequence", header.last_sequence().into()),
        ("producerId", header.producer_id.0.into()),
        ("producerEpoch", i32::from(header.producer_epoch.0).into()),
        ("partitionLeaderEpoch", header.partition_leader_epoch.0.into()),
        ("isTransactional", attributes.is_transactional().into()),
        ("isControl", attributes.is_control().into()),
    ];
    if let Some(horizon) = header.delete_horizon() {
        fields.push(("deleteHorizonMs", horizon.0.into()));
    }
    fields.extend([
        ("position", (position as i64).into()),
        (time_name(attributes.timestamp_type()), header.max_timestamp.0.into()),
        ("size", (header.size_in_bytes() as i64).into()),
        ("compressCodec", codec.into()),
        ("crc", i64::from(header.crc).into()),
        ("isValid", Shown::Bool(valid)),
    ]);
    fields
}

fn time_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "createTime",
        TimestampType::LogAppendTime => "logAppendTime",
    }
}

fn show_records(request: &Request, decoding: Decoding, bytes: &[u8], position: u64, out: &mut Out<'_>) -> Shows {
    let batch = match BatchRef::parse(bytes) {
        Ok(batch) => batch,
        Err(error) => return Ok(out.damage(Some(position), &error)?),
    };
    let mut records = match records_of(&batch) {
        Ok(records) => records,
        Err(error) => return Ok(out.damage(Some(position), &error)?),
    };
    let control = batch.header().attributes.is_control();
    loop {
        match records.next_record() {
            Ok(Some(record)) => {
                let mut fields = if request.skip_record_metadata {
                    vec![]
                } else {
                    record_fields(&record, batch.header().attributes.timestamp_type())
                };
                let decoding = if control { Decoding::Control } else { decoding };
                if let Err(error) = decode::add(decoding, request.print_data, &record, &mut fields) {
                    out.row("record", 1, &fields)?;
                    out.damage(Some(position), &format_args!("record at offset {}: {error}", record.offset))?;
                    continue;
                }
                out.row("record", 1, &fields)?;
            }
            Ok(None) => return Ok(()),
            Err(error) => return Ok(out.damage(Some(position), &error)?),
        }
    }
}

fn record_fields(record: &Record<'_>, kind: TimestampType) -> Fields {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64).into();
    let header = |header: ottla_records::RecordHeader<'_>| {
        Shown::List(vec![decode::readable(Some(header.key)), decode::readable(header.value)])
    };
    let headers: Vec<_> = record.headers.map(header).collect();
    let mut fields: Fields = vec![
        ("offset", record.offset.0.into()),
        (time_name(kind), record.timestamp.0.into()),
        ("keySize", size(record.key)),
        ("valueSize", size(record.value)),
    ];
    if !headers.is_empty() {
        fields.push(("headers", Shown::List(headers)));
    }
    fields
}
