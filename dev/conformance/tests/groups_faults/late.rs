//! Requests that come twice or too late: whoever is not in the group, or not in its generation, changes nothing.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ottla_conformance::groups::wait;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Broker, Suite};
use ottla_types::ErrorCode;
use ottla_wire::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use ottla_wire::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;

use crate::classic::{Classic, at_coordinator, await_state, commit, committed, describe};

const ILLEGAL_GENERATION: i16 = ErrorCode::IllegalGeneration as i16;
const UNKNOWN_MEMBER_ID: i16 = ErrorCode::UnknownMemberId as i16;
const REBALANCE_IN_PROGRESS: i16 = ErrorCode::RebalanceInProgress as i16;
const FENCED_INSTANCE_ID: i16 = ErrorCode::FencedInstanceId as i16;
const FENCED_MEMBER_EPOCH: i16 = ErrorCode::FencedMemberEpoch as i16;
const STALE_MEMBER_EPOCH: i16 = ErrorCode::StaleMemberEpoch as i16;
const UNRELEASED_INSTANCE_ID: i16 = ErrorCode::UnreleasedInstanceId as i16;

pub(crate) fn run(suite: &mut Suite, broker: &Broker) {
    suite.case("classic_requests_twice", || twice(broker));
    suite.case("classic_join_twice_while_parked", || parked_twice(broker));
    suite.case("classic_requests_too_late", || too_late(broker));
    suite.case("classic_requests_while_rebalancing", || while_rebalancing(broker));
    suite.case("classic_member_after_its_session", || after_the_session(broker));
    suite.case("classic_older_instance", || older_instance(broker));
    suite.case("consumer_heartbeats_twice", || consumer_twice(broker));
    suite.case("consumer_requests_too_late", || consumer_too_late(broker));
    suite.case("consumer_instance", || consumer_instance(broker));
}

fn same(found: i16, expected: i16, what: &str) -> Result<()> {
    ensure!(found == expected, "{what}: error {found}, not {expected}");
    Ok(())
}

/// A topic, and a way to make members of a new group.
struct Scene {
    bootstrap: String,
    group: String,
    topic: String,
}

impl Scene {
    fn new(broker: &Broker) -> Result<Scene> {
        let (bootstrap, topic) = (broker.bootstrap(), broker.topic("late"));
        create_topic(&bootstrap, &topic, 2, &[])?;
        Ok(Scene { bootstrap, group: broker.topic("group"), topic })
    }

    fn classic(&self) -> Result<Classic> {
        Classic::new(&self.bootstrap, &self.group, &self.topic)
    }

    fn of(&self) -> (&str, &str) {
        (&self.group, &self.topic)
    }

    /// What is committed, whoever asks.
    fn committed(&self) -> Result<i64> {
        let found = committed(&mut Raw::connect(&self.bootstrap)?, self.of(), None)?;
        found.map_err(|code| anyhow::anyhow!("error {code}"))
    }

    /// A leader with partition 0 and a follower with partition 1, in generation 2.
    fn pair(&self) -> Result<(Classic, Classic)> {
        let (mut leader, mut follower) = (self.classic()?, self.classic()?);
        leader.join()?;
        leader.sync_alone(&[0, 1])?;
        follower.ask_id()?;
        follower.send_join()?;
        wait("the rebalance", || Ok(leader.heartbeat()? == REBALANCE_IN_PROGRESS), String::new)?;
        let joined = leader.join()?;
        ensure!(joined.members.len() == 2, "{joined:?}");
        let joined = follower.joined()?;
        ensure!(joined.error_code == 0 && joined.members.is_empty(), "{joined:?}");
        let shares = BTreeMap::from([(leader.id.clone(), vec![0]), (follower.id.clone(), vec![1])]);
        same(leader.sync(&shares)?.error_code, 0, "the leader's sync")?;
        same(follower.sync(&BTreeMap::new())?.error_code, 0, "the follower's sync")?;
        Ok((leader, follower))
    }
}

fn twice(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let (mut leader, mut follower) = scene.pair()?;
    let (once, again) = (follower.sync(&BTreeMap::new())?, follower.sync(&BTreeMap::new())?);
    ensure!(once.error_code == 0 && once == again && !once.assignment.is_empty(), "{once:?}, then {again:?}");
    // The leader's second opinion is not asked for.
    let other_way = BTreeMap::from([(leader.id.clone(), vec![1]), (follower.id.clone(), vec![0])]);
    same(leader.sync(&other_way)?.error_code, 0, "the leader's second sync")?;
    let unchanged = follower.sync(&BTreeMap::new())?;
    ensure!(unchanged == once, "{unchanged:?}");
    // A follower that joins once more as it was is told the same, and nobody else notices.
    let generation = follower.generation;
    same(follower.join()?.error_code, 0, "the follower's second join")?;
    ensure!(follower.generation == generation, "generation {}", follower.generation);
    same(leader.heartbeat()?, 0, "the leader's heartbeat")?;
    for _ in 0..2 {
        same(follower.commit(5)?, 0, "a commit")?;
        ensure!(scene.committed()? == 5, "{}", scene.committed()?);
    }
    same(follower.leave()?, 0, "leaving")?;
    same(follower.leave()?, UNKNOWN_MEMBER_ID, "leaving again")
}

