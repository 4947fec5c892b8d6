//! Each command's answers: codes and messages as Apache Kafka 4.3.1 gives them.
#![allow(clippy::unwrap_used)] // a test

mod world;

use ottla_controller::{
    AllocateProducerIds, AlterConfigs, AssignReplicas, Bootstrap, ConfigChange, ConfigEdit, ConfigKind, ConfigOp,
    ConfigResource, CreatePartitions, CreateTopics, DeleteTopics, ElectLeaders, ElectionKind, FenceBrokers,
    MetadataImage, NewPartitions, NewTopic, ProducerIdBlock, RegisterBrokerRequest, ReplicationLimit, SetDirectories,
    TopicRef, UnregisterBrokerRequest, UpdateFeatures,
};
use ottla_types::{BrokerId, PartitionIndex, Uuid};
use world::{ask, broker, image_of, uuid};

fn one_broker() -> MetadataImage {
    image_of([broker(1, None, false)])
}

fn create(image: &mut MetadataImage, topics: Vec<NewTopic>) -> Vec<(String, i16, String)> {
    let replies = ask(image, CreateTopics { topics, validate_only: false, placement_start: 0 });
    let code = |result: &Result<_, ottla_controller::CreateTopicError>| {
        result.as_ref().map_or_else(|e| e.code().code(), |_| 0)
    };
    let text = |result: &Result<_, ottla_controller::CreateTopicError>| {
        result.as_ref().map_or_else(ToString::to_string, |_| String::new())
    };
    replies.iter().map(|(name, result)| (name.clone(), code(result), text(result))).collect()
}

/// Creates `topic` next to `a.b` and `x`, and checks the answer.
#[track_caller]
fn check_create(topic: NewTopic, code: i16, message: &str) {
    let mut image = one_broker();
    create(&mut image, vec![NewTopic::new("a.b", uuid(1), 1, 1), NewTopic::new("x", uuid(2), 1, 1)]);
    let before = image.topic_count();
    let answers = create(&mut image, vec![topic]);
    assert_eq!((answers[0].1, answers[0].2.as_str()), (code, message));
    assert_eq!(image.topic_count(), before + usize::from(code == 0));
}

fn topic(name: &str, partitions: i32, factor: i16) -> NewTopic {
    NewTopic::new(name, uuid(99), partitions, factor)
}

fn assigned(partitions: i32, factor: i16, assignments: &[(i32, &[i32])]) -> NewTopic {
    let list = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    let assignments = assignments.iter().map(|(at, ids)| (PartitionIndex(*at), list(ids))).collect();
    NewTopic { assignments, ..topic("m", partitions, factor) }
}

#[test]
fn topic_names_are_checked() {
    check_create(topic("", 1, 1), 17, "Topic name is invalid: the empty string is not allowed");
    check_create(topic(".", 1, 1), 17, "Topic name is invalid: '.' is not allowed");
    check_create(topic("..", 1, 1), 17, "Topic name is invalid: '..' is not allowed");
    let long = "y".repeat(250);
    let message = format!("Topic name is invalid: the length of '{long}' is longer than the max allowed length 249");
    check_create(topic(&long, 1, 1), 17, &message);
    check_create(
        topic("a b", 0, 1),
        17,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    );
    check_create(topic("a_b", 1, 1), 17, "Topic 'a_b' collides with existing topic: a.b");
    check_create(topic("x", 1, 1), 36, "Topic 'x' already exists.");
    check_create(topic("a.b", 0, 1), 36, "Topic 'a.b' already exists.");
    check_create(topic("__cluster_metadata", 1, 1), 42, "Creation of internal topic __cluster_metadata is prohibited.");
}

