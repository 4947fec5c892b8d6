//! What holds for every sequence of commands: the log alone gives the image, deciding is deterministic, the delta says
//! what changed, and records survive their bytes.
#![allow(clippy::unwrap_used)] // a test

mod world;

use ottla_controller::{
    AllocateProducerIds, AlterConfigs, Command, ConfigChange, ConfigEdit, ConfigOp, ConfigResource, CreatePartitions,
    CreateTopics, DeleteTopics, ElectLeaders, ElectionKind, FenceBrokers, MetadataDelta, MetadataImage, MetadataRecord,
    NewPartitions, NewTopic, RecordError, RegisterBrokerRequest, TopicRef, UnregisterBrokerRequest, decode_batch,
    encode_batch,
};
use ottla_types::Millis;
use proptest::{collection::vec, prelude::*};
use world::{broker, controller, uuid};

const NAMES: [&str; 5] = ["a.b", "a_b", "x", "y-1", "__consumer_offsets"];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

fn command() -> impl Strategy<Value = Command> {
    let broker_id = 1_i32..5;
    prop_oneof![
        4 => (name(), any::<u32>(), -1_i32..9, -1_i16..4, any::<u64>(), any::<bool>()).prop_map(
            |(name, id, partitions, factor, placement_start, validate_only)| {
                let topics = vec![NewTopic::new(&name, uuid(id), partitions, factor)];
                CreateTopics { topics, validate_only, placement_start }.into()
            }
        ),
        2 => name().prop_map(|name| DeleteTopics { topics: vec![TopicRef::Name(name)] }.into()),
        2 => (name(), 0_i32..20, any::<u64>()).prop_map(|(name, count, placement_start)| {
            let topics = vec![NewPartitions { name, count, assignments: None }];
            CreatePartitions { topics, validate_only: false, placement_start }.into()
        }),
        2 => (name(), 0..3_u8, any::<u8>()).prop_map(|(name, op, value)| {
            let op = match op {
                0 => ConfigOp::Set(Some(value.to_string())),
                1 => ConfigOp::Delete,
                _ => ConfigOp::Append(Some(value.to_string())),
            };
            let edit = ConfigEdit::Edit(vec![("k".to_owned(), op)]);
            let resource = ConfigResource::topic(&name);
            AlterConfigs { changes: vec![ConfigChange { resource, edit }], validate_only: false }.into()
        }),
        2 => (broker_id.clone(), any::<bool>()).prop_map(|(id, fenced)| register(id, fenced).into()),
        1 => broker_id.clone().prop_map(|id| UnregisterBrokerRequest { broker: id.into() }.into()),
        2 => (broker_id.clone(), broker_id.clone())
            .prop_map(|(a, b)| FenceBrokers { fence: vec![a.into()], unfence: vec![b.into()] }.into()),
        1 => (broker_id, 0_i64..9).prop_map(|(id, epoch)| {
            AllocateProducerIds { broker: id.into(), broker_epoch: epoch.into() }.into()
        }),
        1 => any::<bool>().prop_map(|clean| {
            let kind = if clean { ElectionKind::Preferred } else { ElectionKind::Unclean };
            ElectLeaders { kind, partitions: None }.into()
        }),
    ]
}

fn register(id: i32, fenced: bool) -> RegisterBrokerRequest {
    let broker = broker(id, (id % 2 == 0).then_some("even"), fenced);
    RegisterBrokerRequest {
        broker: broker.broker,
        incarnation: broker.incarnation,
        endpoints: broker.endpoints,
        features: Vec::new(),
        rack: broker.rack,
        directories: broker.directories,
        fenced,
    }
}

/// An image without its version, which a snapshot does not carry as a record.
fn rebuilt(records: &[MetadataRecord], version: u64) -> MetadataImage {
    MetadataImage::default().apply(records, version).unwrap().0
}

fn check_partitions(image: &MetadataImage) -> Result<(), TestCaseError> {
    let mut partitions = 0;
    for topic in image.topics() {
        partitions += topic.partitions.len();
        prop_assert_eq!(image.topic_by_id(topic.id).map(|found| &found.name), Some(&topic.name));
        for state in topic.partitions.values() {
            prop_assert!(state.isr.iter().all(|member| state.replicas.contains(member)), "{:?}", state);
            prop_assert!(!state.isr.is_empty(), "{:?}", state);
            if let Some(leader) = state.leader {
                prop_assert!(state.isr.contains(&leader), "{:?}", state);
                prop_assert!(image.is_active(leader), "led by a broker that cannot: {:?}", state);
            }
        }
    }
    prop_assert_eq!(partitions, image.partition_count());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_log_alone_gives_the_image(commands in vec(command(), 0..40)) {
        let mut image = MetadataImage::default();
        let mut log = Vec::new();
        for (at, command) in commands.iter().enumerate() {
            let decision = controller().decide(&image, Millis(0), command);
            prop_assert_eq!(&controller().decide(&image, Millis(0), command), &decision);
            let mut bytes = Vec::new();
            encode_batch(&decision.records, &mut bytes);
            let read = decode_batch(&bytes).unwrap();
            prop_assert_eq!(&read, &decision.records);
            let (next, delta) = image.apply(&read, at as u64 + 1).unwrap();
            check_delta(&image, &next, &delta)?;
            check_partitions(&next)?;
            log.extend(read);
            image = next;
        }
        prop_assert_eq!(&rebuilt(&log, image.version()), &image);
        let snapshot: Vec<_> = image.records().collect();
        prop_assert_eq!(&rebuilt(&snapshot, image.version()), &image);
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_batch(&bytes);
        let _ = MetadataRecord::decode(&bytes);
    }

    #[test]
    fn a_cut_record_is_refused(commands in vec(command(), 1..10), cut in 1_usize..50) {
        let mut image = MetadataImage::default();
        for command in &commands {
            let records = controller().decide(&image, Millis(0), command).records;
            for record in &records {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                let keep = bytes.len().saturating_sub(cut);
                prop_assert!(MetadataRecord::decode(&bytes[..keep]).is_err());
            }
            image = image.apply(&records, 0).unwrap().0;
        }
    }
}

