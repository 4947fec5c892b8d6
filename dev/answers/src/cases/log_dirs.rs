//! Log directories and where replicas lie: DescribeLogDirs, AlterReplicaLogDirs, and the reassignments that tools ask for with them.
//!
//! Both brokers have two directories. Which of them a partition begins in depends on what other cases have made, so that each
//! case first has its partitions where it wants them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ottla_wire::ApiKey;
use ottla_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, DescribableLogDirTopic, DescribeLogDirsRequest,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
};

use super::Case;
use super::requests::{Topic, appended, batch, ready};
use crate::session::Session;

/// Newest versions of what is asked on the way.
const DESCRIBE: i16 = 5;
const ALTER: i16 = 2;

pub(super) fn describe() -> Vec<Case> {
    let api = ApiKey::DescribeLogDirs;
    vec![Case::each("chosen", api, chosen), Case::each("none", api, none), Case::newest("all", api, all)]
}

pub(super) fn alter() -> Vec<Case> {
    let api = ApiKey::AlterReplicaLogDirs;
    vec![
        Case::each("moved", api, moved),
        Case::each("wrong", api, wrong),
        Case::newest("nothing", api, nothing),
        Case::newest("several", api, several),
    ]
}

pub(super) fn alter_reassignments() -> Vec<Case> {
    let api = ApiKey::AlterPartitionReassignments;
    vec![Case::each("as_it_is", api, as_it_is), Case::each("wrong", api, wrong_reassignments)]
}

pub(super) fn list_reassignments() -> Vec<Case> {
    vec![Case::newest("none", ApiKey::ListPartitionReassignments, no_reassignments)]
}

fn of(topics: &[(&str, &[i32])]) -> DescribeLogDirsRequest {
    let topic = |(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: (*topic).to_owned(),
        partitions: partitions.to_vec(),
    };
    DescribeLogDirsRequest { topics: Some(topics.iter().map(topic).collect()) }
}

fn chosen(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    gather(s, &topic, &[0, 1])?;
    appended(s, &topic, 0, batch(&["one", "two"])?)?;
    s.ask("two of three partitions are known", v, &of(&[(&topic.name, &[0, 1, 5])]))?;
    let absent = s.topic("b");
    s.ask("no such topic", v, &of(&[(&absent, &[0])]))?;
    s.ask("a topic twice", v, &of(&[(&topic.name, &[0]), (&topic.name, &[1])]))?;
    s.ask("no partitions", v, &of(&[(&topic.name, &[])])).map(drop)
}

fn none(s: &mut Session, v: i16) -> Result<()> {
    s.ask("no topics", v, &DescribeLogDirsRequest { topics: Some(vec![]) }).map(drop)
}

fn all(s: &mut Session, v: i16) -> Result<()> {
    ready(s, "a", 1, &[])?;
    s.ask("all", v, &DescribeLogDirsRequest { topics: None }).map(drop)
}

/// The directories, and in which of them partitions of `topic` are, by number; with a move under way, where it goes.
#[derive(Debug, Default)]
struct Places {
    directories: Vec<String>,
    partitions: BTreeMap<i32, String>,
    on_their_way: usize,
}

impl Places {
    fn of(s: &mut Session, topic: &Topic) -> Result<Places> {
        let mut places = Places::default();
        for result in s.get(DESCRIBE, &DescribeLogDirsRequest { topics: None })?.results {
            places.directories.push(result.log_dir.clone());
            let topics = result.topics.iter().filter(|found| found.name == topic.name);
            for partition in topics.flat_map(|topic| &topic.partitions) {
                if partition.is_future_key {
                    places.on_their_way += 1;
                } else {
                    places.partitions.insert(partition.partition_index, result.log_dir.clone());
                }
            }
        }
        Ok(places)
    }

    /// Directory of a partition, and the other one.
    fn here_and_there(&self, partition: i32) -> Result<(String, String)> {
        let here = self.partitions.get(&partition).context("the partition is nowhere")?;
        let there = self.directories.iter().find(|directory| *directory != here).context("one directory")?;
        Ok((here.clone(), there.clone()))
    }
}

