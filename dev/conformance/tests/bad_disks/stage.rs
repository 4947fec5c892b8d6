//! Brokers with several directories, and what is asked of them.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::{raw::Raw, rust_client};
use ottla_records::BatchBuilder;
use ottla_testkit::{BrokerCommand, BrokerProcess};
use ottla_types::Millis;
use ottla_wire::{
    Records,
    messages::{
        DescribeLogDirsRequest, FetchRequest, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
        ListOffsetsTopic, MetadataRequest, MetadataResponse, PartitionProduceData, ProduceRequest, TopicProduceData,
        fetch_request::{FetchPartition, FetchTopic},
        metadata_request::MetadataRequestTopic,
    },
};
use rdkafka::topic_partition_list::Offset;
use tempfile::TempDir;

/// The topic of all cases.
pub(crate) const TOPIC: &str = "t";
/// Its partitions.
pub(crate) const PARTITIONS: i32 = 4;
/// KAFKA_STORAGE_ERROR
pub(crate) const STORAGE_ERROR: i16 = 56;
/// How long something that comes by itself may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Two directories, `a` with the metadata, and `b`.
pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) broker: Option<BrokerProcess>,
    settings: Vec<String>,
}

impl Stage {
    /// Nothing runs yet.
    pub(crate) fn new(settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ottla-disks-").tempdir()?;
        Ok(Self { folder, broker: None, settings: settings.iter().map(|text| text.to_string()).collect() })
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, dirs: &str) -> Result<BrokerCommand> {
        let mut command = BrokerCommand::from_env(dirs)?.argument("--metrics-listen").argument("127.0.0.1:0");
        for setting in &self.settings {
            command = command.argument("--set").argument(setting);
        }
        Ok(command)
    }

    /// Starts a broker on the directories of these names.
    pub(crate) fn start(&mut self, names: &[&str]) -> Result<()> {
        let dirs: Vec<_> = names.iter().map(|name| self.dir(name).display().to_string()).collect();
        self.broker = Some(self.command(&dirs.join(","))?.start()?);
        Ok(())
    }

    /// What a start says that must fail.
    pub(crate) fn refused(&mut self, names: &[&str]) -> Result<String> {
        match self.start(names) {
            Ok(()) => bail!("it started"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    pub(crate) fn set(&mut self, setting: String) {
        self.settings.push(setting);
    }

    pub(crate) fn process(&mut self) -> Result<&mut BrokerProcess> {
        self.broker.as_mut().context("no broker runs")
    }

    pub(crate) fn bootstrap(&self) -> Result<String> {
        Ok(self.broker.as_ref().context("no broker runs")?.address().to_string())
    }

    /// Stops the broker; whether that was clean.
    pub(crate) fn stop(&mut self) -> Result<bool> {
        Ok(self.broker.take().context("no broker runs")?.terminate()?.success())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.broker.take().context("no broker runs")?.kill9()?;
        Ok(())
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        rust_client::create_topic(&self.bootstrap()?, topic, partitions, config)
    }

    /// The partitions of the topic whose directories are in `name`.
    pub(crate) fn partitions_in(&self, name: &str) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.dir(name))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            found.extend(name.strip_prefix(&format!("{TOPIC}-")).and_then(|number| number.parse::<i32>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn raw(&self) -> Result<Raw> {
        Raw::connect(&self.bootstrap()?)
    }

    pub(crate) fn metadata(&self) -> Result<MetadataResponse> {
        let topics = Some(vec![MetadataRequestTopic { name: Some(TOPIC.to_owned()), ..Default::default() }]);
        self.raw()?.ask(9, &MetadataRequest { topics, ..Default::default() })
    }

    /// Error codes of Produce, Fetch and ListOffsets for a partition.
    pub(crate) fn codes(&self, partition: i32) -> Result<[i16; 3]> {
        Ok([self.produce(partition)?, self.fetch(partition)?, self.list_offsets(partition)?])
    }

    pub(crate) fn produce(&self, partition: i32) -> Result<i16> {
        let mut batch = BatchBuilder::new();
        batch.append(Millis(1_600_000_000_000), None, Some(b"raw"));
        let data = PartitionProduceData { index: partition, records: Some(Records::Bytes(batch.build()?)) };
        let topic_data =
            vec![TopicProduceData { name: TOPIC.to_owned(), partition_data: vec![data], ..Default::default() }];
        let request = ProduceRequest { acks: -1, timeout_ms: 1000, topic_data, ..Default::default() };
        Ok(self.raw()?.ask(9, &request)?.responses[0].partition_responses[0].error_code)
    }

    fn fetch(&self, partition: i32) -> Result<i16> {
        let partitions = vec![FetchPartition { partition, partition_max_bytes: 1000, ..Default::default() }];
        let topics = vec![FetchTopic { topic: TOPIC.to_owned(), partitions, ..Default::default() }];
        let request = FetchRequest { max_wait_ms: 100, min_bytes: 1, max_bytes: 1000, topics, ..Default::default() };
        Ok(self.raw()?.ask(12, &request)?.responses[0].partitions[0].error_code)
    }

    fn list_offsets(&self, partition: i32) -> Result<i16> {
        Ok(self.listed(partition)?.error_code)
    }

    /// Offset behind the last record of a partition.
    pub(crate) fn end(&self, partition: i32) -> Result<usize> {
        Ok(usize::try_from(self.listed(partition)?.offset)?)
    }

    fn listed(&self, partition: i32) -> Result<ListOffsetsPartitionResponse> {
        let partitions = vec![ListOffsetsPartition { partition_index: partition, timestamp: -1, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: TOPIC.to_owned(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let mut listed = self.raw()?.ask(6, &request)?.topics;
        listed.pop().and_then(|mut topic| topic.partitions.pop()).context("no partition in the answer")
    }

    /// Error codes of the directories, by their names here.
    pub(crate) fn directory_codes(&self) -> Result<Vec<(String, i16)>> {
        let described = self.raw()?.ask(4, &DescribeLogDirsRequest { topics: None })?;
        let name =
            |path: &str| Path::new(path).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        let mut codes: Vec<_> =
            described.results.iter().map(|result| (name(&result.log_dir), result.error_code)).collect();
        codes.sort();
        Ok(codes)
    }

    /// A metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let url = self.broker.as_ref().and_then(BrokerProcess::metrics_url).context("no metrics")?;
        let address = url.trim_start_matches("http://").split('/').next().context("an address")?;
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let value = page.lines().find_map(|line| line.strip_prefix(&format!("ottla_{name} ")));
        Ok(value.with_context(|| format!("no metric {name}"))?.parse()?)
    }

    /// Waits for something that the broker comes to by itself.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let begin = Instant::now();
        while !holds(self)? {
            ensure!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// All values of a partition, from its beginning to `count` of them.
    pub(crate) fn values(&self, partition: i32, count: usize) -> Result<Vec<Vec<u8>>> {
        let records = rust_client::consume(&self.bootstrap()?, TOPIC, partition, Offset::Beginning, count)?;
        Ok(records.into_iter().map(|record| record.value.unwrap_or_default()).collect())
    }
}
