//! Looking at a compaction from outside: both brokers write the same checkpoint when they are done with a partition.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::parameters::PARTITIONS;

/// Settings of a topic that is to be compacted: many segments, all of them due at once.
pub(crate) const TOPIC: [&str; 2] = ["segment.bytes=16777216", "min.cleanable.dirty.ratio=0.001"];
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(5);

/// The closed segments of a topic.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// Where the active segment of each partition begins.
    ends: BTreeMap<i32, u64>,
}

impl Closed {
    /// What is there now.
    pub(crate) fn look(data: &Path, topic: &str) -> Result<Closed> {
        let mut closed = Closed { bytes: 0, ends: BTreeMap::new() };
        for partition in 0..PARTITIONS {
            let mut logs = BTreeMap::new();
            for entry in fs::read_dir(data.join(format!("{topic}-{partition}")))? {
                let path = entry?.path();
                if path.extension() == Some(OsStr::new("log")) {
                    let base: u64 = path.file_stem().and_then(OsStr::to_str).context("no name")?.parse()?;
                    logs.insert(base, fs::metadata(&path).map_or(0, |file| file.len()));
                }
            }
            let (end, _) = logs.pop_last().context("no segment")?;
            closed.ends.insert(partition, end);
            closed.bytes += logs.values().sum::<u64>();
        }
        ensure!(closed.bytes > 0, "nothing to compact");
        Ok(closed)
    }

    /// Returns when the cleaner's checkpoint says of every partition that all of these segments are clean.
    pub(crate) fn wait_until_clean(&self, data: &Path, topic: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let text = fs::read_to_string(data.join("cleaner-offset-checkpoint")).unwrap_or_default();
            let is_clean = |(partition, end): (&i32, &u64)| {
                let prefix = format!("{topic} {partition} ");
                let offset = text.lines().find_map(|line| line.strip_prefix(&prefix)?.parse::<u64>().ok());
                offset.is_some_and(|offset| offset >= *end)
            };
            if self.ends.iter().all(is_clean) {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                bail!("not compacted: {text}");
            }
            std::thread::sleep(LOOK);
        }
    }
}