/// A join that was sent again on another connection: the group has one member more, not two.
fn parked_twice(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut leader = scene.classic()?;
    leader.join()?;
    leader.sync_alone(&[0, 1])?;
    let mut first = scene.classic()?;
    first.ask_id()?;
    let mut second = scene.classic()?;
    second.id = first.id.clone();
    first.send_join()?;
    await_state(&scene.bootstrap, &scene.group, "PreparingRebalance", 2)?;
    second.send_join()?;
    // An id that nobody joins with is waited for, but no longer than its session, and is no member.
    let mut nobody = scene.classic()?;
    nobody.session_ms = 1_000;
    nobody.ask_id()?;
    let joined = leader.join()?;
    ensure!(joined.members.len() == 2, "{joined:?}");
    let joined = second.joined()?;
    ensure!(joined.error_code == 0 && joined.member_id == first.id, "{joined:?}");
    let shares = BTreeMap::from([(second.id.clone(), vec![0, 1])]);
    same(leader.sync(&shares)?.error_code, 0, "the leader's sync")?;
    let synced = second.sync(&BTreeMap::new())?;
    ensure!(synced.error_code == 0 && !synced.assignment.is_empty(), "{synced:?}");
    Ok(())
}

fn too_late(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let (mut leader, mut follower) = scene.pair()?;
    same(leader.commit(10)?, 0, "a commit")?;
    // As if sent in the generation before.
    follower.generation -= 1;
    same(follower.heartbeat()?, ILLEGAL_GENERATION, "heartbeat")?;
    same(follower.sync(&BTreeMap::new())?.error_code, ILLEGAL_GENERATION, "sync")?;
    same(follower.commit(3)?, ILLEGAL_GENERATION, "commit")?;
    follower.generation += 2;
    same(follower.heartbeat()?, ILLEGAL_GENERATION, "heartbeat of a generation to come")?;
    same(follower.commit(3)?, ILLEGAL_GENERATION, "commit of a generation to come")?;
    follower.generation -= 1;
    let mut gone = scene.classic()?;
    (gone.id, gone.generation) = ("nobody".to_owned(), follower.generation);
    same(gone.heartbeat()?, UNKNOWN_MEMBER_ID, "a stranger's heartbeat")?;
    same(gone.sync(&BTreeMap::new())?.error_code, UNKNOWN_MEMBER_ID, "a stranger's sync")?;
    same(gone.commit(3)?, UNKNOWN_MEMBER_ID, "a stranger's commit")?;
    same(gone.join_error()?, UNKNOWN_MEMBER_ID, "a stranger's join")?;
    same(gone.leave()?, UNKNOWN_MEMBER_ID, "a stranger's leaving")?;
    let mut raw = Raw::connect(&scene.bootstrap)?;
    same(commit(&mut raw, scene.of(), ("", -1, None), 3)?, UNKNOWN_MEMBER_ID, "a commit without a member")?;
    ensure!(scene.committed()? == 10, "{} is committed", scene.committed()?);
    same(leader.heartbeat()?, 0, "the leader's heartbeat")?;
    same(follower.heartbeat()?, 0, "the follower's heartbeat")
}

fn while_rebalancing(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let (mut leader, mut follower) = scene.pair()?;
    let mut newcomer = scene.classic()?;
    newcomer.ask_id()?;
    newcomer.send_join()?;
    await_state(&scene.bootstrap, &scene.group, "PreparingRebalance", 3)?;
    // Before it joins again, a member can still commit what it read.
    same(leader.commit(10)?, 0, "a commit before joining")?;
    same(leader.heartbeat()?, REBALANCE_IN_PROGRESS, "a heartbeat before joining")?;
    same(leader.sync(&BTreeMap::new())?.error_code, REBALANCE_IN_PROGRESS, "a sync before joining")?;
    follower.send_join()?;
    leader.join()?;
    follower.joined()?;
    newcomer.joined()?;
    await_state(&scene.bootstrap, &scene.group, "CompletingRebalance", 3)?;
    same(leader.commit(20)?, REBALANCE_IN_PROGRESS, "a commit before the assignment")?;
    same(newcomer.heartbeat()?, 0, "a heartbeat before the assignment")?;
    ensure!(scene.committed()? == 10, "{} is committed", scene.committed()?);
    same(leader.sync(&BTreeMap::from([(leader.id.clone(), vec![0, 1])]))?.error_code, 0, "the leader's sync")?;
    same(follower.sync(&BTreeMap::new())?.error_code, 0, "the follower's sync")?;
    same(newcomer.sync(&BTreeMap::new())?.error_code, 0, "the newcomer's sync")?;
    same(leader.commit(20)?, 0, "a commit after the assignment")?;
    ensure!(scene.committed()? == 20, "{} is committed", scene.committed()?);
    Ok(())
}

