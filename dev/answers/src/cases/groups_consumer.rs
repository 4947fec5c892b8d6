//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: members come, stay and go, hand partitions over, are fenced.

use anyhow::{Context, Result};
use ottla_wire::ApiKey;
use ottla_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_wire::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, DeleteTopicsRequest,
};

use super::group_requests::{
    CONSUMER_HEARTBEAT, Consumer, GONE, JOIN, TIMEOUT_MS, consume, consuming, describe_consumers, group, join, known,
    one_member, owned, subscription,
};
use super::requests::{Topic, one, ready};
use super::{Case, groups_mixed};
use crate::session::Session;

const DESCRIBE: i16 = 1;
/// What a static member says when it will be back.
const BACK_SOON: i32 = -2;

pub(super) fn heartbeat() -> Vec<Case> {
    let api = ApiKey::ConsumerGroupHeartbeat;
    let mut cases = vec![
        Case::each("one_member", api, one_consumer),
        Case::each("two_members", api, two_consumers),
        Case::each("static", api, static_members),
        Case::newest("too_slow", api, too_slow),
        Case::each("epochs", api, epochs),
        Case::each("unknown", api, unknown),
        Case::each("wrong", api, wrong),
        Case::each("without_id", api, without_id),
        Case::each("assignors", api, assignors),
        Case::newest("regex", api, regex),
        Case::newest("wrong_regex", api, wrong_regex),
        Case::each("topics_come", api, topics_come),
        Case::newest("topic_goes", api, topic_goes),
        Case::each("full", api, full),
    ];
    cases.extend(groups_mixed::cases());
    cases
}

/// The partitions that a member says it owns.
fn owned_of(topic: &Topic, partitions: &[i32]) -> Option<Vec<TopicPartitions>> {
    Some(vec![TopicPartitions { topic_id: topic.id, partitions: partitions.to_vec() }])
}

/// Everything that a member can say.
fn full_beat(member: &Consumer, topics: &[&str], owned: Option<Vec<TopicPartitions>>) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        topic_partitions: owned,
        member_epoch: member.epoch,
        ..consume(&member.group, &member.id, topics)
    }
}

pub(super) fn member(
    s: &mut Session,
    v: i16,
    label: &str,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<Consumer> {
    let response = s.ask(label, v, request)?.context("closed")?;
    Ok(Consumer::of(&request.group_id, &response))
}

/// What is in an answer.
fn assigned(response: &ConsumerGroupHeartbeatResponse) -> usize {
    let topics = response.assignment.iter().flat_map(|assignment| &assignment.topic_partitions);
    topics.map(|topic| topic.partitions.len()).sum()
}

pub(super) fn describe(s: &mut Session, label: &str, group: &str) -> Result<()> {
    s.ask(label, DESCRIBE, &describe_consumers(&[group])).map(drop)
}

fn one_consumer(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (a, b) = (ready(s, "a", 2, &[])?, one(s, "b")?);
    known(s, &[&a, &b])?;
    let first = member(s, v, "the first", &consume(&group, "m", &[&a.name]))?;
    s.ask("nothing has changed", v, &first.beat())?;
    s.ask("everything again", v, &full_beat(&first, &[&a.name], owned_of(&a, &[0, 1])))?;
    describe(s, "with a member", &group)?;
    let mut owns = first.beat();
    owns.topic_partitions = owned_of(&a, &[0, 1]);
    s.ask("what it owns", v, &owns)?;
    let mut wider = first.beat();
    wider.subscribed_topic_names = Some(owned(&[&a.name, &b.name]));
    let first = member(s, v, "another topic", &wider)?;
    let mut on_rack = first.beat();
    on_rack.rack_id = Some("rack".to_owned());
    let first = member(s, v, "a rack", &on_rack)?;
    let mut narrower = first.beat();
    narrower.subscribed_topic_names = Some(owned(&[&b.name]));
    narrower.topic_partitions = Some(vec![]);
    let first = member(s, v, "only the other topic", &narrower)?;
    s.ask("nothing has changed", v, &first.beat())?;
    describe(s, "with another topic", &group)?;
    s.ask(
        "none of the topics",
        v,
        &ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(vec![]), ..first.beat() },
    )?;
    s.ask("leaves", v, &first.at(GONE).beat())?;
    describe(s, "when it has left", &group)?;
    s.ask("of one that has left", v, &first.beat())?;
    s.ask("leaves again", v, &first.at(GONE).beat())?;
    s.ask("comes again", v, &consume(&group, "m", &[&a.name])).map(drop)
}

