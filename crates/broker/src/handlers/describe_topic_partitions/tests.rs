use ottla_controller::{MetadataRecord, Partition, Topic};
use ottla_types::Uuid;
use ottla_wire::messages::describe_topic_partitions_request::TopicRequest;

use super::*;

/// Topics `a`, `b` and `c` with 3, 2 and 4 partitions.
fn image() -> MetadataImage {
    let mut records: Vec<MetadataRecord> = Vec::new();
    for (number, (name, partitions)) in [("a", 3), ("b", 2), ("c", 4)].into_iter().enumerate() {
        let id = Uuid([number as u8 + 1; 16]);
        records.push(Topic { name: TopicName::new(name).unwrap(), id }.into());
        records.extend((0..partitions).map(|partition| {
            let state = PartitionState::created(vec![BrokerId(1)], vec![Uuid::ZERO], |_| true);
            Partition { topic_id: id, partition: PartitionIndex(partition), state }.into()
        }));
    }
    MetadataImage::default().apply(&records, 1).unwrap().0
}

fn ask(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: topics.iter().map(|name| TopicRequest { name: (*name).to_owned() }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic, partition_index)| Cursor { topic_name: topic.to_owned(), partition_index }),
    }
}

/// The answer as text: topics with their partitions or error, then the cursor.
fn answer(request: DescribeTopicPartitionsRequest) -> String {
    let response = describe(&image(), 2000, request);
    let topic = |topic: &DescribeTopicPartitionsResponseTopic| {
        let name = topic.name.as_deref().unwrap_or_default();
        match topic.error_code {
            0 => format!("{name}{:?}", topic.partitions.iter().map(|one| one.partition_index).collect::<Vec<_>>()),
            error => format!("{name}!{error}"),
        }
    };
    let cursor = response.next_cursor.map_or(String::new(), |at| format!(" > {}{}", at.topic_name, at.partition_index));
    response.topics.iter().map(topic).collect::<Vec<_>>().join(" ") + &cursor
}

#[track_caller]
fn check(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>, expected: &str) {
    assert_eq!(answer(ask(topics, limit, cursor)), expected);
}

#[test]
fn topics_come_once_and_by_name() {
    check(&["b", "a", "b"], 100, None, "a[0, 1, 2] b[0, 1]");
    check(&[], 100, None, "a[0, 1, 2] b[0, 1] c[0, 1, 2, 3]");
    check(&["x", "a b", "b"], 100, None, "a b!17 b[0, 1] x!3");
}

#[test]
fn a_page_ends_at_the_limit() {
    check(&["a", "b", "c"], 4, None, "a[0, 1, 2] b[0] > b1");
    check(&["a", "b", "c"], 3, None, "a[0, 1, 2] > b0");
    check(&["a", "x"], 3, None, "a[0, 1, 2] > x0");
    check(&["a", "b"], 5, None, "a[0, 1, 2] b[0, 1]");
    check(&["a"], 0, None, "a[0] > a1");
    check(&["a"], -7, None, "a[0] > a1");
}

#[test]
fn a_cursor_goes_on_where_a_page_ended() {
    check(&["a", "b", "c"], 5, Some(("b", 1)), "b[1] c[0, 1, 2, 3]");
    check(&["a", "b", "c"], 5, Some(("b", 9)), "b[] c[0, 1, 2, 3]");
    check(&[], 3, Some(("b", 1)), "b[1] c[0, 1] > c2");
    check(&[], 3, Some(("bb", 1)), "c[0, 1, 2] > c3");
}

#[test]
fn pages_hold_every_partition_once() {
    for limit in 1..12 {
        let (mut cursor, mut seen) = (None, Vec::new());
        for _ in 0..12 {
            let response = describe(&image(), 2000, DescribeTopicPartitionsRequest { cursor, ..ask(&[], limit, None) });
            for topic in &response.topics {
                seen.extend(topic.partitions.iter().map(|one| (topic.name.clone(), one.partition_index)));
            }
            cursor = response
                .next_cursor
                .map(|at| Cursor { topic_name: at.topic_name, partition_index: at.partition_index });
            if cursor.is_none() {
                break;
            }
        }
        assert!(cursor.is_none() && seen.len() == 9 && seen.is_sorted(), "limit {limit}: {seen:?}");
        seen.dedup();
        assert_eq!(seen.len(), 9, "limit {limit}");
    }
}

#[test]
fn a_cursor_that_stands_nowhere_is_refused() {
    check(&["a", "c"], 5, Some(("b", 1)), "a!42 c!42");
    check(&["a"], 5, Some(("a", -1)), "a!42");
}
