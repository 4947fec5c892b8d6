//! Exactly once: outputs and offset are committed together, in a transaction.
//!
//! Killed at the gate, the program leaves a transaction that nobody will commit. Its successor has the same transactional
//! id, and the first thing that this does is to abort what was left: the outputs are not seen, and the offset stands where
//! it stood.

use anyhow::{Context, Result};
use ottla_conformance::rust_client::PATIENCE;
use rdkafka::consumer::Consumer;
use rdkafka::producer::Producer;

use crate::client::{Place, gate};

pub(crate) fn run(place: &Place) -> Result<()> {
    let producer = place.producer(&[("transactional.id", &place.group)])?;
    producer.init_transactions(PATIENCE)?;
    let mut input = place.input()?;
    let group = input.consumer.group_metadata().context("no group")?;
    while let Some(batch) = input.next()? {
        producer.begin_transaction()?;
        place.process(&producer, &batch)?;
        producer.send_offsets_to_transaction(&place.behind(&batch)?, &group, PATIENCE)?;
        gate()?;
        producer.commit_transaction(PATIENCE)?;
    }
    Ok(())
}
