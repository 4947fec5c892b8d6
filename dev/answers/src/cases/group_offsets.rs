//! OffsetCommit, OffsetFetch and OffsetDelete: by hand, by members of both kinds, and every documented error.

use anyhow::Result;
use ottla_types::Uuid;
use ottla_wire::ApiKey;
use ottla_wire::messages::offset_commit_request::OffsetCommitRequestPartition;
use ottla_wire::messages::{
    DeleteTopicsRequest, JoinGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic, OffsetFetchRequest,
};

use super::Case;
use super::group_requests::{
    CONSUMER_HEARTBEAT, JOIN, LEAVE, RANGE, SYNC, commit, commit_topic, commit_topics, committed, consume, consuming,
    fetch_offsets, group, join, joined, known, one_member, promised, show_offsets, stable, subscription, wait_for,
};
use super::requests::{Topic, one, ready, wait_gone};
use crate::session::Session;

/// Versions of OffsetFetch that know several groups, and members.
const SEVERAL: [i16; 3] = [8, 9, 10];
const WITH_MEMBERS: [i16; 2] = [9, 10];
/// The version of OffsetCommit and OffsetFetch that knows topics by their ids only.
const BY_ID: i16 = 10;
/// The longest metadata that brokers keep by default.
const METADATA_MAX: usize = 4096;

pub(super) fn offset_commit() -> Vec<Case> {
    let api = ApiKey::OffsetCommit;
    vec![
        Case::each("by_hand", api, by_hand),
        Case::each("unknown", api, commit_unknown),
        Case::each("values", api, commit_values),
        Case::each("member", api, commit_of_member),
        Case::each("rebalancing", api, commit_rebalancing),
        Case::each("no_group", api, commit_without_group),
        Case::each("consumer", api, commit_of_consumer),
        Case::some("static", &[7, 8, 9, 10], commit_of_static),
        Case::some("retention", &[2, 3, 4], commit_retention),
    ]
}

fn partition(partition_index: i32, committed_offset: i64, metadata: Option<&str>) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: metadata.map(str::to_owned),
        ..Default::default()
    }
}

fn by_hand(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, other) = (group(s, "g")?, ready(s, "a", 2, &[])?, one(s, "b")?);
    s.ask("two partitions", v, &commit(&group, &topic, &[(0, 5), (1, 7)]))?;
    show_offsets(s, "after two partitions", &group)?;
    let both =
        [commit_topic(&topic, vec![partition(0, 3, Some("why"))]), commit_topic(&other, vec![partition(0, 9, None)])];
    s.ask("back, and another topic", v, &commit_topics(&group, both.into()))?;
    show_offsets(s, "in the end", &group)
}

fn commit_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    let absent = Topic::absent(s, "b");
    s.ask("no such partition", v, &commit(&group, &topic, &[(1, 5), (2, 5), (-1, 5)]))?;
    let of = |topic: &Topic| commit_topic(topic, vec![partition(0, 4, None)]);
    s.ask("one of two topics", v, &commit_topics(&group, vec![of(&absent), of(&topic)]))?;
    s.ask("no such topic", v, &commit_topics(&group, vec![of(&absent)]))?;
    let nothing = Topic { name: String::new(), id: Uuid::ZERO };
    s.ask("no topic's name", v, &commit_topics(&group, vec![of(&nothing)]))?;
    s.ask("no topics", v, &commit_topics(&group, vec![]))?;
    s.ask("no partitions", v, &commit_topics(&group, vec![commit_topic(&topic, vec![])]))?;
    show_offsets(s, "in the end", &group)
}