fn to(path: &str, topics: &[(&str, &[i32])]) -> AlterReplicaLogDir {
    let topic = |(name, partitions): &(&str, &[i32])| AlterReplicaLogDirTopic {
        name: (*name).to_owned(),
        partitions: partitions.to_vec(),
    };
    AlterReplicaLogDir { path: path.to_owned(), topics: topics.iter().map(topic).collect() }
}

fn move_to(path: &str, topic: &str, partitions: &[i32]) -> AlterReplicaLogDirsRequest {
    AlterReplicaLogDirsRequest { dirs: vec![to(path, &[(topic, partitions)])] }
}

/// Waits until the partitions are in `path` and nothing is on its way.
fn arrive(s: &mut Session, topic: &Topic, partitions: &[i32], path: &str) -> Result<()> {
    s.settle("partitions are moved", |s| {
        let places = Places::of(s, topic)?;
        let there = |partition| places.partitions.get(partition).is_some_and(|place| place == path);
        Ok(places.on_their_way == 0 && partitions.iter().all(there))
    })
}

/// Has all of the partitions in one directory, that of the first.
fn gather(s: &mut Session, topic: &Topic, partitions: &[i32]) -> Result<()> {
    let first = *partitions.first().context("no partitions")?;
    let (here, _) = Places::of(s, topic)?.here_and_there(first)?;
    let response = s.get(ALTER, &move_to(&here, &topic.name, partitions))?;
    let mut moved = response.results.iter().flat_map(|topic| &topic.partitions);
    ensure!(moved.all(|partition| partition.error_code == 0), "{response:?}");
    arrive(s, topic, partitions, &here)
}

fn moved(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    appended(s, &topic, 0, batch(&["one", "two"])?)?;
    let (here, there) = Places::of(s, &topic)?.here_and_there(0)?;
    s.ask("to the other one", v, &move_to(&there, &topic.name, &[0]))?;
    arrive(s, &topic, &[0], &there)?;
    s.ask("it is there", DESCRIBE, &of(&[(&topic.name, &[0])]))?;
    s.ask("to where it is", v, &move_to(&there, &topic.name, &[0]))?;
    appended(s, &topic, 0, batch(&["three"])?)?;
    s.ask("and back", v, &move_to(&here, &topic.name, &[0]))?;
    arrive(s, &topic, &[0], &here)?;
    s.ask("it is back", DESCRIBE, &of(&[(&topic.name, &[0])])).map(drop)
}

fn wrong(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    let absent = s.topic("b");
    let (here, there) = Places::of(s, &topic)?.here_and_there(0)?;
    let slash = format!("{there}/");
    let dots = format!("{there}/../{}", there.rsplit('/').next().unwrap_or_default());
    for (label, path) in
        [("no such directory", "/nowhere"), ("any", "any"), ("no name", ""), ("a slash", &slash), ("dots", &dots)]
    {
        s.ask(label, v, &move_to(path, &topic.name, &[0]))?;
    }
    s.ask("no such topic", v, &move_to(&there, &absent, &[0]))?;
    s.ask("no such topic, where it would be", v, &move_to(&here, &absent, &[0]))?;
    s.ask("no such partition", v, &move_to(&there, &topic.name, &[1, -1]))?;
    s.ask("no such topic and no such directory", v, &move_to("/nowhere", &absent, &[0]))?;
    // A legal name, whose copy would have none; and one that is longer than any.
    for (label, letters) in [("a name that is long", 210), ("a name that is too long", 250)] {
        let name = s.topic(&"x".repeat(letters));
        s.ask(label, v, &move_to(&there, &name, &[0]))?;
    }
    s.ask("a name that cannot be", v, &move_to(&there, &format!("{absent}/x"), &[0])).map(drop)
}

fn nothing(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[])?;
    let (here, _) = Places::of(s, &topic)?.here_and_there(0)?;
    s.ask("no directories", v, &AlterReplicaLogDirsRequest { dirs: vec![] })?;
    s.ask("no topics", v, &AlterReplicaLogDirsRequest { dirs: vec![to(&here, &[])] })?;
    s.ask("no partitions", v, &move_to(&here, &topic.name, &[])).map(drop)
}

