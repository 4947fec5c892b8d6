//! The broker is killed at each step of a transaction whose requests are sent one by one.

use std::sync::Arc;

use anyhow::Result;
use ottla_conformance::crew::Story;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Broker, Suite};
use ottla_testkit::Dice;

use crate::drain::{drain, fetch_offsets};
use crate::raw::{Transactional, Version};

/// Where the broker is killed.
const STEPS: [Step; 7] = [
    Step::AfterInit,
    Step::AfterFirstProduce,
    Step::BeforeEnd,
    Step::WhileEnding,
    Step::WhileEnding,
    Step::WhileEnding,
    Step::AfterEnd,
];
/// How long EndTxn may be on its way when the broker is killed, in microseconds: until long after its answer would be there.
const ENDING_US: u64 = 6_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AfterInit,
    AfterFirstProduce,
    /// Everything was sent.
    BeforeEnd,
    /// EndTxn is on its way, or its markers are.
    WhileEnding,
    /// EndTxn was answered.
    AfterEnd,
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
    create_topic(&broker.bootstrap(), &topic, 2, &[])?;
    let mut it = Transactional::new(&broker.bootstrap(), &story, version, &topic)?;
    for (round, step) in STEPS.into_iter().enumerate() {
        let commits = step != Step::WhileEnding || dice.coin();
        it.init()?;
        restart_at(Step::AfterInit, step, broker, &mut it)?;
        it.say("begin");
        it.send(0)?;
        restart_at(Step::AfterFirstProduce, step, broker, &mut it)?;
        it.send(1)?;
        it.offset(round as i64 + 1)?;
        restart_at(Step::BeforeEnd, step, broker, &mut it)?;
        if step == Step::WhileEnding {
            if commits {
                it.say("commit");
            }
            it.send_end_txn(commits)?;
            std::thread::sleep(std::time::Duration::from_micros(dice.below(ENDING_US)));
            restart(broker, &mut it)?;
            it.end_told(commits)?;
        } else {
            it.end(commits)?;
        }
        restart_at(Step::AfterEnd, step, broker, &mut it)?;
    }
    it.say("begin");
    it.send(0)?;
    it.end(true)?;
    drain(&story, &broker.bootstrap(), &topic, 2)?;
    fetch_offsets(&story, &broker.bootstrap(), &it.group, &topic, 1)?;
    println!("  {}", story.check(name)?);
    Ok(())
}

fn restart_at(at: Step, step: Step, broker: &mut Broker, it: &mut Transactional) -> Result<()> {
    if at == step { restart(broker, it) } else { Ok(()) }
}

fn restart(broker: &mut Broker, it: &mut Transactional) -> Result<()> {
    broker.kill()?;
    broker.start_again()?;
    it.reconnect()
}
