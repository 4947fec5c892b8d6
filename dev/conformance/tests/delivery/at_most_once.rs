//! At most once: the offset is committed before the records are processed.
//!
//! Killed at the gate, the program has said that it is done with records that it has not touched. Its successor begins behind
//! them: they are lost, and none is ever processed twice.

use anyhow::Result;
use rdkafka::consumer::{CommitMode, Consumer};

use crate::client::{Place, gate};

pub(crate) fn run(place: &Place) -> Result<()> {
    let (mut input, producer) = (place.input()?, place.producer(&[])?);
    while let Some(batch) = input.next()? {
        input.consumer.commit(&place.behind(&batch)?, CommitMode::Sync)?;
        gate()?;
        place.process(&producer, &batch)?;
    }
    Ok(())
}