#[test]
fn partitions_and_replicas_are_checked() {
    let bad = "Number of partitions was set to an invalid non-positive value.";
    check_create(topic("q", 0, 1), 37, bad);
    check_create(topic("q", -2, 1), 37, bad);
    check_create(topic("q", -1, -1), 0, "");
    let bad = "Replication factor must be larger than 0, or -1 to use the default value.";
    check_create(topic("q", 1, 0), 38, bad);
    check_create(topic("q", 1, -2), 38, bad);
    check_create(
        topic("q", 1, 2),
        38,
        "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because \
         only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
    );
    check_create(topic("q", 10_001, 1), 44, "Excessively large number of partitions per request.");
    check_create(topic("q", 10_000, 1), 0, "");
}

#[test]
fn assignments_are_checked() {
    let factor = "A manual partition assignment was specified, but replication factor was not set to -1.";
    check_create(assigned(1, 1, &[(0, &[1])]), 42, factor);
    check_create(assigned(-1, 1, &[(0, &[1])]), 42, factor);
    let count = "A manual partition assignment was specified, but numPartitions was not set to -1.";
    check_create(assigned(1, -1, &[(0, &[1])]), 42, count);
    let check = |assignments: &[(i32, &[i32])], message| check_create(assigned(-1, -1, assignments), 39, message);
    check(&[(0, &[])], "The manual partition assignment includes an empty replica list.");
    check(&[(1, &[1])], "partitions should be a consecutive 0-based integer sequence");
    check(&[(0, &[1]), (2, &[1])], "partitions should be a consecutive 0-based integer sequence");
    check(&[(0, &[1]), (0, &[1])], "Found multiple manual partition assignments for partition 0");
    check(&[(0, &[1, 1])], "The manual partition assignment includes the broker 1 more than once.");
    let unknown = "The manual partition assignment includes broker 9, but no such broker is registered.";
    check(&[(0, &[9])], unknown);
    check_create(assigned(-1, -1, &[(1, &[1]), (0, &[1])]), 0, "");
}

#[test]
fn assignments_agree_with_one_another_and_somebody_can_lead() {
    let mut image = image_of([broker(1, None, false), broker(2, None, false), broker(3, None, true)]);
    let answers = create(&mut image, vec![assigned(-1, -1, &[(0, &[1]), (1, &[1, 2])])]);
    assert_eq!(
        answers[0].2,
        "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with \
         previous partitions, which have 1 replica(s)."
    );
    let answers = create(&mut image, vec![assigned(-1, -1, &[(0, &[3])])]);
    assert_eq!(answers[0].1, 39);
    let answers = create(&mut image, vec![assigned(-1, -1, &[(0, &[3, 2])])]);
    assert_eq!(answers[0].1, 0);
    let state = image.partition("m", 0.into()).unwrap();
    assert_eq!((state.leader, state.isr.clone()), (Some(BrokerId(2)), vec![BrokerId(2)]));
    assert_eq!(state.directory_of(2.into()), Some(uuid(2002)));
}

#[test]
fn a_topic_named_twice_is_refused_and_the_others_are_made() {
    let mut image = one_broker();
    let answers = create(&mut image, vec![topic("d1", 1, 1), topic("d1", 2, 1), NewTopic::new("d2", uuid(5), 1, 1)]);
    let expected = [("d1".to_owned(), 42, "Duplicate topic name.".to_owned()), ("d2".to_owned(), 0, String::new())];
    assert_eq!(answers, expected);
    assert!(image.topic("d1").is_none() && image.topic("d2").is_some());
}

#[test]
fn partitions_of_one_request_are_counted_together() {
    let mut image = one_broker();
    let answers = create(&mut image, vec![topic("q3", 5001, 1), NewTopic::new("q4", uuid(5), 5001, 1)]);
    assert!(answers.iter().all(|(_, code, _)| *code == 44), "{answers:?}");
}

