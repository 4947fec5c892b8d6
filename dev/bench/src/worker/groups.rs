//! Many members of many groups on a few connections: joins, heartbeats and commits of the consumer protocol.
//!
//! A connection carries whole groups and one request at a time, so that both brokers see the same order of requests; members
//! are paced, and what is measured is how long a commit takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottla_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest, OffsetCommitResponse,
    consumer_group_heartbeat_request::TopicPartitions,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};
use serde::{Deserialize, Serialize};

use super::link::Link;

const CONNECTIONS: usize = 8;
/// Version with a member id of the client's making.
const HEARTBEAT: i16 = 1;
/// Version with member epochs and topic names.
const COMMIT: i16 = 9;
/// Time between a member's heartbeats, and between its commits.
const PERIOD: Duration = Duration::from_secs(5);
/// Rounds of heartbeats until every member must have its assignment.
const ROUNDS_MAX: usize = 200;

/// Who is there and for how long it is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Crowd {
    bootstrap: SocketAddr,
    topic: String,
    /// Partitions of the topic
    partitions: i32,
    groups: usize,
    /// Members of each group
    members: usize,
    seconds: u64,
}

/// What was measured. Times in microseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Commits {
    pub(crate) commits: u64,
    pub(crate) heartbeats: u64,
    pub(crate) join_seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

struct Member {
    group: String,
    id: String,
    epoch: i32,
    owned: Vec<TopicPartitions>,
    due: Instant,
}

/// Joins all members, then heartbeats and commits until the time is up.
pub(crate) fn run(crowd: &Crowd) -> Result<Commits> {
    let begin = Instant::now();
    let lanes = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..CONNECTIONS).map(|lane| scope.spawn(move || Lane::joined(crowd, lane))).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    let join_seconds = begin.elapsed().as_secs_f64();
    let until = Instant::now() + Duration::from_secs(crowd.seconds);
    let measured = std::thread::scope(|scope| {
        let lanes: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(move || lane.steady(until))).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    let heartbeats = measured.iter().map(|(_, heartbeats)| heartbeats).sum();
    let mut times: Vec<Duration> = measured.into_iter().flat_map(|(times, _)| times).collect();
    ensure!(!times.is_empty(), "nothing was committed");
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok(Commits { commits: times.len() as u64, heartbeats, join_seconds, p50_us: at(0.5), p99_us: at(0.99) })
}

/// One connection with its members.
struct Lane<'a> {
    crowd: &'a Crowd,
    link: Link,
    members: Vec<Member>,
}

impl<'a> Lane<'a> {
    fn joined(crowd: &'a Crowd, lane: usize) -> Result<Self> {
        let mut this = Self { crowd, link: Link::connect(crowd.bootstrap)?, members: Vec::new() };
        this.link.find_coordinator("crowd-0")?;
        let start = Instant::now();
        for group in (lane..crowd.groups).step_by(CONNECTIONS) {
            for member in 0..crowd.members {
                this.members.push(Member {
                    group: format!("crowd-{group}"),
                    id: format!("member-{group}-{member}"),
                    epoch: 0,
                    owned: Vec::new(),
                    due: start,
                });
            }
        }
        for at in 0..this.members.len() {
            this.heartbeat(at, true)?;
        }
        for _ in 0..ROUNDS_MAX {
            let epochs = this.members.iter().map(|member| member.epoch).collect::<Vec<_>>();
            for at in 0..this.members.len() {
                this.heartbeat(at, false)?;
            }
            let owners = this.members.iter().filter(|member| !member.owned.is_empty()).count();
            let groups = this.members.len() / crowd.members.max(1);
            let settled = epochs.iter().zip(&this.members).all(|(before, member)| *before == member.epoch);
            // The first member of a group owns everything until the next assignment.
            if settled && owners == groups * crowd.members.min(crowd.partitions as usize) {
                return Ok(this);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        anyhow::bail!("the groups did not settle")
    }

    fn steady(mut self, until: Instant) -> Result<(Vec<Duration>, u64)> {
        let (mut times, mut heartbeats) = (Vec::new(), 0);
        let pace = PERIOD / u32::try_from(self.members.len().max(1))?;
        let start = Instant::now();
        for (at, member) in self.members.iter_mut().enumerate() {
            member.due = start + pace * u32::try_from(at)?;
        }
        loop {
            for at in 0..self.members.len() {
                let due = self.members[at].due;
                if due >= until {
                    return Ok((times, heartbeats));
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                self.heartbeat(at, false)?;
                heartbeats += 1;
                let begin = Instant::now();
                self.commit(at)?;
                times.push(begin.elapsed());
                self.members[at].due = due + PERIOD;
            }
        }
    }

    fn heartbeat(&mut self, at: usize, join: bool) -> Result<()> {
        let member = &self.members[at];
        let request = ConsumerGroupHeartbeatRequest {
            group_id: member.group.clone(),
            member_id: member.id.clone(),
            member_epoch: member.epoch,
            rebalance_timeout_ms: if join { 300_000 } else { -1 },
            subscribed_topic_names: join.then(|| vec![self.crowd.topic.clone()]),
            topic_partitions: Some(member.owned.clone()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let response: ConsumerGroupHeartbeatResponse =
            self.link
                .exchange_again(&request, HEARTBEAT, |response: &ConsumerGroupHeartbeatResponse| response.error_code)?;
        ensure!(response.error_code == 0, "heartbeat: error {}: {:?}", response.error_code, response.error_message);
        let member = &mut self.members[at];
        member.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let owned = assignment.topic_partitions.into_iter();
            member.owned =
                owned.map(|topic| TopicPartitions { topic_id: topic.topic_id, partitions: topic.partitions }).collect();
        }
        Ok(())
    }

    fn commit(&mut self, at: usize) -> Result<()> {
        let member = &self.members[at];
        let partitions = member.owned.iter().flat_map(|topic| &topic.partitions);
        let partitions = partitions.map(|partition| OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: 0,
            committed_metadata: Some(String::new()),
            ..OffsetCommitRequestPartition::default()
        });
        let topic = OffsetCommitRequestTopic {
            name: self.crowd.topic.clone(),
            partitions: partitions.collect(),
            ..OffsetCommitRequestTopic::default()
        };
        let request = OffsetCommitRequest {
            group_id: member.group.clone(),
            member_id: member.id.clone(),
            generation_id_or_member_epoch: member.epoch,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let code = |response: &OffsetCommitResponse| {
            response
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|partition| partition.error_code)
                .max()
                .unwrap_or(0)
        };
        let response = self.link.exchange_again(&request, COMMIT, code)?;
        ensure!(code(&response) == 0, "commit: error {}", code(&response));
        Ok(())
    }
}
