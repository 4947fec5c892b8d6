//! Classic members in consumer groups, and groups that go from one protocol to the other.

use bytes::Bytes;
use ottla_wire::{
    Message, encode_versioned,
    messages::{
        consumer_protocol_assignment,
        consumer_protocol_subscription::{self, ConsumerProtocolSubscription},
        heartbeat_request::HeartbeatRequest,
        join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol},
        join_group_response::JoinGroupResponse,
        leave_group_request::{LeaveGroupRequest, MemberIdentity},
        sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment},
        sync_group_response::SyncGroupResponse,
    },
};

use super::*;
use crate::consumer::protocol;

const OK: i16 = 0;
const REBALANCE: i16 = ErrorCode::RebalanceInProgress as i16;

fn bytes(message: &impl Message, version: i16) -> Bytes {
    encode_versioned(message, version).unwrap()
}

pub(super) fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let owned = owned.iter().map(|(topic, partitions)| consumer_protocol_subscription::TopicPartition {
        topic: (*topic).to_owned(),
        partitions: partitions.to_vec(),
    });
    let message = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        owned_partitions: owned.collect(),
        ..ConsumerProtocolSubscription::default()
    };
    bytes(&message, 3)
}

pub(super) fn assignment(partitions: &[(&str, &[i32])], user_data: Option<&'static [u8]>) -> Bytes {
    let assigned = partitions.iter().map(|(topic, partitions)| consumer_protocol_assignment::TopicPartition {
        topic: (*topic).to_owned(),
        partitions: partitions.to_vec(),
    });
    let message = consumer_protocol_assignment::ConsumerProtocolAssignment {
        assigned_partitions: assigned.collect(),
        user_data: user_data.map(Bytes::from_static),
    };
    bytes(&message, 3)
}

fn shown(assignment: &Bytes) -> String {
    let read = protocol::assignment(assignment).unwrap();
    let topics = read.assigned_partitions.iter().map(|topic| format!("{}{:?}", topic.topic, topic.partitions));
    topics.collect::<Vec<_>>().join(" ")
}

pub(super) fn join_request(member: &str, topics: &[&str], owned: &[(&str, &[i32])]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: REBALANCE_MS,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata: subscription(topics, owned) }],
        ..JoinGroupRequest::default()
    }
}

impl World {
    pub(super) fn classic_ask(&mut self, request: JoinGroupRequest) -> Ticket {
        let client = Client { id: "old".to_owned(), host: "/127.0.0.1".to_owned() };
        let fresh = Uuid([(self.asked % 0xff) as u8 + 1; 16]);
        self.ask(GroupRequest::Join { version: 9, client, fresh, request })
    }

