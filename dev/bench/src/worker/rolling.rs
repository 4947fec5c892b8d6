//! A rolling restart of a group: its members end and come back one after the other, and what is measured is for how long
//! partitions had nobody to work on them.
//!
//! A member works on what it was given until it hears that it must not: in the classic protocol it gives up everything when a
//! rebalance begins (as Kafka's range assignor does), in the consumer protocol what the broker asks for. One that ends leaves
//! its group first, as Kafka's consumers do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottla_types::Uuid;
use ottla_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, CreateTopicsRequest, CreateTopicsResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse, consumer_group_heartbeat_request::TopicPartitions,
    create_topics_request::CreatableTopic, join_group_request::JoinGroupRequestProtocol,
    leave_group_request::MemberIdentity, sync_group_request::SyncGroupRequestAssignment,
};
use serde::{Deserialize, Serialize};

use super::link::Link;

/// What a member of the classic protocol has set, and what the brokers are told for the others.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a member is away.
const AWAY: Duration = Duration::from_millis(500);
/// From one restart to the next.
const PACE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);
const REBALANCE_MS: i32 = 60_000;
const MEMBER_ID_REQUIRED: i16 = 79;
const REBALANCE_IN_PROGRESS: i16 = 27;
const ILLEGAL_GENERATION: i16 = 22;

/// What is rolled.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Roll {
    bootstrap: SocketAddr,
    topic: String,
    partitions: i32,
    members: usize,
    /// The consumer protocol, else the classic one
    #[arg(long)]
    consumer: bool,
}

/// What was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rolled {
    /// From the first end until all partitions were owned again after the last one.
    pub(crate) seconds: f64,
    /// Time in which a partition was nobody's, on average over the partitions.
    pub(crate) idle_seconds: f64,
    /// Longest time in which one partition was nobody's.
    pub(crate) longest_idle_ms: f64,
    /// Time in which all partitions were nobody's.
    pub(crate) standstill_seconds: f64,
}

/// Who works on what, and since when nobody does.
struct Ledger {
    owned: Vec<bool>,
    since: Vec<Instant>,
    idle: Vec<Duration>,
    longest: Duration,
    still_since: Instant,
    standstill: Duration,
    measures: bool,
}

impl Ledger {
    fn new(partitions: usize) -> Self {
        let now = Instant::now();
        Self {
            owned: vec![false; partitions],
            since: vec![now; partitions],
            idle: vec![Duration::ZERO; partitions],
            longest: Duration::ZERO,
            still_since: now,
            standstill: Duration::ZERO,
            measures: false,
        }
    }

    fn none_owned(&self) -> bool {
        self.owned.iter().all(|owned| !owned)
    }

    fn take(&mut self, partition: i32) -> Result<()> {
        let (at, now) = (usize::try_from(partition)?, Instant::now());
        ensure!(!self.owned[at], "partition {partition} has two owners");
        if self.measures {
            if self.none_owned() {
                self.standstill += now - self.still_since;
            }
            let idle = now - self.since[at];
            self.idle[at] += idle;
            self.longest = self.longest.max(idle);
        }
        self.owned[at] = true;
        Ok(())
    }

    fn give_up(&mut self, partition: i32) -> Result<()> {
        let (at, now) = (usize::try_from(partition)?, Instant::now());
        (self.owned[at], self.since[at]) = (false, now);
        if self.none_owned() {
            self.still_since = now;
        }
        Ok(())
    }
}

/// What all members share.
struct Group<'a> {
    roll: &'a Roll,
    id: String,
    ledger: Mutex<Ledger>,
    /// By member: whether it is to end and come back.
    restart: Vec<AtomicBool>,
    ends: AtomicBool,
}

impl Group<'_> {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_all_owned(&self) -> Result<()> {
        let begin = Instant::now();
        while !self.ledger().owned.iter().all(|owned| *owned) {
            ensure!(begin.elapsed() < PATIENCE, "partitions stay without an owner");
            ensure!(!self.ends.load(Ordering::Acquire), "a member failed");
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Forms the group, restarts every member once, and waits until all is owned again.
pub(crate) fn run(roll: &Roll) -> Result<Rolled> {
    let mut link = Link::connect(roll.bootstrap)?;
    create_topic(&mut link, roll)?;
    let id = format!("{}-group", roll.topic);
    link.find_coordinator(&id)?;
    let group = Group {
        roll,
        id,
        ledger: Mutex::new(Ledger::new(usize::try_from(roll.partitions)?)),
        restart: (0..roll.members).map(|_| AtomicBool::new(false)).collect(),
        ends: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let members: Vec<_> = (0..roll.members)
            .map(|number| {
                let group = &group;
                scope.spawn(move || {
                    let ended = play(group, number);
                    if ended.is_err() {
                        group.ends.store(true, Ordering::Release);
                    }
                    ended
                })
            })
            .collect();
        let rolled = restart_all(&group);
        group.ends.store(true, Ordering::Release);
        for member in members {
            member.join().map_err(|_| anyhow::anyhow!("a member panicked"))??;
        }
        rolled
    })
}

