//! At most once, at least once, exactly once: three programs that copy one topic into another, each killed in the midst of
//! its work and started again, and what that does to the copy.
//!
//! Each program stands in a file of its own, whole, so that it can be read; `docs/delivery.md` tells what to see there. The
//! program is killed at its gate, the one place where the three differ: what is done before, and what after.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::rust_client::{PATIENCE, config, create_topic};
use ottla_conformance::{Broker, Suite};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

mod at_least_once;
mod at_most_once;
mod client;
mod exactly_once;

use client::Place;

/// Records of the input.
const RECORDS: usize = 100;
/// The round in which the program is killed, counted from 1.
const FATAL_ROUND: usize = 4;

/// A program, what it is called, and what its copy must look like.
struct Demonstration {
    name: &'static str,
    run: fn(&Place) -> Result<()>,
    judge: fn(&Copied) -> Result<()>,
}

const DEMONSTRATIONS: [Demonstration; 3] = [
    Demonstration { name: "at_most_once", run: at_most_once::run, judge: some_are_lost },
    Demonstration { name: "at_least_once", run: at_least_once::run, judge: some_are_doubled },
    Demonstration { name: "exactly_once", run: exactly_once::run, judge: each_is_there_once },
];

/// What can be read of a copy.
#[derive(Debug)]
struct Copied {
    lost: usize,
    doubled: usize,
}

fn main() -> ExitCode {
    if let Some((name, place)) = client::role() {
        let demonstration = DEMONSTRATIONS.iter().find(|it| it.name == name);
        let ended = demonstration.context("no such program").and_then(|it| (it.run)(&place));
        return ended.map_or_else(
            |error| {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    ottla_conformance::run("delivery", &[], |suite: &mut Suite, broker| {
        for demonstration in &DEMONSTRATIONS {
            suite.case(demonstration.name, || demonstrate(broker, demonstration));
        }
        Ok(())
    })
}

fn demonstrate(broker: &Broker, demonstration: &Demonstration) -> Result<()> {
    let place = Place {
        bootstrap: broker.bootstrap(),
        input: broker.topic("input"),
        output: broker.topic("output"),
        group: broker.topic("copiers"),
    };
    for topic in [&place.input, &place.output] {
        create_topic(&place.bootstrap, topic, 1, &[])?;
    }
    fill(&place)?;
    let mut first = Program::start(demonstration.name, &place)?;
    for _ in 1..FATAL_ROUND {
        ensure!(first.is_at_gate()?, "the program ended early");
        first.open_gate()?;
    }
    ensure!(first.is_at_gate()?, "the program ended early");
    first.kill()?;
    let mut second = Program::start(demonstration.name, &place)?;
    while second.is_at_gate()? {
        second.open_gate()?;
    }
    second.end()?;
    let copied = look(&place)?;
    println!("  {}: of {RECORDS} records {} lost, {} doubled", demonstration.name, copied.lost, copied.doubled);
    (demonstration.judge)(&copied)
}

/// The one batch that was in hand is lost, and nothing else; nothing comes twice.
fn some_are_lost(copied: &Copied) -> Result<()> {
    ensure!(copied.lost > 0 && copied.lost <= client::BATCH && copied.doubled == 0, "{copied:?}");
    Ok(())
}

/// The one batch that was in hand comes twice, and nothing else; nothing is lost.
fn some_are_doubled(copied: &Copied) -> Result<()> {
    ensure!(copied.doubled > 0 && copied.doubled <= client::BATCH && copied.lost == 0, "{copied:?}");
    Ok(())
}

fn each_is_there_once(copied: &Copied) -> Result<()> {
    ensure!(copied.lost == 0 && copied.doubled == 0, "{copied:?}");
    Ok(())
}

fn fill(place: &Place) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(&place.bootstrap, &[("enable.idempotence", "true")]).create()?;
    for number in 0..RECORDS {
        let value = number.to_string();
        let record: BaseRecord<'_, (), str> = BaseRecord::to(&place.input).partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

/// Everything of the copy that a reader of committed records sees.
fn look(place: &Place) -> Result<Copied> {
    let onlooker = Place { input: place.output.clone(), group: format!("{}-onlooker", place.group), ..place.clone() };
    let mut copy = onlooker.input()?;
    let (mut seen, mut doubled) = (BTreeSet::new(), 0);
    while let Some(batch) = copy.next()? {
        for (_, value) in batch {
            doubled += usize::from(!seen.insert(value));
        }
    }
    let lost = (0..RECORDS).filter(|number| !seen.contains(&number.to_string())).count();
    Ok(Copied { lost, doubled })
}

/// A program in a process of its own.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &str, place: &Place) -> Result<Program> {
        let mut command = Command::new(std::env::current_exe()?);
        client::give_role(&mut command, name, place);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        Ok(Program { child, input, output: BufReader::new(output) })
    }

    /// Waits until it is; false when it has ended.
    fn is_at_gate(&mut self) -> Result<bool> {
        let mut line = String::new();
        Ok(self.output.read_line(&mut line)? > 0)
    }

    fn open_gate(&mut self) -> Result<()> {
        writeln!(self.input, "go").and_then(|()| self.input.flush()).context("the program is gone")
    }

    /// kill -9.
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop).context("waiting for the program")
    }

    fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the program ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
