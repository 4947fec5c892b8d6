//! The metadata of the cluster and the machine that decides its changes: pure, deterministic, without a clock.
//!
//! A [`Command`] is decided against a [`MetadataImage`] into [`MetadataRecord`]s; once these are committed they are
//! replayed into the next image. What is random or comes from outside (ids, placement seeds) stands in the command.
//!
//! Invariants: deciding the same command against the same image twice gives the same records and reply; an image is
//! only ever changed by replaying records, so the log alone rebuilds it.

mod command;
mod decide;
mod image;
mod placement;
mod record;

pub use command::{
    AllocateProducerIds, AlterConfigs, Ask, AssignReplicas, Bootstrap, Command, ConfigChange, ConfigEdit, ConfigOp,
    CreatePartitions, CreateTopics, CreatedTopic, DeleteTopics, DeletedTopic, ElectLeaders, ElectionKind,
    ElectionResult, FenceBrokers, NewPartitions, NewTopic, ProducerIdBlock, RegisterBrokerRequest, ReplicationLimit,
    Reply, SetDirectories, TopicRef, UnregisterBrokerRequest, UpdateFeatures,
};
pub use decide::{
    AlterConfigError, AnyConfig, AssignmentError, BrokerError, ConfigRejected, ConfigRules, Controller,
    ControllerSettings, CreatePartitionsError, CreateTopicError, Decision, DeleteTopicError, ElectLeaderError,
    FeatureError, PARTITIONS_PER_REQUEST_MAX, PRODUCER_ID_BLOCK_LEN, ProducerIdsError, check_replicas,
};
pub use image::{ConfigMap, MetadataDelta, MetadataImage, ReplayError, SharedMap, TopicImage};
pub use placement::{PlacementError, ReplicaPlacement};
pub use record::{
    ClusterId, Config, ConfigKind, ConfigResource, Endpoint, FeatureLevel, FeatureRange, FenceBroker, MetadataRecord,
    Partition, PartitionChange, PartitionState, ProducerIds, RecordError, RegisterBroker, RemoveTopic, Topic,
    UnfenceBroker, UnregisterBroker, decode_batch, encode_batch,
};