fn create_topic(link: &mut Link, roll: &Roll) -> Result<()> {
    let topic = CreatableTopic {
        name: roll.topic.clone(),
        num_partitions: roll.partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let answer: CreateTopicsResponse = link.exchange(&request, 7)?;
    ensure!(answer.topics.iter().all(|topic| topic.error_code == 0), "{answer:?}");
    Ok(())
}

fn restart_all(group: &Group<'_>) -> Result<Rolled> {
    group.await_all_owned()?;
    // The group has settled when nothing moved for a while.
    sleep(HEARTBEAT * 5);
    group.await_all_owned()?;
    group.ledger().measures = true;
    let begin = Instant::now();
    for restart in &group.restart {
        restart.store(true, Ordering::Release);
        sleep(PACE);
    }
    let begun: Vec<_> = group.restart.iter().collect();
    while begun.iter().any(|restart| restart.load(Ordering::Acquire)) {
        ensure!(!group.ends.load(Ordering::Acquire), "a member failed");
        sleep(Duration::from_millis(10));
    }
    group.await_all_owned()?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut ledger = group.ledger();
    ledger.measures = false;
    let idle: Duration = ledger.idle.iter().sum();
    Ok(Rolled {
        seconds,
        idle_seconds: idle.as_secs_f64() / f64::from(group.roll.partitions),
        longest_idle_ms: ledger.longest.as_secs_f64() * 1e3,
        standstill_seconds: ledger.standstill.as_secs_f64(),
    })
}

/// One member, with its successors.
fn play(group: &Group<'_>, number: usize) -> Result<()> {
    for life in 0.. {
        let mut member = Member::new(group, format!("member-{number}-{life}"))?;
        member.live(&|| group.ends.load(Ordering::Acquire) || group.restart[number].load(Ordering::Acquire))?;
        if group.ends.load(Ordering::Acquire) {
            return Ok(());
        }
        sleep(AWAY);
        group.restart[number].store(false, Ordering::Release);
    }
    Ok(())
}

struct Member<'a> {
    group: &'a Group<'a>,
    link: Link,
    id: String,
    epoch: i32,
    owned: Vec<i32>,
    topic_id: Uuid,
}

impl<'a> Member<'a> {
    fn new(group: &'a Group<'a>, id: String) -> Result<Self> {
        let id = if group.roll.consumer { id } else { String::new() };
        let link = Link::connect(group.roll.bootstrap)?;
        Ok(Self { group, link, id, epoch: 0, owned: Vec::new(), topic_id: Uuid::ZERO })
    }

    /// Works until `ends` says so, then leaves.
    fn live(&mut self, ends: &dyn Fn() -> bool) -> Result<()> {
        let mut next = Instant::now();
        let mut joins = true;
        while !ends() {
            if Instant::now() < next {
                sleep(Duration::from_millis(5));
                continue;
            }
            let at_once = if self.group.roll.consumer { self.beat(joins)? } else { self.beat_classic(joins)? };
            joins = self.epoch == 0;
            next = if at_once { Instant::now() } else { Instant::now() + HEARTBEAT };
        }
        self.leave()
    }

    /// Works on `given` and nothing else; first it gives up, then it takes.
    fn work_on(&mut self, given: Vec<i32>) -> Result<()> {
        let mut ledger = self.group.ledger();
        for partition in self.owned.iter().filter(|partition| !given.contains(partition)) {
            ledger.give_up(*partition)?;
        }
        for partition in given.iter().filter(|partition| !self.owned.contains(partition)) {
            ledger.take(*partition)?;
        }
        drop(ledger);
        self.owned = given;
        Ok(())
    }