#[test]
fn configurations_of_a_new_topic_are_set_with_it() {
    let mut image = one_broker();
    let set = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let configs = vec![set("retention.ms", Some("1")), set("retention.ms", Some("2"))];
    create(&mut image, vec![NewTopic { configs, ..topic("k", 1, 1) }]);
    assert_eq!(image.config(&ConfigResource::topic("k")).unwrap()["retention.ms"], "2");
    let configs = vec![set("retention.ms", None)];
    let answers = create(&mut image, vec![NewTopic { configs, ..NewTopic::new("l", uuid(7), 1, 1) }]);
    assert_eq!((answers[0].1, answers[0].2.as_str()), (40, "Null value not supported for topic configs: retention.ms"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut image = one_broker();
    let topics = vec![topic("v", 3, 1)];
    let replies = ask(&mut image, CreateTopics { topics, validate_only: true, placement_start: 0 });
    assert!(replies[0].1.is_ok());
    assert_eq!(image.topic_count(), 0);
}

#[test]
fn an_internal_topic_takes_the_brokers_there_are() {
    let mut image = one_broker();
    let limit = ReplicationLimit::LiveBrokers;
    create(&mut image, vec![NewTopic { limit, ..topic("__consumer_offsets", 50, 3) }]);
    assert_eq!(image.topic("__consumer_offsets").unwrap().partitions.len(), 50);
    assert_eq!(image.partition("__consumer_offsets", 7.into()).unwrap().replicas, [BrokerId(1)]);
}

fn grow(image: &mut MetadataImage, name: &str, count: i32, assignments: Option<&[&[i32]]>) -> (i16, String) {
    let list = |lists: &[&[i32]]| lists.iter().map(|ids| ids.iter().copied().map(BrokerId).collect()).collect();
    let topics = vec![NewPartitions { name: name.into(), count, assignments: assignments.map(list) }];
    let replies = ask(image, CreatePartitions { topics, validate_only: false, placement_start: 0 });
    match &replies[0].1 {
        Ok(()) => (0, String::new()),
        Err(error) => (error.code().code(), error.to_string()),
    }
}

#[test]
fn a_topic_only_grows() {
    let mut image = one_broker();
    create(&mut image, vec![topic("x", 1, 1)]);
    let mut check = |count, assignments: Option<&[&[i32]]>, code, message: &str| {
        assert_eq!(grow(&mut image, "x", count, assignments), (code, message.to_owned()));
    };
    check(1, None, 37, "Topic already has 1 partition(s).");
    check(0, None, 37, "The topic x currently has 1 partition(s); 0 would not be an increase.");
    check(3, Some(&[&[1]]), 39, "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.");
    check(2, Some(&[&[1]]), 0, "");
    check(3, Some(&[&[2]]), 39, "The manual partition assignment includes broker 2, but no such broker is registered.");
    check(3, Some(&[&[1, 1]]), 39, "The manual partition assignment includes the broker 1 more than once.");
    check(3, Some(&[&[]]), 39, "The manual partition assignment includes an empty replica list.");
    check(10_003, None, 44, "Excessively large number of partitions per request.");
    check(i32::MAX, None, 44, "Excessively large number of partitions per request.");
    check(5, None, 0, "");
    assert_eq!(grow(&mut image, "nosuch", 2, None).0, 3);
    assert_eq!(image.partition_count(), 5);
}

#[test]
fn topics_are_deleted_by_name_and_id_with_their_configurations() {
    let mut image = one_broker();
    create(&mut image, vec![topic("x", 2, 1), NewTopic::new("y", uuid(5), 1, 1)]);
    let edit = ConfigEdit::Edit(vec![("a".into(), ConfigOp::Set(Some("b".into())))]);
    alter(&mut image, ConfigResource::topic("y"), edit);
    let name = |name: &str| TopicRef::Name(name.to_owned());
    let topics = vec![name("x"), TopicRef::Id(uuid(5)), name("nosuch"), TopicRef::Id(uuid(6)), name("q"), name("q")];
    let replies = ask(&mut image, DeleteTopics { topics });
    let answers: Vec<_> = replies
        .iter()
        .map(|(_, result)| result.as_ref().map_or_else(|e| (e.code().code(), e.to_string()), |_| (0, String::new())))
        .collect();
    let expected = [
        (0, ""),
        (0, ""),
        (3, "This server does not host this topic-partition."),
        (100, "This server does not host this topic ID."),
        (42, "Duplicate topic name."),
    ];
    assert_eq!(answers, expected.map(|(code, text)| (code, text.to_owned())));
    assert_eq!((image.topic_count(), image.partition_count(), image.configs().count()), (0, 0, 0));
}

#[test]
fn a_topic_named_by_name_and_by_id_is_named_twice() {
    let mut image = one_broker();
    create(&mut image, vec![topic("x", 2, 1)]);
    let topics = vec![TopicRef::Name("x".into()), TopicRef::Id(uuid(99))];
    let replies = ask(&mut image, DeleteTopics { topics });
    assert!(replies.iter().all(|(_, result)| result.as_ref().is_err_and(|e| e.code().code() == 42)), "{replies:?}");
    assert_eq!(image.topic_count(), 1);
}

fn alter(image: &mut MetadataImage, resource: ConfigResource, edit: ConfigEdit) -> (i16, String) {
    let ask_for = AlterConfigs { changes: vec![ConfigChange { resource, edit }], validate_only: false };
    match &ask(image, ask_for)[0].1 {
        Ok(()) => (0, String::new()),
        Err(error) => (error.code().code(), error.to_string()),
    }
}

#[test]
fn configurations_are_edited_and_replaced() {
    let mut image = one_broker();
    create(&mut image, vec![topic("x", 1, 1)]);
    let x = ConfigResource::topic("x");
    let set = |name: &str, value: &str| (name.to_owned(), ConfigOp::Set(Some(value.to_owned())));
    assert_eq!(alter(&mut image, x.clone(), ConfigEdit::Edit(vec![set("a", "1"), set("b", "2,3")])).0, 0);
    let more = ("b".to_owned(), ConfigOp::Append(Some("4,3".into())));
    alter(&mut image, x.clone(), ConfigEdit::Edit(vec![more, ("a".into(), ConfigOp::Delete)]));
    assert_eq!(image.config(&x).unwrap().iter().collect::<Vec<_>>(), [(&"b".to_owned(), &"2,3,4".to_owned())]);
    alter(&mut image, x.clone(), ConfigEdit::Replace(vec![("c".into(), Some("9".into()))]));
    assert_eq!(image.config(&x).unwrap().iter().collect::<Vec<_>>(), [(&"c".to_owned(), &"9".to_owned())]);
    alter(&mut image, x.clone(), ConfigEdit::Replace(vec![]));
    assert_eq!(image.config(&x), None);
}

#[test]
fn resources_are_checked() {
    let mut image = one_broker();
    let mut check = |kind, name: &str, code, message: &str| {
        let resource = ConfigResource { kind, name: name.to_owned() };
        let edit = ConfigEdit::Edit(vec![("a".into(), ConfigOp::Set(Some("b".into())))]);
        assert_eq!(alter(&mut image, resource, edit), (code, message.to_owned()));
    };
    check(ConfigKind::Topic, "nosuch", 3, "The topic 'nosuch' does not exist.");
    check(ConfigKind::Topic, "", 42, "Default topic resources are not allowed.");
    check(
        ConfigKind::Topic,
        "a b",
        17,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    );
    check(ConfigKind::Group, "", 42, "Default group resources are not allowed.");
    check(ConfigKind::ClientMetrics, "", 42, "Subscription name can't be empty");
    check(ConfigKind::Broker, "abc", 42, "Node id must be an integer, but it is: abc");
    check(ConfigKind::Broker, "99", 102, "No broker with id 99 found.");
    check(ConfigKind::Broker, "1", 0, "");
    check(ConfigKind::Broker, "", 0, "");
    check(ConfigKind::Group, "g", 0, "");
}

#[test]
fn a_resource_named_twice_is_refused() {
    let mut image = one_broker();
    let change = || ConfigChange { resource: ConfigResource::group("g"), edit: ConfigEdit::Replace(vec![]) };
    let replies = ask(&mut image, AlterConfigs { changes: vec![change(), change()], validate_only: false });
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].1.as_ref().unwrap_err().to_string(), "Each resource must appear at most once.");
}