fn commit_values(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    let (fits, long) = ("m".repeat(METADATA_MAX), "m".repeat(METADATA_MAX + 1));
    let wide = "ä".repeat(METADATA_MAX);
    for (label, partitions) in [
        ("metadata that fits", vec![partition(0, 1, Some(&fits)), partition(1, 1, Some(""))]),
        ("letters of two bytes", vec![partition(0, 2, Some(&wide))]),
        ("metadata too long", vec![partition(0, 3, Some(&long)), partition(1, 3, None)]),
        ("a negative offset", vec![partition(0, -1, None), partition(1, -2, None)]),
        ("the largest offset", vec![partition(0, i64::MAX, None), partition(1, 0, None)]),
        ("a partition twice", vec![partition(0, 8, None), partition(0, 6, None)]),
        (
            "leader epochs",
            vec![
                OffsetCommitRequestPartition { committed_leader_epoch: 5, ..partition(0, 9, None) },
                OffsetCommitRequestPartition { committed_leader_epoch: -2, ..partition(1, 9, None) },
            ],
        ),
    ] {
        s.ask(label, v, &commit_topics(&group, vec![commit_topic(&topic, partitions)]))?;
        show_offsets(s, &format!("after {label}"), &group)?;
    }
    let twice = |offset| commit_topic(&topic, vec![partition(0, offset, None)]);
    s.ask("a topic twice", v, &commit_topics(&group, vec![twice(4), twice(2)]))?;
    show_offsets(s, "in the end", &group)
}

fn commit_of_member(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let member = one_member(s, &group)?;
    for (label, member, offset) in [
        ("a member", member.clone(), 1),
        ("the generation before", member.at(member.generation - 1), 2),
        ("the generation after", member.at(member.generation + 1), 3),
        ("no generation", member.at(-1), 4),
        ("another member", member.called("nobody"), 5),
        ("no member", member.called(""), 6),
        ("neither", member.called("").at(-1), 7),
    ] {
        s.ask(label, v, &member.commit(&topic, offset))?;
    }
    show_offsets(s, "with a member", &group)?;
    s.get(LEAVE, &member.leave())?;
    s.ask("a member that has left", v, &member.commit(&topic, 8))?;
    s.ask("no generation of an empty group", v, &member.at(-1).commit(&topic, 9))?;
    s.ask("neither, of an empty group", v, &member.called("").at(-1).commit(&topic, 10))?;
    show_offsets(s, "in the end", &group)
}

fn commit_rebalancing(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let member = joined(s, &join(&group, "", RANGE))?;
    s.ask("before it has synced", v, &member.commit(&topic, 1))?;
    s.ask("before it has synced, in another generation", v, &member.at(7).commit(&topic, 2))?;
    s.get(SYNC, &member.sync(&[(&member, "all")]))?;
    let id = promised(s, &group)?;
    let second = s.send("the second", JOIN, &join(&group, &id, RANGE))?;
    wait_for(s, &group, "PreparingRebalance")?;
    s.ask("while another joins", v, &member.commit(&topic, 3))?;
    s.get(LEAVE, &member.leave())?;
    s.receive_unkept(second)?;
    show_offsets(s, "in the end", &group)
}

fn commit_without_group(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let of = |generation, member: &str, instance: Option<&str>| OffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: member.to_owned(),
        group_instance_id: instance.map(str::to_owned),
        ..commit(&group, &topic, &[(0, 1)])
    };
    s.ask("a generation of no group", v, &of(0, "", None))?;
    s.ask("a member of no group", v, &of(3, "nobody", None))?;
    s.ask("a member without a generation", v, &of(-1, "nobody", None))?;
    s.ask("an instance without a generation", v, &of(-1, "", Some("i")))?;
    s.ask("a generation of an empty group", v, &of(0, "", None))?;
    s.ask("no group's name", v, &OffsetCommitRequest { group_id: String::new(), ..of(-1, "", None) })?;
    s.ask("a generation of no group's name", v, &OffsetCommitRequest { group_id: String::new(), ..of(3, "m", None) })?;
    s.ask("of no group's name", 7, &fetch_offsets(&[""], Some(&[(&topic, &[0])])))?;
    show_offsets(s, "in the end", &group)
}

/// Members of the consumer protocol commit with their epochs.
fn commit_of_consumer(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, other) = (group(s, "g")?, one(s, "a")?, one(s, "b")?);
    known(s, &[&topic, &other])?;
    let member = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    for (label, member, offset) in [
        ("a member", member.clone(), 1),
        ("an epoch ahead", member.at(member.epoch + 1), 2),
        ("epoch 0", member.at(0), 3),
        ("no epoch", member.at(-1), 4),
        ("another member", member.called("nobody"), 5),
        ("no member", member.called(""), 6),
        ("neither", member.called("").at(-1), 7),
    ] {
        s.ask(label, v, &member.classic().commit(&topic, offset))?;
    }
    let mut wider = member.beat();
    wider.subscribed_topic_names = Some(vec![topic.name.clone(), other.name.clone()]);
    s.get(CONSUMER_HEARTBEAT, &wider)?;
    s.ask("the epoch before", v, &member.classic().commit(&topic, 8))?;
    show_offsets(s, "with a member", &group)?;
    s.get(CONSUMER_HEARTBEAT, &member.at(-1).beat())?;
    s.ask("a member that has left", v, &member.classic().commit(&topic, 9))?;
    s.ask("neither, of an empty group", v, &member.called("").at(-1).classic().commit(&topic, 10))?;
    show_offsets(s, "in the end", &group)
}

