//! A group of processes, what is sent to it, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use ottla_conformance::Broker;
use ottla_conformance::groups::{Journal, Member, Protocol, wait};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::{PATIENCE, config, create_topic};
use ottla_types::Uuid;
use ottla_wire::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use ottla_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use ottla_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

/// The kind of resource whose configuration is a topic's.
const TOPIC_RESOURCE: i8 = 2;
/// The kind of resource whose configuration is a group's.
const GROUP_RESOURCE: i8 = 32;

/// A group with one topic.
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) topic: String,
    protocol: Protocol,
    session_ms: u32,
    bootstrap: String,
    partitions: i32,
    journal: Arc<Mutex<Journal>>,
    started: usize,
}

impl Group {
    pub(crate) fn new(broker: &Broker, protocol: Protocol, session_ms: u32, partitions: i32) -> Result<Group> {
        let (id, topic) = (broker.topic("group"), broker.topic("fed"));
        let bootstrap = broker.bootstrap();
        create_topic(&bootstrap, &topic, partitions, &[])?;
        if protocol == Protocol::Consumer {
            set_session(&bootstrap, &id, session_ms)?;
        }
        let journal = Arc::default();
        Ok(Group { id, topic, protocol, session_ms, bootstrap, partitions, journal, started: 0 })
    }

    /// A process that joins.
    pub(crate) fn member(&mut self) -> Result<Member> {
        self.started += 1;
        let mut settings: BTreeMap<_, _> = self.protocol.settings(self.session_ms).into_iter().collect();
        let own = [
            ("bootstrap.servers", self.bootstrap.as_str()),
            ("group.id", &self.id),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("reconnect.backoff.max.ms", "500"),
            ("topic.metadata.refresh.interval.ms", "1000"),
        ];
        settings.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        Member::start(&format!("{:?} {}", self.protocol, self.started), &self.topic, &settings, &self.journal)
    }

    /// Sends so many records, spread over the partitions, and waits until all are acknowledged.
    pub(crate) fn send(&self, count: i32) -> Result<()> {
        let settings = [
            ("enable.idempotence", "true"),
            ("max.in.flight.requests.per.connection", "1"),
            ("linger.ms", "1"),
            ("reconnect.backoff.max.ms", "500"),
        ];
        let producer: ThreadedProducer<DefaultProducerContext> = config(&self.bootstrap, &settings).create()?;
        for number in 0..count {
            let partition = number % self.partitions;
            let value = self.journal().next_value(partition);
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&self.topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(PATIENCE * 2).context("not everything was sent")?;
        Ok(())
    }

    /// The epoch of a group of the consumer protocol: it grows also where everybody keeps what it has. Nothing of a classic
    /// group, whose members hear of each rebalance.
    pub(crate) fn epoch(&self) -> Result<Option<i32>> {
        if self.protocol != Protocol::Consumer {
            return Ok(None);
        }
        let request = ConsumerGroupDescribeRequest { group_ids: vec![self.id.clone()], ..Default::default() };
        let answer = Raw::connect(&self.bootstrap)?.ask(1, &request)?;
        let group = answer.groups.first().context("no group in the answer")?;
        ensure!(group.error_code == 0, "{group:?}");
        Ok(Some(group.group_epoch))
    }

    /// Changes what is none of the group's business: settings of its topic, another topic, the start of a log.
    pub(crate) fn disturb(&self) -> Result<()> {
        set(&self.bootstrap, TOPIC_RESOURCE, &self.topic, ("max.message.bytes", "900000"))?;
        set(&self.bootstrap, TOPIC_RESOURCE, &self.topic, ("retention.ms", "3600000"))?;
        let other = format!("{}-other", self.topic);
        create_topic(&self.bootstrap, &other, 2, &[])?;
        let mut raw = Raw::connect(&self.bootstrap)?;
        let partition = DeleteRecordsPartition { partition_index: 0, offset: -1 };
        let topic = DeleteRecordsTopic { name: self.topic.clone(), partitions: vec![partition] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 30_000 };
        let answer = raw.ask(2, &request)?;
        let errors = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        ensure!(errors.max() == Some(0), "records cannot be deleted");
        let topic = DeleteTopicState { name: Some(other), topic_id: Uuid::ZERO };
        let request = DeleteTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer = raw.ask(6, &request)?;
        ensure!(answer.responses.iter().all(|response| response.error_code == 0), "{answer:?}");
        Ok(())
    }

    /// Waits until these own every partition, each one once, and everybody has some.
    pub(crate) fn await_owned(&self, members: &[&Member]) -> Result<()> {
        let all: BTreeSet<i32> = (0..self.partitions).collect();
        let shared = || {
            let owned: Vec<_> = members.iter().map(|member| member.owned()).collect();
            let count: usize = owned.iter().map(BTreeSet::len).sum();
            let union: BTreeSet<i32> = owned.iter().flatten().copied().collect();
            Ok(owned.iter().all(|some| !some.is_empty()) && count == all.len() && union == all)
        };
        wait("all partitions to be owned", shared, || self.describe(members))
    }

    /// Waits until so many records were read.
    pub(crate) fn await_count(&self, count: usize, members: &[&Member]) -> Result<()> {
        wait("some records", || Ok(self.journal().count() >= count), || self.describe(members))
    }

    /// Waits until everything that was sent was read and committed; nothing came again that must not.
    pub(crate) fn await_read(&self, members: &[&Member]) -> Result<()> {
        let done = || {
            let journal = self.journal();
            journal.check()?;
            Ok(journal.is_read() && journal.is_committed())
        };
        wait("everything to be read and committed", done, || self.describe(members))
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.journal().check()
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, members: &[&Member]) -> String {
        let members: Vec<_> = members.iter().map(|member| member.describe()).collect();
        format!("{:?}: {}; {}", self.protocol, self.journal().describe(), members.join("; "))
    }
}

/// `consumer.session.timeout.ms` of one group, which no member can set itself.
fn set_session(bootstrap: &str, group: &str, session_ms: u32) -> Result<()> {
    set(bootstrap, GROUP_RESOURCE, group, ("consumer.session.timeout.ms", &session_ms.to_string()))
}

/// Sets one configuration.
fn set(bootstrap: &str, kind: i8, name: &str, (key, value): (&str, &str)) -> Result<()> {
    let config = AlterableConfig { name: key.to_owned(), config_operation: 0, value: Some(value.to_owned()) };
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name.to_owned(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = Raw::connect(bootstrap)?.ask(1, &request)?;
    ensure!(answer.responses.iter().all(|response| response.error_code == 0), "{answer:?}");
    Ok(())
}
