//! The broker that a suite runs against.
//!
//! Invariants: the address and the data folder stay the same over a restart; everything is gone when the value is.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_testkit::{BINARY_ENV, BrokerCommand, BrokerProcess};
use tempfile::TempDir;

/// What is shown of a broker's log after a failure.
const LAST_WORDS_BYTES: usize = 6000;
/// How long a page of metrics may take.
const SCRAPED_WITHIN: Duration = Duration::from_secs(20);

/// A broker under test.
#[derive(Debug)]
pub struct Broker {
    kind: Kind,
    address: SocketAddr,
    folder: TempDir,
    topics: AtomicUsize,
}

#[derive(Debug)]
enum Kind {
    Ottla(Ottla),
    Kafka(Box<Kafka>),
    External,
}

#[derive(Debug)]
struct Ottla {
    binary: PathBuf,
    properties: Vec<(String, String)>,
    process: Option<BrokerProcess>,
    last_words: String,
}

impl Broker {
    /// The broker that the environment asks for, started with `properties` and ready.
    pub fn start(properties: &[(&str, &str)]) -> Result<Broker> {
        let folder = tempfile::Builder::new().prefix("ottla-conformance-").tempdir()?;
        let properties: Vec<_> = properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let (kind, address) = if let Ok(address) = std::env::var("OTTLA_BOOTSTRAP") {
            (Kind::External, address.parse().context("OTTLA_BOOTSTRAP")?)
        } else if std::env::var("OTTLA_CONFORMANCE_BROKER").is_ok_and(|name| name == "kafka") {
            let kafka = Kafka::start(&Jars::fetch()?, folder.path(), &Settings { properties, ..Settings::default() })?;
            let address = kafka.address();
            (Kind::Kafka(Box::new(kafka)), address)
        } else if let Some(binary) = std::env::var_os(BINARY_ENV) {
            let mut ottla = Ottla { binary: binary.into(), properties, process: None, last_words: String::new() };
            let address = ottla.start(SocketAddr::from(([127, 0, 0, 1], 0)), &folder.path().join("data"))?;
            (Kind::Ottla(ottla), address)
        } else {
            bail!("{BINARY_ENV} names no binary to test; `cargo xtask test` builds one and sets it");
        };
        Ok(Broker { kind, address, folder, topics: AtomicUsize::new(0) })
    }

    /// Starts the stopped broker again on its port and folder; ready when this returns.
    pub fn start_again(&mut self) -> Result<()> {
        let data = self.data();
        match &mut self.kind {
            Kind::Ottla(ottla) => ottla.start(self.address, &data).map(drop),
            Kind::Kafka(kafka) => kafka.start_again(),
            Kind::External => bail!("this broker is not ours to start"),
        }
    }

    /// The running process of Ottla, to look at its memory; none of another broker.
    pub fn process(&self) -> Option<&BrokerProcess> {
        match &self.kind {
            Kind::Ottla(ottla) => ottla.process.as_ref(),
            Kind::Kafka(_) | Kind::External => None,
        }
    }

    /// What Ottla tells Prometheus now; nothing of another broker.
    pub fn metrics(&self) -> Result<Option<String>> {
        let Some(url) = self.process().and_then(BrokerProcess::metrics_url) else { return Ok(None) };
        let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SCRAPED_WITHIN))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(Some(answer))
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Ottla(ottla) => ottla.kill(),
            Kind::Kafka(kafka) => kafka.kill(),
            Kind::External => bail!("this broker is not ours to kill"),
        }
    }

    /// Stops it in its tracks until [`resume`](Broker::resume).
    pub fn pause(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Ottla(ottla) => Ok(ottla.process.as_mut().map_or(Ok(()), BrokerProcess::pause)?),
            Kind::Kafka(kafka) => kafka.pause(),
            Kind::External => bail!("this broker is not ours to pause"),
        }
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Ottla(ottla) => Ok(ottla.process.as_mut().map_or(Ok(()), BrokerProcess::resume)?),
            Kind::Kafka(kafka) => kafka.resume(),
            Kind::External => bail!("this broker is not ours to resume"),
        }
    }

    /// Stops cleanly. An error when the broker had died before, or does not stop.
    pub fn stop(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Ottla(ottla) => ottla.stop(),
            Kind::Kafka(kafka) => kafka.stop().map(drop),
            Kind::External => bail!("this broker is not ours to stop"),
        }
    }

    /// `HOST:PORT`, as clients take it.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// A topic name that nobody has used.
    pub fn topic(&self, hint: &str) -> String {
        format!("{hint}-{}-{}", std::process::id(), self.topics.fetch_add(1, Ordering::Relaxed))
    }

    /// The folder that holds one folder per partition.
    pub fn data(&self) -> PathBuf {
        match &self.kind {
            Kind::Kafka(kafka) => kafka.data(),
            _ => self.folder.path().join("data"),
        }
    }

    /// True when the suite can neither stop the broker nor see its files.
    pub fn is_external(&self) -> bool {
        matches!(self.kind, Kind::External)
    }

    /// What is tested, for people.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Ottla(ottla) => format!("{} on {}", ottla.binary.display(), self.address),
            Kind::Kafka(_) => format!("Apache Kafka on {}", self.address),
            Kind::External => format!("the broker on {}", self.address),
        }
    }

    /// The end of the broker's log.
    pub fn last_words(&self) -> String {
        let text = match &self.kind {
            Kind::Ottla(ottla) => ottla.process.as_ref().map_or(ottla.last_words.clone(), BrokerProcess::stderr),
            Kind::Kafka(kafka) => String::from_utf8_lossy(&fs::read(kafka.log()).unwrap_or_default()).into_owned(),
            Kind::External => String::new(),
        };
        let from = text.len().saturating_sub(LAST_WORDS_BYTES);
        text[text.ceil_char_boundary(from)..].to_owned()
    }
}

impl Ottla {
    fn start(&mut self, address: SocketAddr, data: &Path) -> Result<SocketAddr> {
        let mut command = BrokerCommand::new(&self.binary, data).listen(address.to_string());
        command = command.argument("--metrics-listen").argument("127.0.0.1:0");
        for (key, value) in &self.properties {
            command = command.argument("--set").argument(format!("{key}={value}"));
        }
        let process = command.start()?;
        let address = process.address();
        self.process = Some(process);
        Ok(address)
    }

    fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            self.last_words = process.stderr();
            process.kill9()?;
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        ensure!(process.is_running()?, "the broker had died:\n{}", process.stderr());
        let status = process.terminate()?;
        self.last_words = process.stderr();
        ensure!(status.success(), "the broker ended with {status}:\n{}", self.last_words);
        ensure!(!self.last_words.contains("ottla: warning:"), "its configuration is warned of:\n{}", self.last_words);
        Ok(())
    }
}