fn commit_of_static(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let member = stable(s, &one_member_request(&group, "i1"))?;
    s.ask("the instance", v, &member.commit(&topic, 1))?;
    s.ask("the instance under another id", v, &member.called("nobody").commit(&topic, 2))?;
    s.ask("another instance", v, &member.instance("i2").commit(&topic, 3))?;
    s.ask("the instance without an id", v, &member.called("").commit(&topic, 4))?;
    show_offsets(s, "in the end", &group)
}

fn one_member_request(group: &str, instance: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance.to_owned()), ..join(group, "", RANGE) }
}

fn commit_retention(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    for retention_time_ms in [100_000_000, 0, -1, -2] {
        let request = OffsetCommitRequest { retention_time_ms, ..commit(&group, &topic, &[(0, retention_time_ms)]) };
        s.ask(&format!("kept for {retention_time_ms} ms"), v, &request)?;
    }
    show_offsets(s, "in the end", &group)
}

pub(super) fn offset_fetch() -> Vec<Case> {
    let api = ApiKey::OffsetFetch;
    vec![
        Case::each("some", api, fetch_some),
        Case::each("unknown_group", api, fetch_of_unknown),
        Case::some("all", &[2, 3, 4, 5, 6, 7, 8, 9, 10], fetch_all),
        Case::some("several", &SEVERAL, fetch_several),
        Case::some("require_stable", &[7, 8, 9, 10], fetch_stable),
        Case::some("members", &WITH_MEMBERS, fetch_of_members),
        Case::some("topic_deleted", &[7, 8, 9, 10], topic_deleted),
    ]
}

fn fetch_some(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, absent) = (group(s, "g")?, ready(s, "a", 2, &[])?, Topic::absent(s, "b"));
    let full = OffsetCommitRequestPartition { committed_leader_epoch: 3, ..partition(0, 5, Some("why")) };
    s.get(9, &commit_topics(&group, vec![commit_topic(&topic, vec![full])]))?;
    let of = |topics: &[(&Topic, &[i32])]| fetch_offsets(&[&group], Some(topics));
    s.ask("one committed, two not", v, &of(&[(&topic, &[0, 1, 7])]))?;
    s.ask("no such topic", v, &of(&[(&absent, &[0]), (&topic, &[0])]))?;
    s.ask("a partition twice", v, &of(&[(&topic, &[0, 0])]))?;
    s.ask("a topic twice", v, &of(&[(&topic, &[0]), (&topic, &[1])]))?;
    s.ask("no partitions", v, &of(&[(&topic, &[])]))?;
    s.ask("no topics", v, &of(&[]))?;
    let nothing = Topic { name: String::new(), id: Uuid::ZERO };
    s.ask("no topic's name", v, &of(&[(&nothing, &[0])])).map(drop)
}

fn fetch_of_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    s.ask("some", v, &fetch_offsets(&[&group], Some(&[(&topic, &[0])])))?;
    s.ask("no group's name", v, &fetch_offsets(&[""], Some(&[(&topic, &[0])])))?;
    if v > 1 {
        s.ask("all", v, &fetch_offsets(&[&group], None))?;
    }
    Ok(())
}

fn fetch_all(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, other) = (group(s, "g")?, ready(s, "a", 2, &[])?, one(s, "b")?);
    committed(s, &group, &topic, &[(0, 5), (1, 6)])?;
    committed(s, &group, &other, &[(0, 7)])?;
    s.ask("all", v, &fetch_offsets(&[&group], None)).map(drop)
}