/// Partitions go from one member to another, who gets them when the first has said that it gave them up.
fn two_consumers(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 4, &[])?);
    known(s, &[&topic])?;
    let first = member(s, v, "the first", &consume(&group, "m1", &[&topic.name]))?;
    let second = member(s, v, "the second", &consume(&group, "m2", &[&topic.name]))?;
    s.ask("the second waits", v, &second.beat())?;
    let response = s.ask("the first hears of it", v, &first.beat())?.context("closed")?;
    let kept =
        response.assignment.iter().flat_map(|all| &all.topic_partitions).flat_map(|topic| topic.partitions.clone());
    let kept: Vec<i32> = kept.collect();
    describe(s, "before the first has given up any", &group)?;
    s.ask("the first still owns all", v, &full_beat(&first, &[&topic.name], owned_of(&topic, &[0, 1, 2, 3])))?;
    s.ask("the second still waits", v, &second.beat())?;
    let mut gave_up = first.beat();
    gave_up.topic_partitions = owned_of(&topic, &kept);
    let first = member(s, v, "the first has given up half", &gave_up)?;
    let second = member(s, v, "the second gets them", &second.beat())?;
    s.ask("nothing has changed", v, &first.beat())?;
    s.ask("nothing has changed for the second", v, &second.beat())?;
    describe(s, "with both", &group)?;
    s.ask("the first leaves", v, &first.at(GONE).beat())?;
    s.ask("the second gets all", v, &second.beat())?;
    describe(s, "with the second", &group)
}

/// A member that does not give up in time what another shall have.
fn too_slow(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let hurried = ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: 300, ..consume(&group, "m1", &[&topic.name]) };
    let first = member(s, v, "the first", &hurried)?;
    let second = member(s, v, "the second", &consume(&group, "m2", &[&topic.name]))?;
    s.ask("the first hears of it", v, &first.beat())?;
    let second = gets(s, &second, 2, When::Later)?;
    s.ask("the first, which kept all", v, &first.beat())?;
    s.ask("the second, which has all", v, &second.beat())?;
    describe(s, "with the second", &group)
}

fn static_members(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, ready(s, "a", 2, &[])?);
    known(s, &[&topic])?;
    let of = |request: ConsumerGroupHeartbeatRequest, instance: &str| ConsumerGroupHeartbeatRequest {
        instance_id: Some(instance.to_owned()),
        ..request
    };
    let joins = |id: &str| of(consume(&group, id, &[&topic.name]), "i1");
    let first = member(s, v, "the instance", &joins("m1"))?;
    s.ask("nothing has changed", v, &of(first.beat(), "i1"))?;
    s.ask("without its instance", v, &first.beat())?;
    s.ask("another member of the instance joins", v, &joins("m2"))?;
    s.ask("another member of the instance", v, &of(first.called("m2").beat(), "i1"))?;
    s.ask("another instance", v, &of(first.beat(), "i2"))?;
    s.ask("another member of the instance leaves", v, &of(first.called("m2").at(GONE).beat(), "i1"))?;
    s.ask("another instance leaves", v, &of(first.at(BACK_SOON).beat(), "i2"))?;
    s.ask("leaves for a while", v, &of(first.at(BACK_SOON).beat(), "i1"))?;
    describe(s, "while it is away", &group)?;
    s.ask("nothing has changed, while it is away", v, &of(first.beat(), "i1"))?;
    let second = member(s, v, "comes back under another id", &joins("m2"))?;
    describe(s, "when it is back", &group)?;
    s.ask("under its old id", v, &of(first.beat(), "i1"))?;
    s.ask("under its old id, without its instance", v, &first.beat())?;
    s.ask("leaves for good", v, &of(second.at(GONE).beat(), "i1"))?;
    describe(s, "in the end", &group)
}

