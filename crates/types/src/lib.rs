//! The words of Ottla: ids, offsets, epochs, times and error codes as newtypes, without behaviour.
//!
//! Everything here is `Copy` or cheap to clone and knows nothing of the wire or the disk. Kafka's own names are used.

mod codec;
mod error_code;
mod number;
mod topic;

pub use codec::{Compression, TimestampType, UnknownCompression};
pub use error_code::ErrorCode;
pub use number::{
    BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch, PartitionIndex, ProducerEpoch, ProducerId,
    ProducerIdAndEpoch,
};
pub use topic::{BadUuid, TopicName, TopicNameError, TopicPartition, Uuid};