/// A member that was silent for too long is out, and what it sends later does not count.
fn after_the_session(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut member = scene.classic()?;
    member.session_ms = 1_000;
    member.join()?;
    member.sync_alone(&[0, 1])?;
    same(member.commit(10)?, 0, "a commit in time")?;
    await_state(&scene.bootstrap, &scene.group, "Empty", 0)?;
    same(member.heartbeat()?, UNKNOWN_MEMBER_ID, "a late heartbeat")?;
    same(member.commit(3)?, UNKNOWN_MEMBER_ID, "a late commit")?;
    same(member.sync(&BTreeMap::new())?.error_code, UNKNOWN_MEMBER_ID, "a late sync")?;
    same(member.join_error()?, UNKNOWN_MEMBER_ID, "a late join")?;
    ensure!(scene.committed()? == 10, "{} is committed", scene.committed()?);
    let mut next = scene.classic()?;
    let joined = next.join()?;
    ensure!(joined.error_code == 0 && joined.leader == next.id && joined.members.len() == 1, "{joined:?}");
    Ok(())
}

/// Of two with one name the older is out, and the newer has its place.
fn older_instance(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut older = scene.classic()?;
    older.instance = Some("named".to_owned());
    older.join()?;
    older.sync_alone(&[0, 1])?;
    same(older.commit(10)?, 0, "a commit of the older")?;
    let mut newer = scene.classic()?;
    newer.instance = Some("named".to_owned());
    let joined = newer.join()?;
    ensure!(joined.error_code == 0 && joined.member_id != older.id, "{joined:?}");
    ensure!(joined.generation_id == older.generation, "generation {}, {joined:?}", older.generation);
    same(older.heartbeat()?, FENCED_INSTANCE_ID, "the older's heartbeat")?;
    same(older.sync(&BTreeMap::new())?.error_code, FENCED_INSTANCE_ID, "the older's sync")?;
    same(older.commit(3)?, FENCED_INSTANCE_ID, "the older's commit")?;
    same(older.join_error()?, FENCED_INSTANCE_ID, "the older's join")?;
    let synced = newer.sync(&BTreeMap::new())?;
    ensure!(synced.error_code == 0 && !synced.assignment.is_empty(), "{synced:?}");
    same(newer.heartbeat()?, 0, "the newer's heartbeat")?;
    ensure!(scene.committed()? == 10, "{} is committed", scene.committed()?);
    let described = describe(&mut Raw::connect(&scene.bootstrap)?, &scene.group)?;
    ensure!(described.members.len() == 1, "{described:?}");
    Ok(())
}

/// A member of the consumer protocol that says each thing when it is told to.
struct Newer {
    raw: Raw,
    group: String,
    topic: String,
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Vec<TopicPartitions>,
}

impl Newer {
    fn new(scene: &Scene, id: &str) -> Result<Newer> {
        Ok(Newer {
            raw: at_coordinator(&scene.bootstrap, &scene.group)?,
            group: scene.group.clone(),
            topic: scene.topic.clone(),
            id: id.to_owned(),
            instance: None,
            epoch: 0,
            owned: Vec::new(),
        })
    }

