//! When offsets and sessions expire, told of Ottla and of Kafka by the same cases; run by hand, because a retention is a
//! minute at least:
//!
//! `OTTLA_BINARY=target/ci/ottla cargo run -p ottla-conformance --bin groups_expiry`, and for Kafka
//! `OTTLA_CONFORMANCE_BROKER=kafka` in place of the binary.
//!
//! Each case says after how many seconds something was gone, counted from where Kafka counts.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_conformance::Broker;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::suite::Body;
use ottla_types::ErrorCode;
use ottla_wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use ottla_wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use ottla_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

#[path = "../../tests/groups_faults/classic.rs"]
#[allow(dead_code)] // what the suite of faults needs
mod classic;

use classic::{Classic, at_coordinator, await_state, commit, committed, describe};

const PROPERTIES: [(&str, &str); 9] = [
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("offsets.topic.num.partitions", "5"),
    ("offsets.retention.minutes", "1"),
    ("offsets.retention.check.interval.ms", "1000"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "3000"),
];
/// `offsets.retention.minutes`.
const RETENTION: Duration = Duration::from_secs(60);
/// The session of every member.
const SESSION: Duration = Duration::from_secs(3);
/// How much later than due something may be gone: the interval of looks, and a slow machine.
const LATE: Duration = Duration::from_secs(12);
const BEAT: Duration = Duration::from_millis(500);
const LIST: i16 = 5;
/// Version with a retention of the client's.
const COMMIT_RETAINED: i16 = 4;

