//! `ottla import-kafka`: a data directory of Apache Kafka's becomes Ottla's.
//!
//! Exit codes: 0 when it is imported, now or before; 1 when it is not; 2 for wrong arguments.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use ottla_import::{Outcome, Report, Request, import};

/// Make data directories that Apache Kafka 3.9 or 4 wrote (KRaft mode, one broker, stopped) directories of Ottla's.
///
/// Topics keep their ids, configurations, records and offsets; groups and transactions go on where they were. Without --from
/// the directories are used as they are, and only Ottla's metadata is added. With --from they are copied (closed segments are
/// linked, where the file system can), and Kafka's stay untouched. A crash at any point does no harm: give the command again.
#[derive(Debug, Args)]
pub(crate) struct ImportKafkaArguments {
    /// Kafka's directories: all of log.dirs, and metadata.log.dir if it is another; several with commas. They stay as they are.
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    from: Vec<PathBuf>,
    /// Where Ottla's data is to be: as many directories as there are to import, in the same order.
    #[arg(long, value_name = "DIR", value_delimiter = ',', required = true)]
    data_dir: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &ImportKafkaArguments) -> ExitCode {
    let to = arguments.data_dir.clone();
    let from = if arguments.from.is_empty() { to.clone() } else { arguments.from.clone() };
    let request = Request { from, to, features: ottla_broker::supported_features() };
    match import(&request, &mut |_| Ok(())) {
        Ok(Outcome::Imported(report)) => {
            println!(
                "ottla: imported cluster {}, node {}: {} topics, {} partitions, {} settings",
                report.cluster_id, report.node, report.topics, report.partitions, report.configs
            );
            for note in &report.notes {
                println!("ottla: note: {note}");
            }
            println!(
                "ottla: start it with `ottla serve {} --set node.id={}`",
                directories(&request, &report),
                report.node
            );
            ExitCode::SUCCESS
        }
        Ok(Outcome::AlreadyImported) => {
            println!("ottla: {} is imported already; nothing was changed", list(&request.to));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla: nothing was imported: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The directories as the start takes them. One that had nothing but Kafka's metadata is none for partitions.
fn directories(request: &Request, report: &Report) -> String {
    let metadata = &report.metadata_dir;
    if request.to.first() == Some(metadata) {
        return format!("--data-dir {}", list(&request.to));
    }
    let partitions: Vec<_> =
        request.to.iter().filter(|dir| *dir != metadata || report.metadata_dir_has_partitions).cloned().collect();
    format!("--data-dir {} --set metadata.log.dir={}", list(&partitions), metadata.display())
}

fn list(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(",")
}
