//! `ottla export-kafka`: directories that Ottla served in place become such as Kafka can go on with.
//!
//! Exit codes: 0 when Kafka can, 1 when not, 2 for wrong arguments.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use ottla_import::give_back;

/// Prepare data directories that were imported in place for Apache Kafka to go on with.
///
/// Stop Ottla first. Kafka's metadata learns the leader epochs and producer ids that Ottla came to; nothing else is changed. The
/// command may be given again.
#[derive(Debug, Args)]
pub(crate) struct ExportKafkaArguments {
    /// All of log.dirs, and metadata.log.dir if it is another; several with commas.
    #[arg(long, value_name = "DIR", value_delimiter = ',', required = true)]
    data_dir: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &ExportKafkaArguments) -> ExitCode {
    match give_back(&arguments.data_dir) {
        Ok(given) => {
            println!("ottla: the leader epochs of {} partitions were raised in Kafka's metadata", given.raised);
            if let Some(id) = given.next_producer_id {
                println!("ottla: producer ids go on at {id}");
            }
            if let Some(metadata) = given.metadata {
                println!("ottla: move {} elsewhere, then start Kafka", metadata.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla: nothing was given back: {error}");
            ExitCode::FAILURE
        }
    }
}