fn fetch_several(s: &mut Session, v: i16) -> Result<()> {
    let (first, second, unknown) = (group(s, "g")?, s.topic("h"), s.topic("unknown"));
    let topic = ready(s, "a", 2, &[])?;
    committed(s, &first, &topic, &[(0, 5)])?;
    committed(s, &second, &topic, &[(0, 6), (1, 7)])?;
    let some: Option<&[(&Topic, &[i32])]> = Some(&[(&topic, &[0, 1])]);
    s.ask("two and an unknown one", v, &fetch_offsets(&[&first, &unknown, &second], some))?;
    s.ask("all of three", v, &fetch_offsets(&[&first, &unknown, &second], None))?;
    s.ask("one twice", v, &fetch_offsets(&[&first, &first], some))?;
    let mut mixed = fetch_offsets(&[&first, &second], some);
    mixed.groups[1].topics = None;
    s.ask("some of one, all of another", v, &mixed)?;
    s.ask("no groups", v, &fetch_offsets(&[], None)).map(drop)
}

fn fetch_stable(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    committed(s, &group, &topic, &[(0, 5)])?;
    let unknown = s.topic("unknown");
    for group in [&group, &unknown] {
        let some: Option<&[(&Topic, &[i32])]> = Some(&[(&topic, &[0])]);
        for (label, topics) in [("some", some), ("all", None)] {
            let request = OffsetFetchRequest { require_stable: true, ..fetch_offsets(&[group], topics) };
            s.ask(label, v, &request)?;
        }
    }
    Ok(())
}

fn fetch_of_members(s: &mut Session, v: i16) -> Result<()> {
    let (classic, modern, unknown) = (group(s, "g")?, s.topic("h"), s.topic("unknown"));
    let topic = one(s, "a")?;
    let in_classic = one_member(s, &classic)?;
    s.get(9, &in_classic.commit(&topic, 5))?;
    known(s, &[&topic])?;
    let member = consuming(s, &consume(&modern, "m", &[&topic.name]))?;
    s.get(9, &member.classic().commit(&topic, 6))?;
    let of = |group: &str, id: Option<&str>, epoch, some: bool| {
        let topics: Option<&[(&Topic, &[i32])]> = if some { Some(&[(&topic, &[0])]) } else { None };
        let mut request = fetch_offsets(&[group], topics);
        request.groups[0].member_id = id.map(str::to_owned);
        request.groups[0].member_epoch = epoch;
        request
    };
    for some in [true, false] {
        let what = if some { "some" } else { "all" };
        for (label, id, epoch) in [
            ("a member", Some("m"), member.epoch),
            ("an epoch ahead", Some("m"), member.epoch + 1),
            ("an epoch behind", Some("m"), member.epoch - 1),
            ("no epoch", Some("m"), -1),
            ("another member", Some("nobody"), member.epoch),
            ("an empty id", Some(""), member.epoch),
            ("no id", None, member.epoch),
            ("neither", None, -1),
        ] {
            s.ask(&format!("{what}, {label}"), v, &of(&modern, id, epoch, some))?;
        }
        s.ask(&format!("{what}, a classic group's member"), v, &of(&classic, Some(&in_classic.id), 1, some))?;
        s.ask(&format!("{what}, not a classic group's member"), v, &of(&classic, Some("nobody"), 7, some))?;
        s.ask(&format!("{what}, no group's member"), v, &of(&unknown, Some("nobody"), 7, some))?;
    }
    Ok(())
}

fn topic_deleted(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    committed(s, &group, &topic, &[(0, 5)])?;
    let delete =
        DeleteTopicsRequest { topic_names: vec![topic.name.clone()], timeout_ms: 10_000, ..Default::default() };
    s.get(5, &delete)?;
    wait_gone(s, &topic.name)?;
    s.settle("the offset is forgotten", |s| {
        let response = s.get(7, &fetch_offsets(&[&group], Some(&[(&topic, &[0])])))?;
        Ok(response.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.committed_offset == -1))
    })?;
    s.ask("of the deleted topic", v, &fetch_offsets(&[&group], Some(&[(&topic, &[0])])))?;
    s.ask("all", v, &fetch_offsets(&[&group], None))?;
    if v == BY_ID {
        let again = one(s, "a")?;
        s.ask("of a new topic with that name", v, &fetch_offsets(&[&group], Some(&[(&again, &[0])])))?;
        s.ask("of the old id", v, &fetch_offsets(&[&group], Some(&[(&topic, &[0])])))?;
        s.ask("by the old id", v, &commit(&group, &topic, &[(0, 6)]))?;
    }
    Ok(())
}

