//! What a process of its own does: one client, or one end of a bare loop. It reports one line of JSON.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use rustix::time::{ClockId, clock_gettime};

use crate::clients::Measured;

mod bare;
mod fetch;
pub(crate) mod groups;
mod librdkafka;
mod link;
pub(crate) mod rolling;
pub(crate) mod spread;
mod stand_in;

/// A job and its parameters.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Makes a topic
    Create { bootstrap: String, topic: String, settings: Vec<String> },
    /// Sets a topic's configuration; what is not given has its default
    Alter { bootstrap: String, topic: String, settings: Vec<String> },
    /// Deletes a topic
    Delete { bootstrap: String, topic: String },
    /// Produces with librdkafka
    Produce(librdkafka::Load),
    /// Consumes with librdkafka
    Consume { bootstrap: String, topic: String, records: u64 },
    /// Consumes with bare fetch requests
    Fetch { bootstrap: SocketAddr, topic: String, records: u64, passes: u64 },
    /// Members of many groups
    Groups(groups::Crowd),
    /// A rolling restart of the members of one group
    Rolling(rolling::Roll),
    /// Makes a topic of many partitions, and writes to each of them
    CreateMany(spread::Made),
    /// Equal batches to many partitions
    Spread(spread::Load),
    /// Waits until a partition takes a batch
    LastPartition { bootstrap: SocketAddr, topic: String, partition: i32 },
    /// A broker that only copies, until it is killed
    StandIn { address: SocketAddr, folder: PathBuf },
    /// Appends batches to the files of a folder in turn
    BareAppend {
        bytes: u64,
        folder: PathBuf,
        #[arg(long)]
        set_aside: bool,
    },
    /// Appends to a file and flushes it, batch by batch
    BareSynced { bytes: u64, file: PathBuf, batch: usize },
    /// Appends to many files in turn and makes a group of appends durable together
    BareGroup(bare::Group),
    /// Receives and writes to a file; in batches to the files of a topic in turn
    BareReceive {
        bytes: u64,
        folder: PathBuf,
        #[arg(long)]
        in_batches: bool,
    },
    /// Sends to a bare receiver
    BareSend { address: SocketAddr, bytes: u64 },
    /// Sends a file with `sendfile` again and again
    BareSendfile { bytes: u64, file: PathBuf },
    /// Sends ranges of a file, each behind a head; `copied` through memory
    BareRange {
        bytes: u64,
        file: PathBuf,
        range: usize,
        #[arg(long)]
        copied: bool,
    },
    /// Reads what a bare sender sends and throws it away
    BareDrain {
        address: SocketAddr,
        #[arg(long)]
        polled: bool,
    },
}

/// Does one job and prints its report.
pub(crate) fn run(job: &Job) -> Result<()> {
    let measured = match job {
        Job::Groups(crowd) => {
            println!("{}", serde_json::to_string(&groups::run(crowd)?)?);
            return Ok(());
        }
        Job::CreateMany(made) => {
            println!("{}", serde_json::to_string(&spread::create(made)?)?);
            return Ok(());
        }
        Job::Spread(load) => {
            println!("{}", serde_json::to_string(&spread::run(load)?)?);
            return Ok(());
        }
        Job::LastPartition { bootstrap, topic, partition } => {
            println!("{}", serde_json::to_string(&spread::wait_for(*bootstrap, topic, *partition)?)?);
            return Ok(());
        }
        Job::Rolling(roll) => {
            println!("{}", serde_json::to_string(&rolling::run(roll)?)?);
            return Ok(());
        }
        Job::StandIn { address, folder } => return stand_in::serve(*address, folder.clone()),
        Job::Create { bootstrap, topic, settings } => librdkafka::create(bootstrap, topic, settings)?,
        Job::Alter { bootstrap, topic, settings } => librdkafka::alter(bootstrap, topic, settings)?,
        Job::Delete { bootstrap, topic } => librdkafka::delete(bootstrap, topic)?,
        Job::Produce(load) => librdkafka::produce(load)?,
        Job::Consume { bootstrap, topic, records } => librdkafka::consume(bootstrap, topic, *records)?,
        Job::Fetch { bootstrap, topic, records, passes } => fetch::consume(*bootstrap, topic, *records, *passes)?,
        Job::BareAppend { bytes, folder, set_aside } => bare::append(*bytes, folder, *set_aside)?,
        Job::BareSynced { bytes, file, batch } => bare::synced(*bytes, file, *batch)?,
        Job::BareGroup(group) => bare::group(group)?,
        Job::BareReceive { bytes, folder, in_batches } => bare::receive(*bytes, folder, *in_batches)?,
        Job::BareSend { address, bytes } => bare::send(*address, *bytes)?,
        Job::BareSendfile { bytes, file } => bare::sendfile_loop(*bytes, file)?,
        Job::BareRange { bytes, file, range, copied } => bare::ranges(*bytes, file, *range, *copied)?,
        Job::BareDrain { address, polled } => bare::drain(*address, *polled)?,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// CPU time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Measures `work`, which says how many records or bytes it moved.
fn measure(work: impl FnOnce() -> Result<u64>) -> Result<Measured> {
    let (begin, cpu) = (std::time::Instant::now(), cpu_seconds());
    let records = work()?;
    let seconds = begin.elapsed().as_secs_f64();
    Ok(Measured { records, seconds, cpu_seconds: cpu_seconds() - cpu, records_in_all: records })
}
