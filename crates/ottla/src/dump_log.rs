//! `ottla dump-log`: what files hold.
//!
//! Exit codes: 0 when all is sound, 1 when something is damaged or cannot be read, 2 for wrong arguments. Whoever reads the
//! output may stop at any time.

use std::{
    io::{self, BufWriter},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use ottla_dump::{Decoder, Request};

/// Show what files of a data directory hold: segments, indexes, snapshots, checkpoints, metadata of Ottla and of Kafka.
///
/// Everything is checked on the way: checksums, order, each index entry against its log. A damaged place is told with its
/// position, and the look goes on behind it; the exit code is then 1. Files are only read; a broker may be running.
#[derive(Debug, Args)]
pub(crate) struct DumpLogArguments {
    /// Files, or directories of which all known files are meant; several with commas.
    #[arg(long, value_name = "PATH", value_delimiter = ',', required = true)]
    files: Vec<PathBuf>,
    /// Show keys and values; those of the broker's own topics are decoded.
    #[arg(long)]
    print_data_log: bool,
    /// Look into every record, also into compressed ones.
    #[arg(long)]
    deep_iteration: bool,
    /// Show only keys and values.
    #[arg(long, requires = "print_data_log")]
    skip_record_metadata: bool,
    /// Decode records as those of __consumer_offsets.
    #[arg(long, group = "decoder")]
    offsets_decoder: bool,
    /// Decode records as those of __transaction_state.
    #[arg(long, group = "decoder")]
    transaction_log_decoder: bool,
    /// Decode records as those of __share_group_state.
    #[arg(long, group = "decoder")]
    share_group_state_decoder: bool,
    /// Decode records as those of __cluster_metadata.
    #[arg(long, group = "decoder")]
    cluster_metadata_decoder: bool,
    /// Of indexes, show only what is wrong.
    #[arg(long)]
    verify_index_only: bool,
    /// Check indexes by themselves, their entries and order, without the logs beside them; show only what is wrong.
    #[arg(long)]
    index_sanity_check: bool,
    /// Show no more of a log than so many bytes.
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

impl DumpLogArguments {
    fn decoder(&self) -> Decoder {
        let wanted = [
            (self.offsets_decoder, Decoder::Offsets),
            (self.transaction_log_decoder, Decoder::Transactions),
            (self.share_group_state_decoder, Decoder::ShareState),
            (self.cluster_metadata_decoder, Decoder::Metadata),
        ];
        wanted.into_iter().find(|(wanted, _)| *wanted).map_or(Decoder::ByDirectory, |(_, decoder)| decoder)
    }
}

pub(crate) fn run(arguments: &DumpLogArguments) -> ExitCode {
    let decoder = arguments.decoder();
    let request = Request {
        paths: arguments.files.clone(),
        deep: arguments.deep_iteration,
        // Who names a decoder wants to see what it gives.
        print_data: arguments.print_data_log || decoder != Decoder::ByDirectory,
        decoder,
        skip_record_metadata: arguments.skip_record_metadata,
        bytes_max: arguments.max_bytes,
        index_faults_only: arguments.verify_index_only,
        index_sanity: arguments.index_sanity_check,
        json: arguments.format == Format::Json,
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match ottla_dump::dump(&request, &mut out) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            drop(out.into_parts()); // nobody reads what is left
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ottla: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}
