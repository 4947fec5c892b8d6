//! A producer that remembers what was acknowledged, on a stage.

use std::time::Duration;

use anyhow::Result;
use ottla_conformance::careful;

use super::stage::{Stage, TOPIC};

/// See the file's head.
pub(crate) struct Careful(careful::Careful);

impl Careful {
    /// An idempotent producer that gives a record up after `timeout`.
    pub(crate) fn new(stage: &Stage, timeout: Duration) -> Result<Self> {
        careful::Careful::new(&stage.bootstrap()?, TOPIC, timeout).map(Self)
    }

    pub(crate) fn send(&mut self, partition: i32, size: usize) -> Result<()> {
        self.0.send(partition, size)
    }

    pub(crate) fn finish(&self) -> Result<()> {
        self.0.finish()
    }

    pub(crate) fn acknowledged(&self, partition: i32) -> usize {
        self.0.acknowledged(partition)
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.0.outstanding()
    }

    pub(crate) fn refused(&self) -> usize {
        self.0.refused()
    }

    /// Everything that was acknowledged is there, at its offset, in order, and nothing twice.
    pub(crate) fn check(&self, stage: &Stage, partition: i32) -> Result<()> {
        let acknowledged = self.0.of(partition);
        let Some((last, _)) = acknowledged.last() else { return Ok(()) };
        careful::check(partition, &acknowledged, &stage.values(partition, usize::try_from(*last)? + 1)?)
    }
}
