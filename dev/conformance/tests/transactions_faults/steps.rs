//! The broker is killed after each step of a transaction whose requests are sent one by one. Afterwards the client goes on with
//! the step that is next, or another one takes its place: then the transaction is aborted, and the client is told that it is late.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use ottla_conformance::crew::Story;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Broker, Suite};
use ottla_testkit::Dice;

use crate::drain::{await_closed, drain, fetch_offsets};
use crate::late::refused;
use crate::raw::{Transactional, Version};

/// How long EndTxn may be on its way when the broker is killed, in microseconds: until long after its answer would be there.
const ENDING_US: u64 = 6_000;
/// So often is it killed with EndTxn on its way: what the kill falls on is left to chance.
const ENDINGS: usize = 3;
const PARTITIONS: i32 = 2;

/// Steps of a transaction, in their order. The broker is killed when a step was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Init,
    AddPartitions,
    /// The first partition has its record, the second has none.
    ProduceFirst,
    ProduceSecond,
    AddOffsets,
    CommitOffsets,
    /// Killed before the answer, somewhere on the way to the last marker.
    Ending,
    End,
}

const ORDER: [Step; 8] = [
    Step::Init,
    Step::AddPartitions,
    Step::ProduceFirst,
    Step::ProduceSecond,
    Step::AddOffsets,
    Step::CommitOffsets,
    Step::Ending,
    Step::End,
];

/// Who asks when the broker is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The client, with the same producer id and epoch.
    Same,
    /// Another client with its transactional id.
    Successor,
}

/// One transaction.
struct Round {
    /// The broker is killed after this.
    at: Step,
    next: Next,
    commits: bool,
    offset: i64,
}

pub(crate) fn run(suite: &mut Suite, broker: &mut Broker, seed: u64) {
    for version in [Version::One, Version::Two] {
        let name = format!("broker_killed_step_by_step_version_{version:?}_seed_{seed}").to_lowercase();
        suite.case(&name, || killed(broker, version, seed, &name));
    }
}

fn killed(broker: &mut Broker, version: Version, seed: u64, name: &str) -> Result<()> {
    let (story, mut dice) = (Arc::<Story>::default(), Dice::new(seed));
    let topic = broker.topic("stepped");
    create_topic(&broker.bootstrap(), &topic, PARTITIONS, &[])?;
    let mut it = Transactional::new(&broker.bootstrap(), &story, version, &topic)?;
    let mut offset = 0;
    for at in ORDER.into_iter().filter(|step| step.is_of(version)) {
        for next in [Next::Same, Next::Successor] {
            for _ in 0..if at == Step::Ending { ENDINGS } else { 1 } {
                offset += 1;
                let commits = at != Step::Ending || dice.coin();
                Round { at, next, commits, offset }.play(broker, &mut it, &mut dice)?;
                await_closed(&broker.bootstrap(), &topic, PARTITIONS)?;
                fetch_offsets(&story, &broker.bootstrap(), &it.group, &topic, 1)?;
            }
        }
    }
    it.say("begin");
    it.send(0)?;
    it.end(true)?;
    drain(&story, &broker.bootstrap(), &topic, PARTITIONS)?;
    println!("  {}", story.check(name)?);
    Ok(())
}

impl Step {
    /// Version 2 adds partitions and groups with what is written into them.
    fn is_of(self, version: Version) -> bool {
        version == Version::One || !matches!(self, Step::AddPartitions | Step::AddOffsets)
    }
}

impl Round {
    fn play(&self, broker: &mut Broker, it: &mut Transactional, dice: &mut Dice) -> Result<()> {
        let version = it.version;
        for step in ORDER.into_iter().filter(|step| step.is_of(version)) {
            self.take(step, it)?;
            if step != self.at {
                continue;
            }
            if step == Step::Ending {
                std::thread::sleep(Duration::from_micros(dice.below(ENDING_US)));
            }
            broker.kill()?;
            broker.start_again()?;
            it.reconnect()?;
            if self.next == Next::Successor {
                return self.succeed(it);
            }
        }
        Ok(())
    }

    fn take(&self, step: Step, it: &mut Transactional) -> Result<()> {
        match step {
            Step::Init => {
                it.init()?;
                it.say("begin");
                Ok(())
            }
            Step::AddPartitions => (0..PARTITIONS).try_for_each(|partition| it.enter(partition)),
            Step::ProduceFirst => it.write(0),
            Step::ProduceSecond => it.write(1),
            Step::AddOffsets => it.enter_group(),
            Step::CommitOffsets => it.write_offset(self.offset),
            Step::Ending => {
                if self.commits {
                    it.say("commit");
                }
                if self.at == Step::Ending { it.send_end_txn(self.commits) } else { Ok(()) }
            }
            Step::End => it.end_told(self.commits),
        }
    }

    /// Another client enters, and the one before comes with the end of its transaction when that of the other is open.
    fn succeed(&self, it: &mut Transactional) -> Result<()> {
        let before = it.producer;
        it.init()?;
        match self.at {
            Step::End => {}
            Step::Ending if self.commits => it.say("unknown"),
            _ => it.say("fail"),
        }
        it.say("begin");
        it.send(0)?;
        it.send(1)?;
        refused(it, "EndTxn of the client before", |it| Ok(it.end_txn(true, before)?.0))?;
        it.end(false)
    }
}