    fn joined(&mut self, ticket: Ticket) -> JoinGroupResponse {
        match self.replies.remove(&ticket) {
            Some(GroupReply::Join(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn classic_join(&mut self, request: JoinGroupRequest) -> JoinGroupResponse {
        let ticket = self.classic_ask(request);
        self.joined(ticket)
    }

    /// Gets an id and joins with it.
    fn classic_new(&mut self, topics: &[&str]) -> JoinGroupResponse {
        let promised = self.classic_join(join_request("", topics, &[]));
        assert_eq!(promised.error_code, ErrorCode::MemberIdRequired.code());
        self.classic_join(join_request(&promised.member_id, topics, &[]))
    }

    fn sync(&mut self, member: &str, generation: i32, given: &[(&str, Bytes)]) -> SyncGroupResponse {
        let ticket = self.sync_ask(member, generation, given);
        match self.replies.remove(&ticket) {
            Some(GroupReply::Sync(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn sync_ask(&mut self, member: &str, generation: i32, given: &[(&str, Bytes)]) -> Ticket {
        let given = given.iter().map(|(member, assignment)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: assignment.clone(),
        });
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: given.collect(),
            ..SyncGroupRequest::default()
        };
        self.ask(GroupRequest::Sync { version: 5, request })
    }

    pub(super) fn classic_beat(&mut self, member: &str, generation: i32) -> i16 {
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member.to_owned(),
            ..HeartbeatRequest::default()
        };
        let ticket = self.ask(GroupRequest::Heartbeat { version: 4, request });
        match self.replies.remove(&ticket) {
            Some(GroupReply::Heartbeat(response)) => response.error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn classic_leave(&mut self, members: &[MemberIdentity]) -> Vec<i16> {
        let request =
            LeaveGroupRequest { group_id: GROUP.to_owned(), members: members.to_vec(), ..LeaveGroupRequest::default() };
        let ticket = self.ask(GroupRequest::Leave { version: 5, request });
        match self.replies.remove(&ticket) {
            Some(GroupReply::Leave(response)) => response.members.iter().map(|member| member.error_code).collect(),
            other => panic!("{other:?}"),
        }
    }
}

/// A classic group of one member with both partitions of `a`, in generation 1; and the member's id.
fn classic_group(given: &Bytes) -> (World, String) {
    let mut world = World::new();
    world.create("a", 2);
    let promised = world.classic_join(join_request("", &["a"], &[]));
    let ticket = world.classic_ask(join_request(&promised.member_id, &["a"], &[]));
    world.pass(3_000);
    let joined = world.joined(ticket);
    let id = joined.member_id;
    let synced = world.sync(&id, joined.generation_id, &[(&id, given.clone())]);
    assert_eq!((joined.generation_id, synced.error_code), (1, OK));
    (world, id)
}

fn upgradable() -> (World, String) {
    classic_group(&assignment(&[("a", &[0, 1])], None))
}

#[test]
fn the_first_new_member_takes_a_classic_group_up() {
    let (mut world, old) = upgradable();
    let written = world.written(|world| assert_eq!(world.join("n", &["a"]), "2:"));
    let expected = format!(
        "-Classic Member({old}) Epoch(1) Target({old}) TargetEpoch(1) Current({old}) \
         Member(n) Epoch(2) Target(n) Target({old}) TargetEpoch(2) Current(n)"
    );
    let sorted = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&written), sorted(&expected), "{written}");
    assert!(written.starts_with("-Classic"));

    assert_eq!(world.classic_beat(&old, 1), REBALANCE);
    let joined = world.classic_join(join_request(&old, &["a"], &[("a", &[0, 1])]));
    assert_eq!((joined.error_code, joined.generation_id, joined.protocol_name.as_deref()), (OK, 1, Some("range")));
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("", 0), "nobody is asked to assign");
    assert_eq!(shown(&world.sync(&old, 1, &[]).assignment), "a[0]", "one to give up");
    assert_eq!(world.beat("n", 2), "2");
    assert_eq!(world.classic_beat(&old, 1), REBALANCE, "to say that it has");
    let joined = world.classic_join(join_request(&old, &["a"], &[("a", &[0])]));
    assert_eq!(joined.generation_id, 2);
    assert_eq!(shown(&world.sync(&old, 2, &[]).assignment), "a[0]");
    assert_eq!(world.classic_beat(&old, 2), OK);
    assert_eq!(world.beat("n", 2), "2: a[1]");
    assert_eq!(world.state(), "Stable");
    let types: Vec<_> = world.describe().members.iter().map(|member| member.member_type).collect();
    assert_eq!(types.iter().sum::<i8>(), 1);
}

#[test]
fn who_waits_in_the_classic_group_is_told_to_join_again() {
    let (mut world, old) = upgradable();
    let ticket = world.classic_ask(join_request(&old, &["a", "b"], &[]));
    let other = world.classic_join(join_request("", &["a"], &[]));
    assert_eq!(other.error_code, ErrorCode::MemberIdRequired.code());
    let waiting = world.replies.contains_key(&ticket);
    world.join("n", &["a"]);
    if !waiting {
        assert_eq!(world.joined(ticket).error_code, REBALANCE);
    }
    assert_eq!(world.group().members.len(), 2);
}

#[test]
fn groups_that_cannot_go_up() {
    let check = |world: &mut World, reason: &str| {
        let written = world.written(|world| {
            let shown = world.join("n", &["a"]);
            assert_eq!(shown, format!("error 69: Cannot upgrade classic group g to consumer group because {reason}"));
        });
        assert_eq!(written, "");
    };
    let (mut world, old) = upgradable();
    Arc::make_mut(&mut world.shard.settings).groups.consumer_migration_policy = MigrationPolicy::Downgrade;
    check(&mut world, "online upgrade is disabled.");
    assert_eq!(world.classic_beat(&old, 1), OK, "nothing happened");
    let (mut world, _) = upgradable();
    Arc::make_mut(&mut world.shard.settings).groups.consumer_max_size = 0;
    check(&mut world, "the group size exceeds the consumer group maximum size.");
    let (mut world, _) = classic_group(&Bytes::from_static(&[0, 0, 0]));
    check(&mut world, "the embedded consumer protocol is malformed.");
    let (mut world, _) = classic_group(&assignment(&[("a", &[0])], Some(b"secret")));
    check(
        &mut world,
        "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before \
         re-attempting the upgrade.",
    );
    let (mut world, _) = upgradable();
    assert_eq!(world.beat("n", 2), "error 69: Group g is not a consumer group.", "only who joins takes it up");
    assert_eq!(world.leave("n"), "error 69: Group g is not a consumer group.");
}

#[test]
fn an_empty_classic_group_is_simply_replaced() {
    let (mut world, old) = upgradable();
    world.classic_leave(&[MemberIdentity { member_id: old, ..MemberIdentity::default() }]);
    let written = world.written(|world| assert_eq!(world.join("n", &["a"]), "2: a[0, 1]"));
    assert!(written.starts_with("-Classic Member(n) Epoch(2)"), "{written}");
}

#[test]
fn an_empty_consumer_group_is_simply_replaced() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("n", &["a"]);
    world.leave("n");
    let unknown = world.classic_join(join_request("x", &["a"], &[]));
    assert_eq!(unknown.error_code, ErrorCode::UnknownMemberId.code());
    let written = world.written(|world| {
        let promised = world.classic_join(join_request("", &["a"], &[]));
        assert_eq!(promised.error_code, ErrorCode::MemberIdRequired.code());
    });
    assert_eq!(written, "-TargetEpoch -Epoch Classic");
    assert!(world.shard.classic(GROUP).is_some());
}

/// A consumer group with `n` and a classic member, which share `a`, in epoch 3; and the classic member's id.
fn mixed_group() -> (World, String) {
    let mut world = World::new();
    world.create("a", 2);
    world.join("n", &["a"]);
    world.pass(INTERVAL_MS);
    let joined = world.classic_new(&["a"]);
    assert_eq!((joined.error_code, joined.generation_id), (OK, 3));
    let old = joined.member_id;
    assert_eq!(shown(&world.sync(&old, 3, &[]).assignment), "");
    let kept = world.beat("n", 2);
    let kept = if kept == "2: a[0]" { 0 } else { 1 };
    assert_eq!(world.classic_beat(&old, 3), OK, "n has both yet");
    assert_eq!(world.own("n", 2, &[("a", &[kept])]), "3");
    assert_eq!(world.classic_beat(&old, 3), REBALANCE, "now it may fetch");
    assert_eq!(world.classic_join(join_request(&old, &["a"], &[])).generation_id, 3);
    assert_eq!(shown(&world.sync(&old, 3, &[]).assignment), format!("a[{}]", 1 - kept));
    assert_eq!(world.state(), "Stable");
    world.pass(INTERVAL_MS);
    (world, old)
}

#[test]
fn a_classic_member_joins_a_consumer_group() {
    let (mut world, old) = mixed_group();
    assert_eq!(world.classic_beat(&old, 3), OK);
    assert_eq!(world.classic_beat(&old, 2), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.classic_beat("x", 3), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.classic_beat("n", 3), ErrorCode::UnknownMemberId.code(), "which is not a classic one");
    assert_eq!(world.sync(&old, 2, &[]).error_code, ErrorCode::IllegalGeneration.code());
    let group = world.group();
    assert_eq!(group.check_commit(&old, None, 3, 2), Ok(()));
    assert_eq!(group.check_commit(&old, None, 2, 2), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn who_is_silent_or_slow_is_put_out() {
    let (mut world, old) = mixed_group();
    world.pass(9_000 - INTERVAL_MS);
    assert_eq!(world.classic_beat(&old, 3), OK);
    world.pass(9_999);
    assert_eq!(world.group().members.len(), 2);
    super::super::committed(&mut world.shard, world.now, GROUP, &old);
    world.pass(9_999);
    assert_eq!(world.group().members.len(), 2, "a commit keeps the session");
    world.pass(1);
    assert_eq!(world.group().members.len(), 1);

    let (mut world, old) = mixed_group();
    world.grow("a", 4);
    world.beat("n", 3);
    for _ in 0..12 {
        assert_eq!(world.classic_beat(&old, 3), REBALANCE);
        world.pass(i64::from(REBALANCE_MS) / 12);
        world.beat("n", 4);
    }
    assert_eq!(world.group().members.len(), 1, "it never joined again");

    let (mut world, _) = mixed_group();
    let joined = world.classic_new(&["a"]);
    for _ in 0..12 {
        world.classic_beat(&joined.member_id, joined.generation_id);
        let epoch = world.group().members["n"].epoch;
        world.beat("n", epoch);
        world.pass(i64::from(REBALANCE_MS) / 12);
    }
    assert!(!world.group().members.contains_key(&joined.member_id), "it never fetched");
}

#[test]
fn protocols_must_fit() {
    let (mut world, _) = mixed_group();
    let mut other = join_request("", &["a"], &[]);
    other.protocols[0].name = "roundrobin".to_owned();
    assert_eq!(world.classic_join(other).error_code, ErrorCode::InconsistentGroupProtocol.code());
    let other = JoinGroupRequest { protocol_type: "connect".to_owned(), ..join_request("", &["a"], &[]) };
    assert_eq!(world.classic_join(other).error_code, ErrorCode::InconsistentGroupProtocol.code());
    let other = JoinGroupRequest { session_timeout_ms: 1, ..join_request("", &["a"], &[]) };
    assert_eq!(world.classic_join(other).error_code, ErrorCode::InvalidSessionTimeout.code());
    Arc::make_mut(&mut world.shard.settings).groups.consumer_migration_policy = MigrationPolicy::Disabled;
    let refused = world.classic_join(join_request("", &["a"], &[]));
    assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol.code());
}

impl World {
    /// In the newest version, or in one that knows no protocol where none is named.
    fn sync_as(&mut self, request: SyncGroupRequest) -> SyncGroupResponse {
        let version = if request.protocol_type.is_some() { 5 } else { 4 };
        let ticket = self.ask(GroupRequest::Sync { version, request });
        let Some(GroupReply::Sync(response)) = self.replies.remove(&ticket) else { panic!() };
        response
    }
}

#[test]
fn what_a_classic_member_fetches_is_refused_for_its_reason() {
    let (mut world, old) = mixed_group();
    let request = SyncGroupRequest {
        group_id: GROUP.to_owned(),
        generation_id: 3,
        member_id: old.clone(),
        ..SyncGroupRequest::default()
    };
    // What older versions do not say is not checked; what the group's leader would give is not looked at.
    let synced = world.sync_as(SyncGroupRequest {
        assignments: vec![SyncGroupRequestAssignment { member_id: old.clone(), assignment: Bytes::from_static(b"x") }],
        ..request.clone()
    });
    assert_eq!((synced.error_code, synced.protocol_type, synced.protocol_name), (OK, None, None));
    let given = shown(&synced.assignment);
    assert!(given == "a[0]" || given == "a[1]", "{given}");
    let named = |protocol_type: &str, name: &str| SyncGroupRequest {
        protocol_type: Some(protocol_type.to_owned()),
        protocol_name: Some(name.to_owned()),
        ..request.clone()
    };
    let synced = world.sync_as(named("consumer", "range"));
    assert_eq!((synced.error_code, shown(&synced.assignment)), (OK, given));
    assert_eq!((synced.protocol_type.as_deref(), synced.protocol_name.as_deref()), (Some("consumer"), Some("range")));

    let of = |member: &str| SyncGroupRequest { member_id: member.to_owned(), ..request.clone() };
    let generation = |generation_id| SyncGroupRequest { generation_id, ..request.clone() };
    let instance = Some("nobody".to_owned());
    for (what, request, code) in [
        ("another type", named("connect", "range"), ErrorCode::InconsistentGroupProtocol),
        ("another protocol", named("consumer", "roundrobin"), ErrorCode::InconsistentGroupProtocol),
        ("an older generation", generation(2), ErrorCode::IllegalGeneration),
        ("a later generation", generation(4), ErrorCode::IllegalGeneration),
        ("nobody", of("x"), ErrorCode::UnknownMemberId),
        ("a member of the new protocol", of("n"), ErrorCode::UnknownMemberId),
        ("no such instance", SyncGroupRequest { group_instance_id: instance, ..request }, ErrorCode::UnknownMemberId),
    ] {
        let synced = world.sync_as(request);
        assert_eq!((synced.error_code, synced.assignment.len()), (code.code(), 0), "{what}");
        assert_eq!((synced.protocol_type, synced.protocol_name), (None, None), "{what}");
    }
}

#[test]
fn a_static_classic_member_fetches_under_its_own_id_only() {
    let mut world = World::new();
    world.create("a", 2);
    world.join("n", &["a"]);
    world.pass(INTERVAL_MS);
    let instance = Some("i".to_owned());
    let joined =
        world.classic_join(JoinGroupRequest { group_instance_id: instance.clone(), ..join_request("", &["a"], &[]) });
    assert_eq!(joined.error_code, OK);
    let request = |member: &str| SyncGroupRequest {
        group_id: GROUP.to_owned(),
        generation_id: joined.generation_id,
        member_id: member.to_owned(),
        group_instance_id: instance.clone(),
        ..SyncGroupRequest::default()
    };
    assert_eq!(world.sync_as(request(&joined.member_id)).error_code, OK);
    assert_eq!(world.sync_as(request("x")).error_code, ErrorCode::FencedInstanceId.code());
}

#[test]
fn who_fetches_keeps_its_session_and_is_told_of_a_rebalance() {
    let (mut world, old) = mixed_group();
    world.pass(9_999 - INTERVAL_MS);
    assert_eq!(world.sync(&old, 3, &[]).error_code, OK);
    world.pass(9_999);
    assert_eq!(world.group().members.len(), 2, "to fetch keeps the session");
    assert_eq!(world.sync(&old, 3, &[]).error_code, OK);
    world.grow("a", 4);
    world.beat("n", 3);
    for _ in 0..12 {
        assert_eq!(world.sync(&old, 3, &[]).error_code, REBALANCE);
        assert!(matches!(world.classic_beat(&old, 3), REBALANCE));
        world.pass(i64::from(REBALANCE_MS) / 12);
        world.beat("n", 4);
    }
    assert_eq!(world.group().members.len(), 1, "it had its time to join again");
}

#[test]
fn members_leave_each_for_itself() {
    let (mut world, old) = mixed_group();
    Arc::make_mut(&mut world.shard.settings).groups.consumer_migration_policy = MigrationPolicy::Upgrade;
    let member = |id: &str, instance: Option<&str>| MemberIdentity {
        member_id: id.to_owned(),
        group_instance_id: instance.map(str::to_owned),
        reason: None,
    };
    let left = world.classic_leave(&[member("x", None), member(&old, None), member("", Some("i"))]);
    assert_eq!(left, [25, 0, 25]);
    assert_eq!(world.group().members.keys().collect::<Vec<_>>(), ["n"]);
    assert_eq!(world.beat("n", 3), "4: a[0, 1]");
}

#[test]
fn the_last_new_member_takes_the_group_down() {
    let (mut world, old) = mixed_group();
    let written = world.written(|world| {
        assert_eq!(world.leave("n"), "-1");
        assert_eq!(world.shard.classic(GROUP).unwrap().state_name(), "Stable");
        world.pass(0);
    });
    assert!(written.ends_with("-Epoch Classic"), "{written}");
    assert_eq!(world.shard.classic(GROUP).unwrap().state_name(), "PreparingRebalance");
    assert_eq!(world.classic_beat(&old, 3), REBALANCE);
    let joined = world.classic_join(join_request(&old, &["a"], &[]));
    assert_eq!((joined.error_code, joined.generation_id, joined.leader.as_str()), (OK, 4, old.as_str()));
    let given = assignment(&[("a", &[0, 1])], None);
    assert_eq!(world.sync(&old, 4, &[(&old, given.clone())]).assignment, given);
}

#[test]
fn a_session_that_ends_may_take_the_group_down_too() {
    let (mut world, old) = mixed_group();
    for _ in 0..10 {
        world.pass(5_000);
        if world.shard.consumer(GROUP).is_some() {
            assert_eq!(world.classic_beat(&old, 3), OK);
        }
    }
    assert_eq!(world.shard.classic(GROUP).unwrap().state_name(), "PreparingRebalance");
}

#[test]
fn groups_that_may_not_go_down_stay_what_they_are() {
    let (mut world, old) = mixed_group();
    Arc::make_mut(&mut world.shard.settings).groups.consumer_migration_policy = MigrationPolicy::Upgrade;
    world.leave("n");
    assert_eq!(world.group().members.len(), 1);
    assert_eq!(world.classic_beat(&old, 3), REBALANCE, "and are looked after all the same");
    let kept = world.group().members[&old].assigned[&world.id("a")].keys().copied().collect::<Vec<_>>();
    let joined = world.classic_join(join_request(&old, &["a"], &[("a", &kept)]));
    assert_eq!(joined.generation_id, 4);
    assert_eq!(shown(&world.sync(&old, 4, &[]).assignment), "a[0, 1]");
    world.pass(INTERVAL_MS);
    world.create("b", 1);
    assert_eq!(world.classic_beat(&old, 4), OK);
    world.grow("a", 3);
    assert_eq!(world.classic_beat(&old, 4), REBALANCE);
    assert_eq!(world.classic_join(join_request(&old, &["a"], &[("a", &[0, 1])])).generation_id, 5);
    assert_eq!(shown(&world.sync(&old, 5, &[]).assignment), "a[0, 1, 2]");
    assert_eq!(world.classic_beat(&old, 5), OK);
}

#[test]
fn a_static_member_goes_from_one_protocol_to_the_other() {
    let instance = || Some("i".to_owned());
    let mut world = World::new();
    world.create("a", 2);
    world.join("n", &["a"]);
    world.leave("n");
    world.pass(INTERVAL_MS);
    world.send(ConsumerGroupHeartbeatRequest { instance_id: instance(), ..joining("m", &["a"]) });
    let classic = JoinGroupRequest { group_instance_id: instance(), ..join_request("", &["a"], &[]) };
    let written = world.written(|world| {
        let joined = world.classic_join(classic.clone());
        assert_eq!((joined.error_code, joined.generation_id), (OK, 4));
        world.pass(0);
        assert_eq!(world.shard.classic(GROUP).unwrap().state_name(), "Stable", "it has what it had: no rebalance");
        let request = SyncGroupRequest {
            group_instance_id: instance(),
            group_id: GROUP.to_owned(),
            generation_id: 4,
            member_id: joined.member_id,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: Vec::new(),
        };
        let ticket = world.ask(GroupRequest::Sync { version: 5, request });
        let Some(GroupReply::Sync(synced)) = world.replies.remove(&ticket) else { panic!() };
        assert_eq!(shown(&synced.assignment), "a[0, 1]");
    });
    assert!(written.ends_with("-Epoch Classic"), "{written}");
    let up = world.send(ConsumerGroupHeartbeatRequest { instance_id: instance(), ..joining("o", &["a"]) });
    assert_eq!(world.show(&up), "4: a[0, 1]");
    assert_eq!(world.group().members.keys().collect::<Vec<_>>(), ["o"]);
}

#[test]
fn a_partition_that_two_classic_members_have_keeps_the_group_down() {
    let (mut world, old) = upgradable();
    let promised = world.classic_join(join_request("", &["a"], &[]));
    let second = world.classic_ask(join_request(&promised.member_id, &["a"], &[]));
    let first = world.classic_join(join_request(&old, &["a"], &[]));
    let second = world.joined(second);
    let given = assignment(&[("a", &[0, 1])], None);
    let leader = first.leader.clone();
    world.sync(&leader, first.generation_id, &[(&old, given.clone()), (&second.member_id, given)]);
    assert!(world.join("n", &["a"]).contains("custom assignor"));
}
