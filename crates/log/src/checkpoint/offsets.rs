//! Checkpoints of one offset per partition: `0`, the count, then `<topic> <partition> <offset>` per line.

use std::{collections::HashMap, fmt::Write, io, path::Path};

use ottla_disk::Disk;
use ottla_types::{Offset, PartitionIndex, TopicName, TopicPartition};

use super::{CheckpointError, read_lines, write_atomic};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetCheckpoint {
    /// Below it everything is durable.
    RecoveryPoint,
    /// First offset that can be read, where that is not the first of a segment.
    LogStart,
    /// High watermark.
    HighWatermark,
    /// Up to where compaction has been.
    Cleaner,
}

impl OffsetCheckpoint {
    /// Name of the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RecoveryPoint => "recovery-point-offset-checkpoint",
            Self::LogStart => "log-start-offset-checkpoint",
            Self::HighWatermark => "replication-offset-checkpoint",
            Self::Cleaner => "cleaner-offset-checkpoint",
        }
    }

    /// Replaces the file in `dir`.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn write(self, disk: &dyn Disk, dir: &Path, entries: &[(TopicPartition, Offset)]) -> io::Result<()> {
        let mut text = format!("0\n{}\n", entries.len());
        for (partition, offset) in entries {
            // writing to a string cannot fail
            let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
        }
        write_atomic(disk, &dir.join(self.name()), text.as_bytes())
    }

    /// The entries of the file in `dir`, none where there is no file.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub(crate) fn read(self, disk: &dyn Disk, dir: &Path) -> Result<HashMap<TopicPartition, Offset>, CheckpointError> {
        Ok(read_lines(disk, &dir.join(self.name()), parse)?.unwrap_or_default().into_iter().collect())
    }
}

fn parse(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split_ascii_whitespace();
    let topic = TopicName::new(words.next()?).ok()?;
    let partition = PartitionIndex(words.next()?.parse().ok()?);
    let offset = Offset(words.next()?.parse().ok()?);
    words.next().is_none().then_some((TopicPartition { topic, partition }, offset))
}
