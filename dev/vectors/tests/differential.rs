//! The vectors against codecs that others wrote: what ours takes for a message, theirs must take for the same.
//!
//! Each vector is decoded and encoded by every other codec that knows its version; the bytes must come back.

#[path = "../../../crates/wire/tests/corpus/mod.rs"]
mod corpus;

use bytes::{Bytes, BytesMut};
use corpus::Vector;
use ottla_wire::Role;

/// What another codec makes of a vector: its bytes again, or why not; none for messages and versions it does not know.
type Outcome = Option<Result<Bytes, String>>;

fn compare(codec: &str, at_least: usize, recode: impl Fn(&Vector) -> Outcome) {
    let (mut compared, mut differences) = (0, Vec::new());
    for vector in corpus::all() {
        let Some(outcome) = recode(&vector) else { continue };
        compared += 1;
        let difference = match outcome {
            Ok(bytes) if bytes == vector.bytes => continue,
            Ok(_) => "other bytes".to_owned(),
            Err(error) => error,
        };
        differences.push(format!("{}: {difference}", vector.place()));
    }
    println!("{codec}: {compared} vectors compared");
    assert!(differences.is_empty(), "{codec} differs:\n{}", differences.join("\n"));
    assert!(compared >= at_least, "{codec} compared only {compared} vectors");
}

fn with_kafka_protocol(vector: &Vector) -> Outcome {
    use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
    let (api, request) = match vector.kind.role {
        Role::Request(api) => (api, true),
        Role::Response(api) => (api, false),
        _ => return None,
    };
    let api = ApiKey::try_from(api as i16).ok()?;
    let range = api.valid_versions();
    // Its table of keys names version 10 of these two, its messages end at 9.
    let announced_only = matches!(api, ApiKey::OffsetCommit | ApiKey::OffsetFetch) && vector.version == 10;
    if !(range.min..=range.max).contains(&vector.version) || announced_only {
        return None;
    }
    let (mut bytes, mut again) = (vector.bytes.clone(), BytesMut::new());
    let encoded = if request {
        RequestKind::decode(api, &mut bytes, vector.version).and_then(|m| m.encode(&mut again, vector.version))
    } else {
        ResponseKind::decode(api, &mut bytes, vector.version).and_then(|m| m.encode(&mut again, vector.version))
    };
    Some(encoded.map(|()| again.freeze()).map_err(|error| error.to_string()))
}

#[test]
fn kafka_protocol_agrees() {
    compare("kafka-protocol", 2900, with_kafka_protocol);
}

fn recode<M: kafka_wire::KafkaMessage>(vector: &Vector) -> Outcome {
    use kafka_wire_core::{ApiVersion, DecodeLimits, Decoder, Encoder};
    let version = ApiVersion::new(vector.version);
    if !M::supports(version) {
        return None;
    }
    let again = || {
        let mut decoder = Decoder::new(vector.bytes.clone(), DecodeLimits::default()).map_err(|e| e.to_string())?;
        let message = M::decode(&mut decoder, version).map_err(|e| e.to_string())?;
        let mut bytes = BytesMut::new();
        message.encode(&mut Encoder::new(&mut bytes), version).map_err(|e| e.to_string())?;
        Ok(bytes.freeze())
    };
    Some(again())
}

macro_rules! recoder {
    ($($message:ident)*) => {
        fn with_kafka_wire(vector: &Vector) -> Outcome {
            match vector.kind.name {
                $(stringify!($message) => recode::<kafka_wire::$message>(vector),)*
                _ => None,
            }
        }
    };
}

