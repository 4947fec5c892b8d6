//! Why a request of a member is refused, in the words that users of Kafka know.

use ottla_types::ErrorCode;
use ottla_wire::STRING_BYTES_MAX;

/// See the file's head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("MemberId can't be empty.")]
    NoMemberId,
    #[error("GroupId can't be empty.")]
    NoGroupId,
    #[error("InstanceId can't be empty.")]
    EmptyInstanceId,
    #[error("InstanceId can't be null.")]
    NoInstanceId,
    #[error("RackId can't be empty.")]
    EmptyRackId,
    #[error("RebalanceTimeoutMs must be provided in first request.")]
    NoRebalanceTimeout,
    #[error("TopicPartitions must be empty when (re-)joining.")]
    JoinsWithPartitions,
    #[error("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")]
    NoSubscription,
    #[error("MemberEpoch is invalid.")]
    InvalidEpoch,
    #[error("ServerAssignor {name} is not supported. Supported assignors: {supported}.")]
    UnsupportedAssignor { name: String, supported: String },
    #[error("Group {0} not found.")]
    GroupNotFound(String),
    #[error("Consumer group {0} not found.")]
    ConsumerGroupNotFound(String),
    #[error("Group {0} is not a consumer group.")]
    NotConsumerGroup(String),
    #[error("The consumer group has reached its maximum capacity of {0} members.")]
    GroupFull(i32),
    #[error("Member {member} is not a member of group {group}.")]
    UnknownMember { member: String, group: String },
    #[error("Instance id {0} is unknown.")]
    UnknownInstance(String),
    #[error("Member with instance id {instance} is not a member of group {group}.")]
    InstanceNotInGroup { instance: String, group: String },
    #[error("Static member {member} with instance id {instance} was fenced by member {owner}.")]
    InstanceFenced { member: String, instance: String, owner: String },
    #[error(
        "Static member {member} with instance id {instance} cannot join the group because the instance id is owned by \
         {owner} member."
    )]
    InstanceUnreleased { member: String, instance: String, owner: String },
    #[error(
        "The consumer group member has a {} member epoch ({received}) than the one known by the group coordinator \
         ({known}). The member must abandon all its partitions and rejoin.",
        if received > known { "greater" } else { "smaller" }
    )]
    FencedEpoch { received: i32, known: i32 },
    #[error("The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.")]
    UnknownState,
    #[error("SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}.")]
    InvalidRegex { regex: String, reason: String },
    #[error("Failed to compute a new target assignment for epoch {0}")]
    NoAssignment(i32),
    #[error("Cannot upgrade classic group {0} to consumer group because online upgrade is disabled.")]
    UpgradeDisabled(String),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group does not use the consumer embedded \
         protocol."
    )]
    NotConsumerProtocol(String),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group size exceeds the consumer group maximum \
         size."
    )]
    TooManyToUpgrade(String),
    #[error("Cannot upgrade classic group {0} to consumer group because the embedded consumer protocol is malformed.")]
    MalformedProtocol(String),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because an unsupported custom assignor is in use. Please \
         refer to the documentation or switch to a default assignor before re-attempting the upgrade."
    )]
    CustomAssignor(String),
    #[error("Cannot join the consumer group {0} with the classic protocol because the group migration is disabled.")]
    MigrationDisabled(String),
    #[error("Member {0}'s protocols are not supported.")]
    ProtocolsUnsupported(String),
    #[error("Malformed embedded consumer protocol of member {0}.")]
    MalformedSubscription(String),
    #[error("Member {0} does not use the classic protocol.")]
    NotClassicMember(String),
    #[error("The request generation id {received} is not equal to the member epoch {known} of member {member}.")]
    IllegalGeneration { member: String, received: i32, known: i32 },
    #[error("The protocol of member {0} is not the one that its join was answered with.")]
    ProtocolMismatch(String),
    #[error("A new rebalance is triggered in group {group} and member {member} should rejoin to catch up.")]
    RebalanceInProgress { group: String, member: String },
}

impl Refused {
    /// What the client is told; names that it made too long for that are cut off.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        message.truncate(message.floor_char_boundary(STRING_BYTES_MAX));
        message
    }

    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NoMemberId
            | Self::NoGroupId
            | Self::EmptyInstanceId
            | Self::NoInstanceId
            | Self::EmptyRackId
            | Self::NoRebalanceTimeout
            | Self::JoinsWithPartitions
            | Self::NoSubscription
            | Self::InvalidEpoch => ErrorCode::InvalidRequest,
            Self::UnsupportedAssignor { .. } => ErrorCode::UnsupportedAssignor,
            Self::GroupNotFound(_)
            | Self::ConsumerGroupNotFound(_)
            | Self::NotConsumerGroup(_)
            | Self::UpgradeDisabled(_)
            | Self::NotConsumerProtocol(_)
            | Self::TooManyToUpgrade(_)
            | Self::MalformedProtocol(_)
            | Self::CustomAssignor(_) => ErrorCode::GroupIdNotFound,
            Self::GroupFull(_) => ErrorCode::GroupMaxSizeReached,
            Self::UnknownMember { .. }
            | Self::UnknownInstance(_)
            | Self::InstanceNotInGroup { .. }
            | Self::NotClassicMember(_) => ErrorCode::UnknownMemberId,
            Self::InstanceFenced { .. } => ErrorCode::FencedInstanceId,
            Self::InstanceUnreleased { .. } => ErrorCode::UnreleasedInstanceId,
            Self::FencedEpoch { .. } | Self::UnknownState => ErrorCode::FencedMemberEpoch,
            Self::InvalidRegex { .. } => ErrorCode::InvalidRegularExpression,
            Self::NoAssignment(_) | Self::MalformedSubscription(_) => ErrorCode::UnknownServerError,
            Self::MigrationDisabled(_) | Self::ProtocolsUnsupported(_) | Self::ProtocolMismatch(_) => {
                ErrorCode::InconsistentGroupProtocol
            }
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress { .. } => ErrorCode::RebalanceInProgress,
        }
    }
}
