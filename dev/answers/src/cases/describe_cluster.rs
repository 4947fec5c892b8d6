//! DescribeCluster and DescribeTopicPartitions.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_wire::messages::{DescribeClusterRequest, DescribeTopicPartitionsRequest};

use super::Case;
use super::requests::ready;
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::DescribeCluster;
    vec![
        Case::each("brokers", api, |s, v| s.ask("brokers", v, &DescribeClusterRequest::default()).map(drop)),
        Case::each("authorized_operations", api, authorized_operations),
        Case::some("controllers", &[1, 2], |s, v| s.ask("controllers", v, &endpoints(2)).map(drop)),
        Case::some("unknown_endpoints", &[1, 2], |s, v| {
            s.ask("type 0", v, &endpoints(0))?;
            s.ask("type 3", v, &endpoints(3)).map(drop)
        }),
        Case::newest("fenced", api, fenced),
    ]
}

pub(super) fn topic_partitions() -> Vec<Case> {
    let api = ApiKey::DescribeTopicPartitions;
    vec![
        Case::newest("some", api, some),
        Case::newest("pages", api, pages),
        Case::newest("strange", api, strange),
        Case::newest("everything", api, everything),
    ]
}

fn endpoints(endpoint_type: i8) -> DescribeClusterRequest {
    DescribeClusterRequest { endpoint_type, ..Default::default() }
}

fn authorized_operations(s: &mut Session, v: i16) -> Result<()> {
    let request = DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
    s.ask("with them", v, &request).map(drop)
}

fn fenced(s: &mut Session, v: i16) -> Result<()> {
    let request = DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() };
    s.ask("fenced brokers too", v, &request).map(drop)
}

fn of(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: names.iter().map(|name| TopicRequest { name: (*name).to_owned() }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(name, partition_index)| Cursor { topic_name: name.to_owned(), partition_index }),
    }
}

fn some(s: &mut Session, v: i16) -> Result<()> {
    let (a, b, c) = (ready(s, "a", 2, &[])?, ready(s, "b", 1, &[])?, s.topic("c"));
    s.ask("two of three are known", v, &of(&[&b.name, &a.name, &c], 2000, None))?;
    s.ask("one twice", v, &of(&[&a.name, &a.name], 2000, None)).map(drop)
}

fn pages(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (ready(s, "a", 3, &[])?, ready(s, "b", 2, &[])?);
    let both: [&str; 2] = [&a.name, &b.name];
    s.ask("two partitions", v, &of(&both, 2, None))?;
    s.ask("the next two", v, &of(&both, 2, Some((&a.name, 2))))?;
    s.ask("the rest", v, &of(&both, 2, Some((&b.name, 1))))?;
    s.ask("three partitions, the first topic's", v, &of(&both, 3, None))?;
    s.ask("from past the end", v, &of(&both, 2, Some((&b.name, 7))))?;
    s.ask("from a topic between", v, &of(&both, 20, Some((&format!("{}x", a.name), 0)))).map(drop)
}

fn strange(s: &mut Session, v: i16) -> Result<()> {
    let a = ready(s, "a", 2, &[])?;
    s.ask("names that cannot be", v, &of(&["", "a b"], 2000, None))?;
    s.ask("limit 0", v, &of(&[&a.name], 0, None))?;
    s.ask("limit -1", v, &of(&[&a.name], -1, None))?;
    s.ask("a negative cursor", v, &of(&[&a.name], 2000, Some((&a.name, -1)))).map(drop)
}

fn everything(s: &mut Session, v: i16) -> Result<()> {
    ready(s, "a", 3, &[])?;
    // One page of the case's own topic: what others there are is not known.
    let cursor = s.topic("");
    s.ask("all topics", v, &of(&[], 2, Some((&cursor, 0)))).map(drop)
}