fn main() -> ExitCode {
    ottla_conformance::run("groups_expiry", &PROPERTIES, |suite, broker| {
        let broker: &Broker = broker;
        type Case = fn(&Scene) -> Result<()>;
        let cases: [(&str, Case); 9] = [
            ("offsets_without_a_group", without_a_group),
            ("a_commit_begins_anew", begins_anew),
            ("a_retention_of_the_clients", retention_of_the_clients),
            ("classic_topics_that_nobody_reads", classic_unread),
            ("classic_group_that_became_empty", classic_empty),
            ("consumer_topics_that_nobody_reads", consumer_unread),
            ("consumer_group_that_became_empty", consumer_empty),
            ("classic_session", classic_session),
            ("consumer_session", consumer_session),
        ];
        let mut bodies: Vec<(String, Body<'_>)> = Vec::new();
        for (name, case) in cases {
            let scene = Scene::new(broker, name)?;
            bodies.push((name.to_owned(), Box::new(move || case(&scene))));
        }
        suite.together(bodies);
        Ok(())
    })
}

struct Scene {
    name: &'static str,
    bootstrap: String,
    group: String,
    read: String,
    unread: String,
}

impl Scene {
    fn new(broker: &Broker, name: &'static str) -> Result<Scene> {
        let (bootstrap, read, unread) = (broker.bootstrap(), broker.topic("read"), broker.topic("unread"));
        create_topic(&bootstrap, &read, 1, &[])?;
        create_topic(&bootstrap, &unread, 1, &[])?;
        Ok(Scene { name, bootstrap, group: broker.topic("group"), read, unread })
    }

    fn raw(&self) -> Result<Raw> {
        at_coordinator(&self.bootstrap, &self.group)
    }

    fn commit(&self, raw: &mut Raw, topic: &str, who: (&str, i32)) -> Result<()> {
        let error = commit(raw, (&self.group, topic), (who.0, who.1, None), 7)?;
        ensure!(error == 0, "commit: error {error}");
        Ok(())
    }

    fn has(&self, raw: &mut Raw, topic: &str) -> Result<bool> {
        let offset = committed(raw, (&self.group, topic), None)?;
        Ok(offset.map_err(|error| anyhow::anyhow!("fetch: error {error}"))? >= 0)
    }

    fn is_listed(&self, raw: &mut Raw) -> Result<bool> {
        let listed = raw.ask(LIST, &ListGroupsRequest::default())?;
        Ok(listed.groups.iter().any(|group| group.group_id == self.group))
    }

    /// Waits until `is_there` is no longer true, with `beat` in between: that takes `due` from `since`, and little more.
    fn gone(
        &self,
        what: &str,
        since: Instant,
        due: Duration,
        mut is_there: impl FnMut() -> Result<bool>,
        mut beat: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        while is_there()? {
            ensure!(since.elapsed() < due + LATE, "{what} is there after {:?}", since.elapsed());
            beat()?;
            sleep(BEAT);
        }
        let after = since.elapsed();
        println!("{}: {what} gone {:.1} s after, due after {} s", self.name, after.as_secs_f64(), due.as_secs());
        // The looks are apart, and the clock of the commit is the broker's.
        ensure!(after + Duration::from_millis(100) >= due, "{what} gone after {after:?}");
        Ok(())
    }

    fn group_gone(&self, raw: &mut Raw) -> Result<()> {
        let since = Instant::now();
        self.gone("the group", since, Duration::ZERO, || self.is_listed(raw), || Ok(()))
    }

    fn joined_classic(&self) -> Result<Classic> {
        let mut member = Classic::new(&self.bootstrap, &self.group, &self.read)?;
        member.session_ms = i32::try_from(SESSION.as_millis())?;
        let joined = member.join()?;
        ensure!(joined.error_code == 0, "{joined:?}");
        member.sync_alone(&[0])?;
        Ok(member)
    }
}

fn alive(error: i16) -> Result<()> {
    ensure!(error == 0, "heartbeat: error {error}");
    Ok(())
}

fn without_a_group(scene: &Scene) -> Result<()> {
    let (mut raw, mut other) = (scene.raw()?, scene.raw()?);
    scene.commit(&mut raw, &scene.read, ("", -1))?;
    let since = Instant::now();
    scene.gone("the offset", since, RETENTION, || scene.has(&mut raw, &scene.read), || Ok(()))?;
    scene.group_gone(&mut other)
}

fn begins_anew(scene: &Scene) -> Result<()> {
    let mut raw = scene.raw()?;
    scene.commit(&mut raw, &scene.read, ("", -1))?;
    sleep(RETENTION / 2);
    scene.commit(&mut raw, &scene.read, ("", -1))?;
    let since = Instant::now();
    scene.gone("the offset", since, RETENTION, || scene.has(&mut raw, &scene.read), || Ok(()))
}

fn retention_of_the_clients(scene: &Scene) -> Result<()> {
    let mut raw = scene.raw()?;
    let retention = Duration::from_secs(10);
    let partition = OffsetCommitRequestPartition { committed_offset: 7, ..OffsetCommitRequestPartition::default() };
    let topic = OffsetCommitRequestTopic {
        name: scene.read.clone(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: scene.group.clone(),
        generation_id_or_member_epoch: -1,
        retention_time_ms: i64::try_from(retention.as_millis())?,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = raw.ask(COMMIT_RETAINED, &request)?;
    ensure!(answer.topics.iter().flat_map(|topic| &topic.partitions).all(|it| it.error_code == 0), "{answer:?}");
    let since = Instant::now();
    scene.gone("the offset", since, retention, || scene.has(&mut raw, &scene.read), || Ok(()))
}

/// What the members do not read goes, what they read stays.
fn classic_unread(scene: &Scene) -> Result<()> {
    let (mut raw, mut member) = (scene.raw()?, scene.joined_classic()?);
    for topic in [&scene.read, &scene.unread] {
        scene.commit(&mut raw, topic, (&member.id, member.generation))?;
    }
    let since = Instant::now();
    let there = || scene.has(&mut raw, &scene.unread);
    scene.gone("the offset of the topic that is not read", since, RETENTION, there, || alive(member.heartbeat()?))?;
    for _ in 0..10 {
        sleep(BEAT);
        alive(member.heartbeat()?)?;
    }
    ensure!(scene.has(&mut raw, &scene.read)?, "the offset of the topic that is read is gone");
    Ok(())
}

/// Retention counts from when the last member was gone.
fn classic_empty(scene: &Scene) -> Result<()> {
    let (mut raw, mut other, mut member) = (scene.raw()?, scene.raw()?, scene.joined_classic()?);
    scene.commit(&mut raw, &scene.read, (&member.id, member.generation))?;
    let joined = Instant::now();
    while joined.elapsed() < RETENTION / 2 {
        alive(member.heartbeat()?)?;
        sleep(BEAT);
    }
    ensure!(member.leave()? == 0, "it cannot leave");
    let since = Instant::now();
    scene.gone("the offset", since, RETENTION, || scene.has(&mut raw, &scene.read), || Ok(()))?;
    scene.group_gone(&mut other)
}

/// One member of the consumer protocol.
struct Beating {
    raw: Raw,
    request: ConsumerGroupHeartbeatRequest,
}

impl Beating {
    fn joined(scene: &Scene) -> Result<Beating> {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: scene.group.clone(),
            member_id: "member".to_owned(),
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec![scene.read.clone()]),
            topic_partitions: Some(Vec::new()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let mut member = Beating { raw: scene.raw()?, request };
        member.beat()?;
        member.request = ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            topic_partitions: None,
            ..member.request.clone()
        };
        Ok(member)
    }

    fn beat(&mut self) -> Result<()> {
        let answer: ConsumerGroupHeartbeatResponse = self.raw.ask(1, &self.request)?;
        ensure!(answer.error_code == 0, "{answer:?}");
        self.request.member_epoch = answer.member_epoch;
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.request.member_epoch = -1;
        self.beat()
    }
}

fn consumer_unread(scene: &Scene) -> Result<()> {
    let (mut raw, mut member) = (scene.raw()?, Beating::joined(scene)?);
    for topic in [&scene.read, &scene.unread] {
        scene.commit(&mut raw, topic, ("member", member.request.member_epoch))?;
    }
    let since = Instant::now();
    let there = || scene.has(&mut raw, &scene.unread);
    scene.gone("the offset of the topic that is not read", since, RETENTION, there, || member.beat())?;
    for _ in 0..10 {
        sleep(BEAT);
        member.beat()?;
    }
    ensure!(scene.has(&mut raw, &scene.read)?, "the offset of the topic that is read is gone");
    Ok(())
}

/// Retention counts from the commit.
fn consumer_empty(scene: &Scene) -> Result<()> {
    let (mut raw, mut other, mut member) = (scene.raw()?, scene.raw()?, Beating::joined(scene)?);
    scene.commit(&mut raw, &scene.read, ("member", member.request.member_epoch))?;
    let since = Instant::now();
    while since.elapsed() < RETENTION / 2 {
        member.beat()?;
        sleep(BEAT);
    }
    member.leave()?;
    scene.gone("the offset", since, RETENTION, || scene.has(&mut raw, &scene.read), || Ok(()))?;
    scene.group_gone(&mut other)
}

fn classic_session(scene: &Scene) -> Result<()> {
    let (mut raw, mut member) = (scene.raw()?, scene.joined_classic()?);
    for _ in 0..10 {
        sleep(BEAT);
        alive(member.heartbeat()?)?;
    }
    let since = Instant::now();
    let there = || Ok(!describe(&mut raw, &scene.group)?.members.is_empty());
    scene.gone("the silent member", since, SESSION, there, || Ok(()))?;
    // A group without members and offsets goes with the next look.
    let late = member.heartbeat()?;
    ensure!(late == ErrorCode::UnknownMemberId.code(), "error {late}");
    let mut other = scene.raw()?;
    scene.group_gone(&mut other)?;
    await_state(&scene.bootstrap, &scene.group, "Dead", 0)
}

fn consumer_session(scene: &Scene) -> Result<()> {
    let mut member = Beating::joined(scene)?;
    for _ in 0..10 {
        sleep(BEAT);
        member.beat()?;
    }
    let since = Instant::now();
    let mut other = scene.raw()?;
    let mut empty = false;
    let there = || {
        let listed = other.ask(LIST, &ListGroupsRequest::default())?;
        let own = listed.groups.iter().find(|group| group.group_id == scene.group);
        empty |= own.is_some_and(|group| group.group_state == "Empty");
        Ok(own.is_some_and(|group| group.group_state != "Empty"))
    };
    scene.gone("the silent member", since, SESSION, there, || Ok(()))?;
    let late: ConsumerGroupHeartbeatResponse = member.raw.ask(1, &member.request).context("late")?;
    let refused = [ErrorCode::UnknownMemberId.code(), ErrorCode::GroupIdNotFound.code()];
    ensure!(refused.contains(&late.error_code), "{late:?}");
    scene.group_gone(&mut other)
}