    /// A heartbeat of the consumer protocol; whether the next one is to follow at once, with what changed.
    fn beat(&mut self, joins: bool) -> Result<bool> {
        let owned = match self.owned.is_empty() {
            true => Vec::new(),
            false => vec![TopicPartitions { topic_id: self.topic_id, partitions: self.owned.clone() }],
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.id.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { REBALANCE_MS } else { -1 },
            subscribed_topic_names: joins.then(|| vec![self.group.roll.topic.clone()]),
            topic_partitions: Some(owned),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let code = |answer: &ConsumerGroupHeartbeatResponse| answer.error_code;
        let answer: ConsumerGroupHeartbeatResponse = self.link.exchange_again(&request, 1, code)?;
        ensure!(answer.error_code == 0, "heartbeat: error {}: {:?}", answer.error_code, answer.error_message);
        self.epoch = answer.member_epoch;
        let Some(assignment) = answer.assignment else { return Ok(false) };
        let mut given = Vec::new();
        for topic in assignment.topic_partitions {
            self.topic_id = topic.topic_id;
            given.extend(topic.partitions);
        }
        let changed = given != self.owned;
        self.work_on(given)?;
        Ok(changed)
    }

    /// A heartbeat of the classic protocol, and a rebalance where it asks for one; true where it has to start over.
    fn beat_classic(&mut self, joins: bool) -> Result<bool> {
        if !joins {
            let request = HeartbeatRequest {
                group_id: self.group.id.clone(),
                generation_id: self.epoch,
                member_id: self.id.clone(),
                group_instance_id: None,
            };
            let code = |answer: &HeartbeatResponse| answer.error_code;
            let answer: HeartbeatResponse = self.link.exchange_again(&request, 4, code)?;
            if answer.error_code == 0 {
                return Ok(false);
            }
            ensure!(answer.error_code == REBALANCE_IN_PROGRESS, "heartbeat: error {}", answer.error_code);
            self.work_on(Vec::new())?;
        }
        self.rebalance()
    }

    fn rebalance(&mut self) -> Result<bool> {
        let joined = self.join()?;
        self.epoch = joined.generation_id;
        let assignments = if joined.leader == self.id { self.shares(&joined) } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: self.group.id.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            group_instance_id: None,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments,
        };
        let code = |answer: &SyncGroupResponse| answer.error_code;
        let answer: SyncGroupResponse = self.link.exchange_again(&request, 5, code)?;
        match answer.error_code {
            0 => self.work_on(partitions_of(&answer.assignment)?).map(|()| false),
            // The next rebalance has begun.
            REBALANCE_IN_PROGRESS | ILLEGAL_GENERATION => self.rebalance(),
            code => bail!("sync: error {code}"),
        }
    }

    fn join(&mut self) -> Result<JoinGroupResponse> {
        loop {
            // The share is the member's own affair: nobody reads the subscription.
            let protocol =
                JoinGroupRequestProtocol { name: "range".to_owned(), metadata: subscription(&self.group.roll.topic) };
            let request = JoinGroupRequest {
                group_id: self.group.id.clone(),
                session_timeout_ms: 45_000,
                rebalance_timeout_ms: REBALANCE_MS,
                member_id: self.id.clone(),
                group_instance_id: None,
                protocol_type: "consumer".to_owned(),
                protocols: vec![protocol],
                reason: None,
            };
            let code = |answer: &JoinGroupResponse| answer.error_code;
            let answer: JoinGroupResponse = self.link.exchange_again(&request, 9, code)?;
            match answer.error_code {
                0 => {
                    self.id.clone_from(&answer.member_id);
                    return Ok(answer);
                }
                MEMBER_ID_REQUIRED => self.id = answer.member_id,
                REBALANCE_IN_PROGRESS => {}
                code => bail!("join: error {code}"),
            }
        }
    }

    /// Spreads the partitions evenly, neighbours together.
    fn shares(&self, joined: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
        let (count, members) = (self.group.roll.partitions as usize, joined.members.len());
        let share = |at: usize| (count * at / members..count * (at + 1) / members).map(|partition| partition as i32);
        let assign = |(at, member): (usize, &ottla_wire::messages::join_group_response::JoinGroupResponseMember)| {
            let bytes: Vec<u8> = share(at).flat_map(i32::to_be_bytes).collect();
            SyncGroupRequestAssignment { member_id: member.member_id.clone(), assignment: bytes.into() }
        };
        joined.members.iter().enumerate().map(assign).collect()
    }

    fn leave(&mut self) -> Result<()> {
        self.work_on(Vec::new())?;
        if self.group.roll.consumer {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: self.group.id.clone(),
                member_id: self.id.clone(),
                member_epoch: -1,
                ..ConsumerGroupHeartbeatRequest::default()
            };
            let answer: ConsumerGroupHeartbeatResponse = self.link.exchange(&request, 1)?;
            ensure!(answer.error_code == 0, "leave: error {}: {:?}", answer.error_code, answer.error_message);
            return Ok(());
        }
        let member = MemberIdentity { member_id: self.id.clone(), ..MemberIdentity::default() };
        let request = LeaveGroupRequest {
            group_id: self.group.id.clone(),
            members: vec![member],
            ..LeaveGroupRequest::default()
        };
        let answer: LeaveGroupResponse = self.link.exchange(&request, 5)?;
        ensure!(answer.error_code == 0, "leave: error {}", answer.error_code);
        Ok(())
    }
}

/// Version 0 of the consumers' subscription: one topic, no data of their own.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.into()
}

fn partitions_of(assignment: &Bytes) -> Result<Vec<i32>> {
    let number = |four: &[u8]| Ok(i32::from_be_bytes(four.try_into().context("half a number")?));
    assignment.chunks(4).map(number).collect()
}
