//! Members of both protocols in one group: groups change their kind, classic members stay in, static ones change sides.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{ConsumerGroupHeartbeatRequest, JoinGroupRequest, SyncGroupRequest};

use super::Case;
use super::group_requests::{
    CONSUMER, CONSUMER_HEARTBEAT, Consumer, GONE, HEARTBEAT, JOIN, LEAVE, Member, RANGE, SYNC, committed, consume,
    consuming, group, join, joined, joins, known, one_member, show, show_offsets, stable, subscription,
};
use super::groups_consumer::{describe, member};
use super::requests::{one, ready};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::ConsumerGroupHeartbeat;
    vec![
        Case::newest("no_consumers", api, no_consumers),
        Case::newest("empty_classic", api, empty_classic),
        Case::newest("upgrade", api, upgrade),
        Case::newest("downgrade", api, downgrade),
        Case::newest("static_upgrade", api, static_upgrade),
        Case::newest("static_downgrade", api, static_downgrade),
        Case::newest("unreadable_subscription", api, unreadable_subscription),
        Case::newest("classic_joins", api, classic_joins),
        Case::newest("classic_apis", api, classic_apis),
    ]
}

/// A group with classic members that are no consumers cannot be entered.
fn no_consumers(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let connect = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join(&group, "", RANGE) };
    let classic = stable(s, &connect)?;
    s.ask("a consumer", v, &consume(&group, "m", &[&topic.name]))?;
    s.ask("as if it were in", v, &Consumer { group: group.clone(), id: "m".to_owned(), epoch: 1 }.beat())?;
    s.ask("leaves", v, &Consumer { group: group.clone(), id: "m".to_owned(), epoch: GONE }.beat())?;
    s.ask("of the classic member", HEARTBEAT, &classic.heartbeat())?;
    describe(s, "a classic group", &group)
}

/// An empty group changes its kind, and keeps its offsets.
fn empty_classic(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    committed(s, &group, &topic, &[(0, 5)])?;
    let first = member(s, v, "where there were offsets only", &consume(&group, "m", &[&topic.name]))?;
    show_offsets(s, "of the new group", &group)?;
    s.ask("leaves", v, &first.at(GONE).beat())?;
    show(s, "when it has left", &group)?;
    let classic = one_member(s, &group)?;
    show(s, "with a classic member", &group)?;
    s.ask("the classic member", LEAVE, &classic.leave())?;
    s.ask("when the classic member has left", v, &consume(&group, "m", &[&topic.name]))?;
    show_offsets(s, "in the end", &group)
}

/// A join request that tells what topics the member wants.
fn classic_consumer(group: &str, id: &str, topics: &[&str]) -> Result<JoinGroupRequest> {
    Ok(join(group, id, &[("range", &subscription(topics)?)]))
}

fn classic_sync(member: &Member) -> SyncGroupRequest {
    SyncGroupRequest {
        protocol_type: Some(CONSUMER.to_owned()),
        protocol_name: Some("range".to_owned()),
        ..member.sync(&[])
    }
}

/// The bytes of a classic assignment of some partitions of one topic.
fn classic_assignment(topic: &str, partitions: &[u8]) -> String {
    let mut bytes = vec![0, 3, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0, 0, 0, partitions.len() as u8]);
    bytes.extend(partitions.iter().flat_map(|partition| [0, 0, 0, *partition]));
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The first consumer turns a classic group into one of its kind; the classic member stays in.
fn upgrade(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let request = classic_consumer(&group, "", &[&topic.name])?;
    let classic = joined(s, &request)?;
    let assignment = classic_assignment(&topic.name, &[0, 1]);
    s.get(SYNC, &classic.sync(&[(&classic, &assignment)]))?;
    let first = member(s, v, "the first consumer", &consume(&group, "m", &[&topic.name]))?;
    describe(s, "with both kinds", &group)?;
    show(s, "as a classic group", &group)?;
    s.ask("of the classic member", HEARTBEAT, &classic.heartbeat())?;
    let request = classic_consumer(&group, &classic.id, &[&topic.name])?;
    let classic = joins(s, JOIN, "the classic member", &request)?;
    s.ask("of the classic member", SYNC, &classic_sync(&classic))?;
    s.ask("of the classic member, in another generation", SYNC, &classic_sync(&classic.at(77)))?;
    s.ask("of the classic member, in another generation", HEARTBEAT, &classic.at(77).heartbeat())?;
    describe(s, "when the classic member came again", &group)?;
    s.ask("the first consumer again", v, &first.beat())?;
    s.ask("the consumer as a classic member", HEARTBEAT, &first.classic().heartbeat())?;
    s.ask("the classic member", LEAVE, &classic.leave())?;
    s.ask("the first consumer, now alone", v, &first.beat())?;
    describe(s, "with consumers only", &group)
}