fn register(id: i32) -> RegisterBrokerRequest {
    let broker = broker(id, None, false);
    RegisterBrokerRequest {
        broker: broker.broker,
        incarnation: broker.incarnation,
        endpoints: broker.endpoints,
        features: Vec::new(),
        rack: None,
        directories: broker.directories,
        fenced: false,
    }
}

#[test]
fn each_registration_has_a_later_epoch() {
    let mut image = MetadataImage::default();
    let first = ask(&mut image, register(1)).unwrap();
    let second = ask(&mut image, register(1)).unwrap();
    assert!(second > first);
    ask(&mut image, UnregisterBrokerRequest { broker: 1.into() }).unwrap();
    assert!(ask(&mut image, register(1)).unwrap() > second);
    let error = ask(&mut image, UnregisterBrokerRequest { broker: 7.into() }).unwrap_err();
    assert_eq!((error.code().code(), error.to_string().as_str()), (102, "Broker ID 7 is not currently registered"));
    let nowhere = RegisterBrokerRequest { endpoints: vec![], ..register(2) };
    assert_eq!(ask(&mut image, nowhere).unwrap_err().code().code(), 119);
}

#[test]
fn a_restarted_leader_leads_in_a_new_epoch() {
    let mut image = MetadataImage::default();
    ask(&mut image, register(1)).unwrap();
    ask(&mut image, register(2)).unwrap();
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1]), (1, &[2])])]);
    let epochs = |image: &MetadataImage| {
        let epoch = |partition: i32| image.partition("m", partition.into()).unwrap().leader_epoch.0;
        (epoch(0), epoch(1))
    };
    ask(&mut image, register(1)).unwrap();
    assert_eq!(epochs(&image), (0, 0), "the same run asks again");
    ask(&mut image, RegisterBrokerRequest { incarnation: uuid(77), ..register(1) }).unwrap();
    assert_eq!(epochs(&image), (1, 0));
    assert_eq!(image.partition("m", 0.into()).unwrap().leader, Some(BrokerId(1)));
}

