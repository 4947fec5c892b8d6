//! A broker on a disk whose power can be cut.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ottla_conformance::rust_client;
use ottla_lossyfs::LossyFs;
use ottla_testkit::{BrokerCommand, BrokerProcess, Dice, free_port};
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Message,
    topic_partition_list::Offset,
};
use tempfile::TempDir;

/// The topic of the cases.
pub(crate) const TOPIC: &str = "t";
/// A topic whose records are on the disk before they are acknowledged.
pub(crate) const FLUSHED: [(&str, &str); 1] = [("flush.messages", "1")];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The broker ends before its disk, and that before its folder.
pub(crate) struct Machine {
    broker: Option<BrokerProcess>,
    volume: LossyFs,
    address: SocketAddr,
    settings: Vec<String>,
    _folder: TempDir,
}

impl Machine {
    /// A broker that runs on an empty disk.
    pub(crate) fn start(settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ottla-lossy-").tempdir()?;
        let mut this = Self {
            broker: None,
            volume: LossyFs::mount(folder.path()).context("mounting")?,
            address: SocketAddr::from(([127, 0, 0, 1], free_port()?)),
            settings: settings.iter().map(|text| text.to_string()).collect(),
            _folder: folder,
        };
        this.start_again()?;
        Ok(this)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.volume.path().join("data")
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        rust_client::create_topic(&self.bootstrap(), topic, partitions, config)
    }

    /// On the same port: who is connected finds it again.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let mut command = BrokerCommand::from_env(self.data())?.listen(self.address.to_string());
        for setting in &self.settings {
            command = command.argument("--set").argument(setting);
        }
        self.broker = Some(command.start()?);
        Ok(())
    }

    /// Cuts the power; what was not synced is lost as `seed` says, all of it where there is none. The broker may live to see it
    /// for a moment.
    pub(crate) fn power_cut(&mut self, seed: Option<u64>, sees_it: bool) -> Result<()> {
        let mut broker = self.broker.take().context("no broker runs")?;
        ensure!(broker.is_running()?, "the broker had died:\n{}", broker.stderr());
        if sees_it {
            self.volume.power_cut(seed);
            broker.kill9()?;
        } else {
            broker.kill9()?;
            self.volume.power_cut(seed);
        }
        self.volume.power_on().context("mounting again")
    }

    /// A power cut, and the next start.
    pub(crate) fn power_cycle(&mut self, dice: &mut Dice) -> Result<()> {
        let seed = (dice.below(4) > 0).then(|| dice.throw());
        let sees_it = dice.coin();
        self.power_cut(seed, sees_it)?;
        self.start_again()
    }

    /// A clean stop.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut broker = self.broker.take().context("no broker runs")?;
        let status = broker.terminate()?;
        ensure!(status.success(), "the broker ended with {status}:\n{}", broker.stderr());
        Ok(())
    }

    /// The power is cut while nothing runs.
    pub(crate) fn power_cut_at_rest(&mut self) -> Result<()> {
        self.volume.power_cut(None);
        self.volume.power_on().context("mounting again")
    }

    /// All values of all partitions that are there now, from offset 0 on; more may come meanwhile.
    pub(crate) fn values(&self, partitions: i32) -> Result<Vec<Vec<Vec<u8>>>> {
        let settings = [("group.id", "reader"), ("enable.auto.commit", "false"), ("check.crcs", "true")];
        let consumer: BaseConsumer = rust_client::config(&self.bootstrap(), &settings).create()?;
        let mut list = TopicPartitionList::new();
        let mut ends = Vec::new();
        for partition in 0..partitions {
            ends.push(consumer.fetch_watermarks(TOPIC, partition, PATIENCE)?.1 as usize);
            list.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut values = vec![Vec::new(); partitions as usize];
        let begin = Instant::now();
        while values.iter().zip(&ends).any(|(values, end)| values.len() < *end) {
            ensure!(begin.elapsed() < PATIENCE, "what is there cannot be read");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let of = &mut values[message.partition() as usize];
                    ensure!(message.offset() == of.len() as i64, "a gap before offset {}", message.offset());
                    of.push(message.payload().unwrap_or_default().to_vec());
                }
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        Ok(values)
    }
}
