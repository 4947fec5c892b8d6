//! Clean stops.

use std::time::Duration;

use anyhow::{Result, ensure};
use ottla_conformance::{
    careful::{self, Careful},
    dump,
};

use super::machine::{Machine, TOPIC};

const PARTITIONS: i32 = 12;

/// Nothing was flushed before the stop; after it the power is cut.
pub(crate) fn stop() -> Result<()> {
    let mut machine = Machine::start(&[])?;
    machine.create_topic(TOPIC, PARTITIONS, &[])?;
    let mut producer = Careful::new(&machine.bootstrap(), TOPIC, Duration::from_secs(60))?;
    for number in 0..6_000 {
        producer.send(number % PARTITIONS, 300)?;
    }
    producer.finish()?;
    ensure!(producer.refused() == 0);
    machine.stop()?;
    machine.power_cut_at_rest()?;
    ensure!(machine.data().join(".kafka_cleanshutdown").is_file(), "the stop is not marked as clean");
    let found = dump::judge_all(&machine.data())?;
    let records: u64 = found.values().map(|partition| partition.records).sum();
    ensure!(records == 6_000 && found.values().all(|partition| partition.index_entries > 0), "{found:?}");
    machine.start_again()?;
    for (partition, values) in (0..).zip(&machine.values(PARTITIONS)?) {
        careful::check(partition, &producer.of(partition), values)?;
    }
    machine.stop()
}