#[test]
fn leadership_moves_off_a_fenced_broker_and_comes_back() {
    let mut image = image_of([broker(1, None, false), broker(2, None, false)]);
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1, 2])])]);
    let fence = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    ask(&mut image, FenceBrokers { fence: fence(&[1]), unfence: vec![] });
    let state = |image: &MetadataImage| image.partition("m", 0.into()).unwrap().clone();
    assert_eq!((state(&image).leader, state(&image).isr.clone()), (Some(BrokerId(2)), vec![BrokerId(2)]));
    assert_eq!(state(&image).leader_epoch.0, 1);
    ask(&mut image, FenceBrokers { fence: fence(&[2]), unfence: vec![] });
    assert_eq!((state(&image).leader, state(&image).isr.clone()), (None, vec![BrokerId(2)]));
    // Only a member of the ISR may lead.
    ask(&mut image, FenceBrokers { fence: vec![], unfence: fence(&[1]) });
    assert_eq!(state(&image).leader, None);
    ask(&mut image, FenceBrokers { fence: vec![], unfence: fence(&[2, 2, 77]) });
    assert_eq!((state(&image).leader, state(&image).leader_epoch.0), (Some(BrokerId(2)), 3));
}

#[test]
fn elections_are_held_where_they_are_needed() {
    let mut image = image_of([broker(1, None, false), broker(2, None, false)]);
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1, 2])])]);
    let elect = |image: &mut MetadataImage, kind, topic: &str, partition| {
        let partitions = Some(vec![(topic.to_owned(), vec![PartitionIndex(partition)])]);
        match &ask(image, ElectLeaders { kind, partitions })[0].result {
            Ok(()) => (0, String::new()),
            Err(error) => (error.code().code(), error.to_string()),
        }
    };
    let needless = (84, "Leader election not needed for topic partition.".to_owned());
    assert_eq!(elect(&mut image, ElectionKind::Preferred, "m", 0), needless);
    assert_eq!(elect(&mut image, ElectionKind::Unclean, "m", 0), needless);
    assert_eq!(elect(&mut image, ElectionKind::Preferred, "m", 9), (3, "No such partition as m-9".into()));
    assert_eq!(elect(&mut image, ElectionKind::Preferred, "no", 0), (3, "No such topic as no".into()));
    ask(&mut image, FenceBrokers { fence: vec![1.into()], unfence: vec![] });
    assert_eq!(elect(&mut image, ElectionKind::Preferred, "m", 0).0, 80);
    ask(&mut image, FenceBrokers { fence: vec![2.into()], unfence: vec![] });
    assert_eq!(elect(&mut image, ElectionKind::Unclean, "m", 0).0, 83);
    ask(&mut image, FenceBrokers { fence: vec![], unfence: vec![1.into()] });
    assert_eq!(elect(&mut image, ElectionKind::Unclean, "m", 0).0, 0);
    let state = image.partition("m", 0.into()).unwrap();
    assert_eq!((state.leader, state.leader_recovering), (Some(BrokerId(1)), true));
    let all = ask(&mut image, ElectLeaders { kind: ElectionKind::Preferred, partitions: None });
    assert_eq!(all, []);
}

