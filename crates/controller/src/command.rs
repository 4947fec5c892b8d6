//! What can be asked of the controller, and its answers.
//!
//! Everything that is random or read from outside is an argument here, so that deciding stays a pure function.

use ottla_types::{BrokerEpoch, BrokerId, PartitionIndex, TopicName, Uuid};

use crate::{
    decide::{
        AlterConfigError, BrokerError, CreatePartitionsError, CreateTopicError, DeleteTopicError, ElectLeaderError,
        FeatureError, ProducerIdsError,
    },
    image::ConfigMap,
    record::{ConfigResource, Endpoint, FeatureRange},
};

/// A question with the shape of its answer.
pub trait Ask: Into<Command> + Send + 'static {
    /// What it is answered with.
    type Reply: Send + 'static;

    /// The answer inside `reply`; none when `reply` answers something else.
    fn reply(reply: Reply) -> Option<Self::Reply>;
}

macro_rules! commands {
    ($($ask:ident as $name:ident => $reply:ty,)+) => {
        /// Anything that can be asked.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command {
            $(#[doc = concat!("See [`", stringify!($ask), "`].")] $name($ask),)+
        }

        /// Anything that can be answered.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Reply {
            $(#[doc = concat!("To [`", stringify!($ask), "`].")] $name($reply),)+
        }

        $(impl From<$ask> for Command {
            fn from(ask: $ask) -> Self {
                Self::$name(ask)
            }
        }

        impl Ask for $ask {
            type Reply = $reply;

            fn reply(reply: Reply) -> Option<Self::Reply> {
                match reply {
                    Reply::$name(reply) => Some(reply),
                    _ => None,
                }
            }
        })+
    };
}

commands! {
    Bootstrap as Bootstrap => Uuid,
    CreateTopics as CreateTopics => Vec<(String, Result<CreatedTopic, CreateTopicError>)>,
    DeleteTopics as DeleteTopics => Vec<(TopicRef, Result<DeletedTopic, DeleteTopicError>)>,
    CreatePartitions as CreatePartitions => Vec<(String, Result<(), CreatePartitionsError>)>,
    AlterConfigs as AlterConfigs => Vec<(ConfigResource, Result<(), AlterConfigError>)>,
    RegisterBrokerRequest as RegisterBroker => Result<BrokerEpoch, BrokerError>,
    UnregisterBrokerRequest as UnregisterBroker => Result<(), BrokerError>,
    FenceBrokers as FenceBrokers => (),
    AllocateProducerIds as AllocateProducerIds => Result<ProducerIdBlock, ProducerIdsError>,
    ElectLeaders as ElectLeaders => Vec<ElectionResult>,
    UpdateFeatures as UpdateFeatures => Result<(), FeatureError>,
    AssignReplicas as AssignReplicas => (),
    SetDirectories as SetDirectories => (),
}

impl Command {
    /// Whether it is carried out even where there is hardly any room for the metadata: it makes room, or takes little and
    /// keeps what there is usable.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Bootstrap(_)
            | Self::DeleteTopics(_)
            | Self::RegisterBroker(_)
            | Self::UnregisterBroker(_)
            | Self::FenceBrokers(_)
            | Self::ElectLeaders(_)
            | Self::AssignReplicas(_)
            | Self::SetDirectories(_) => true,
            Self::CreateTopics(_)
            | Self::CreatePartitions(_)
            | Self::AlterConfigs(_)
            | Self::AllocateProducerIds(_)
            | Self::UpdateFeatures(_) => false,
        }
    }
}

/// Gives a new cluster its id and its features; a cluster that has an id keeps both. Answered with the cluster's id.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// Fresh random id, or the one that the operator chose.
    pub cluster_id: Uuid,
    /// Features and levels to start with.
    pub features: Vec<(String, i16)>,
}

/// Creates topics, each by itself. Answered in the order asked, each name once.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTopics {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Only says what would happen.
    pub validate_only: bool,
    /// Where placement starts; any number, best a random one.
    pub placement_start: u64,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopic {
    /// Name as the client gave it, legal or not.
    pub name: String,
    /// Fresh random id for it.
    pub id: Uuid,
    /// Number of partitions, −1 for the default.
    pub partitions: i32,
    /// Replicas of each partition, −1 for the default.
    pub replication_factor: i16,
    /// Replicas by partition, chosen by the client; empty leaves the choice to placement.
    pub assignments: Vec<(PartitionIndex, Vec<BrokerId>)>,
    /// Configurations to set.
    pub configs: Vec<(String, Option<String>)>,
    /// What happens when there are fewer brokers than replicas.
    pub limit: ReplicationLimit,
}

