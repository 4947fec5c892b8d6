//! Topics by their ids: deletion, and ids that are of no topic any more although its name is back.

use ottla_types::{ErrorCode, Uuid};
use ottla_wire::messages::{
    DeleteTopicState, DeleteTopicsRequest, MetadataRequest, delete_topics_response::DeletableTopicResult,
    metadata_request::MetadataRequestTopic, metadata_response::MetadataResponseTopic,
};
use tempfile::TempDir;

use crate::asking::{Asking, FETCH, PRODUCE, Topic, fetch, produce, record, start};

const METADATA: i16 = 13;
const DELETE: i16 = 6;
const GONE: i16 = ErrorCode::UnknownTopicId as i16;

fn described(client: &mut Asking, id: Uuid) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic { topic_id: id, name: None };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    client.ask(METADATA, &request).topics.remove(0)
}

fn deleted(client: &mut Asking, id: Uuid) -> DeletableTopicResult {
    let topics = vec![DeleteTopicState { name: None, topic_id: id }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 10_000, ..DeleteTopicsRequest::default() };
    client.ask(DELETE, &request).responses.remove(0)
}

/// Codes of Metadata, Produce, Fetch and DeleteTopics for the id.
fn codes(client: &mut Asking, topic: &Topic) -> [i16; 4] {
    [
        described(client, topic.id).error_code,
        client.ask(PRODUCE, &produce(topic, 0, 1, record(b"late"))).responses[0].partition_responses[0].error_code,
        client.ask(FETCH, &fetch(topic)).responses[0].partitions[0].error_code,
        deleted(client, topic.id).error_code,
    ]
}

#[test]
fn a_topic_is_deleted_by_id_and_the_id_stays_unknown() {
    let dir = TempDir::new().unwrap();
    let mut broker = start(&dir, &[]);
    let mut client = Asking::of(&broker);
    let first = client.create("a", &[]);
    assert_eq!(described(&mut client, first.id).name.as_deref(), Some("a"));
    let answer = deleted(&mut client, first.id);
    assert_eq!((answer.error_code, answer.name.as_deref(), answer.topic_id), (0, Some("a"), first.id));
    assert_eq!(codes(&mut client, &first), [GONE; 4]);

    // Neither does the id stand for the next topic of that name, before a restart or after it.
    let second = client.create("a", &[]);
    assert_ne!(second.id, first.id);
    let answer = client.ask(PRODUCE, &produce(&second, 0, 1, record(b"kept")));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(codes(&mut client, &first), [GONE; 4]);
    assert!(broker.terminate().unwrap().success());
    broker = start(&dir, &[]);
    client = Asking::of(&broker);
    assert_eq!(codes(&mut client, &first), [GONE; 4]);
    assert_eq!(client.end_of(&second), 1);
}
