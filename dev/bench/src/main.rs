//! Ottla beside Apache Kafka on this machine: the same clients, in alternation, and bare loops as the limit.
//!
//! What is measured is fixed in `parameters.rs`; each round starts each broker once, the order turning from round to
//! round; what is reported are medians and ratios. Results go to `target/bench`: `result.json`, `result.svg`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod brokers;
mod cases;
mod chart;
mod clients;
mod compaction;
mod many;
mod parameters;
mod report;
mod rounds;
mod worker;

use brokers::Side;
use parameters::Parameters;

/// Measures Ottla and Apache Kafka in alternation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    worker: Option<Internal>,
    /// A tenth of the records and one run, to see that everything works
    #[arg(long)]
    quick: bool,
    /// How many alternating runs
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Only the case of this name, or else those whose name holds it; may be repeated. `--list` shows the names
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Only this broker; may be repeated
    #[arg(long = "broker", value_enum)]
    sides: Vec<Side>,
    /// Shows the names of the cases
    #[arg(long)]
    list: bool,
    /// Where the result goes
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// One client or bare loop, in a process of its own
    #[command(hide = true)]
    Worker {
        #[command(subcommand)]
        job: worker::Job,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Internal::Worker { job }) = arguments.worker {
        return worker::run(&job);
    }
    let cases = cases::matching(&arguments.cases);
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    let mut parameters = if arguments.quick { Parameters::quick() } else { Parameters::full() };
    parameters.runs = arguments.runs.unwrap_or(parameters.runs);
    let sides = if arguments.sides.is_empty() { vec![Side::Ottla, Side::Kafka] } else { arguments.sides };
    let measurements = rounds::run(&cases, &sides, &parameters)?;
    let report = report::Report::of(&measurements, &parameters);
    report.write(&arguments.out)?;
    report.print();
    Ok(())
}
