//! Kafka's dump tool over a stopped broker's files, and a judgement of what it prints.
//!
//! The tool exits with 0 whatever it finds, so its words count. Invariants: a line of a kind that is not known to be good
//! is a defect; every batch is valid; offsets in a partition's segments go up, without a gap unless the partition is compacted,
//! within a batch and between batches; every index entry points into its segment.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ottla_peer::java::Jars;
use ottla_peer::run;

const TOOL: &str = "org.apache.kafka.tools.DumpLogSegments";
const DEADLINE: Duration = Duration::from_secs(300);
/// Files of one run: Linux takes no argument over 128 KiB, and a path here has 320 bytes at most.
const FILES_MAX: usize = 400;
/// What the names of topics begin with that are compacted: those of the suites, and of Kafka's own tester.
const COMPACTED: [&str; 2] = ["compacted-", "log-cleaner-test-"];
const ENDINGS: [&str; 5] = ["log", "index", "timeindex", "txnindex", "snapshot"];

/// What the tool found in one partition's folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Records in all segments.
    pub records: u64,
    /// Batches in all segments.
    pub batches: u64,
    /// Segment files.
    pub segments: u64,
    /// Entries of offset indexes.
    pub index_entries: u64,
    /// Entries of time indexes.
    pub time_index_entries: u64,
    /// Producers in all snapshots.
    pub snapshot_producers: u64,
    /// The offset after the last record.
    pub end_offset: u64,
}

/// Runs the tool over every partition below `data`; what it found by folder name, nothing where there is no partition, or
/// an error naming the first defect.
pub fn judge_all(data: &Path) -> Result<BTreeMap<String, Partition>> {
    let files = files_of(data)?;
    if files.is_empty() {
        return Ok(BTreeMap::new());
    }
    let jars = Jars::fetch()?;
    let mut judge = Judge::default();
    for some in files.chunks(FILES_MAX) {
        let list: Vec<_> = some.iter().map(|file| file.display().to_string()).collect();
        let mut tool = jars.tool(TOOL);
        tool.args(["--deep-iteration", "--files", &list.join(",")]);
        let output = run::run(&mut tool, DEADLINE)?.success()?;
        for line in output.all_text().lines() {
            judge
                .line(line)
                .with_context(|| format!("Kafka's dump tool says of {}: {line:?}", judge.file.display()))?;
        }
    }
    ensure!(judge.files == files.len(), "the tool read {} of {} files", judge.files, files.len());
    Ok(judge.partitions)
}

