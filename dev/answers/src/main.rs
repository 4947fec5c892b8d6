//! `ottla-answers`: records what Apache Kafka answers, compares a broker with it, or asks both at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use ottla_answers::broker::Broker;
use ottla_answers::differences::{LIST, Meant, judge, matches};
use ottla_answers::transcript::{self, Entry};
use ottla_answers::{cases, cases::Outcome, compare};

/// Asks brokers the same questions and shows where their answers differ.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Only the cases whose name fits; `*` stands for any text.
    #[arg(long, global = true, default_value = "*")]
    only: String,
    /// Where the recorded answers are.
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded"))]
    recorded: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts Apache Kafka and writes its answers into the folder of recorded ones.
    Record {
        /// A Kafka that runs already.
        #[arg(long)]
        bootstrap: Option<SocketAddr>,
    },
    /// Compares a broker that runs with the recorded answers.
    Compare {
        /// The broker.
        #[arg(long)]
        bootstrap: SocketAddr,
    },
    /// Compares the program with the recorded answers.
    Check {
        /// The program; else what OTTLA_BINARY names.
        #[arg(long, env = "OTTLA_BINARY")]
        binary: PathBuf,
    },
    /// Starts both Apache Kafka and the program, and compares them.
    Live {
        /// The program; else what OTTLA_BINARY names.
        #[arg(long, env = "OTTLA_BINARY")]
        binary: PathBuf,
    },
    /// Asks a broker and shows its answers.
    Show {
        /// The broker.
        #[arg(long)]
        bootstrap: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ottla-answers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True where nothing differs that may not.
fn run(arguments: &Arguments) -> Result<bool> {
    match &arguments.command {
        Command::Record { bootstrap } => record(arguments, *bootstrap),
        Command::Compare { bootstrap } => against_recorded(arguments, *bootstrap),
        Command::Check { binary } => against_recorded(arguments, Broker::ottla(binary)?.address()),
        Command::Live { binary } => live(arguments, binary),
        Command::Show { bootstrap } => {
            let outcome = ask(arguments, *bootstrap);
            print!("{}", transcript::render(&outcome.entries));
            Ok(outcome.failures.is_empty())
        }
    }
}

fn ask(arguments: &Arguments, address: SocketAddr) -> Outcome {
    let outcome = cases::run(address, &arguments.only, |case| eprintln!("{case}"));
    for failure in &outcome.failures {
        println!("{failure}");
    }
    outcome
}

fn record(arguments: &Arguments, bootstrap: Option<SocketAddr>) -> Result<bool> {
    let kafka = if bootstrap.is_none() { Some(Broker::kafka()?) } else { None };
    let address = bootstrap.or(kafka.as_ref().map(Broker::address)).context("no broker")?;
    let Outcome { mut entries, failures } = ask(arguments, address);
    // With --only the other cases keep what was recorded.
    let kept = transcript::read(&arguments.recorded).unwrap_or_default().into_iter();
    let known: Vec<String> = cases::names();
    entries.extend(kept.filter(|entry| known.contains(&entry.case) && !matches(&arguments.only, &entry.case)));
    entries.sort_by_key(|entry| (known.iter().position(|name| *name == entry.case), entry.version));
    transcript::write(&arguments.recorded, &entries)?;
    Ok(failures.is_empty())
}

fn against_recorded(arguments: &Arguments, address: SocketAddr) -> Result<bool> {
    report(arguments, &transcript::read(&arguments.recorded)?, &ask(arguments, address))
}

fn live(arguments: &Arguments, binary: &Path) -> Result<bool> {
    let expected = {
        let kafka = Broker::kafka()?;
        ask(arguments, kafka.address())
    };
    let ottla = Broker::ottla(binary)?;
    report(arguments, &expected.entries, &ask(arguments, ottla.address()))
}

fn report(arguments: &Arguments, expected: &[Entry], got: &Outcome) -> Result<bool> {
    let all = arguments.only == "*";
    let judged = judge(compare::differences(expected, &got.entries, !all), &Meant::parse(LIST)?);
    for difference in &judged.unexplained {
        println!("{difference}");
    }
    let stale = if all { &judged.stale[..] } else { &[] };
    for meant in stale {
        println!("explains nothing: {}", meant.pattern());
    }
    let (unexplained, explained) = (judged.unexplained.len(), judged.explained);
    println!(
        "{} answers, {unexplained} differences, {explained} explained, {} stale lines",
        got.entries.len(),
        stale.len()
    );
    Ok(unexplained == 0 && stale.is_empty() && got.failures.is_empty())
}