fn epochs(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, other) = (group(s, "g")?, ready(s, "a", 2, &[])?, one(s, "b")?);
    known(s, &[&topic, &other])?;
    let first = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    s.ask("an epoch ahead", v, &first.at(first.epoch + 1).beat())?;
    let mut wider = first.beat();
    wider.subscribed_topic_names = Some(owned(&[&topic.name, &other.name]));
    let now = consuming(s, &wider)?;
    s.ask("the epoch before", v, &first.beat())?;
    let owning =
        |owned: Option<Vec<TopicPartitions>>| ConsumerGroupHeartbeatRequest { topic_partitions: owned, ..first.beat() };
    s.ask("the epoch before, with what it owned", v, &owning(owned_of(&topic, &[0, 1])))?;
    s.ask("the epoch before, with another's", v, &owning(owned_of(&topic, &[0, 2])))?;
    s.ask("this epoch", v, &now.beat())?;
    s.ask("it comes again", v, &consume(&group, "m", &[&topic.name, &other.name]))?;
    s.ask("it comes again with less", v, &consume(&group, "m", &[&topic.name]))?;
    describe(s, "in the end", &group)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, unknown) = (group(s, "g")?, one(s, "a")?, s.topic("unknown"));
    known(s, &[&topic])?;
    let first = consuming(s, &consume(&group, "m", &[&topic.name]))?;
    let nobody = first.called("nobody");
    let nowhere = Consumer { group: unknown.clone(), ..first.clone() };
    s.ask("of an unknown group", v, &nowhere.beat())?;
    s.ask("leaves an unknown group", v, &nowhere.at(GONE).beat())?;
    s.ask("an unknown member", v, &nobody.beat())?;
    s.ask("an unknown member leaves", v, &nobody.at(GONE).beat())?;
    let mut instance = nobody.at(BACK_SOON).beat();
    instance.instance_id = Some("i".to_owned());
    s.ask("an unknown instance leaves for a while", v, &instance)?;
    describe(s, "an unknown group", &unknown)
}

fn wrong(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let good = consume(&group, "m", &[&topic.name]);
    let text = |text: &str| Some(text.to_owned());
    let changed = |change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for (label, request) in [
        ("no group", changed(&|r| r.group_id = String::new())),
        ("a blank group", changed(&|r| r.group_id = " ".to_owned())),
        ("an empty instance", changed(&|r| r.instance_id = text(""))),
        ("a blank instance", changed(&|r| r.instance_id = text(" "))),
        ("an empty rack", changed(&|r| r.rack_id = text(""))),
        ("no time to rebalance", changed(&|r| r.rebalance_timeout_ms = -1)),
        ("no list of partitions", changed(&|r| r.topic_partitions = None)),
        ("partitions from the start", changed(&|r| r.topic_partitions = owned_of(&topic, &[0]))),
        ("no subscription", changed(&|r| r.subscribed_topic_names = None)),
        ("an empty subscription", changed(&|r| r.subscribed_topic_names = Some(vec![]))),
        ("an unknown assignor", changed(&|r| r.server_assignor = text("sticky"))),
        ("an empty assignor", changed(&|r| r.server_assignor = text(""))),
        ("epoch -3", changed(&|r| r.member_epoch = -3)),
        ("an instance leaves that is none", changed(&|r| r.member_epoch = BACK_SOON)),
        ("nobody leaves", changed(&|r| (r.member_epoch, r.member_id) = (GONE, String::new()))),
        ("nobody stays", changed(&|r| (r.member_epoch, r.member_id) = (1, String::new()))),
        ("a blank id", changed(&|r| r.member_id = " ".to_owned())),
    ] {
        s.ask(label, v, &request)?;
        s.get(CONSUMER_HEARTBEAT, &Consumer { group: group.clone(), id: "m".to_owned(), epoch: GONE }.beat())?;
        s.get(CONSUMER_HEARTBEAT, &Consumer { group: group.clone(), id: " ".to_owned(), epoch: GONE }.beat())?;
    }
    s.ask("no time at all", v, &changed(&|r| r.rebalance_timeout_ms = 0)).map(drop)
}

/// Members of the first version get their ids from the broker.
fn without_id(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    let first = member(s, v, "without an id", &consume(&group, "", &[&topic.name]))?;
    s.ask("with the id that it got", v, &first.beat())?;
    s.ask("leaves", v, &first.at(GONE).beat()).map(drop)
}

