//! Clients that are killed in mid-transaction, sleep while a successor takes over, or sleep for longer than a transaction may
//! last.

use anyhow::{Result, ensure};
use ottla_conformance::crew::{Language, Programs};
use ottla_conformance::{Body, Broker, Suite};

use crate::stage::Stage;

/// A transaction's time where it is to run out.
const SHORT_TIMEOUT_MS: u32 = 3_000;

/// Steps of a client, as it tells them: it is killed right after. What follows `commit` is EndTxn and its answer, so that one is
/// tried twice; the other answers are those to InitProducerId, TxnOffsetCommit and EndTxn.
/// Whether the copiers are at work by then is said beside: they are when their group has lost those that were killed.
const KILLED_AT: [(&str, bool); 7] = [
    ("note init", false),
    ("send", true),
    ("acked", false),
    ("note offsets", true),
    ("commit", false),
    ("commit", true),
    ("ok", false),
];

/// What happens to clients of a language.
type Scenario = fn(&Broker, &Programs, Language, u64) -> Result<()>;

pub(crate) fn run(suite: &mut Suite, broker: &Broker, programs: &Programs, seed: u64) {
    let bodies: [(&str, Scenario); 3] = [("killed", killed), ("zombie", zombie), ("timed_out", timed_out)];
    for (name, body) in bodies {
        let cases = Language::ALL.into_iter().map(|language| {
            let name = format!("client_{name}_{}_seed_{seed}", language.name());
            let case: Body<'_> = Box::new(move || body(broker, programs, language, seed));
            (name, case)
        });
        suite.together(cases.collect());
    }
}

/// Killed in the midst of a transaction, with and without the commit asked for, and right behind an answer; a successor with
/// the same transactional ids goes on.
fn killed(broker: &Broker, programs: &Programs, language: Language, seed: u64) -> Result<()> {
    let mut stage = Stage::new(&format!("client-killed-{}", language.name()), broker, programs, seed);
    let place = stage.place(broker, language)?;
    for (take, (step, copies)) in KILLED_AT.into_iter().enumerate() {
        let mut cast = stage.cast(&place, &format!("take{take}"))?;
        let client = if step == "note offsets" { &cast.copiers[0] } else { &cast.writers[0] };
        if step == "note init" {
            stage.story.await_count(client, step, 1)?;
        } else {
            stage.progress(cast.writers.iter().chain(cast.copiers.iter().filter(|_| copies)))?;
            stage.story.await_more(client, step, 1 + stage.dice.below(10) as usize)?;
        }
        cast.crew.kill()?;
    }
    let mut last = stage.cast(&place, "last")?;
    stage.progress(last.producers())?;
    last.stop()?;
    stage.judge()
}

/// Stopped in the midst of a transaction, and let go on when a successor has its transactional ids: it must notice, and what
/// it had begun must not be seen.
fn zombie(broker: &Broker, programs: &Programs, language: Language, seed: u64) -> Result<()> {
    let mut stage = Stage::new(&format!("client-zombie-{}", language.name()), broker, programs, seed);
    let place = stage.place(broker, language)?.mortal();
    let zombies = stage.cast(&place, "a")?;
    stage.progress(zombies.producers())?;
    stage.story.await_more(&zombies.writers[0], "acked", 1 + stage.dice.below(10) as usize)?;
    zombies.crew.pause()?;
    let mut successors = stage.cast(&place, "b")?;
    stage.progress(successors.producers())?;
    zombies.crew.resume()?;
    for name in zombies.producers() {
        stage.story.await_count(name, "note ended", 1)?;
        ensure!(stage.story.count(name, "note fenced") == 1, "{name} ended, but not because it was fenced");
    }
    stage.progress(successors.producers())?;
    successors.stop()?;
    stage.judge()
}

/// Stopped until the coordinator has aborted its transactions; it goes on with others.
fn timed_out(broker: &Broker, programs: &Programs, language: Language, seed: u64) -> Result<()> {
    let mut stage = Stage::new(&format!("client-timed-out-{}", language.name()), broker, programs, seed);
    let place = stage.place(broker, language)?.with_timeout_ms(SHORT_TIMEOUT_MS);
    let mut cast = stage.cast(&place, "a")?;
    stage.progress(cast.producers())?;
    for step in ["acked", "commit"] {
        stage.story.await_more(&cast.writers[0], step, 1 + stage.dice.below(10) as usize)?;
        cast.crew.pause()?;
        let closed = place.await_closed(&stage.bootstrap);
        cast.crew.resume()?;
        closed?;
        stage.progress(cast.producers())?;
    }
    cast.stop()?;
    stage.judge()
}
