//! Retention of one log: what is too old or too many leaves the log by a move of its start.

use std::{io, sync::Arc};

use ottla_types::{Millis, Offset};

use super::{CutError, Log, LogState};
use crate::{
    retention::{self, Expiry, LogFacts, Reason, SegmentFacts},
    segment::{LargestTimestamp, Segment, walk::WalkError},
};

/// Segments that have left the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Where the log begins now.
    pub start: Offset,
    /// Why the newest of them went.
    pub reason: Reason,
}

impl Log {
    /// Moves the log start behind the segments that `retention.ms` and `retention.bytes` let go; their files go with
    /// [`LogDirs::remove_old_segments`](crate::LogDirs::remove_old_segments). None where all may stay, and where the log is
    /// not whole: then nothing of it is thrown away.
    ///
    /// # Errors
    /// The disk failed, or the log was closed meanwhile.
    pub fn expire_segments(&self, now: Millis) -> Result<Option<Expired>, CutError> {
        if self.state() != LogState::Online || !self.config.load().cleanup.delete {
            return Ok(None);
        }
        let facts = self.facts(now)?;
        let Some(Expiry { start, roll, reason }) = retention::plan(&facts, &self.config.load(), now) else {
            return Ok(None);
        };
        if roll && !self.roll_at(start, now)? {
            return Ok(None); // somebody appended: the active segment is not too old any more
        }
        Ok(Some(Expired { start: self.raise_log_start(start)?, reason }))
    }

    fn facts(&self, now: Millis) -> io::Result<LogFacts> {
        // Offsets before segments: the list holds every segment that lies below them.
        let (log_start, high_watermark, log_end) = (self.log_start(), self.high_watermark(), self.log_end());
        let oldest = self.config.load().retention_ms.map(|retention_ms| now.plus(-retention_ms));
        let segments =
            self.over_segments(|segments| segments.iter().map(|segment| facts_of(segment, oldest)).collect())?;
        Ok(LogFacts { segments, log_start, high_watermark, log_end })
    }

    /// Closes the active segment at the log end; false where that is not `end` any more.
    fn roll_at(&self, end: Offset, now: Millis) -> io::Result<bool> {
        let mut writer = self.writer.lock();
        if self.log_end() != end {
            return Ok(false);
        }
        self.roll_to(&mut writer, end, now)?;
        Ok(true)
    }
}

fn facts_of(segment: &Arc<Segment>, oldest: Option<Millis>) -> io::Result<SegmentFacts> {
    let mut largest = time_of(segment.largest_timestamp())?;
    let is_old = |time: Option<Millis>| time.zip(oldest).is_some_and(|(time, oldest)| time < oldest);
    // No segment goes because of what an index says that nobody compared: neither one with a wrong entry, nor one that lost
    // its last, which shows in that the file is younger.
    if is_old(largest) {
        largest = time_of(segment.sure_largest_timestamp())?;
        if !is_old(segment.modified()?) {
            largest = time_of(segment.largest_timestamp_of_batches())?;
        }
    }
    let newest = if largest.is_some() { largest } else { segment.modified()? };
    Ok(SegmentFacts { base: segment.base(), size: segment.size()?, newest })
}

/// A segment that cannot be walked over for its times is as old as its file.
fn time_of(largest: Result<Option<LargestTimestamp>, WalkError>) -> io::Result<Option<Millis>> {
    match largest {
        Ok(largest) => Ok(largest.map(|largest| largest.timestamp).filter(|timestamp| timestamp.0 >= 0)),
        Err(WalkError::Io(error)) => Err(error),
        Err(WalkError::Bad { .. }) => Ok(None),
    }
}