fn assignors(s: &mut Session, v: i16) -> Result<()> {
    let (group, a, b) = (group(s, "g")?, ready(s, "a", 3, &[])?, ready(s, "b", 3, &[])?);
    known(s, &[&a, &b])?;
    let topics = [&a.name[..], &b.name[..]];
    let with = |request: ConsumerGroupHeartbeatRequest, assignor: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor.to_owned()),
        ..request
    };
    let first = member(s, v, "range", &with(consume(&group, "m1", &topics), "range"))?;
    describe(s, "with range", &group)?;
    let first = member(s, v, "uniform", &with(first.beat(), "uniform"))?;
    describe(s, "with uniform", &group)?;
    s.ask("an unknown one", v, &with(first.beat(), "Range"))?;
    // Of two assignors that are wanted alike often, either may be taken.
    s.ask("range again", v, &with(first.beat(), "range"))?;
    let second = member(s, v, "the second wants range", &with(consume(&group, "m2", &topics), "range"))?;
    s.ask("the first hears of it", v, &first.beat())?;
    s.ask("the second waits", v, &second.beat())?;
    describe(s, "with both", &group)
}

/// Topics are looked for while the member already waits.
fn regex(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let a = s.topic("t-a");
    let (matched, other) = (ready(s, "t-a", 2, &[])?, one(s, "other")?);
    known(s, &[&matched, &other])?;
    let of = |request: ConsumerGroupHeartbeatRequest, regex: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.to_owned()),
        ..request
    };
    let pattern = format!("{}.*", s.topic("t-"));
    let first = member(s, v, "a regular expression", &of(consume(&group, "m", &[]), &pattern))?;
    let first = gets(s, &first, 2, When::Now)?;
    s.ask("everything again", v, &of(full_beat(&first, &[], Some(vec![])), &pattern))?;
    describe(s, "with a regular expression", &group)?;
    let anchored = of(first.beat(), &s.topic("t"));
    s.ask("a part of the names", v, &anchored)?;
    let first = gets(s, &first, 0, When::Now)?;
    describe(s, "with a part of the names", &group)?;
    let mut named = of(first.beat(), "");
    named.subscribed_topic_names = Some(owned(&[&a]));
    let first = member(s, v, "names instead", &named)?;
    describe(s, "with names instead", &group)?;
    let b = one(s, "t-b")?;
    known(s, &[&b])?;
    let mut both = of(first.beat(), &pattern);
    both.subscribed_topic_names = Some(owned(&[&a]));
    s.get(v, &both)?;
    let first = gets(s, &first, 3, When::Now)?;
    s.ask("names and a regular expression", v, &of(full_beat(&first, &[], Some(vec![])), &pattern)).map(drop)
}

/// Waits until a member has been given `partitions` and has given up all others.
fn gets(s: &mut Session, member: &Consumer, partitions: usize, when: When) -> Result<Consumer> {
    let mut now = member.clone();
    s.settle(&format!("{} has {partitions} partitions", member.id), |s| {
        let response = s.get(DESCRIBE, &describe_consumers(&[&member.group]))?;
        let owning = ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![]), ..now.beat() };
        let beat = s.get(CONSUMER_HEARTBEAT, &owning)?;
        now.epoch = beat.member_epoch;
        let members = response.groups.iter().flat_map(|group| &group.members);
        let topics = members.filter(|described| described.member_id == member.id);
        let topics = topics.flat_map(|described| &described.assignment.topic_partitions);
        let has: usize = topics.map(|topic| topic.partitions.len()).sum();
        let stable = response.groups.iter().all(|group| group.group_state == "Stable");
        let late = when == When::Now || now.epoch > member.epoch;
        Ok(stable && late && has == partitions && assigned(&beat) == 0)
    })?;
    Ok(now)
}

/// When a member has what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Perhaps already.
    Now,
    /// Not in the epoch that it is in.
    Later,
}

fn wrong_regex(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let of = |id: &str, names: Option<&[&str]>, regex: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: names.map(owned),
        subscribed_topic_regex: Some(regex.to_owned()),
        ..consume(&group, id, &[])
    };
    for regex in ["(", "[", "*", "a{2,1}", "\\", "(?=a)", "(a)\\1", "(?<n>a", "a**", "\\p{Nothing}"] {
        s.ask(&format!("{regex:?}"), v, &of("m", None, regex))?;
    }
    describe(s, "after what was refused", &group)?;
    s.ask("empty, without names", v, &of("m", None, ""))?;
    s.ask("empty, with no names", v, &of("m", Some(&[]), ""))?;
    for (at, regex) in
        ["(?i)a", "\\pL+", "(?P<n>a)", "a{1000}", "(?s).", "x{2}?", "\\Qa.b\\E", "[[:alpha:]]"].iter().enumerate()
    {
        let id = format!("m{at}");
        let response = s.get(v, &of(&id, None, regex))?;
        s.note(&format!("ConsumerGroupHeartbeat: {regex:?}"), &format!("error_code={}", response.error_code));
        s.get(v, &Consumer { group: group.clone(), id, epoch: GONE }.beat())?;
    }
    Ok(())
}

