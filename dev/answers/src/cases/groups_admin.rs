//! DescribeGroups, ListGroups and DeleteGroups: groups of both kinds in every state; the configurations of groups.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_wire::messages::{
    DeleteGroupsRequest, DescribeConfigsRequest, DescribeGroupsRequest, IncrementalAlterConfigsRequest,
    JoinGroupRequest, ListConfigResourcesRequest, ListGroupsRequest,
};

use super::Case;
use super::describe_configs::{GROUP, describe as describe_configs, resource};
use super::group_requests::{
    CONSUMER_HEARTBEAT, Consumer, GONE, JOIN, LEAVE, RANGE, SYNC, committed, consume, consuming, describe, group, join,
    joined, known, one_member, owned, promised, show, show_offsets, stable, touched, two_members, wait_for,
};
use super::requests::{one, ready};
use crate::session::Session;

pub(super) fn describe_groups() -> Vec<Case> {
    let api = ApiKey::DescribeGroups;
    vec![
        Case::each("unknown", api, describe_unknown),
        Case::each("states", api, describe_states),
        Case::each("members", api, describe_members),
        Case::each("kinds", api, describe_kinds),
        Case::each("several", api, describe_several),
    ]
}

fn describe_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (group, unknown) = (group(s, "g")?, s.topic("unknown"));
    s.ask("one", v, &describe(&[&unknown]))?;
    s.ask("two", v, &describe(&[&unknown, &group]))?;
    s.ask("no groups", v, &describe(&[]))?;
    let with_operations = DescribeGroupsRequest { include_authorized_operations: true, ..describe(&[&unknown]) };
    s.ask("with operations", v, &with_operations).map(drop)
}

fn describe_states(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let id = promised(s, &group)?;
    touched(s, &group)?;
    s.ask("a member is to come", v, &describe(&[&group]))?;
    let first = joined(s, &join(&group, &id, RANGE))?;
    s.ask("it has joined", v, &describe(&[&group]))?;
    s.get(SYNC, &first.sync(&[(&first, "all")]))?;
    s.ask("it has synced", v, &describe(&[&group]))?;
    let id = promised(s, &group)?;
    let second = s.send("the second", JOIN, &join(&group, &id, &[("range", b"s")]))?;
    wait_for(s, &group, "PreparingRebalance")?;
    s.ask("another joins", v, &describe(&[&group]))?;
    s.get(LEAVE, &first.leave())?;
    let second = s.receive_unkept(second)?;
    s.get(LEAVE, &super::group_requests::Member::of(&group, &second).leave())?;
    s.ask("all have left", v, &describe(&[&group])).map(drop)
}

fn describe_members(s: &mut Session, v: i16) -> Result<()> {
    let (group, other) = (group(s, "g")?, s.topic("h"));
    two_members(s, &group)?;
    s.ask("two", v, &describe(&[&group]))?;
    stable(s, &JoinGroupRequest { group_instance_id: Some("i".to_owned()), ..join(&other, "", RANGE) })?;
    s.ask("an instance", v, &describe(&[&other]))?;
    let with_operations = DescribeGroupsRequest { include_authorized_operations: true, ..describe(&[&group, &other]) };
    s.ask("with operations", v, &with_operations).map(drop)
}

fn describe_kinds(s: &mut Session, v: i16) -> Result<()> {
    let (by_hand, modern, connect) = (group(s, "g")?, s.topic("h"), s.topic("i"));
    let topic = one(s, "a")?;
    committed(s, &by_hand, &topic, &[(0, 5)])?;
    s.ask("offsets only", v, &describe(&[&by_hand]))?;
    known(s, &[&topic])?;
    let member = consuming(s, &consume(&modern, "m", &[&topic.name]))?;
    s.ask("consumers", v, &describe(&[&modern]))?;
    s.get(CONSUMER_HEARTBEAT, &member.at(GONE).beat())?;
    s.ask("consumers that have left", v, &describe(&[&modern]))?;
    stable(s, &JoinGroupRequest { protocol_type: "connect".to_owned(), ..join(&connect, "", RANGE) })?;
    s.ask("of another protocol type", v, &describe(&[&connect])).map(drop)
}

