//! One file per API: decode is done, here a machine or the log is asked and the answer put into words.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
pub(crate) mod api_versions;
mod config_changes;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod enlist;
mod fetch;
mod find_coordinator;
mod groups;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod transactions;
mod txn_offset_commit;
mod write_txn_markers;

use std::sync::Arc;

use ottla_wire::messages::Request;

use crate::{
    net::{Answer, Peer},
    node::Node,
    service::ReplyTo,
};

/// Hands a request to its handler.
pub(crate) fn handle(node: &Arc<Node>, peer: &mut Peer, reply: ReplyTo, request: Request) -> Answer {
    match request {
        Request::ApiVersions(request) => api_versions::handle(node, peer, reply, request),
        Request::Produce(request) => produce::handle(node, reply, request),
        Request::Fetch(request) => fetch::handle(node, reply, request),
        Request::Metadata(request) => metadata::handle(node, peer, reply, request),
        Request::ListOffsets(request) => list_offsets::handle(node, reply, &request),
        Request::InitProducerId(request) => init_producer_id::handle(node, reply, request),
        Request::AddPartitionsToTxn(request) => add_partitions_to_txn::handle(node, reply, request),
        Request::AddOffsetsToTxn(request) => add_offsets_to_txn::handle(node, reply, request),
        Request::EndTxn(request) => end_txn::handle(node, reply, request),
        Request::WriteTxnMarkers(request) => write_txn_markers::handle(node, reply, request),
        Request::TxnOffsetCommit(request) => txn_offset_commit::handle(node, reply, request),
        Request::DescribeTransactions(request) => describe_transactions::handle(node, reply, request),
        Request::ListTransactions(request) => list_transactions::handle(node, reply, request),
        Request::FindCoordinator(request) => find_coordinator::handle(node, peer, reply, request),
        Request::JoinGroup(request) => join_group::handle(node, peer, reply, request),
        Request::SyncGroup(request) => sync_group::handle(node, reply, request),
        Request::Heartbeat(request) => heartbeat::handle(node, reply, request),
        Request::LeaveGroup(request) => leave_group::handle(node, reply, request),
        Request::ConsumerGroupHeartbeat(request) => consumer_group_heartbeat::handle(node, peer, reply, request),
        Request::ConsumerGroupDescribe(request) => consumer_group_describe::handle(node, reply, request),
        Request::OffsetCommit(request) => offset_commit::handle(node, reply, request),
        Request::OffsetFetch(request) => offset_fetch::handle(node, reply, request),
        Request::OffsetDelete(request) => offset_delete::handle(node, reply, request),
        Request::DescribeGroups(request) => describe_groups::handle(node, reply, request),
        Request::ListGroups(request) => list_groups::handle(node, reply, request),
        Request::DeleteGroups(request) => delete_groups::handle(node, reply, request),
        Request::CreateTopics(request) => create_topics::handle(node, reply, request),
        Request::DeleteTopics(request) => delete_topics::handle(node, reply, request),
        Request::DeleteRecords(request) => delete_records::handle(node, reply, request),
        Request::OffsetForLeaderEpoch(request) => offset_for_leader_epoch::handle(node, &reply, &request),
        Request::DescribeAcls(_) => describe_acls::handle(&reply),
        Request::DescribeConfigs(request) => describe_configs::handle(node, &reply, &request),
        Request::AlterConfigs(request) => alter_configs::handle(node, reply, request),
        Request::AlterPartitionReassignments(request) => alter_partition_reassignments::handle(node, &reply, request),
        Request::AlterReplicaLogDirs(request) => alter_replica_log_dirs::handle(node, reply, request),
        Request::DescribeLogDirs(request) => describe_log_dirs::handle(node, reply, request),
        Request::CreatePartitions(request) => create_partitions::handle(node, reply, request),
        Request::ElectLeaders(request) => elect_leaders::handle(node, reply, request),
        Request::IncrementalAlterConfigs(request) => incremental_alter_configs::handle(node, reply, request),
        Request::ListPartitionReassignments(_) => list_partition_reassignments::handle(&reply),
        Request::DescribeClientQuotas(request) => describe_client_quotas::handle(&reply, &request),
        Request::DescribeUserScramCredentials(request) => describe_user_scram_credentials::handle(&reply, request),
        Request::DescribeQuorum(request) => describe_quorum::handle(node, &reply, request),
        Request::DescribeCluster(request) => describe_cluster::handle(node, peer, &reply, &request),
        Request::DescribeProducers(request) => describe_producers::handle(node, &reply, &request),
        Request::ListConfigResources(request) => list_config_resources::handle(node, &reply, &request),
        Request::DescribeTopicPartitions(request) => describe_topic_partitions::handle(node, &reply, request),
        other => {
            // The table of served APIs and this match have parted.
            tracing::error!(?other, "no handler");
            Answer::Close
        }
    }
}
