//! The APIs that this broker answers, with their versions.
//!
//! Invariant: an API is listed when it works; what is not listed is neither advertised nor handed to a handler.

use ottla_wire::{ApiKey, VersionRange};

/// Served APIs, by key ascending.
pub(crate) const APIS: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
];

/// Features that this broker can run: name, lowest and highest level. `metadata.version` is Kafka 4.3's.
pub(crate) const SUPPORTED: [(&str, i16, i16); 4] =
    [("group.version", 0, 1), ("kraft.version", 0, 1), ("metadata.version", 7, 30), ("transaction.version", 0, 2)];
/// Levels that a new cluster starts with.
pub(crate) const FEATURES: [(&str, i16); 3] =
    [("group.version", 1), ("metadata.version", 30), ("transaction.version", 2)];

/// The versions of `api` that are served, or none where it is not.
pub(crate) fn range(api: ApiKey) -> Option<VersionRange> {
    APIS.binary_search(&api).is_ok().then(|| api.versions())
}

/// The versions of `api` as `ApiVersions` names them.
///
/// Produce begins at 0 although versions below 3 are refused: librdkafka before 2.8 takes a broker without Produce 0 for one
/// that lacks newer features too, and falls back to formats that are no longer written. Kafka 4 does the same.
pub(crate) fn advertised(api: ApiKey) -> Option<VersionRange> {
    let range = range(api)?;
    Some(if api == ApiKey::Produce { VersionRange::new(0, range.max) } else { range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(APIS.is_sorted(), "binary search needs the keys ascending");
        assert!(APIS.iter().all(|api| range(*api).is_some()));
        assert_eq!(range(ApiKey::PushTelemetry), None);
    }
}