fn topics_come(s: &mut Session, v: i16) -> Result<()> {
    let (group, absent) = (group(s, "g")?, s.topic("a"));
    let first = member(s, v, "a topic that is not there", &consume(&group, "m", &[&absent]))?;
    describe(s, "before the topic is there", &group)?;
    ready(s, "a", 1, &[])?;
    let first = gets(s, &first, 1, When::Now)?;
    describe(s, "when the topic is there", &group)?;
    let more = CreatePartitionsTopic { name: absent, count: 3, assignments: None };
    s.get(3, &CreatePartitionsRequest { topics: vec![more], timeout_ms: 10_000, validate_only: false })?;
    let first = gets(s, &first, 3, When::Now)?;
    s.ask("nothing has changed", v, &first.beat())?;
    describe(s, "with more partitions", &group)
}

fn topic_goes(s: &mut Session, v: i16) -> Result<()> {
    let (group, a, b) = (group(s, "g")?, one(s, "a")?, one(s, "b")?);
    known(s, &[&a, &b])?;
    let first = member(s, v, "two topics", &consume(&group, "m", &[&a.name, &b.name]))?;
    s.get(5, &DeleteTopicsRequest { topic_names: vec![a.name], timeout_ms: 10_000, ..Default::default() })?;
    // What is shown leaves the topic out before the group knows of it.
    let first = gets(s, &first, 1, When::Later)?;
    s.ask("nothing has changed", v, &first.beat())?;
    describe(s, "when a topic is gone", &group)
}

fn full(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    known(s, &[&topic])?;
    for id in ["m1", "m2"] {
        consuming(s, &consume(&group, id, &[&topic.name]))?;
    }
    s.ask("a third", v, &consume(&group, "m3", &[&topic.name]))?;
    s.ask("the second again", v, &consume(&group, "m2", &[&topic.name]))?;
    s.ask("a classic third", JOIN, &join(&group, "", &[("range", &subscription(&[&topic.name])?)])).map(drop)
}

pub(super) fn describe_cases() -> Vec<Case> {
    let api = ApiKey::ConsumerGroupDescribe;
    vec![Case::each("some", api, describe_some), Case::each("unknown", api, describe_unknown)]
}

fn describe_some(s: &mut Session, v: i16) -> Result<()> {
    let (first, second) = (group(s, "g")?, s.topic("h"));
    let (a, b) = (ready(s, "a", 2, &[])?, one(s, "b")?);
    known(s, &[&a, &b])?;
    let names = [&a.name[..], &b.name[..]];
    let request = ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".to_owned()),
        rack_id: Some("r".to_owned()),
        server_assignor: Some("range".to_owned()),
        rebalance_timeout_ms: TIMEOUT_MS,
        ..consume(&first, "m", &names)
    };
    consuming(s, &request)?;
    let gone = consuming(s, &consume(&second, "m", &names))?;
    s.get(CONSUMER_HEARTBEAT, &gone.at(GONE).beat())?;
    s.ask("two", v, &describe_consumers(&[&first, &second]))?;
    let with_operations =
        ConsumerGroupDescribeRequest { include_authorized_operations: true, ..describe_consumers(&[&first, &second]) };
    s.ask("with operations", v, &with_operations)?;
    s.ask("one twice", v, &describe_consumers(&[&second, &second])).map(drop)
}

fn describe_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (classic, unknown) = (group(s, "g")?, s.topic("unknown"));
    one_member(s, &classic)?;
    s.ask("one that is unknown", v, &describe_consumers(&[&unknown]))?;
    s.ask("a classic one", v, &describe_consumers(&[&classic]))?;
    s.ask("no group's name", v, &describe_consumers(&[""]))?;
    let with_operations =
        ConsumerGroupDescribeRequest { include_authorized_operations: true, ..describe_consumers(&[&unknown]) };
    s.ask("with operations", v, &with_operations)?;
    s.ask("none", v, &describe_consumers(&[])).map(drop)
}
