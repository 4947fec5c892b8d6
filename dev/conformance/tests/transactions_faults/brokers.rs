//! The broker is killed, restarted or paused while clients of both kinds are at work.

use anyhow::Result;
use ottla_conformance::crew::{Language, Programs};
use ottla_conformance::{Broker, Suite};

use crate::drain::STANDSTILL;
use crate::stage::{Cast, Stage};

/// What the broker does to everybody.
type Fault = fn(&mut Broker) -> Result<()>;

/// Steps of a client, as it tells them: the broker ends right after. What follows `commit` is EndTxn, its answer, and the
/// markers, so that one is tried more often.
const STEPS: [&str; 6] = ["send", "acked", "offsets", "commit", "commit", "ok"];

pub(crate) fn run(suite: &mut Suite, broker: &mut Broker, programs: &Programs, seed: u64) {
    suite.case(&format!("broker_killed_at_steps_seed_{seed}"), || killed_at_steps(broker, programs, seed));
    let faults: [(&str, Fault, usize); 3] = [("killed", killed, 3), ("restarted", restarted, 2), ("paused", paused, 2)];
    for (name, fault, times) in faults {
        suite.case(&format!("broker_{name}_seed_{seed}"), || at_random(broker, programs, (name, fault, times), seed));
    }
}

fn killed(broker: &mut Broker) -> Result<()> {
    broker.kill()?;
    broker.start_again()
}

fn restarted(broker: &mut Broker) -> Result<()> {
    broker.stop()?;
    broker.start_again()
}

fn paused(broker: &mut Broker) -> Result<()> {
    broker.pause()?;
    std::thread::sleep(STANDSTILL);
    broker.resume()
}

/// One crew of each language, each in a place of its own, at work.
fn both<'a>(name: &str, broker: &Broker, programs: &'a Programs, seed: u64) -> Result<(Stage<'a>, Vec<Cast>)> {
    let mut stage = Stage::new(name, broker, programs, seed);
    let mut casts = Vec::new();
    for language in Language::ALL {
        let place = stage.place(broker, language)?;
        casts.push(stage.cast(&place, "a")?);
    }
    stage.progress(casts.iter().flat_map(Cast::producers))?;
    Ok((stage, casts))
}

fn killed_at_steps(broker: &mut Broker, programs: &Programs, seed: u64) -> Result<()> {
    let (mut stage, mut casts) = both("broker-killed-at-steps", broker, programs, seed)?;
    for (round, step) in STEPS.into_iter().enumerate() {
        let cast = &casts[(round + seed as usize) % casts.len()];
        let clients = if step == "offsets" { &cast.copiers } else { &cast.writers };
        let client = &clients[stage.dice.below(clients.len() as u64) as usize];
        // Some transactions further on: where in a transaction's time the others are is left to chance.
        stage.story.await_more(client, step, 1 + stage.dice.below(10) as usize)?;
        killed(broker)?;
        stage.progress(casts.iter().flat_map(Cast::producers))?;
    }
    // A producer that has just got its id.
    for language in Language::ALL {
        let place = stage.place(broker, language)?;
        let cast = stage.cast(&place, "b")?;
        stage.story.await_count(&cast.writers[0], "note init", 1)?;
        killed(broker)?;
        stage.progress(cast.producers())?;
        casts.push(cast);
    }
    casts.iter_mut().try_for_each(Cast::stop)?;
    stage.judge()
}

fn at_random(
    broker: &mut Broker,
    programs: &Programs,
    (name, fault, times): (&str, Fault, usize),
    seed: u64,
) -> Result<()> {
    let (mut stage, mut casts) = both(&format!("broker-{name}"), broker, programs, seed)?;
    for _ in 0..times {
        let cast = &casts[stage.dice.below(2) as usize];
        stage.story.await_more(&cast.writers[0], "send", 1 + stage.dice.below(60) as usize)?;
        fault(broker)?;
        stage.progress(casts.iter().flat_map(Cast::producers))?;
    }
    casts.iter_mut().try_for_each(Cast::stop)?;
    stage.judge()
}
