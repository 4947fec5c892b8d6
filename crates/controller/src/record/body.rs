//! What each metadata record says. Field order is the format of version 0: new fields come with a new version.

use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicName, Uuid};

use super::{
    RecordError,
    codec::{Field, Reader, fields},
};

/// Where clients or other nodes reach a broker under one listener's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, such as `PLAINTEXT` or `EXTERNAL`.
    pub name: String,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// Security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}
fields!(Endpoint { name, host, port, security_protocol });

/// Levels of one feature that a broker can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// Feature name, such as `metadata.version`.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}
fields!(FeatureRange { name, min, max });

/// A broker is part of the cluster, in a new incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBroker {
    /// Its id.
    pub broker: BrokerId,
    /// Random id of this run of the process.
    pub incarnation: Uuid,
    /// Epoch given to this incarnation; grows with each registration.
    pub epoch: BrokerEpoch,
    /// Where to reach it.
    pub endpoints: Vec<Endpoint>,
    /// What it can run.
    pub features: Vec<FeatureRange>,
    /// Rack, for placement.
    pub rack: Option<String>,
    /// Whether it may not lead or join an ISR yet.
    pub fenced: bool,
    /// Whether it asked to be relieved of its leaderships.
    pub in_controlled_shutdown: bool,
    /// Ids of its log directories.
    pub directories: Vec<Uuid>,
}
fields!(RegisterBroker {
    broker,
    incarnation,
    epoch,
    endpoints,
    features,
    rack,
    fenced,
    in_controlled_shutdown,
    directories
});

/// A broker left for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterBroker {
    /// Which.
    pub broker: BrokerId,
    /// Its last epoch.
    pub epoch: BrokerEpoch,
}
fields!(UnregisterBroker { broker, epoch });

/// A broker lost its right to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceBroker {
    /// Which.
    pub broker: BrokerId,
    /// Its epoch.
    pub epoch: BrokerEpoch,
}
fields!(FenceBroker { broker, epoch });

/// A broker may lead again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfenceBroker {
    /// Which.
    pub broker: BrokerId,
    /// Its epoch.
    pub epoch: BrokerEpoch,
}
fields!(UnfenceBroker { broker, epoch });

/// A topic exists; its partitions follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: Uuid,
}
fields!(Topic { name, id });

/// A partition exists, with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its topic.
    pub topic_id: Uuid,
    /// Its number.
    pub partition: PartitionIndex,
    /// Its registration.
    pub state: PartitionState,
}
fields!(Partition { topic_id, partition, state });

/// Registration of a partition: who holds it, who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Brokers that hold the partition; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// Log directory of each replica, in the order of `replicas`; zero where the broker has not said yet.
    pub directories: Vec<Uuid>,
    /// Replicas that hold all that is committed.
    pub isr: Vec<BrokerId>,
    /// Replicas out of the ISR that still hold all that is committed.
    pub elr: Vec<BrokerId>,
    /// Last known members of the ELR, in case all are lost.
    pub last_known_elr: Vec<BrokerId>,
    /// Replicas on their way out.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas on their way in.
    pub adding_replicas: Vec<BrokerId>,
    /// Leader, if any replica can lead.
    pub leader: Option<BrokerId>,
    /// Whether the leader was elected uncleanly and has yet to recover.
    pub leader_recovering: bool,
    /// How often the leader changed.
    pub leader_epoch: LeaderEpoch,
    /// How often this registration changed.
    pub partition_epoch: PartitionEpoch,
}
fields!(PartitionState {
    replicas,
    directories,
    isr,
    elr,
    last_known_elr,
    removing_replicas,
    adding_replicas,
    leader,
    leader_recovering,
    leader_epoch,
    partition_epoch,
});

/// Parts of a partition's registration changed; `None` leaves a part as it is.
///
/// A given leader raises the leader epoch by one; every change raises the partition epoch by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    /// The topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: PartitionIndex,
    /// New replicas.
    pub replicas: Option<Vec<BrokerId>>,
    /// New directories.
    pub directories: Option<Vec<Uuid>>,
    /// New ISR.
    pub isr: Option<Vec<BrokerId>>,
    /// New ELR.
    pub elr: Option<Vec<BrokerId>>,
    /// New last known ELR.
    pub last_known_elr: Option<Vec<BrokerId>>,
    /// New removing replicas.
    pub removing_replicas: Option<Vec<BrokerId>>,
    /// New adding replicas.
    pub adding_replicas: Option<Vec<BrokerId>>,
    /// New leader, which may be the old one (its epoch then grows) or none.
    pub leader: Option<Option<BrokerId>>,
    /// New recovery state.
    pub leader_recovering: Option<bool>,
}

impl PartitionChange {
    /// A change of nothing yet.
    #[must_use]
    pub fn of(topic_id: Uuid, partition: PartitionIndex) -> Self {
        Self { topic_id, partition, ..Self::default() }
    }
}
fields!(PartitionChange {
    topic_id,
    partition,
    replicas,
    directories,
    isr,
    elr,
    last_known_elr,
    removing_replicas,
    adding_replicas,
    leader,
    leader_recovering,
});

/// A topic, its partitions and its configuration are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTopic {
    /// Which.
    pub id: Uuid,
}
fields!(RemoveTopic { id });

/// What a configuration belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigKind {
    /// A topic, by name.
    Topic,
    /// A broker, by id; the empty name is the default of all brokers.
    Broker,
    /// A client metrics subscription, by name.
    ClientMetrics,
    /// A group, by id.
    Group,
}

impl ConfigKind {
    /// Number of the resource type in requests.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The kind of a resource type in a request; none for those whose configuration is not kept in the metadata.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::ClientMetrics, Self::Group].into_iter().find(|kind| kind.code() == code)
    }

    /// Kafka's name of the resource type, as in `CLIENT_METRICS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

impl Field for ConfigKind {
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Self::from_code(i8::take(from)?).ok_or(RecordError::Malformed("unknown config resource type"))
    }
}

/// One thing that can be configured at run time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigKind,
    /// Which one.
    pub name: String,
}
fields!(ConfigResource { kind, name });

impl ConfigResource {
    /// A topic's configuration.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self { kind: ConfigKind::Topic, name: name.to_owned() }
    }

    /// One broker's configuration.
    #[must_use]
    pub fn broker(id: BrokerId) -> Self {
        Self { kind: ConfigKind::Broker, name: id.to_string() }
    }

    /// The configuration of all brokers that say nothing of their own.
    #[must_use]
    pub fn default_broker() -> Self {
        Self { kind: ConfigKind::Broker, name: String::new() }
    }

    /// A group's configuration.
    #[must_use]
    pub fn group(id: &str) -> Self {
        Self { kind: ConfigKind::Group, name: id.to_owned() }
    }
}

impl std::fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConfigResource(type={}, name='{}')", self.kind.name(), self.name)
    }
}

/// One configuration was set, or taken back (`None`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Of what.
    pub resource: ConfigResource,
    /// Which.
    pub name: String,
    /// Value in Kafka's text form.
    pub value: Option<String>,
}
fields!(Config { resource, name, value });

/// The cluster runs a feature at a level; 0 turns it off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevel {
    /// Feature name.
    pub name: String,
    /// Level.
    pub level: i16,
}
fields!(FeatureLevel { name, level });

/// Producer ids below `next_producer_id` are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIds {
    /// Broker that got the block.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// First id that nobody has.
    pub next_producer_id: i64,
}
fields!(ProducerIds { broker, broker_epoch, next_producer_id });

/// The cluster got its id; written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterId {
    /// The id.
    pub id: Uuid,
}
fields!(ClusterId { id });
