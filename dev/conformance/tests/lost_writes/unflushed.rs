//! Records that were acknowledged before they were on the disk.

use anyhow::{Result, ensure};
use ottla_conformance::careful::Careful;
use ottla_testkit::Dice;

use super::machine::{Machine, TOPIC};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 2_000;
/// Records of a partition after which one waits for the disk.
const EVERY: usize = 200;

/// Sends records and waits for their acknowledgements; what was sent to each partition.
fn produced(machine: &Machine, config: &[(&str, &str)]) -> Result<Vec<Vec<Vec<u8>>>> {
    machine.create_topic(TOPIC, PARTITIONS, config)?;
    let mut producer = Careful::new(&machine.bootstrap(), TOPIC, std::time::Duration::from_secs(60))?;
    for number in 0..RECORDS {
        producer.send(number as i32 % PARTITIONS, 300)?;
    }
    producer.finish()?;
    ensure!(producer.all_acknowledged() == RECORDS, "not all is acknowledged");
    let values = |partition| producer.of(partition).into_iter().map(|(_, value)| value).collect();
    Ok((0..PARTITIONS).map(values).collect())
}

/// How many are left of each partition, which must be the first ones.
fn left(machine: &Machine, sent: &[Vec<Vec<u8>>]) -> Result<Vec<usize>> {
    let found = machine.values(PARTITIONS)?;
    for ((partition, found), sent) in found.iter().enumerate().zip(sent) {
        ensure!(sent.starts_with(found), "partition {partition}: not a prefix of what was sent");
    }
    Ok(found.iter().map(Vec::len).collect())
}

/// The file system does lose what was not synced: without this, the other cases would say nothing.
pub(crate) fn all_of_them() -> Result<()> {
    let mut machine = Machine::start(&[])?;
    let sent = produced(&machine, &[])?;
    machine.power_cut(None, false)?;
    machine.start_again()?;
    ensure!(left(&machine, &sent)? == vec![0; PARTITIONS as usize], "records that nobody flushed are there");
    machine.stop()
}

/// With a flush for every so many records fewer than that are lost of a partition, and the last ones.
pub(crate) fn some_of_them(mut dice: Dice) -> Result<()> {
    for _ in 0..3 {
        let mut machine = Machine::start(&[])?;
        let sent = produced(&machine, &[("flush.messages", &EVERY.to_string())])?;
        machine.power_cut(Some(dice.throw()), dice.coin())?;
        machine.start_again()?;
        let left = left(&machine, &sent)?;
        println!("of {} records in each of {PARTITIONS} partitions are left {left:?}", sent[0].len());
        ensure!(left.iter().zip(&sent).all(|(left, sent)| left + EVERY > sent.len()), "more are lost than may be");
        machine.stop()?;
    }
    Ok(())
}
