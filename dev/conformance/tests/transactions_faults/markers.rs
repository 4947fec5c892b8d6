//! The broker is killed when the end of a transaction is decided, and some of its markers are written and others not.
//!
//! A kill leaves a prefix of every log. So the broker is killed when all is written, and the logs are cut to what a kill at the
//! moment in question leaves: each of these moments is had, and none is left to chance.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ottla_conformance::crew::Story;
use ottla_conformance::groups::wait;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Body, Broker, Suite, dump};
use ottla_records::Batches;

use crate::drain::{await_closed, drain, fetch_offsets};
use crate::raw::{Transactional, Version};

/// One log each of transactions and of groups, and nothing that vouches for more than the cut leaves.
const PROPERTIES: [(&str, &str); 3] = [
    ("transaction.state.log.num.partitions", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("log.flush.offset.checkpoint.interval.ms", "3600000"),
];
const PARTITIONS: i32 = 2;
/// Logs that get a marker: two partitions, and the group's.
const MARKED: usize = 3;

/// Logs, and how long they were before the end of the transaction was asked for.
struct Logs {
    marked: Vec<(PathBuf, u64)>,
    /// That of the coordinator.
    state: (PathBuf, u64),
}

pub(crate) fn run(suite: &mut Suite, seed: u64) {
    let cases = [Version::One, Version::Two].into_iter().map(|version| {
        let name = format!("broker_killed_between_markers_version_{version:?}_seed_{seed}").to_lowercase();
        let own = name.clone();
        let case: Body<'_> = Box::new(move || killed(version, &own));
        (name, case)
    });
    suite.together(cases.collect());
}

fn killed(version: Version, name: &str) -> Result<()> {
    let mut broker = Broker::start(&[&crate::PROPERTIES[..], &PROPERTIES].concat())?;
    let (story, topic) = (Arc::<Story>::default(), broker.topic("marked"));
    create_topic(&broker.bootstrap(), &topic, PARTITIONS, &[])?;
    let mut it = Transactional::new(&broker.bootstrap(), &story, version, &topic)?;
    let mut offset = 0;
    for commits in [true, false] {
        for written in 0..1 << MARKED {
            offset += 1;
            let is_written = |log: usize| written >> log & 1 == 1;
            transaction(&mut broker, &mut it, (commits, offset), is_written)?;
            fetch_offsets(&story, &broker.bootstrap(), &it.group, &topic, 1)?;
        }
    }
    drain(&story, &broker.bootstrap(), &topic, PARTITIONS)?;
    println!("  {}", story.check(name)?);
    broker.stop()?;
    dump::judge_all(&broker.data()).map(drop)
}

/// One that is decided, and after the kill has its marker only in those of its logs of which `is_written` says so.
fn transaction(
    broker: &mut Broker,
    it: &mut Transactional,
    (commits, offset): (bool, i64),
    is_written: impl Fn(usize) -> bool,
) -> Result<()> {
    it.say("begin");
    it.send(0)?;
    it.send(1)?;
    it.offset(offset)?;
    let logs = Logs::of(broker, it)?;
    it.end(commits)?;
    logs.await_completed()?;
    broker.kill()?;
    logs.cut(is_written)?;
    broker.start_again()?;
    it.reconnect()?;
    // Nobody asks for it again.
    await_closed(&broker.bootstrap(), &it.topic, PARTITIONS)
}

impl Logs {
    fn of(broker: &Broker, it: &Transactional) -> Result<Logs> {
        let log = |folder: String| -> Result<(PathBuf, u64)> {
            let path = broker.data().join(folder).join("00000000000000000000.log");
            let length = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
            Ok((path, length))
        };
        let folders = [format!("{}-0", it.topic), format!("{}-1", it.topic), "__consumer_offsets-0".to_owned()];
        let marked = folders.into_iter().map(log).collect::<Result<_>>()?;
        Ok(Logs { marked, state: log("__transaction_state-0".to_owned())? })
    }

    /// Waits until the coordinator has written that the transaction is complete; all markers are written then.
    fn await_completed(&self) -> Result<()> {
        let (path, length) = &self.state;
        wait("a transaction to be complete", || Ok(ends(path, *length)?.len() > 1), || path.display().to_string())
    }

    /// The coordinator has written what is decided and nothing else, and markers are where `is_written` says so.
    fn cut(&self, is_written: impl Fn(usize) -> bool) -> Result<()> {
        let (state, length) = &self.state;
        truncate(state, *ends(state, *length)?.first().context("nothing was decided")?)?;
        for (log, (path, length)) in self.marked.iter().enumerate() {
            let markers = ends(path, *length)?.len();
            ensure!(markers == 1, "{markers} markers in {}", path.display());
            if !is_written(log) {
                truncate(path, *length)?;
            }
        }
        Ok(())
    }
}

/// Where the batches end that begin at `from` or behind it, whole ones only.
fn ends(path: &Path, from: u64) -> Result<Vec<u64>> {
    let bytes = fs::read(path)?;
    let behind = bytes.get(from as usize..).context("a log has become shorter")?;
    let whole = Batches::new(behind).map_while(Result::ok);
    Ok(whole
        .scan(from, |end, batch| {
            *end += batch.bytes().len() as u64;
            Some(*end)
        })
        .collect())
}

fn truncate(path: &Path, length: u64) -> Result<()> {
    Ok(OpenOptions::new().write(true).open(path)?.set_len(length)?)
}
