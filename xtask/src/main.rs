//! Tasks of the project: `cargo xtask test`, `codegen`, `bench`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod codegen;
mod root;
mod test;

/// What can be asked for.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tasks of the project")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that must pass: format, lints, licences, every test, and the clients of others against the binary
    Test(test::Arguments),
    /// Writes the wire codec anew from the schema files
    Codegen,
    /// Measures Ottla and Apache Kafka in alternation on this machine; see `--help` of the program it starts
    #[command(trailing_var_arg = true)]
    Bench {
        /// Arguments of the benchmark
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Codegen => codegen::run().map(|()| ExitCode::SUCCESS),
        Task::Bench { arguments } => bench::run(&arguments),
    }
}
