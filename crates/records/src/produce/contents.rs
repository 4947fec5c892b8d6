//! What the records of a produced batch must be: places that count up, keys where wanted, timestamps in range.
//!
//! Invariant: every record is looked at before the batch is refused, so that the answer can name all that are at fault.

use ottla_types::{Millis, TimestampType};

use super::{FaultyRecord, ProduceRejection, ProduceRules, RecordFault};
use crate::{
    BatchHeader,
    walk::{Shape, walk},
};

/// Highest timestamp and the offset delta of the record that has it first.
#[derive(Clone, Copy)]
pub(super) struct Latest {
    pub(super) timestamp: Millis,
    pub(super) offset_delta: i32,
}

/// Walks over the records: the highest timestamp, or what is wrong.
pub(super) fn check_records(
    header: &BatchHeader,
    body: &[u8],
    rules: &ProduceRules,
    now: Millis,
) -> Result<Latest, ProduceRejection> {
    let mut check = RecordCheck::new(header, rules, now);
    walk(header, body, |record| check.visit(record))?;
    check.end()
}

/// Takes the header's word for its records: the highest timestamp, if that is in range.
pub(super) fn trust_header(
    header: &BatchHeader,
    rules: &ProduceRules,
    now: Millis,
) -> Result<Latest, ProduceRejection> {
    let times = Times::of(rules, now);
    if times.claimed_append_time(header) {
        return Err(ProduceRejection::AppendTimeClaimed);
    }
    if !times.allow(header.max_timestamp) {
        return Err(ProduceRejection::MaxTimestamp(header.max_timestamp));
    }
    Ok(Latest { timestamp: header.max_timestamp, offset_delta: header.last_offset_delta })
}

/// Which timestamps are allowed.
#[derive(Clone, Copy)]
struct Times {
    kind: TimestampType,
    from: Millis,
    to: Millis,
}

impl Times {
    fn of(rules: &ProduceRules, now: Millis) -> Self {
        let from = Millis(now.0.saturating_sub(rules.timestamp_before_max_ms));
        Self { kind: rules.timestamp_type, from, to: now.plus(rules.timestamp_after_max_ms) }
    }

    #[inline]
    fn allow(self, timestamp: Millis) -> bool {
        self.kind == TimestampType::LogAppendTime
            || (self.from..=self.to).contains(&timestamp)
            || timestamp == Millis::NONE
    }

    /// Append time is the broker's to set. A topic with the producers' times just clears the bit.
    fn claimed_append_time(self, header: &BatchHeader) -> bool {
        self.kind == TimestampType::LogAppendTime && header.attributes.timestamp_type() == self.kind
    }
}

/// Gathers what is wrong with single records while they pass by.
struct RecordCheck {
    times: Times,
    claimed_append_time: bool,
    base_timestamp: Millis,
    compacted: bool,
    index: i32,
    latest: Latest,
    faults: i32,
    first_faults: Vec<FaultyRecord>,
}

impl RecordCheck {
    fn new(header: &BatchHeader, rules: &ProduceRules, now: Millis) -> Self {
        let times = Times::of(rules, now);
        Self {
            times,
            claimed_append_time: times.claimed_append_time(header),
            base_timestamp: header.base_timestamp,
            compacted: rules.compacted,
            index: 0,
            latest: Latest { timestamp: Millis::NONE, offset_delta: 0 },
            faults: 0,
            first_faults: Vec::new(),
        }
    }

    #[inline]
    fn visit(&mut self, record: Shape) {
        let timestamp = self.base_timestamp.plus(record.timestamp_delta);
        if record.offset_delta != self.index {
            self.fault(RecordFault::OffsetDelta(record.offset_delta));
        } else if self.compacted && !record.has_key {
            self.fault(RecordFault::NoKey);
        } else if !self.times.allow(timestamp) {
            self.fault(RecordFault::Timestamp { timestamp, from: self.times.from, to: self.times.to });
        }
        if timestamp > self.latest.timestamp {
            self.latest = Latest { timestamp, offset_delta: record.offset_delta };
        }
        self.index += 1;
    }

    #[cold]
    fn fault(&mut self, fault: RecordFault) {
        self.faults += 1;
        if self.first_faults.len() < ProduceRejection::FAULTS_MAX {
            self.first_faults.push(FaultyRecord { batch_index: self.index, fault });
        }
    }

    fn end(self) -> Result<Latest, ProduceRejection> {
        if self.faults > 0 {
            return Err(ProduceRejection::Records { total: self.faults, first: self.first_faults });
        }
        if self.claimed_append_time {
            return Err(ProduceRejection::AppendTimeClaimed);
        }
        Ok(self.latest)
    }
}
