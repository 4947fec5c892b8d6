//! The two brokers, started and stopped alike.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings, on_cpus};
use ottla_peer::probe;
use ottla_peer::process::{Process, Usage};
use serde::Serialize;

use crate::parameters::BROKER_PROPERTIES;

/// The variable that names Ottla's binary.
const BINARY_ENV: &str = "OTTLA_BINARY";
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    /// Ours.
    Ottla,
    /// Apache Kafka.
    Kafka,
    /// Nobody's: what comes is copied into files and out of them, nothing more.
    StandIn,
    /// None: a bare loop.
    #[value(skip)]
    Bare,
}

/// A running broker; ends with the value.
pub(crate) enum Broker {
    /// Ours.
    Ottla(Ottla),
    /// Apache Kafka.
    Kafka(Box<Kafka>),
    /// See [`Side::StandIn`].
    StandIn(StandIn),
}

/// This program as a broker that only copies.
pub(crate) struct StandIn {
    address: SocketAddr,
    folder: PathBuf,
    process: Process,
}

/// Ours, with what is needed to start it again.
pub(crate) struct Ottla {
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    cpus: Option<String>,
    properties: Vec<(String, String)>,
    process: Option<Process>,
}

impl Broker {
    /// Starts a broker in `folder` with `more` settings, confined to `cpus` where given; ready when this returns.
    pub(crate) fn start(side: Side, folder: &Path, cpus: Option<&str>, more: &[(&str, &str)]) -> Result<Broker> {
        let cpus = cpus.map(str::to_owned);
        let all = BROKER_PROPERTIES.iter().chain(more);
        let properties: Vec<_> = all.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        if side == Side::Kafka {
            let kafka = Kafka::start(&Jars::fetch()?, folder, &Settings { properties, cpus, ..Settings::default() })?;
            return Ok(Broker::Kafka(Box::new(kafka)));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], probe::free_port()?));
        if side == Side::StandIn {
            return Ok(Broker::StandIn(StandIn::start(address, folder, cpus.as_deref())?));
        }
        let binary = std::env::var_os(BINARY_ENV).with_context(|| format!("{BINARY_ENV} names no binary"))?;
        let (binary, folder) = (binary.into(), folder.to_owned());
        let mut ottla = Ottla { binary, folder, address, cpus, properties, process: None };
        ottla.start()?;
        Ok(Broker::Ottla(ottla))
    }

    /// Starts it again in its folder; how long it took until the first request was answered.
    pub(crate) fn start_again(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        match self {
            Broker::Ottla(ottla) => ottla.start()?,
            Broker::Kafka(kafka) => kafka.start_again()?,
            Broker::StandIn(_) => bail!("a stand-in keeps nothing"),
        }
        Ok(begin.elapsed())
    }

    /// Stops it cleanly; how long that took.
    pub(crate) fn stop(&mut self) -> Result<Duration> {
        match self {
            Broker::Ottla(ottla) => ottla.process.take().map_or(Ok(Duration::ZERO), |mut it| it.terminate(PATIENCE)),
            Broker::Kafka(kafka) => kafka.stop(),
            Broker::StandIn(it) => it.process.terminate(PATIENCE),
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        match self {
            Broker::Ottla(ottla) => ottla.process.take().map_or(Ok(()), |mut it| it.kill()),
            Broker::Kafka(kafka) => kafka.kill(),
            Broker::StandIn(it) => it.process.kill(),
        }
    }

    /// `HOST:PORT`.
    pub(crate) fn bootstrap(&self) -> String {
        match self {
            Broker::Ottla(ottla) => ottla.address.to_string(),
            Broker::Kafka(kafka) => kafka.address().to_string(),
            Broker::StandIn(it) => it.address.to_string(),
        }
    }

    /// The folder that holds one folder per partition.
    pub(crate) fn data(&self) -> PathBuf {
        match self {
            Broker::Ottla(ottla) => ottla.folder.join("data"),
            Broker::Kafka(kafka) => kafka.data(),
            Broker::StandIn(it) => it.folder.clone(),
        }
    }

    /// CPU time and memory so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        match self {
            Broker::Ottla(ottla) => ottla.process.as_ref().context("stopped")?.usage(),
            Broker::Kafka(kafka) => kafka.usage(),
            Broker::StandIn(it) => it.process.usage(),
        }
    }
}

impl StandIn {
    fn start(address: SocketAddr, folder: &Path, cpus: Option<&str>) -> Result<StandIn> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "stand-in", &address.to_string()]).arg(folder);
        let log = folder.join("stand-in.log");
        let mut process = Process::spawn(&mut on_cpus(command, cpus), &log)?;
        probe::wait_ready(address, PATIENCE, || match process.ended()? {
            None => Ok(()),
            Some(status) => bail!("the stand-in ended with {status}: {}", std::fs::read_to_string(&log)?),
        })?;
        Ok(StandIn { address, folder: folder.to_owned(), process })
    }
}

impl Ottla {
    fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--data-dir").arg(self.folder.join("data"));
        command.arg("--listen").arg(self.address.to_string());
        for (key, value) in &self.properties {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut command = on_cpus(command, self.cpus.as_deref());
        // Ottla reads its own variables; this one is the benchmark's.
        command.env_remove(BINARY_ENV);
        let log = self.folder.join("broker.log");
        let mut process = Process::spawn(&mut command, &log)?;
        probe::wait_ready(self.address, PATIENCE, || match process.ended()? {
            None => Ok(()),
            Some(status) => bail!("ottla ended with {status}: {}", std::fs::read_to_string(&log)?),
        })?;
        self.process = Some(process);
        Ok(())
    }
}
