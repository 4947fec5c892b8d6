//! Rolling: closing the active segment and beginning the next.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
};

use ottla_records::BatchHeader;
use ottla_types::{Millis, Offset, TopicPartition};

use super::{Log, Writer};
use crate::{
    LogConfig,
    checkpoint::write_plain,
    producer_state::write_snapshot,
    segment::{
        Active, Segment,
        name::{FileKind, file_name},
    },
};

/// Whether `batch` should go to a new segment.
fn is_due(active: &Active, batch: &BatchHeader, config: &LogConfig, jitter_ms: i64, now: Millis) -> bool {
    if !active.fits_offset(batch.last_offset()) {
        return true;
    }
    if active.size == 0 {
        return false;
    }
    let age_ms = match active.first_timestamp {
        Some(first) if first.0 >= 0 => batch.max_timestamp.since(first),
        _ => now.since(active.created),
    };
    active.size + batch.size_in_bytes() as u64 > u64::from(config.segment_bytes)
        || age_ms > config.segment_age_max_ms().saturating_sub(jitter_ms)
        || active.index_full(config)
}

impl Log {
    pub(super) fn roll_if_due(&self, writer: &mut Writer, batch: &BatchHeader, now: Millis) -> io::Result<()> {
        let config = self.config.load();
        let jitter_ms = writer.roll_jitter_ms;
        let due = writer.active.with_active(|active| is_due(active, batch, &config, jitter_ms, now));
        if due == Some(true) { self.roll_to(writer, batch.base_offset, now) } else { Ok(()) }
    }

    /// Closes the active segment and begins a new one at the log end, unless the active one is empty. The closed
    /// segment is flushed in the background.
    ///
    /// # Errors
    /// As the file system says; the active segment then stays.
    pub fn roll(&self, now: Millis) -> io::Result<()> {
        let mut writer = self.writer.lock();
        if writer.active.with_active(|active| active.size) == Some(0) {
            return Ok(());
        }
        self.roll_to(&mut writer, self.log_end(), now)
    }

    /// An empty active segment that cannot take the batch gives way to the new one.
    pub(super) fn roll_to(&self, writer: &mut Writer, base: Offset, now: Millis) -> io::Result<()> {
        let old = Arc::clone(&writer.active);
        let empty = old.with_active(|active| active.size) == Some(0);
        if empty && old.base() == base {
            return Ok(()); // a batch whose own span is too large for any segment
        }
        old.finish_indexes()?;
        let next = Arc::new(Segment::create(&self.env.handles, &self.dir, base, now)?);
        self.unsynced_names.note();
        let mut segments = Vec::clone(&self.segments.load());
        if empty {
            segments.pop();
        }
        segments.push(Arc::clone(&next));
        self.segments.store(Arc::new(segments));
        old.seal();
        writer.active = next;
        writer.roll_jitter_ms = jitter_ms(&self.config.load(), &self.partition, base);
        self.after_roll(writer, &old, empty, base);
        Ok(())
    }

    fn after_roll(&self, writer: &mut Writer, old: &Segment, empty: bool, base: Offset) {
        let partition = &self.partition;
        if empty {
            if let Err(error) = old.remove() {
                tracing::warn!(%partition, %error, "an empty segment was not removed");
            }
            return;
        }
        if let Err(error) = self.write_snapshot(writer, base) {
            tracing::warn!(%partition, %error, "no producer snapshot was written; a restart replays more");
        }
        if let Some(log) = self.shared() {
            self.env.flusher.flush_sealed_soon(&log);
        }
    }

    /// Writes the producer state as of `at`, which is the end of what the state has seen. The next flush makes it
    /// durable; one that a crash tears before is known by its checksum, and an older one takes its place.
    pub(super) fn write_snapshot(&self, writer: &mut Writer, at: Offset) -> io::Result<()> {
        if writer.snapshot_at == Some(at) {
            return Ok(());
        }
        let name = file_name(at, FileKind::Snapshot);
        write_plain(self.disk(), &self.dir.join(name), &write_snapshot(&writer.producers))?;
        writer.snapshot_at = Some(at);
        self.snapshots_dirty.lock().push(at);
        self.unsynced_names.note();
        Ok(())
    }
}

/// What is taken off `segment.ms` for the segment that begins at `base`: up to `segment.jitter.ms`, different from
/// partition to partition and from segment to segment, the same whenever it is asked for.
pub(super) fn jitter_ms(config: &LogConfig, partition: &TopicPartition, base: Offset) -> i64 {
    let most = config.segment_jitter_ms.clamp(0, config.segment_age_max_ms().max(0));
    if most == 0 {
        return 0;
    }
    let mut hasher = DefaultHasher::new(); // fixed keys
    partition.hash(&mut hasher);
    base.hash(&mut hasher);
    (hasher.finish() % most as u64) as i64
}