pub(super) fn offset_delete() -> Vec<Case> {
    let api = ApiKey::OffsetDelete;
    vec![
        Case::newest("by_hand", api, delete_by_hand),
        Case::newest("wrong", api, delete_wrong),
        Case::newest("subscribed", api, delete_subscribed),
        Case::newest("consumer", api, delete_of_consumer),
    ]
}

fn forget(group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let topic = |(name, partitions): &(&str, &[i32])| OffsetDeleteRequestTopic {
        name: (*name).to_owned(),
        partitions: partitions.iter().map(|index| OffsetDeleteRequestPartition { partition_index: *index }).collect(),
    };
    OffsetDeleteRequest { group_id: group.to_owned(), topics: topics.iter().map(topic).collect() }
}

fn delete_by_hand(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, other) = (group(s, "g")?, ready(s, "a", 3, &[])?, one(s, "b")?);
    committed(s, &group, &topic, &[(0, 5), (1, 6)])?;
    committed(s, &group, &other, &[(0, 7)])?;
    let absent = s.topic("c");
    s.ask("one of two, and none", v, &forget(&group, &[(&topic.name, &[0, 2])]))?;
    show_offsets(s, "after one", &group)?;
    s.ask("no such partition", v, &forget(&group, &[(&topic.name, &[1, 7, -1])]))?;
    s.ask("no such topic", v, &forget(&group, &[(&absent, &[0]), (&other.name, &[0])]))?;
    show_offsets(s, "in the end", &group)?;
    s.ask("of a group that is empty now", v, &forget(&group, &[(&topic.name, &[0])])).map(drop)
}

fn delete_wrong(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let (unknown, absent) = (s.topic("unknown"), s.topic("b"));
    committed(s, &group, &topic, &[(0, 5)])?;
    s.ask("no group's name", v, &forget("", &[(&topic.name, &[0])]))?;
    s.ask("an unknown group", v, &forget(&unknown, &[(&topic.name, &[0])]))?;
    s.ask("an unknown group and topic", v, &forget(&unknown, &[(&absent, &[0])]))?;
    s.ask("no topics", v, &forget(&group, &[]))?;
    s.ask("no topics of an unknown group", v, &forget(&unknown, &[]))?;
    s.ask("no partitions", v, &forget(&group, &[(&topic.name, &[])]))?;
    s.ask("a partition twice", v, &forget(&group, &[(&topic.name, &[0, 0])])).map(drop)
}

/// Classic members tell what they subscribe to in bytes that only consumers can read.
fn delete_subscribed(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (topic, other) = (one(s, "a")?, one(s, "b")?);
    let member = stable(s, &join(&group, "", &[("range", &subscription(&[&topic.name])?)]))?;
    for topic in [&topic, &other] {
        s.get(9, &member.commit(topic, 5))?;
    }
    let both = forget(&group, &[(&topic.name, &[0]), (&other.name, &[0])]);
    s.ask("one topic of two", v, &both)?;
    show_offsets(s, "after one", &group)?;
    s.get(LEAVE, &member.leave())?;
    s.ask("when nobody is there", v, &both)?;
    let unreadable = stable(s, &join(&group, "", RANGE))?;
    s.get(9, &unreadable.commit(&topic, 5))?;
    s.ask("of a subscription that cannot be read", v, &both)?;
    let of_type = s.topic("h");
    let request = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join(&of_type, "", RANGE) };
    let member = stable(s, &request)?;
    s.get(9, &member.commit(&topic, 5))?;
    s.ask("of a group that does not consume", v, &forget(&of_type, &[(&topic.name, &[0])])).map(drop)
}

fn delete_of_consumer(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (topic, other) = (one(s, "a")?, one(s, "b")?);
    known(s, &[&topic, &other])?;
    let member = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    for topic in [&topic, &other] {
        s.get(9, &member.classic().commit(topic, 5))?;
    }
    let both = forget(&group, &[(&topic.name, &[0]), (&other.name, &[0])]);
    s.ask("one topic of two", v, &both)?;
    show_offsets(s, "after one", &group)?;
    s.get(CONSUMER_HEARTBEAT, &member.at(-1).beat())?;
    s.ask("when nobody is there", v, &both).map(drop)
}