/// When the last consumer leaves, the classic members are a classic group again.
fn downgrade(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let first = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    let request = classic_consumer(&group, "", &[&topic.name])?;
    let classic = joins(s, JOIN, "a classic member", &request)?;
    s.ask("of the classic member", SYNC, &classic_sync(&classic))?;
    s.ask("the consumer leaves", v, &first.at(GONE).beat())?;
    show(s, "with classic members only", &group)?;
    describe(s, "with classic members only", &group)?;
    s.ask("of the classic member", HEARTBEAT, &classic.heartbeat())?;
    let request = classic_consumer(&group, &classic.id, &[&topic.name])?;
    let classic = joins(s, JOIN, "the classic member", &request)?;
    s.ask("of the classic member, which leads", SYNC, &classic.sync(&[(&classic, "all")]))?;
    show(s, "in the end", &group)
}

/// A static member comes back with the other protocol.
fn static_upgrade(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let instance = Some("i".to_owned());
    let request =
        JoinGroupRequest { group_instance_id: instance.clone(), ..classic_consumer(&group, "", &[&topic.name])? };
    let classic = joined(s, &request)?;
    let assignment = classic_assignment(&topic.name, &[0, 1]);
    s.get(SYNC, &classic.sync(&[(&classic, &assignment)]))?;
    let consumer = ConsumerGroupHeartbeatRequest { instance_id: instance, ..consume(&group, "m", &[&topic.name]) };
    s.ask("the instance as a consumer", v, &consumer)?;
    describe(s, "as a consumer", &group)?;
    s.ask("of the instance under its old id", HEARTBEAT, &classic.heartbeat()).map(drop)
}

fn static_downgrade(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let instance = Some("i".to_owned());
    let consumer =
        ConsumerGroupHeartbeatRequest { instance_id: instance.clone(), ..consume(&group, "m", &[&topic.name]) };
    let old = consuming(s, &consumer)?;
    let request = JoinGroupRequest { group_instance_id: instance, ..classic_consumer(&group, "", &[&topic.name])? };
    let classic = joins(s, JOIN, "the instance as a classic member", &request)?;
    show(s, "as a classic member", &group)?;
    s.ask("of the instance, which leads", SYNC, &classic.sync(&[(&classic, "all")]))?;
    s.ask("under its old id", v, &old.beat()).map(drop)
}

fn unreadable_subscription(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let classic = one_member(s, &group)?;
    s.ask("a consumer", v, &consume(&group, "m", &[&topic.name]))?;
    s.ask("of the classic member", HEARTBEAT, &classic.heartbeat())?;
    describe(s, "in the end", &group)
}

/// What a classic member may be to enter a group of consumers.
fn classic_joins(s: &mut Session, _: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    consuming(s, &consume(&group, "m", &[&topic.name]))?;
    let good = classic_consumer(&group, "", &[&topic.name])?;
    s.ask("another protocol type", JOIN, &JoinGroupRequest { protocol_type: "connect".to_owned(), ..good.clone() })?;
    s.ask("no protocols", JOIN, &join(&group, "", &[]))?;
    s.ask("a subscription that cannot be read", JOIN, &join(&group, "m2", RANGE))?;
    let instance = JoinGroupRequest { group_instance_id: Some("i".to_owned()), ..good.clone() };
    let classic = joins(s, JOIN, "an instance", &instance)?;
    describe(s, "with both", &group)?;
    s.ask("of the instance", SYNC, &classic_sync(&classic))?;
    let other_protocol = SyncGroupRequest { protocol_name: Some("roundrobin".to_owned()), ..classic_sync(&classic) };
    s.ask("of the instance with another protocol", SYNC, &other_protocol)?;
    s.ask("of another instance", HEARTBEAT, &classic.instance("i2").heartbeat())?;
    s.ask("of the instance under another id", HEARTBEAT, &classic.called("nobody").heartbeat())?;
    s.ask("of the instance under another id", LEAVE, &classic.called("nobody").leave())?;
    let again = joins(s, JOIN, "the instance again", &instance)?;
    s.ask("of the instance under its old id", HEARTBEAT, &classic.heartbeat())?;
    s.ask("of the instance", LEAVE, &again.leave())?;
    s.ask("an unknown member", JOIN, &JoinGroupRequest { member_id: "nobody".to_owned(), ..good })?;
    describe(s, "in the end", &group)
}

/// A consumer's member cannot be meant by the classic protocol.
fn classic_apis(s: &mut Session, _: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let first = consuming(s, &consume(&group, "m", &[&topic.name]))?.classic();
    for (label, member) in [("a consumer", first.clone()), ("nobody", first.called("nobody"))] {
        s.ask(label, HEARTBEAT, &member.heartbeat())?;
        s.ask(label, SYNC, &classic_sync(&member))?;
        s.ask(label, LEAVE, &member.leave())?;
    }
    s.get(CONSUMER_HEARTBEAT, &Consumer { group: group.clone(), id: first.id.clone(), epoch: GONE }.beat())?;
    s.ask("of an empty group", HEARTBEAT, &first.heartbeat())?;
    s.ask("of an empty group", SYNC, &classic_sync(&first))?;
    s.ask("of an empty group", LEAVE, &first.leave()).map(drop)
}