recoder! {
    AddOffsetsToTxnRequest
    AddOffsetsToTxnResponse
    AddPartitionsToTxnRequest
    AddPartitionsToTxnResponse
    AddRaftVoterRequest
    AddRaftVoterResponse
    AlterClientQuotasRequest
    AlterClientQuotasResponse
    AlterConfigsRequest
    AlterConfigsResponse
    AlterPartitionReassignmentsRequest
    AlterPartitionReassignmentsResponse
    AlterReplicaLogDirsRequest
    AlterReplicaLogDirsResponse
    AlterShareGroupOffsetsRequest
    AlterShareGroupOffsetsResponse
    AlterUserScramCredentialsRequest
    AlterUserScramCredentialsResponse
    ApiVersionsRequest
    ApiVersionsResponse
    ConsumerGroupDescribeRequest
    ConsumerGroupDescribeResponse
    ConsumerGroupHeartbeatRequest
    ConsumerGroupHeartbeatResponse
    CreateAclsRequest
    CreateAclsResponse
    CreateDelegationTokenRequest
    CreateDelegationTokenResponse
    CreatePartitionsRequest
    CreatePartitionsResponse
    CreateTopicsRequest
    CreateTopicsResponse
    DeleteAclsRequest
    DeleteAclsResponse
    DeleteGroupsRequest
    DeleteGroupsResponse
    DeleteRecordsRequest
    DeleteRecordsResponse
    DeleteShareGroupOffsetsRequest
    DeleteShareGroupOffsetsResponse
    DeleteShareGroupStateRequest
    DeleteShareGroupStateResponse
    DeleteTopicsRequest
    DeleteTopicsResponse
    DescribeAclsRequest
    DescribeAclsResponse
    DescribeClientQuotasRequest
    DescribeClientQuotasResponse
    DescribeClusterRequest
    DescribeClusterResponse
    DescribeConfigsRequest
    DescribeConfigsResponse
    DescribeDelegationTokenRequest
    DescribeDelegationTokenResponse
    DescribeGroupsRequest
    DescribeGroupsResponse
    DescribeLogDirsRequest
    DescribeLogDirsResponse
    DescribeProducersRequest
    DescribeProducersResponse
    DescribeQuorumRequest
    DescribeQuorumResponse
    DescribeShareGroupOffsetsRequest
    DescribeShareGroupOffsetsResponse
    DescribeTopicPartitionsRequest
    DescribeTopicPartitionsResponse
    DescribeTransactionsRequest
    DescribeTransactionsResponse
    DescribeUserScramCredentialsRequest
    DescribeUserScramCredentialsResponse
    ElectLeadersRequest
    ElectLeadersResponse
    EndTxnRequest
    EndTxnResponse
    ExpireDelegationTokenRequest
    ExpireDelegationTokenResponse
    FetchRequest
    FetchResponse
    FindCoordinatorRequest
    FindCoordinatorResponse
    GetTelemetrySubscriptionsRequest
    GetTelemetrySubscriptionsResponse
    HeartbeatRequest
    HeartbeatResponse
    IncrementalAlterConfigsRequest
    IncrementalAlterConfigsResponse
    InitProducerIdRequest
    InitProducerIdResponse
    InitializeShareGroupStateRequest
    InitializeShareGroupStateResponse
    JoinGroupRequest
    JoinGroupResponse
    LeaveGroupRequest
    LeaveGroupResponse
    ListConfigResourcesRequest
    ListConfigResourcesResponse
    ListGroupsRequest
    ListGroupsResponse
    ListOffsetsRequest
    ListOffsetsResponse
    ListPartitionReassignmentsRequest
    ListPartitionReassignmentsResponse
    ListTransactionsRequest
    ListTransactionsResponse
    MetadataRequest
    MetadataResponse
    OffsetCommitRequest
    OffsetCommitResponse
    OffsetDeleteRequest
    OffsetDeleteResponse
    OffsetFetchRequest
    OffsetFetchResponse
    OffsetForLeaderEpochRequest
    OffsetForLeaderEpochResponse
    ProduceRequest
    ProduceResponse
    PushTelemetryRequest
    PushTelemetryResponse
    ReadShareGroupStateRequest
    ReadShareGroupStateResponse
    ReadShareGroupStateSummaryRequest
    ReadShareGroupStateSummaryResponse
    RemoveRaftVoterRequest
    RemoveRaftVoterResponse
    RenewDelegationTokenRequest
    RenewDelegationTokenResponse
    SaslAuthenticateRequest
    SaslAuthenticateResponse
    SaslHandshakeRequest
    SaslHandshakeResponse
    ShareAcknowledgeRequest
    ShareAcknowledgeResponse
    ShareFetchRequest
    ShareFetchResponse
    ShareGroupDescribeRequest
    ShareGroupDescribeResponse
    ShareGroupHeartbeatRequest
    ShareGroupHeartbeatResponse
    StreamsGroupDescribeRequest
    StreamsGroupDescribeResponse
    StreamsGroupHeartbeatRequest
    StreamsGroupHeartbeatResponse
    SyncGroupRequest
    SyncGroupResponse
    TxnOffsetCommitRequest
    TxnOffsetCommitResponse
    UnregisterBrokerRequest
    UnregisterBrokerResponse
    UpdateFeaturesRequest
    UpdateFeaturesResponse
    WriteShareGroupStateRequest
    WriteShareGroupStateResponse
    WriteTxnMarkersRequest
    WriteTxnMarkersResponse
}

#[test]
fn kafka_wire_agrees() {
    compare("kafka-wire", 3000, with_kafka_wire);
}