fn describe_several(s: &mut Session, v: i16) -> Result<()> {
    let (first, second, unknown) = (group(s, "g")?, s.topic("h"), s.topic("unknown"));
    one_member(s, &first)?;
    one_member(s, &second)?;
    s.ask("two and an unknown one", v, &describe(&[&first, &unknown, &second]))?;
    s.ask("one twice", v, &describe(&[&first, &first])).map(drop)
}

pub(super) fn list_groups() -> Vec<Case> {
    let api = ApiKey::ListGroups;
    vec![
        Case::each("all", api, list_all),
        Case::some("states", &[4, 5], list_states),
        Case::some("types", &[5], list_types),
        Case::newest("changes", api, list_changes),
    ]
}

fn listing(states: &[&str], types: &[&str]) -> ListGroupsRequest {
    ListGroupsRequest { states_filter: owned(states), types_filter: owned(types) }
}

/// Groups of every kind.
fn groups(s: &mut Session) -> Result<()> {
    let (by_hand, topic) = (group(s, "by-hand")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    committed(s, &by_hand, &topic, &[(0, 5)])?;
    let (stable_one, left, joining) = (s.topic("classic"), s.topic("left"), s.topic("joining"));
    one_member(s, &stable_one)?;
    let member = one_member(s, &left)?;
    s.get(LEAVE, &member.leave())?;
    let connect = s.topic("connect");
    stable(s, &JoinGroupRequest { protocol_type: "connect".to_owned(), ..join(&connect, "", RANGE) })?;
    let (modern, modern_left, modern_waits) = (s.topic("consumers"), s.topic("consumers-left"), s.topic("waits"));
    consuming(s, &consume(&modern, "m", &[&topic.name]))?;
    let member = consuming(s, &consume(&modern_left, "m", &[&topic.name]))?;
    s.get(CONSUMER_HEARTBEAT, &member.at(GONE).beat())?;
    for id in ["m1", "m2"] {
        consuming(s, &consume(&modern_waits, id, &[&topic.name]))?;
    }
    // The last: it does not stay that way for long.
    joined(s, &join(&joining, "", RANGE))?;
    touched(s, &joining)?;
    Ok(())
}

fn list_all(s: &mut Session, v: i16) -> Result<()> {
    groups(s)?;
    s.ask("all", v, &listing(&[], &[])).map(drop)
}

fn list_states(s: &mut Session, v: i16) -> Result<()> {
    groups(s)?;
    for states in [
        &["Stable"][..],
        &["stable"],
        &["Empty"],
        &["CompletingRebalance"],
        &["Reconciling"],
        &["Assigning", "PreparingRebalance"],
        &["Dead"],
        &["Stable", "Empty"],
        &["Nonsense"],
        &["Stable", "Nonsense"],
        &[""],
        &[" Stable "],
    ] {
        s.ask(&format!("{states:?}"), v, &listing(states, &[]))?;
    }
    Ok(())
}

fn list_types(s: &mut Session, v: i16) -> Result<()> {
    groups(s)?;
    for types in [
        &["classic"][..],
        &["consumer"],
        &["Consumer"],
        &["CLASSIC", "consumer"],
        &["share"],
        &["streams"],
        &["nonsense"],
        &["classic", "nonsense"],
        &[""],
        &[" classic "],
    ] {
        s.ask(&format!("{types:?}"), v, &listing(&[], types))?;
    }
    s.ask("stable consumers", v, &listing(&["Stable"], &["consumer"]))?;
    s.ask("empty classic ones", v, &listing(&["Empty"], &["classic"])).map(drop)
}

fn list_changes(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    s.ask("before there is one", v, &listing(&[], &[]))?;
    committed(s, &group, &topic, &[(0, 5)])?;
    s.ask("with offsets", v, &listing(&[], &[]))?;
    let member = one_member(s, &group)?;
    s.ask("with a member", v, &listing(&[], &[]))?;
    s.get(LEAVE, &member.leave())?;
    s.ask("without members", v, &listing(&[], &[]))?;
    let member = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    s.ask("with a consumer", v, &listing(&[], &[]))?;
    s.get(CONSUMER_HEARTBEAT, &member.at(GONE).beat())?;
    s.ask("without consumers", v, &listing(&[], &[]))?;
    s.get(2, &delete(&[&group]))?;
    s.ask("deleted", v, &listing(&[], &[])).map(drop)
}

pub(super) fn delete_groups() -> Vec<Case> {
    let api = ApiKey::DeleteGroups;
    vec![
        Case::each("unknown", api, delete_unknown),
        Case::each("classic", api, delete_classic),
        Case::each("offsets", api, delete_offsets),
        Case::each("consumers", api, delete_consumers),
        Case::each("several", api, delete_several),
        Case::newest("joining", api, delete_joining),
    ]
}

fn delete(groups: &[&str]) -> DeleteGroupsRequest {
    DeleteGroupsRequest { groups_names: owned(groups) }
}

fn delete_unknown(s: &mut Session, v: i16) -> Result<()> {
    group(s, "g")?;
    let unknown = s.topic("unknown");
    s.ask("one", v, &delete(&[&unknown]))?;
    s.ask("one twice", v, &delete(&[&unknown, &unknown]))?;
    s.ask("none", v, &delete(&[])).map(drop)
}

fn delete_classic(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let member = one_member(s, &group)?;
    s.get(9, &member.commit(&topic, 5))?;
    s.ask("with a member", v, &delete(&[&group]))?;
    s.get(LEAVE, &member.leave())?;
    s.ask("without members", v, &delete(&[&group]))?;
    show(s, "when it is gone", &group)?;
    show_offsets(s, "when it is gone", &group)?;
    s.ask("again", v, &delete(&[&group]))?;
    s.ask("a member of what is gone", JOIN, &member.rejoin())?;
    one_member(s, &group)?;
    show(s, "with a new member", &group)
}

fn delete_offsets(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    committed(s, &group, &topic, &[(0, 5), (1, 6)])?;
    s.ask("offsets only", v, &delete(&[&group]))?;
    show_offsets(s, "when it is gone", &group)?;
    s.ask("again", v, &delete(&[&group]))?;
    committed(s, &group, &topic, &[(1, 7)])?;
    show_offsets(s, "with a new offset", &group)
}

fn delete_consumers(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let member = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    s.get(9, &member.classic().commit(&topic, 5))?;
    s.ask("with a member", v, &delete(&[&group]))?;
    s.get(CONSUMER_HEARTBEAT, &member.at(GONE).beat())?;
    s.ask("without members", v, &delete(&[&group]))?;
    show_offsets(s, "when it is gone", &group)?;
    s.ask("again", v, &delete(&[&group]))?;
    s.ask("a member of what is gone", CONSUMER_HEARTBEAT, &member.beat())?;
    s.ask("a new member", CONSUMER_HEARTBEAT, &consume(&group, "m", &[&topic.name])).map(drop)
}

fn delete_several(s: &mut Session, v: i16) -> Result<()> {
    let (first, second, unknown) = (group(s, "g")?, s.topic("h"), s.topic("unknown"));
    let topic = one(s, "a")?;
    committed(s, &first, &topic, &[(0, 5)])?;
    one_member(s, &second)?;
    s.ask("one that goes, one that stays, an unknown one", v, &delete(&[&first, &second, &unknown]))?;
    committed(s, &first, &topic, &[(0, 5)])?;
    s.ask("one twice", v, &delete(&[&first, &first])).map(drop)
}

fn delete_joining(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let id = promised(s, &group)?;
    touched(s, &group)?;
    s.ask("a member is to come", v, &delete(&[&group]))?;
    s.ask("the member comes", JOIN, &join(&group, &id, RANGE))?;
    let other = s.topic("h");
    joined(s, &join(&other, "", RANGE))?;
    s.ask("it has not synced", v, &delete(&[&other])).map(drop)
}

pub(super) fn group_configs() -> Vec<Case> {
    let api = ApiKey::IncrementalAlterConfigs;
    vec![
        Case::newest("set", api, configs_set),
        Case::newest("wrong", api, configs_wrong),
        Case::newest("listed", api, configs_listed),
    ]
}

const SET: i8 = 0;
const DELETE: i8 = 1;

fn alter(group: &str, changes: &[(&str, i8, Option<&str>)]) -> IncrementalAlterConfigsRequest {
    let config = |(name, operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *operation,
        value: value.map(str::to_owned),
    };
    let resource = AlterConfigsResource {
        resource_type: GROUP,
        resource_name: group.to_owned(),
        configs: changes.iter().map(config).collect(),
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

fn show_configs(s: &mut Session, label: &str, group: &str) -> Result<()> {
    let request = describe_configs(vec![resource(GROUP, group, Some(&CONSUMER_KEYS))]);
    s.ask(label, 4, &DescribeConfigsRequest { include_synonyms: true, ..request }).map(drop)
}

const CONSUMER_KEYS: [&str; 3] =
    ["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms"];

/// Waits until a member is told to send heartbeats at `interval_ms`.
fn wait_interval(s: &mut Session, member: &Consumer, interval_ms: i32) -> Result<()> {
    s.settle(&format!("heartbeats come every {interval_ms} ms"), |s| {
        Ok(s.get(CONSUMER_HEARTBEAT, &member.beat())?.heartbeat_interval_ms == interval_ms)
    })
}

fn configs_set(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let member = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    show_configs(s, "before", &group)?;
    let changes = [
        ("consumer.heartbeat.interval.ms", SET, Some("6000")),
        ("consumer.session.timeout.ms", SET, Some("46000")),
        ("consumer.assignment.interval.ms", SET, Some("10")),
    ];
    s.ask("three", v, &alter(&group, &changes))?;
    wait_interval(s, &member, 6000)?;
    show_configs(s, "after three", &group)?;
    s.ask("of a member", CONSUMER_HEARTBEAT, &member.beat())?;
    s.ask("one goes", v, &alter(&group, &[("consumer.heartbeat.interval.ms", DELETE, None)]))?;
    wait_interval(s, &member, 5000)?;
    show_configs(s, "after one went", &group)
}

fn configs_wrong(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    for (key, value) in [
        ("consumer.session.timeout.ms", "44999"),
        ("consumer.session.timeout.ms", "60001"),
        ("consumer.session.timeout.ms", "x"),
        ("consumer.session.timeout.ms", "-1"),
        ("consumer.heartbeat.interval.ms", "4999"),
        ("consumer.heartbeat.interval.ms", "15001"),
        ("consumer.assignment.interval.ms", "-1"),
        ("consumer.assignment.interval.ms", "15001"),
        ("group.consumer.session.timeout.ms", "46000"),
        ("share.session.timeout.ms", "1"),
        ("share.isolation.level", "nonsense"),
        ("share.auto.offset.reset", "nonsense"),
        ("streams.num.standby.replicas", "-1"),
        ("streams.num.standby.replicas", "3"),
        ("retention.ms", "1"),
    ] {
        s.ask(&format!("{key}={value:?}"), v, &alter(&group, &[(key, SET, Some(value))]))?;
    }
    let slow =
        [("consumer.heartbeat.interval.ms", SET, Some("15000")), ("consumer.session.timeout.ms", SET, Some("x"))];
    s.ask("one of two", v, &alter(&group, &slow))?;
    s.ask("delete what is not set", v, &alter(&group, &[("consumer.session.timeout.ms", DELETE, None)]))?;
    s.ask("null", v, &alter(&group, &[("consumer.session.timeout.ms", SET, None)]))?;
    s.ask("append", v, &alter(&group, &[("consumer.session.timeout.ms", 2, Some("46000"))]))?;
    show_configs(s, "in the end", &group)
}

/// A group need not be there to have configurations.
fn configs_listed(s: &mut Session, v: i16) -> Result<()> {
    let group = s.topic("g");
    s.ask("of a group that is not there", v, &alter(&group, &[("share.session.timeout.ms", SET, Some("50000"))]))?;
    let of_groups = ListConfigResourcesRequest { resource_types: vec![GROUP] };
    s.settle("the group has configurations", |s| {
        let response = s.get(1, &of_groups)?;
        Ok(response.config_resources.iter().any(|resource| resource.resource_name == group))
    })?;
    s.ask("groups", 1, &of_groups)?;
    s.ask("it goes", v, &alter(&group, &[("share.session.timeout.ms", DELETE, None)]))?;
    s.settle("the group has no configurations", |s| {
        let response = s.get(1, &of_groups)?;
        Ok(response.config_resources.iter().all(|resource| resource.resource_name != group))
    })?;
    s.ask("no groups", 1, &of_groups).map(drop)
}
