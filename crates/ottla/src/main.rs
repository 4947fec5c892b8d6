//! The `ottla` binary: one program for every job.

mod dump_log;
mod export_kafka;
mod import_kafka;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What goes back to the system with the pages a burst left behind matters more here than the last per cent of speed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A streaming platform that speaks the Kafka protocol.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker. Without any option: on 127.0.0.1:9092, data in ./ottla-data.
    Serve(serve::ServeArguments),
    DumpLog(dump_log::DumpLogArguments),
    ImportKafka(import_kafka::ImportKafkaArguments),
    ExportKafka(export_kafka::ExportKafkaArguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::DumpLog(arguments) => dump_log::run(&arguments),
        Command::ImportKafka(arguments) => import_kafka::run(&arguments),
        Command::ExportKafka(arguments) => export_kafka::run(&arguments),
    }
}