#[test]
fn producer_ids_are_given_once() {
    let mut image = one_broker();
    let allocate = |epoch: i64, broker: i32| AllocateProducerIds { broker: broker.into(), broker_epoch: epoch.into() };
    assert_eq!(ask(&mut image, allocate(1, 1)), Ok(ProducerIdBlock { first: 0, len: 1000 }));
    assert_eq!(ask(&mut image, allocate(1, 1)), Ok(ProducerIdBlock { first: 1000, len: 1000 }));
    assert_eq!(ask(&mut image, allocate(2, 1)).unwrap_err().code().code(), 77);
    assert_eq!(ask(&mut image, allocate(1, 3)).unwrap_err().code().code(), 102);
}

#[test]
fn a_cluster_gets_its_id_once() {
    let mut image = MetadataImage::default();
    let bootstrap = |id| Bootstrap { cluster_id: uuid(id), features: vec![("group.version".into(), 1)] };
    assert_eq!(ask(&mut image, bootstrap(1)), uuid(1));
    assert_eq!(ask(&mut image, bootstrap(2)), uuid(1));
    assert_eq!((image.cluster_id(), image.features()["group.version"]), (uuid(1), 1));
}

#[test]
fn a_feature_is_raised_where_every_broker_runs_it() {
    let mut image = MetadataImage::default();
    let range = |min, max| ottla_controller::FeatureRange { name: "group.version".into(), min, max };
    ask(&mut image, RegisterBrokerRequest { features: vec![range(0, 1)], ..register(1) }).unwrap();
    let mut set = |level| {
        let features = vec![("group.version".to_owned(), level)];
        ask(&mut image, UpdateFeatures { features, validate_only: false }).map_err(|error| error.code().code())
    };
    assert_eq!((set(1), set(2), set(-1), set(0)), (Ok(()), Err(95), Err(95), Ok(())));
}

#[test]
fn ids_tell_topics_of_one_name_apart() {
    let mut image = one_broker();
    create(&mut image, vec![NewTopic::new("x", uuid(1), 1, 1)]);
    ask(&mut image, DeleteTopics { topics: vec![TopicRef::Name("x".into())] });
    create(&mut image, vec![NewTopic::new("x", uuid(2), 1, 1)]);
    assert!(image.topic_by_id(uuid(1)).is_none());
    assert_eq!(image.topic_by_id(uuid(2)).unwrap().name.as_str(), "x");
    assert_eq!(image.topic_by_id(Uuid::ZERO), None);
}