/// The files the tool understands, in partition folders only, segments of a partition in order of their offsets.
fn files_of(data: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(data)? {
        let folder = folder?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Kafka keeps its metadata as a partition too; it is no topic of a test, and neither is what waits for its deletion.
        if name.starts_with("__") || name.ends_with("-delete") || !folder.join("partition.metadata").is_file() {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            if file.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending)) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the tool's output line by line.
#[derive(Debug, Default)]
struct Judge {
    file: PathBuf,
    files: usize,
    partitions: BTreeMap<String, Partition>,
    /// Records that the batch at hand announced and that have not been listed yet, and the next one's offset.
    records_left: u64,
    next_record: u64,
    /// The offset that the next batch of each partition must begin with.
    next_offset: BTreeMap<String, u64>,
    /// Base offset of the segment that the tool complains about: it expects each segment to begin at 0, so that a later
    /// segment that begins at its base offset is sound.
    complaint: Option<u64>,
    /// Whether that segment is of a compacted partition, which may have gaps. The tool complains at the end, of all files.
    complaint_is_of_compacted: bool,
}

impl Judge {
    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(path) = line.strip_prefix("Dumping ") {
            return self.begin_file(Path::new(path));
        }
        if let Some(path) = line.strip_prefix("Non-consecutive offsets in ") {
            let path = Path::new(path);
            self.complaint = path.file_stem().and_then(OsStr::to_str).and_then(|base| base.parse().ok());
            self.complaint_is_of_compacted = is_compacted(&partition_of(path));
            return self.complaint.map(drop).context("a segment without a base offset");
        }
        let compacted = self.complaint_is_of_compacted;
        if let Some((before, next)) = line.trim().split_once(" is followed by ").filter(|_| compacted) {
            let rises = before.parse::<i64>()? < next.parse::<i64>()?;
            return if rises { Ok(()) } else { bail!("offsets go back") };
        }
        if let Some(next) = line.trim().strip_prefix("-1 is followed by ") {
            ensure!(self.complaint == next.parse().ok(), "a segment does not begin at its base offset");
            return Ok(());
        }
        let ending = self.file.extension().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        let partition = self.partition_name();
        let found = self.partitions.entry(partition.clone()).or_default();
        match ending.as_str() {
            "log" if line.starts_with("Log starting offset: ") => Ok(()),
            "log" if line.starts_with("baseOffset: ") => self.batch(&partition, line),
            "log" if line.starts_with("| offset: ") => self.record(line),
            "index" if line.starts_with("offset: ") => {
                found.index_entries += 1;
                Ok(())
            }
            "timeindex" if line.starts_with("timestamp: ") => {
                found.time_index_entries += 1;
                Ok(())
            }
            // An index without entries is what a small segment has.
            "index" | "timeindex" | "txnindex" if line.ends_with(" is empty.") => Ok(()),
            "txnindex" if line.starts_with("version: ") => Ok(()),
            "snapshot" if line.starts_with("producerId: ") => {
                found.snapshot_producers += 1;
                Ok(())
            }
            _ => bail!("not a line of a sound file"),
        }
    }

    fn begin_file(&mut self, path: &Path) -> Result<()> {
        ensure!(self.records_left == 0, "{} records of the last batch are missing", self.records_left);
        self.file = path.to_owned();
        self.files += 1;
        if path.extension() == Some(OsStr::new("log")) {
            let partition = self.partition_name();
            self.partitions.entry(partition).or_default().segments += 1;
        }
        Ok(())
    }

    fn batch(&mut self, partition: &str, line: &str) -> Result<()> {
        ensure!(field(line, "isvalid") == Some("true"), "not valid");
        ensure!(self.records_left == 0, "{} records of the batch before are missing", self.records_left);
        let (base, last, count) = (number(line, "baseOffset")?, number(line, "lastOffset")?, number(line, "count")?);
        let compacted = self.is_compacted();
        ensure!(last + 1 == base + count || compacted && last + 1 >= base + count, "offsets and count do not agree");
        if let Some(expected) = self.next_offset.get(partition) {
            ensure!(base == *expected || compacted && base > *expected, "the batch should begin at {expected}");
        }
        self.next_offset.insert(partition.to_owned(), last + 1);
        (self.records_left, self.next_record) = (count, base);
        let found = self.partitions.entry(partition.to_owned()).or_default();
        found.records += count;
        found.batches += 1;
        found.end_offset = last + 1;
        Ok(())
    }

    fn record(&mut self, line: &str) -> Result<()> {
        let (offset, expected) = (number(line, "offset")?, self.next_record);
        ensure!(
            offset == expected || self.is_compacted() && offset > expected,
            "the record should have offset {expected}"
        );
        ensure!(self.records_left > 0, "a record more than the batch announced");
        self.next_record = offset + 1;
        self.records_left -= 1;
        Ok(())
    }

    fn is_compacted(&self) -> bool {
        is_compacted(&self.partition_name())
    }

    fn partition_name(&self) -> String {
        partition_of(&self.file)
    }
}

fn partition_of(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

fn is_compacted(partition: &str) -> bool {
    COMPACTED.iter().any(|prefix| partition.starts_with(prefix))
}

/// The word after `name:`.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find(|word| word.strip_suffix(':') == Some(name))?;
    words.next()
}

fn number(line: &str, name: &str) -> Result<u64> {
    let word = field(line, name).with_context(|| format!("no {name}"))?;
    word.parse().with_context(|| format!("{name} is {word:?}"))
}

#[cfg(test)]
mod tests;
