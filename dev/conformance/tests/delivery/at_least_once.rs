//! At least once: the offset is committed after the records are processed.
//!
//! Killed at the gate, the program has processed records that it has not said it is done with. Its successor begins before
//! them: they are processed again, and none is ever lost.

use anyhow::Result;
use rdkafka::consumer::{CommitMode, Consumer};

use crate::client::{Place, gate};

pub(crate) fn run(place: &Place) -> Result<()> {
    let (mut input, producer) = (place.input()?, place.producer(&[])?);
    while let Some(batch) = input.next()? {
        place.process(&producer, &batch)?;
        gate()?;
        input.consumer.commit(&place.behind(&batch)?, CommitMode::Sync)?;
    }
    Ok(())
}