/// The delta of a replay names at least what differs, and nothing of topics that neither image has.
fn check_delta(before: &MetadataImage, after: &MetadataImage, delta: &MetadataDelta) -> Result<(), TestCaseError> {
    let compared = MetadataDelta::between(before, after);
    prop_assert_eq!(&delta.created, &compared.created);
    prop_assert_eq!(&delta.deleted, &compared.deleted);
    prop_assert_eq!(&delta.changed, &compared.changed);
    prop_assert!(delta.brokers.is_superset(&compared.brokers));
    prop_assert!(delta.configs.is_superset(&compared.configs));
    prop_assert!(delta.cluster || !compared.cluster);
    Ok(())
}

#[test]
fn records_of_a_newer_program_are_told_apart() {
    assert_eq!(MetadataRecord::decode(&[99, 0]), Err(RecordError::UnknownKind(99)));
    assert_eq!(MetadataRecord::decode(&[9, 7]), Err(RecordError::UnknownVersion { kind: 9, version: 7 }));
    assert_eq!(MetadataRecord::decode(&[]), Err(RecordError::Truncated));
}

#[test]
fn a_claimed_length_reserves_nothing() {
    // A batch of 2^62 records in ten bytes.
    let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0];
    assert_eq!(decode_batch(&bytes), Err(RecordError::Truncated));
}

#[test]
fn a_topic_made_and_deleted_at_once_is_in_no_delta() {
    let image = world::image_of([broker(1, None, false)]);
    let create =
        CreateTopics { topics: vec![NewTopic::new("x", uuid(1), 2, 1)], validate_only: false, placement_start: 0 };
    let mut records = controller().decide(&image, Millis(0), &create.into()).records;
    let (with, _) = image.apply(&records, 2).unwrap();
    let delete = DeleteTopics { topics: vec![TopicRef::Name("x".into())] };
    records.extend(controller().decide(&with, Millis(0), &delete.into()).records);
    let (after, delta) = image.apply(&records, 2).unwrap();
    assert!(delta.is_empty(), "{delta:?}");
    assert_eq!(after.topic_count(), 0);
}

#[test]
fn a_topic_that_grows_and_is_deleted_at_once_is_only_deleted() {
    let mut image = world::image_of([broker(1, None, false)]);
    let topics = vec![NewTopic::new("x", uuid(1), 2, 1)];
    world::ask(&mut image, CreateTopics { topics, validate_only: false, placement_start: 0 });
    let topics = vec![NewPartitions { name: "x".into(), count: 3, assignments: None }];
    let grow = CreatePartitions { topics, validate_only: false, placement_start: 0 };
    let mut records = controller().decide(&image, Millis(0), &grow.into()).records;
    let delete = DeleteTopics { topics: vec![TopicRef::Name("x".into())] };
    records.extend(controller().decide(&image, Millis(0), &delete.into()).records);
    let (after, delta) = image.apply(&records, 9).unwrap();
    assert_eq!((delta.changed.len(), delta.removed_topics().collect::<Vec<_>>()), (0, vec![uuid(1)]));
    assert_eq!(delta.deleted[&uuid(1)].partitions.len(), 2, "as it was before");
    assert_eq!(after.partition_count(), 0);
}

#[test]
fn a_change_among_many_partitions_shares_the_rest() {
    let mut image = world::image_of([broker(1, None, false)]);
    for at in 0..50 {
        let topics = (0..100).map(|i| NewTopic::new(&format!("t{at}-{i}"), uuid(at * 100 + i), 10, 1)).collect();
        let create = CreateTopics { topics, validate_only: false, placement_start: 0 };
        let records = controller().decide(&image, Millis(0), &create.into()).records;
        image = image.apply(&records, u64::from(at)).unwrap().0;
    }
    assert_eq!(image.partition_count(), 50_000);
    let create =
        CreateTopics { topics: vec![NewTopic::new("new", uuid(9999), 1, 1)], validate_only: false, placement_start: 0 };
    let records = controller().decide(&image, Millis(0), &create.into()).records;
    let (after, _) = image.apply(&records, 51).unwrap();
    let shared = |name: &str| std::sync::Arc::ptr_eq(image.topic(name).unwrap(), after.topic(name).unwrap());
    assert!(image.topics().all(|topic| shared(topic.name.as_str())), "a topic was copied");
    let names: Vec<_> = after.topics_from("t49-98").map(|topic| topic.name.to_string()).collect();
    assert_eq!(
        names,
        ["t49-98", "t49-99", "t5-0"]
            .into_iter()
            .map(String::from)
            .chain(names[3..].iter().cloned())
            .collect::<Vec<_>>()
    );
}
