//! Records that were acknowledged after a flush.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use ottla_conformance::careful::{self, Careful};
use ottla_testkit::Dice;

use super::machine::{FLUSHED, Machine, TOPIC};

/// Power cuts in a case.
const CUTS: usize = 5;
/// Bytes of a record.
const SIZE: usize = 300;
/// For which the producer must not have given up over all cuts.
const PATIENCE: Duration = Duration::from_secs(120);

/// One producer sends all the time; at random moments the power is cut. After each cut everything is there that was
/// acknowledged before.
pub(crate) fn of(partitions: i32, mut dice: Dice) -> Result<()> {
    let mut machine = Machine::start(&[])?;
    machine.create_topic(TOPIC, partitions, &FLUSHED)?;
    let producer = Mutex::new(Careful::new(&machine.bootstrap(), TOPIC, PATIENCE)?);
    let ends = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&producer, partitions, &ends));
        let cut = cuts(&mut machine, &producer, partitions, &mut dice);
        ends.store(true, Ordering::Release);
        let sent = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        cut.and(sent)
    });
    result?;
    let producer = producer.into_inner().unwrap_or_else(PoisonError::into_inner);
    producer.finish()?;
    ensure!(producer.refused() == 0, "{} records were given up", producer.refused());
    check(&machine, &producer, partitions)?;
    println!("{} records in {partitions} partitions, {CUTS} power cuts", producer.all_acknowledged());
    machine.stop()
}

fn send(producer: &Mutex<Careful>, partitions: i32, ends: &AtomicBool) -> Result<()> {
    for number in 0.. {
        if ends.load(Ordering::Acquire) {
            break;
        }
        let mut producer = producer.lock().unwrap_or_else(PoisonError::into_inner);
        producer.send(number % partitions, SIZE)?;
        drop(producer);
        // A few thousand a second: enough to have some on their way at each moment.
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn cuts(machine: &mut Machine, producer: &Mutex<Careful>, partitions: i32, dice: &mut Dice) -> Result<()> {
    for cut in 0..CUTS {
        let before = acknowledged(producer, partitions).iter().map(Vec::len).sum::<usize>();
        let enough = before + 20 + dice.below(1_000) as usize;
        let begin = std::time::Instant::now();
        while producer.lock().unwrap_or_else(PoisonError::into_inner).all_acknowledged() < enough {
            ensure!(begin.elapsed() < PATIENCE, "nothing is acknowledged any more");
            std::thread::sleep(Duration::from_millis(1 + dice.below(10)));
        }
        machine.power_cycle(dice).with_context(|| format!("power cut {cut}"))?;
        // What was on its way before the cut may be acknowledged now; it was not then.
        let known = acknowledged(producer, partitions);
        let values = machine.values(partitions)?;
        for ((partition, acknowledged), values) in (0..).zip(&known).zip(&values) {
            careful::check(partition, acknowledged, values).with_context(|| format!("after power cut {cut}"))?;
        }
    }
    Ok(())
}

type Acknowledged = Vec<(i64, Vec<u8>)>;

fn acknowledged(producer: &Mutex<Careful>, partitions: i32) -> Vec<Acknowledged> {
    let producer = producer.lock().unwrap_or_else(PoisonError::into_inner);
    (0..partitions).map(|partition| producer.of(partition)).collect()
}

fn check(machine: &Machine, producer: &Careful, partitions: i32) -> Result<()> {
    for (partition, values) in (0..).zip(&machine.values(partitions)?) {
        careful::check(partition, &producer.of(partition), values)?;
    }
    Ok(())
}