#[test]
fn a_broker_that_registers_fenced_leads_nothing() {
    let mut image = image_of([broker(1, None, false), broker(2, None, false)]);
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1, 2]), (1, &[1, 2])])]);
    ask(&mut image, RegisterBrokerRequest { fenced: true, ..register(1) }).unwrap();
    assert!(image.topic("m").unwrap().partitions.values().all(|state| state.leader == Some(BrokerId(2))));
}

#[test]
fn a_partition_asked_for_twice_is_elected_once() {
    let mut image = image_of([broker(1, None, false), broker(2, None, false)]);
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1, 2])])]);
    ask(&mut image, FenceBrokers { fence: vec![1.into(), 2.into()], unfence: vec![] });
    ask(&mut image, FenceBrokers { fence: vec![], unfence: vec![1.into()] });
    let before = image.partition("m", 0.into()).unwrap().leader_epoch.0;
    let partitions = Some(vec![("m".to_owned(), vec![0.into(), 0.into()])]);
    let results = ask(&mut image, ElectLeaders { kind: ElectionKind::Unclean, partitions });
    assert!(results.len() == 2 && results.iter().all(|one| one.result.is_ok()), "{results:?}");
    assert_eq!(image.partition("m", 0.into()).unwrap().leader_epoch.0, before + 1);
}

#[test]
fn a_replica_in_a_directory_that_is_offline_does_not_lead() {
    let (a, b) = (world::uuid(1), world::uuid(2));
    let mut image = MetadataImage::default();
    let both = RegisterBrokerRequest { directories: vec![a, b], ..register(1) };
    ask(&mut image, both.clone()).unwrap();
    create(&mut image, vec![assigned(-1, -1, &[(0, &[1]), (1, &[1]), (2, &[1])])]);
    let topic = image.topic("m").unwrap().id;
    let partitions = |image: &MetadataImage| -> Vec<_> {
        let state = |partition: i32| image.partition("m", partition.into()).unwrap().clone();
        (0..3)
            .map(|partition| (state(partition).leader.is_some(), image.is_replica_online(&state(partition), 1.into())))
            .collect()
    };
    let assignments =
        vec![(topic, 0.into(), a), (topic, 1.into(), b), (topic, 9.into(), b), (world::uuid(77), 0.into(), b)];
    ask(&mut image, AssignReplicas { broker: 1.into(), assignments });
    let directories =
        |image: &MetadataImage, partition: i32| image.partition("m", partition.into()).unwrap().directory_of(1.into());
    assert_eq!((directories(&image, 0), directories(&image, 1), directories(&image, 2)), (Some(a), Some(b), None));
    assert_eq!(partitions(&image), [(true, true); 3]);
    let epoch = image.partition("m", 1.into()).unwrap().leader_epoch;

    ask(&mut image, SetDirectories { broker: 1.into(), online: vec![a] });
    assert_eq!(partitions(&image), [(true, true), (false, false), (true, true)]);
    assert_eq!(image.partition("m", 1.into()).unwrap().isr, [1.into()], "it waits for the only one that has all");
    let results = ask(&mut image, ElectLeaders { kind: ElectionKind::Unclean, partitions: None });
    assert!(results.iter().all(|result| result.result.is_err()), "{results:?}");

    ask(&mut image, RegisterBrokerRequest { incarnation: world::uuid(5), directories: vec![a], ..both.clone() })
        .unwrap();
    assert_eq!(partitions(&image), [(true, true), (false, false), (true, true)]);
    ask(&mut image, RegisterBrokerRequest { incarnation: world::uuid(6), ..both }).unwrap();
    assert_eq!(partitions(&image), [(true, true); 3]);
    assert!(image.partition("m", 1.into()).unwrap().leader_epoch > epoch);

    ask(&mut image, SetDirectories { broker: 1.into(), online: vec![a] });
    ask(&mut image, AssignReplicas { broker: 1.into(), assignments: vec![(topic, 1.into(), a)] });
    assert_eq!(partitions(&image), [(true, true); 3], "it is found in another directory");
}