impl NewTopic {
    /// A topic placed by the controller, without configurations.
    #[must_use]
    pub fn new(name: &str, id: Uuid, partitions: i32, replication_factor: i16) -> Self {
        Self {
            name: name.to_owned(),
            id,
            partitions,
            replication_factor,
            assignments: Vec::new(),
            configs: Vec::new(),
            limit: ReplicationLimit::Exact,
        }
    }
}

/// What to do with a replication factor over the number of live brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicationLimit {
    /// Refuse, as clients expect.
    #[default]
    Exact,
    /// Take what there is: for the internal topics, without which nothing works.
    LiveBrokers,
}

/// A topic that was created, or would be.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication_factor: i16,
    /// Configurations that were set with it.
    pub configs: ConfigMap,
}

/// A topic as a client names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(Uuid),
}

/// Deletes topics, each by itself. Answered in the order asked, each reference once.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteTopics {
    /// The topics.
    pub topics: Vec<TopicRef>,
}

/// A topic that is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: Uuid,
}

/// Adds partitions to topics, each topic by itself. Answered in the order asked, each name once.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatePartitions {
    /// The topics.
    pub topics: Vec<NewPartitions>,
    /// Only says what would happen.
    pub validate_only: bool,
    /// Where placement starts; any number, best a random one.
    pub placement_start: u64,
}

/// Partitions to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// How many partitions it shall have in all.
    pub count: i32,
    /// Replicas of each added partition, chosen by the client.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Changes configurations, each resource by itself. Answered in the order asked, each resource once.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterConfigs {
    /// The resources.
    pub changes: Vec<ConfigChange>,
    /// Only says what would happen.
    pub validate_only: bool,
}

/// What to do with the configurations of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    /// The resource.
    pub resource: ConfigResource,
    /// The change.
    pub edit: ConfigEdit,
}

/// AlterConfigs replaces, IncrementalAlterConfigs edits.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigEdit {
    /// Exactly these stay set.
    Replace(Vec<(String, Option<String>)>),
    /// These change, the others stay.
    Edit(Vec<(String, ConfigOp)>),
}

/// One incremental change; a missing value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOp {
    /// Set to this (0).
    Set(Option<String>),
    /// Take back (1).
    Delete,
    /// Add these to a list (2).
    Append(Option<String>),
    /// Take these from a list (3).
    Subtract(Option<String>),
}

/// Makes a broker part of the cluster under a new epoch. Answered with that epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterBrokerRequest {
    /// Its id.
    pub broker: BrokerId,
    /// Fresh random id of this run of its process.
    pub incarnation: Uuid,
    /// Where to reach it.
    pub endpoints: Vec<Endpoint>,
    /// What it can run.
    pub features: Vec<FeatureRange>,
    /// Its rack.
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub directories: Vec<Uuid>,
    /// Whether it has to catch up before it may lead.
    pub fenced: bool,
}

/// Removes a broker for good.
#[derive(Clone, Debug, PartialEq)]
pub struct UnregisterBrokerRequest {
    /// Which.
    pub broker: BrokerId,
}

/// Fences and unfences brokers, moving leaderships; brokers that are unknown or already so are passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct FenceBrokers {
    /// Brokers that may not lead any more.
    pub fence: Vec<BrokerId>,
    /// Brokers that may lead again.
    pub unfence: Vec<BrokerId>,
}

/// Asks for a block of producer ids.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateProducerIds {
    /// The broker that wants it.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
}

/// Producer ids `first .. first + len`, given to nobody else ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// First id.
    pub first: i64,
    /// How many.
    pub len: i32,
}

/// How to elect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first replica leads, if it is in the ISR (0).
    Preferred,
    /// Any live replica leads where none does, losing what it lacks (1).
    Unclean,
}

/// Elects leaders. Answered per partition asked for; with `None`, per partition that needed an election.
#[derive(Clone, Debug, PartialEq)]
pub struct ElectLeaders {
    /// How.
    pub kind: ElectionKind,
    /// Topics and partitions; all where `None`.
    pub partitions: Option<Vec<(String, Vec<PartitionIndex>)>>,
}

/// How one election went.
#[derive(Clone, Debug, PartialEq)]
pub struct ElectionResult {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether a leader was elected.
    pub result: Result<(), ElectLeaderError>,
}

/// Sets feature levels, all or none.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateFeatures {
    /// Feature and level; 0 turns it off.
    pub features: Vec<(String, i16)>,
    /// Only says what would happen.
    pub validate_only: bool,
}

/// Notes in which of its log directories a broker's replicas lie; what is not there is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignReplicas {
    /// The broker.
    pub broker: BrokerId,
    /// Topic, partition, directory.
    pub assignments: Vec<(Uuid, PartitionIndex, Uuid)>,
}

/// Notes which log directories of a broker are online, moving leaderships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDirectories {
    /// The broker.
    pub broker: BrokerId,
    /// Ids of those that are.
    pub online: Vec<Uuid>,
}
