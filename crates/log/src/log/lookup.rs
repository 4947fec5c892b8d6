//! Offsets by time.

use std::{io, sync::Arc};

use ottla_disk::DiskFile;
use ottla_types::{LeaderEpoch, Millis, Offset};

use super::{Log, LogState, ReadError};
use crate::{
    batch::first_record_from,
    segment::{
        Segment,
        walk::{Placed, WalkError},
    },
};

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Timestamp of the record.
    pub timestamp: Millis,
    /// Offset of the record.
    pub offset: Offset,
    /// Leader epoch of its batch.
    pub epoch: LeaderEpoch,
}

/// Why a lookup has no answer.
pub type LookupError = ReadError;

impl Log {
    /// The first record at or behind the log start whose timestamp is not below `timestamp`; none where all are below.
    /// Whether a consumer may see it yet is the caller's to decide.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn offset_for_timestamp(&self, timestamp: Millis) -> Result<Option<TimestampOffset>, LookupError> {
        self.check_open()?;
        self.over_segments(|segments| self.past_damage(segments, || first_of(segments, timestamp, self.log_start())))
    }

    /// The first record with the largest timestamp of the log; none in a log without records that have one.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampOffset>, LookupError> {
        self.check_open()?;
        let log_start = self.log_start();
        let best = self.over_segments(|segments| {
            let mut best: Option<Millis> = None;
            for segment in segments {
                let largest = segment.sure_largest_timestamp().map_err(|error| ReadError::of(segment, error))?;
                best = best.max(largest.map(|largest| largest.timestamp));
            }
            Ok::<_, LookupError>(best)
        })?;
        match best {
            Some(best) if best.0 >= 0 && log_start < self.log_end() => self.offset_for_timestamp(best),
            _ => Ok(None),
        }
    }

    fn check_open(&self) -> Result<(), LookupError> {
        if self.state() == LogState::Closed { Err(ReadError::Closed) } else { Ok(()) }
    }
}

fn first_of(
    segments: &[Arc<Segment>],
    timestamp: Millis,
    from: Offset,
) -> Result<Option<TimestampOffset>, LookupError> {
    for segment in segments {
        let failed = |error| ReadError::of(segment, error);
        let largest = segment.sure_largest_timestamp().map_err(failed)?;
        if largest.is_none_or(|largest| largest.timestamp < timestamp) {
            continue;
        }
        let start = segment.start_for_timestamp(timestamp, from)?;
        if let Some(found) = find_from(segment, start, timestamp, from).map_err(failed)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn find_from(
    segment: &Segment,
    start: u64,
    timestamp: Millis,
    from: Offset,
) -> Result<Option<TimestampOffset>, WalkError> {
    let mut found = None;
    segment.walk(start, |file, placed| {
        let header = &placed.header;
        if header.max_timestamp >= timestamp && header.last_offset() >= from {
            let record = first_record_from(&batch_bytes(file, &placed)?, timestamp, from);
            found = record.map(|(timestamp, offset)| TimestampOffset {
                timestamp,
                offset,
                epoch: header.partition_leader_epoch,
            });
        }
        Ok::<_, WalkError>(found.is_none())
    })?;
    Ok(found)
}

/// The bytes of a batch, which lies wholly in the file.
pub(super) fn batch_bytes(file: &dyn DiskFile, placed: &Placed) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; placed.header.size_in_bytes()];
    file.read_exact_at(&mut bytes, placed.position)?;
    Ok(bytes)
}
