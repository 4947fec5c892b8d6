//! Transactions whose clients and brokers fail: nothing that was acknowledged is lost, nothing is there twice, nothing that
//! was aborted is seen, and a transaction is there as a whole or not at all.
//!
//! Real clients write, copy and read while faults happen; what they say makes a history, which `dev/checker` judges. The
//! faults come at steps that clients have just reached and at random ones.
//!
//! | variable | meaning |
//! |---|---|
//! | `OTTLA_FAULTS_SEED=N` | the first seed of what is random; 1 where it is not set |
//! | `OTTLA_FAULTS_SEEDS=N` | so many seeds, one after the other; 1 where it is not set, which takes about four minutes |
//! | `OTTLA_FAULTS_KEEP=DIR` | where the history of a failed case goes; else `ottla-histories` in the folder for temporary files |

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ottla_conformance::crew::{self, Programs};
use ottla_conformance::{Broker, Suite};

mod brokers;
mod clients;
mod drain;
mod late;
mod markers;
mod raw;
mod stage;
mod steps;

/// Transactions that ran out of time end soon; groups lose a member that was killed soon.
const PROPERTIES: [(&str, &str); 5] = [
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("transaction.state.log.num.partitions", "5"),
    ("offsets.topic.num.partitions", "5"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
];

fn main() -> ExitCode {
    if let Some(ended) = crew::play() {
        return ended;
    }
    ottla_conformance::run("transactions_faults", &PROPERTIES, |suite, broker| {
        if broker.is_external() {
            bail!("this suite kills its broker; it cannot run against one that is not its own");
        }
        let programs = Programs::default();
        let (first, count) = (number("OTTLA_FAULTS_SEED", 1)?, number("OTTLA_FAULTS_SEEDS", 1)?);
        for seed in first..first.saturating_add(count) {
            println!("seed {seed}");
            run(suite, broker, &programs, seed);
        }
        Ok(())
    })
}

fn run(suite: &mut Suite, broker: &mut Broker, programs: &Programs, seed: u64) {
    late::run(suite, broker, seed);
    steps::run(suite, broker, seed);
    markers::run(suite, seed);
    clients::run(suite, broker, programs, seed);
    brokers::run(suite, broker, programs, seed);
}

fn number(name: &str, otherwise: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(otherwise), |text| text.parse().with_context(|| format!("{name}={text}")))
}