fn several(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (ready(s, "a", 2, &[])?, s.topic("b"));
    gather(s, &topic, &[0, 1])?;
    let (here, there) = Places::of(s, &topic)?.here_and_there(0)?;
    let dirs = vec![
        to(&here, &[(&topic.name, &[0]), (&absent, &[0])]),
        to(&there, &[(&topic.name, &[1])]),
        to("/nowhere", &[(&absent, &[1])]),
    ];
    s.ask("some stay, some go", v, &AlterReplicaLogDirsRequest { dirs })?;
    arrive(s, &topic, &[1], &there)?;
    arrive(s, &topic, &[0], &here)?;
    s.ask("each is in its place", DESCRIBE, &of(&[(&topic.name, &[0, 1])])).map(drop)
}

fn assign(partitions: &[(&str, i32, Option<&[i32]>)]) -> AlterPartitionReassignmentsRequest {
    let topic = |(name, partition_index, replicas): &(&str, i32, Option<&[i32]>)| ReassignableTopic {
        name: (*name).to_owned(),
        partitions: vec![ReassignablePartition {
            partition_index: *partition_index,
            replicas: replicas.map(<[i32]>::to_vec),
        }],
    };
    AlterPartitionReassignmentsRequest { topics: partitions.iter().map(topic).collect(), ..Default::default() }
}

fn as_it_is(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    s.ask("the broker that has it", v, &assign(&[(&topic.name, 0, Some(&[1]))]))?;
    s.ask("both", v, &assign(&[(&topic.name, 0, Some(&[1])), (&topic.name, 1, Some(&[1]))]))?;
    s.ask("one twice", v, &assign(&[(&topic.name, 0, Some(&[1])), (&topic.name, 0, Some(&[1]))]))?;
    s.ask("nothing is on its way", 0, &ListPartitionReassignmentsRequest::default())?;
    s.ask("nothing", v, &assign(&[])).map(drop)
}

fn wrong_reassignments(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (ready(s, "a", 1, &[])?, s.topic("b"));
    let a = topic.name.as_str();
    s.ask("none to give up", v, &assign(&[(a, 0, None)]))?;
    s.ask("no replicas", v, &assign(&[(a, 0, Some(&[]))]))?;
    s.ask("no such broker", v, &assign(&[(a, 0, Some(&[7]))]))?;
    s.ask("one broker too many", v, &assign(&[(a, 0, Some(&[1, 7]))]))?;
    s.ask("a broker twice", v, &assign(&[(a, 0, Some(&[1, 1]))]))?;
    s.ask("no broker", v, &assign(&[(a, 0, Some(&[-1]))]))?;
    s.ask("no such partition", v, &assign(&[(a, 5, Some(&[1])), (a, -1, Some(&[1])), (a, 5, None)]))?;
    s.ask("no such topic", v, &assign(&[(&absent, 0, Some(&[1])), (&absent, 0, None)]))?;
    s.ask("some of each", v, &assign(&[(a, 0, Some(&[1])), (&absent, 0, None), (a, 0, Some(&[7]))])).map(drop)
}

fn no_reassignments(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (ready(s, "a", 1, &[])?, s.topic("b"));
    let of = |name: &str, partitions: &[i32]| ListPartitionReassignmentsRequest {
        topics: Some(vec![ListPartitionReassignmentsTopics {
            name: name.to_owned(),
            partition_indexes: partitions.to_vec(),
        }]),
        ..Default::default()
    };
    s.ask("of everything", v, &ListPartitionReassignmentsRequest::default())?;
    s.ask("of a topic", v, &of(&topic.name, &[0]))?;
    s.ask("of no such partition", v, &of(&topic.name, &[7]))?;
    s.ask("of no such topic", v, &of(&absent, &[0]))?;
    s.ask("of nothing", v, &ListPartitionReassignmentsRequest { topics: Some(vec![]), ..Default::default() }).map(drop)
}
