//! Small APIs: coordinators, lists that are empty without quotas, users and rules, quorum, elections.

use std::time::{Duration, Instant};

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{
    ComponentData, DescribeAclsRequest, DescribeClientQuotasRequest, DescribeQuorumRequest,
    DescribeUserScramCredentialsRequest, ElectLeadersRequest, FindCoordinatorRequest, ListConfigResourcesRequest,
    MetadataRequest, UserName, describe_quorum_request, elect_leaders_request,
};

use super::Case;
use super::requests::ready;
use crate::session::Session;

pub(super) fn find_coordinator() -> Vec<Case> {
    let api = ApiKey::FindCoordinator;
    vec![
        Case::each("group", api, coordinator_of_group),
        Case::some("no_group", &[0, 1, 3, 4], coordinator_of_no_group),
        Case::some("transactional_id", &[1, 3, 4, 6], |s, v| coordinator(s, v, 1)),
        Case::some("unknown_types", &[1, 4, 5, 6], coordinator_of_unknown),
        Case::newest("strange_keys", api, coordinator_of_strange),
        Case::newest("several", api, coordinators),
    ]
}

fn coordinator_request(keys: &[&str], key_type: i8) -> FindCoordinatorRequest {
    FindCoordinatorRequest {
        key: keys.first().copied().unwrap_or_default().to_owned(),
        key_type,
        coordinator_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

/// A broker that coordinates has begun to make its internal topic by then.
const BEGUN_WITHIN: Duration = Duration::from_millis(300);

/// The internal topic is made when it is first needed; that is waited for, where the broker makes one at all.
pub(super) fn coordinator_there(s: &mut Session, key_type: i8) -> Result<()> {
    let (key, begin) = (s.topic("key"), Instant::now());
    s.settle("there is a coordinator", |s| {
        let response = s.get(6, &coordinator_request(&[&key], key_type))?;
        let there = response.coordinators.iter().all(|coordinator| coordinator.error_code != 15);
        Ok(there || begin.elapsed() > BEGUN_WITHIN && !has_internal_topics(s)?)
    })
}

fn has_internal_topics(s: &mut Session) -> Result<bool> {
    let metadata = s.get(12, &MetadataRequest { topics: None, ..Default::default() })?;
    Ok(metadata.topics.iter().any(|topic| topic.is_internal))
}

fn coordinator(s: &mut Session, v: i16, key_type: i8) -> Result<()> {
    coordinator_there(s, key_type)?;
    let key = s.topic("key");
    s.ask(&format!("type {key_type}"), v, &coordinator_request(&[&key], key_type)).map(drop)
}

fn coordinator_of_group(s: &mut Session, v: i16) -> Result<()> {
    coordinator(s, v, 0)
}

fn coordinator_of_no_group(s: &mut Session, v: i16) -> Result<()> {
    coordinator_there(s, 0)?;
    s.ask("no key", v, &coordinator_request(&[""], 0)).map(drop)
}

fn coordinator_of_unknown(s: &mut Session, v: i16) -> Result<()> {
    for key_type in [3, -1, 99] {
        s.ask(&format!("type {key_type}"), v, &coordinator_request(&["x"], key_type))?;
    }
    if v < 6 {
        s.ask("type 2, share groups", v, &coordinator_request(&["x"], 2))?;
    }
    Ok(())
}

fn coordinator_of_strange(s: &mut Session, v: i16) -> Result<()> {
    coordinator_there(s, 0)?;
    s.ask("no key", v, &coordinator_request(&[""], 0))?;
    for key in ["x", "g:x:0", "g:AAAAAAAAAAAAAAAAAAAAAA:x", ":AAAAAAAAAAAAAAAAAAAAAQ:0"] {
        s.ask(&format!("share group {key}"), v, &coordinator_request(&[key], 2))?;
    }
    Ok(())
}

fn coordinators(s: &mut Session, v: i16) -> Result<()> {
    coordinator(s, v, 0)?;
    s.ask("two", v, &coordinator_request(&["x", "y"], 0))?;
    s.ask("none", v, &coordinator_request(&[], 0)).map(drop)
}

pub(super) fn config_resources() -> Vec<Case> {
    let api = ApiKey::ListConfigResources;
    vec![Case::each("all", api, |s, v| resources(s, v, &[])), Case::newest("types", api, resource_types)]
}

fn resources(s: &mut Session, v: i16, types: &[i8]) -> Result<()> {
    ready(s, "a", 1, &[])?;
    let request = ListConfigResourcesRequest { resource_types: types.to_vec() };
    s.ask(&format!("types {types:?}"), v, &request).map(drop)
}

fn resource_types(s: &mut Session, v: i16) -> Result<()> {
    for types in [&[2][..], &[4], &[8], &[16], &[32], &[2, 4], &[0], &[1], &[99], &[2, 99], &[2, 2]] {
        resources_of(s, v, types)?;
    }
    Ok(())
}

fn resources_of(s: &mut Session, v: i16, types: &[i8]) -> Result<()> {
    let request = ListConfigResourcesRequest { resource_types: types.to_vec() };
    s.ask(&format!("types {types:?}"), v, &request).map(drop)
}

pub(super) fn quotas() -> Vec<Case> {
    let api = ApiKey::DescribeClientQuotas;
    vec![Case::each("empty", api, quotas_empty), Case::each("wrong", api, quotas_wrong)]
}

fn quota(entity_type: &str, match_type: i8, value: Option<&str>) -> ComponentData {
    ComponentData { entity_type: entity_type.to_owned(), match_type, r#match: value.map(str::to_owned) }
}

fn quotas_of(components: Vec<ComponentData>) -> DescribeClientQuotasRequest {
    DescribeClientQuotasRequest { components, strict: false }
}

fn quotas_empty(s: &mut Session, v: i16) -> Result<()> {
    s.ask("everything", v, &quotas_of(vec![]))?;
    s.ask("strictly nothing", v, &DescribeClientQuotasRequest { strict: true, ..quotas_of(vec![]) })?;
    s.ask("a user", v, &quotas_of(vec![quota("user", 0, Some("x"))]))?;
    s.ask("the default user", v, &quotas_of(vec![quota("user", 1, None)]))?;
    s.ask("any client of a user", v, &quotas_of(vec![quota("user", 0, Some("x")), quota("client-id", 2, None)]))?;
    s.ask("an address", v, &quotas_of(vec![quota("ip", 0, Some("127.0.0.1"))])).map(drop)
}

fn quotas_wrong(s: &mut Session, v: i16) -> Result<()> {
    for (label, component) in [
        ("an unknown type", quota("nobody", 2, None)),
        ("no type", quota("", 2, None)),
        ("match 3", quota("user", 3, None)),
        ("match -1", quota("user", -1, None)),
        ("exactly null", quota("user", 0, None)),
        ("the default with a name", quota("user", 1, Some("x"))),
        ("any with a name", quota("user", 2, Some("x"))),
        ("no address", quota("ip", 0, Some("no address"))),
    ] {
        s.ask(label, v, &quotas_of(vec![component]))?;
    }
    s.ask("a type twice", v, &quotas_of(vec![quota("user", 2, None), quota("user", 1, None)]))?;
    s.ask("a user and an address", v, &quotas_of(vec![quota("user", 2, None), quota("ip", 2, None)])).map(drop)
}

pub(super) fn scram() -> Vec<Case> {
    vec![Case::newest("users", ApiKey::DescribeUserScramCredentials, scram_users)]
}

fn scram_users(s: &mut Session, v: i16) -> Result<()> {
    let of = |names: &[&str]| DescribeUserScramCredentialsRequest {
        users: Some(names.iter().map(|name| UserName { name: (*name).to_owned() }).collect()),
    };
    s.ask("all", v, &DescribeUserScramCredentialsRequest { users: None })?;
    s.ask("none named", v, &of(&[]))?;
    s.ask("one that is unknown", v, &of(&["x"]))?;
    s.ask("two that are unknown", v, &of(&["x", "y"]))?;
    s.ask("one twice", v, &of(&["x", "x"]))?;
    s.ask("no name", v, &of(&[""])).map(drop)
}

pub(super) fn quorum() -> Vec<Case> {
    let api = ApiKey::DescribeQuorum;
    vec![Case::each("metadata", api, quorum_of_metadata), Case::each("wrong", api, quorum_of_other)]
}

fn quorum_request(topics: &[(&str, &[i32])]) -> DescribeQuorumRequest {
    let partition =
        |partition_index: &i32| describe_quorum_request::PartitionData { partition_index: *partition_index };
    let topic = |(name, partitions): &(&str, &[i32])| describe_quorum_request::TopicData {
        topic_name: (*name).to_owned(),
        partitions: partitions.iter().map(partition).collect(),
    };
    DescribeQuorumRequest { topics: topics.iter().map(topic).collect() }
}

/// Offsets and epochs are each broker's own; whether they are there and agree is what counts.
fn quorum_of_metadata(s: &mut Session, v: i16) -> Result<()> {
    let response = s.get(v, &quorum_request(&[("__cluster_metadata", &[0])]))?;
    let mut text = format!(
        "error_code={} message={}",
        response.error_code,
        response.error_message.is_some_and(|message| !message.is_empty())
    );
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        let voters: Vec<i32> = partition.current_voters.iter().map(|voter| voter.replica_id).collect();
        text += &format!(
            " partition={} error_code={} leader={} epoch_positive={} watermark_positive={} voters={voters:?} observers={}",
            partition.partition_index,
            partition.error_code,
            partition.leader_id,
            partition.leader_epoch > 0,
            partition.high_watermark > 0,
            partition.observers.len(),
        );
        for voter in &partition.current_voters {
            text += &format!(
                " end_reached={} fetched={} caught_up={} directory={}",
                voter.log_end_offset >= partition.high_watermark,
                voter.last_fetch_timestamp > 0,
                voter.last_caught_up_timestamp > 0,
                !voter.replica_directory_id.is_zero(),
            );
        }
    }
    let nodes: Vec<i32> = response.nodes.iter().map(|node| node.node_id).collect();
    s.note("DescribeQuorum: the metadata log", &format!("{text} nodes={nodes:?}"));
    Ok(())
}

fn quorum_of_other(s: &mut Session, v: i16) -> Result<()> {
    s.ask("another topic", v, &quorum_request(&[("x", &[0])]))?;
    s.ask("another partition", v, &quorum_request(&[("__cluster_metadata", &[1])]))?;
    s.ask("no topics", v, &quorum_request(&[])).map(drop)
}

pub(super) fn elect() -> Vec<Case> {
    vec![Case::each("elections", ApiKey::ElectLeaders, elections)]
}

fn election(election_type: i8, topics: Option<&[(&str, &[i32])]>) -> ElectLeadersRequest {
    let topic = |(topic, partitions): &(&str, &[i32])| elect_leaders_request::TopicPartitions {
        topic: (*topic).to_owned(),
        partitions: partitions.to_vec(),
    };
    ElectLeadersRequest {
        election_type,
        topic_partitions: topics.map(|topics| topics.iter().map(topic).collect()),
        timeout_ms: 10_000,
    }
}

fn elections(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (ready(s, "a", 2, &[])?, s.topic("b"));
    for kind in [0, 1] {
        let label = if kind == 0 { "preferred" } else { "unclean" };
        s.ask(label, v, &election(kind, Some(&[(&topic.name, &[0, 1])])))?;
        s.ask(&format!("{label}, unknown"), v, &election(kind, Some(&[(&topic.name, &[5]), (&absent, &[0])])))?;
        s.ask(&format!("{label}, nothing"), v, &election(kind, Some(&[])))?;
        s.ask(&format!("{label}, everything"), v, &election(kind, None))?;
    }
    s.ask("type 9", v, &election(9, Some(&[(&topic.name, &[0])]))).map(drop)
}

pub(super) fn acls() -> Vec<Case> {
    vec![Case::each("disabled", ApiKey::DescribeAcls, acls_disabled)]
}

fn acls_disabled(s: &mut Session, v: i16) -> Result<()> {
    let any = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    s.ask("any", v, &any)?;
    let one =
        DescribeAclsRequest { resource_type_filter: 2, resource_name_filter: Some("x".to_owned()), ..any.clone() };
    s.ask("a topic's", v, &one)?;
    s.ask("a type that is unknown", v, &DescribeAclsRequest { resource_type_filter: 99, ..any }).map(drop)
}