    /// Says everything about itself.
    fn say(&mut self, epoch: i32) -> Result<ConsumerGroupHeartbeatResponse> {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: 300_000,
            subscribed_topic_names: Some(vec![self.topic.clone()]),
            topic_partitions: Some(self.owned.clone()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        self.raw.ask(1, &request)
    }

    /// Joins, and says that it has what it is given.
    fn join(&mut self, partitions: usize) -> Result<()> {
        let mut epoch = 0;
        let mut last = String::new();
        let joined = || {
            let answer = self.say(epoch)?;
            last = format!("{answer:?}");
            ensure!(answer.error_code == 0, "{last}");
            epoch = answer.member_epoch;
            if let Some(assignment) = answer.assignment {
                let owned = assignment.topic_partitions.into_iter();
                self.owned = owned
                    .map(|topic| TopicPartitions { topic_id: topic.topic_id, partitions: topic.partitions })
                    .collect();
            }
            self.epoch = epoch;
            Ok(self.owned.iter().map(|topic| topic.partitions.len()).sum::<usize>() == partitions)
        };
        wait("an assignment", joined, String::new).with_context(|| last.clone())?;
        same(self.heartbeat()?, 0, "the heartbeat that confirms")
    }

    fn heartbeat(&mut self) -> Result<i16> {
        self.say(self.epoch).map(|answer| answer.error_code)
    }

    fn commit(&mut self, epoch: i32, offset: i64) -> Result<i16> {
        let who = (self.id.as_str(), epoch, None);
        commit(&mut self.raw, (&self.group, &self.topic), who, offset)
    }
}

fn consumer_twice(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut member = Newer::new(&scene, "first")?;
    member.join(2)?;
    let epoch = member.epoch;
    for _ in 0..3 {
        let answer = member.say(epoch)?;
        ensure!(answer.error_code == 0 && answer.member_epoch == epoch, "{answer:?}");
    }
    // A join whose answer was lost.
    member.owned.clear();
    let answer = member.say(0)?;
    let given = answer.assignment.iter().flat_map(|assignment| &assignment.topic_partitions);
    ensure!(given.map(|topic| topic.partitions.len()).sum::<usize>() == 2, "{answer:?}");
    ensure!(answer.error_code == 0 && answer.member_epoch == epoch, "{answer:?}, not epoch {epoch}");
    for _ in 0..2 {
        same(member.commit(epoch, 5)?, 0, "a commit")?;
    }
    ensure!(scene.committed()? == 5, "{}", scene.committed()?);
    same(member.say(-1)?.error_code, 0, "leaving")?;
    same(member.say(-1)?.error_code, UNKNOWN_MEMBER_ID, "leaving again")
}

fn consumer_too_late(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut member = Newer::new(&scene, "first")?;
    member.join(2)?;
    let epoch = member.epoch;
    same(member.commit(epoch, 10)?, 0, "a commit")?;
    same(member.say(epoch + 5)?.error_code, FENCED_MEMBER_EPOCH, "a heartbeat of an epoch to come")?;
    same(member.commit(epoch + 5, 3)?, STALE_MEMBER_EPOCH, "a commit of an epoch to come")?;
    let mut stranger = Newer::new(&scene, "nobody")?;
    same(stranger.say(epoch)?.error_code, UNKNOWN_MEMBER_ID, "a stranger's heartbeat")?;
    same(stranger.say(-1)?.error_code, UNKNOWN_MEMBER_ID, "a stranger's leaving")?;
    same(stranger.commit(epoch, 3)?, UNKNOWN_MEMBER_ID, "a stranger's commit")?;
    let mut raw = Raw::connect(&scene.bootstrap)?;
    same(commit(&mut raw, scene.of(), ("", -1, None), 3)?, UNKNOWN_MEMBER_ID, "a commit without a member")?;
    let fetched = |raw: &mut Raw, id, epoch| committed(raw, scene.of(), Some((id, epoch)));
    ensure!(fetched(&mut raw, "first", epoch)? == Ok(10), "{:?}", fetched(&mut raw, "first", epoch)?);
    ensure!(fetched(&mut raw, "first", epoch + 5)? == Err(STALE_MEMBER_EPOCH), "a fetch of an epoch to come");
    ensure!(fetched(&mut raw, "nobody", epoch)? == Err(UNKNOWN_MEMBER_ID), "a stranger's fetch");
    ensure!(scene.committed()? == 10, "{} is committed", scene.committed()?);
    same(member.heartbeat()?, 0, "the member's heartbeat")
}

/// Of two with one name the newer has to wait until the older is gone.
fn consumer_instance(broker: &Broker) -> Result<()> {
    let scene = Scene::new(broker)?;
    let mut older = Newer::new(&scene, "older")?;
    older.instance = Some("named".to_owned());
    older.join(2)?;
    let mut newer = Newer::new(&scene, "newer")?;
    newer.instance = Some("named".to_owned());
    same(newer.say(0)?.error_code, UNRELEASED_INSTANCE_ID, "the newer's join")?;
    same(older.heartbeat()?, 0, "the older's heartbeat")?;
    let epoch = older.epoch;
    same(older.say(-2)?.error_code, 0, "the older's leaving for a while")?;
    newer.join(2)?;
    ensure!(newer.epoch == epoch, "epoch {} after {epoch}", newer.epoch);
    same(older.say(epoch)?.error_code, FENCED_INSTANCE_ID, "the older's late heartbeat")
}
