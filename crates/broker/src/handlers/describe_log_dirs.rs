//! `DescribeLogDirs`: the data directories, what is in them and how much room is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_log::{DirDescription, PartitionDescription};
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest},
    describe_log_dirs_response::{
        DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
    },
};

use crate::{net::Answer, node::Node, service::ReplyTo};

/// Partitions asked for, by topic; none for all.
#[derive(Debug)]
struct Filter(Option<BTreeMap<String, BTreeSet<i32>>>);

pub(crate) fn handle(node: &Arc<Node>, reply: ReplyTo, request: DescribeLogDirsRequest) -> Answer {
    let filter = Filter::of(request.topics);
    let node = Arc::clone(node);
    reply.later(async move {
        // Looks at the files of every partition.
        let looked = tokio::task::spawn_blocking(move || node.dirs.describe(node.clock.now())).await;
        match looked {
            Ok(dirs) => DescribeLogDirsResponse {
                results: dirs.into_iter().map(|dir| describe(&filter, dir)).collect(),
                ..DescribeLogDirsResponse::default()
            },
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    })
}

impl Filter {
    fn of(topics: Option<Vec<DescribableLogDirTopic>>) -> Self {
        Self(topics.map(|topics| {
            let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
            for topic in topics {
                wanted.entry(topic.topic).or_default().extend(topic.partitions);
            }
            wanted
        }))
    }

    fn wants(&self, described: &PartitionDescription) -> bool {
        let partition = &described.partition;
        self.0.as_ref().is_none_or(|wanted| {
            wanted.get(partition.topic.as_str()).is_some_and(|indexes| indexes.contains(&partition.partition.0))
        })
    }
}

fn describe(filter: &Filter, dir: DirDescription) -> DescribeLogDirsResult {
    let bytes = |bytes: Option<u64>| bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    DescribeLogDirsResult {
        error_code: if dir.failed { ErrorCode::KafkaStorageError } else { ErrorCode::None }.code(),
        log_dir: dir.path.to_string_lossy().into_owned(),
        total_bytes: bytes(dir.space.map(|space| space.total)),
        usable_bytes: bytes(dir.space.map(|space| space.usable)),
        topics: topics(dir.partitions.into_iter().filter(|partition| filter.wants(partition))),
        ..DescribeLogDirsResult::default()
    }
}

fn topics(partitions: impl Iterator<Item = PartitionDescription>) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for described in partitions {
        topics.entry(described.partition.topic.to_string()).or_default().push(DescribeLogDirsPartition {
            partition_index: described.partition.partition.0,
            partition_size: i64::try_from(described.size).unwrap_or(i64::MAX),
            offset_lag: described.copy_lag.unwrap_or(0),
            is_future_key: described.copy_lag.is_some(),
        });
    }
    let topic = |(name, mut partitions): (String, Vec<DescribeLogDirsPartition>)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name, partitions }
    };
    topics.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use ottla_types::{PartitionIndex, TopicName, TopicPartition};

    use super::*;

    fn described(topic: &str, partition: i32) -> PartitionDescription {
        let topic = TopicName::new(topic).unwrap();
        PartitionDescription {
            partition: TopicPartition { topic, partition: PartitionIndex(partition) },
            size: 7,
            copy_lag: None,
        }
    }

    fn asked(topic: &str, partitions: &[i32]) -> DescribableLogDirTopic {
        DescribableLogDirTopic { topic: topic.to_owned(), partitions: partitions.to_vec() }
    }

    #[test]
    fn no_filter_lets_everything_pass_and_an_empty_one_nothing() {
        assert!(Filter::of(None).wants(&described("a", 0)));
        assert!(!Filter::of(Some(Vec::new())).wants(&described("a", 0)));
    }

    #[test]
    fn a_filter_lets_the_partitions_pass_that_it_lists() {
        let filter = Filter::of(Some(vec![asked("a", &[0]), asked("b", &[]), asked("a", &[2])]));
        let passes = |topic, partition| filter.wants(&described(topic, partition));
        assert!(passes("a", 0) && passes("a", 2));
        assert!(!passes("a", 1) && !passes("b", 0) && !passes("c", 0));
    }

    #[test]
    fn partitions_are_listed_by_topic_and_number() {
        let listed = topics([described("b", 1), described("a", 3), described("b", 0)].into_iter());
        let names: Vec<_> = listed.iter().map(|topic| topic.name.as_str()).collect();
        let numbers: Vec<_> = listed[1].partitions.iter().map(|partition| partition.partition_index).collect();
        assert_eq!((names, numbers), (vec!["a", "b"], vec![0, 1]));
    }
}
