//! What a group's coordinator is asked and what it answers: messages of the wire, one group at a time.

use ottla_types::{ErrorCode, Uuid};
use ottla_wire::messages::{
    consumer_group_describe_response, consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest,
    consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse, describe_groups_response,
    heartbeat_request::HeartbeatRequest, heartbeat_response::HeartbeatResponse, join_group_request::JoinGroupRequest,
    join_group_response::JoinGroupResponse, leave_group_request::LeaveGroupRequest,
    leave_group_response::LeaveGroupResponse, list_groups_response, offset_commit_request::OffsetCommitRequest,
    offset_commit_response::OffsetCommitResponse, offset_delete_request::OffsetDeleteRequest,
    offset_delete_response::OffsetDeleteResponse, offset_fetch_request::OffsetFetchRequestGroup,
    offset_fetch_response::OffsetFetchResponseGroup, sync_group_request::SyncGroupRequest,
    sync_group_response::SyncGroupResponse, txn_offset_commit_request::TxnOffsetCommitRequest,
    txn_offset_commit_response::TxnOffsetCommitResponse,
};

/// Who sends a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// `client.id`; empty where none was sent.
    pub id: String,
    /// Address as Kafka writes it: `/127.0.0.1`.
    pub host: String,
}

/// See the file's head. `version` is the request's.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // fields carry the request of the variant's name
pub enum GroupRequest {
    /// Classic: enter. `fresh` is the id of a member that has none.
    Join { version: i16, client: Client, fresh: Uuid, request: JoinGroupRequest },
    /// Classic: hand out or fetch the assignment.
    Sync { version: i16, request: SyncGroupRequest },
    /// Classic: still here.
    Heartbeat { version: i16, request: HeartbeatRequest },
    /// Classic: members leave.
    Leave { version: i16, request: LeaveGroupRequest },
    /// Consumer protocol: enter, stay, leave. `fresh` is the id of a member that has none.
    ConsumerHeartbeat { version: i16, client: Client, fresh: Uuid, request: ConsumerGroupHeartbeatRequest },
    /// Store offsets.
    CommitOffsets { version: i16, request: OffsetCommitRequest },
    /// Store offsets as part of a transaction.
    CommitTransactionalOffsets { request: TxnOffsetCommitRequest },
    /// Read offsets.
    FetchOffsets { version: i16, require_stable: bool, group: OffsetFetchRequestGroup },
    /// Forget offsets.
    DeleteOffsets { request: OffsetDeleteRequest },
    /// Describe a group as `DescribeGroups` does.
    Describe { version: i16, group_id: String },
    /// Describe a group as `ConsumerGroupDescribe` does.
    ConsumerDescribe { group_id: String },
    /// All groups of the shard, of certain states and types where these are not empty.
    List { states: Vec<String>, types: Vec<String> },
    /// Forget a group.
    Delete { group_id: String },
}

impl GroupRequest {
    /// Whether it may lead to records. Members that only say that they are there hardly ever do.
    pub(crate) fn may_write(&self) -> bool {
        match self {
            Self::Heartbeat { .. }
            | Self::FetchOffsets { .. }
            | Self::Describe { .. }
            | Self::ConsumerDescribe { .. }
            | Self::List { .. } => false,
            Self::ConsumerHeartbeat { request, .. } => request.member_epoch <= 0,
            _ => true,
        }
    }

    /// The group that is asked; none where all are.
    pub(crate) fn group_id(&self) -> Option<&str> {
        match self {
            Self::Join { request, .. } => Some(&request.group_id),
            Self::Sync { request, .. } => Some(&request.group_id),
            Self::Heartbeat { request, .. } => Some(&request.group_id),
            Self::Leave { request, .. } => Some(&request.group_id),
            Self::ConsumerHeartbeat { request, .. } => Some(&request.group_id),
            Self::CommitOffsets { request, .. } => Some(&request.group_id),
            Self::CommitTransactionalOffsets { request } => Some(&request.group_id),
            Self::FetchOffsets { group, .. } => Some(&group.group_id),
            Self::DeleteOffsets { request } => Some(&request.group_id),
            Self::Describe { group_id, .. } | Self::ConsumerDescribe { group_id } | Self::Delete { group_id } => {
                Some(group_id)
            }
            Self::List { .. } => None,
        }
    }
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named as the requests
pub enum GroupReply {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    CommitOffsets(OffsetCommitResponse),
    CommitTransactionalOffsets(TxnOffsetCommitResponse),
    FetchOffsets(OffsetFetchResponseGroup),
    DeleteOffsets(OffsetDeleteResponse),
    Describe(describe_groups_response::DescribedGroup),
    ConsumerDescribe(consumer_group_describe_response::DescribedGroup),
    List(Vec<list_groups_response::ListedGroup>),
    Delete(ErrorCode),
    /// Whatever was asked: not now.
    Refused(ErrorCode),
}
