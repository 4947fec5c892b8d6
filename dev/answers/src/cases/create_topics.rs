//! CreateTopics: 17, 36, 37, 38, 39, 40, 42, validate-only, manual assignment.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest};

use super::Case;
use super::requests::{Config, configured, create, one, to_create, wait_ready};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::CreateTopics;
    vec![
        Case::each("plain", api, plain),
        Case::each("defaults", api, defaults),
        Case::each("with_configs", api, with_configs),
        Case::each("taken", api, taken),
        Case::each("validate_only", api, validate_only),
        Case::newest("no_topics", api, |s, v| s.ask("nothing", v, &create(vec![])).map(drop)),
        Case::each("names", api, names),
        Case::newest("collisions", api, collisions),
        Case::newest("reserved", api, reserved),
        Case::each("partitions", api, partitions),
        Case::each("replication", api, replication),
        Case::each("assignment", api, assignment),
        Case::newest("wrong_assignment", api, wrong_assignment),
        Case::each("wrong_configs", api, wrong_configs),
        Case::newest("wrong_config_values", api, wrong_config_values),
        Case::each("twice_in_one", api, twice_in_one),
        Case::each("good_and_bad", api, good_and_bad),
    ]
}

fn plain(s: &mut Session, v: i16) -> Result<()> {
    let topic = to_create(&s.topic("a"), 3, 1);
    s.ask("three partitions", v, &create(vec![topic])).map(drop)
}

fn defaults(s: &mut Session, v: i16) -> Result<()> {
    let topic = to_create(&s.topic("a"), -1, -1);
    s.ask("what the broker chooses", v, &create(vec![topic])).map(drop)
}

fn with_configs(s: &mut Session, v: i16) -> Result<()> {
    let configs = [
        ("cleanup.policy", Some("compact,delete")),
        ("retention.ms", Some("12345")),
        ("segment.bytes", Some("2000000")),
    ];
    let topic = configured(&s.topic("a"), &configs);
    s.ask("three of its own", v, &create(vec![topic])).map(drop)
}

fn taken(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("again", v, &create(vec![to_create(&topic.name, 1, 1)]))?;
    s.ask("again, with errors of its own", v, &create(vec![to_create(&topic.name, 0, 9)]))?;
    let again = CreateTopicsRequest { validate_only: true, ..create(vec![to_create(&topic.name, 1, 1)]) };
    s.ask("validated only", v, &again).map(drop)
}

fn validate_only(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    let of = |topic| CreateTopicsRequest { validate_only: true, ..create(vec![topic]) };
    s.ask("good", v, &of(to_create(&name, 3, 1)))?;
    s.ask("no partitions", v, &of(to_create(&name, 0, 1)))?;
    s.ask("too many replicas", v, &of(to_create(&name, 1, 2)))?;
    s.ask("unknown configuration", v, &of(configured(&name, &[("no.such.key", Some("1"))])))?;
    s.ask("now in earnest", v, &create(vec![to_create(&name, 1, 1)])).map(drop)
}

fn names(s: &mut Session, v: i16) -> Result<()> {
    let long = "a".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "a:b", "ä", "a\u{0}b", &long] {
        let label = if name.len() > 10 { "250 characters".to_owned() } else { format!("{name:?}") };
        s.ask(&label, v, &create(vec![to_create(name, 1, 1)]))?;
    }
    Ok(())
}

fn collisions(s: &mut Session, v: i16) -> Result<()> {
    one(s, "a.b")?;
    let topic = to_create(&s.topic("a_b"), 1, 1);
    s.ask("a_b beside a.b", v, &create(vec![topic]))?;
    let both = vec![to_create(&s.topic("c.d"), 1, 1), to_create(&s.topic("c_d"), 1, 1)];
    s.ask("both at once", v, &create(both)).map(drop)
}

fn reserved(s: &mut Session, v: i16) -> Result<()> {
    let of = |name: &str| CreateTopicsRequest { validate_only: true, ..create(vec![to_create(name, 1, 1)]) };
    s.ask("the metadata log", v, &of("__cluster_metadata")).map(drop)
}

fn partitions(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    for count in [0, -2, i32::MIN] {
        s.ask(&format!("{count}"), v, &create(vec![to_create(&name, count, 1)]))?;
    }
    for count in [10_001, i32::MAX] {
        let request = CreateTopicsRequest { validate_only: true, ..create(vec![to_create(&name, count, 1)]) };
        s.ask(&format!("{count}, validated only"), v, &request)?;
    }
    Ok(())
}

fn replication(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    for factor in [0, -2, 2, i16::MAX] {
        s.ask(&format!("{factor}"), v, &create(vec![to_create(&name, 1, factor)]))?;
    }
    Ok(())
}

/// A partition and its replicas.
type Assigned<'a> = (i32, &'a [i32]);

fn assigned(name: &str, assignment: &[Assigned<'_>]) -> CreatableTopic {
    let partition = |(partition_index, broker_ids): &Assigned<'_>| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.to_vec(),
    };
    CreatableTopic { assignments: assignment.iter().map(partition).collect(), ..to_create(name, -1, -1) }
}

fn assignment(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    s.ask("two partitions", v, &create(vec![assigned(&name, &[(1, &[1]), (0, &[1])])]))?;
    wait_ready(s, &name, 2)
}

fn wrong_assignment(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    let wrong: [(&str, &[Assigned<'_>]); 9] = [
        ("a gap", &[(0, &[1]), (2, &[1])]),
        ("from 1 on", &[(1, &[1])]),
        ("a negative partition", &[(-1, &[1])]),
        ("one partition twice", &[(0, &[1]), (0, &[1])]),
        ("no brokers", &[(0, &[])]),
        ("an unknown broker", &[(0, &[77])]),
        ("a broker twice", &[(0, &[1, 1])]),
        ("a negative broker", &[(0, &[-1])]),
        ("replicas that differ in number", &[(0, &[1]), (1, &[1, 77])]),
    ];
    for (label, assignment) in wrong {
        s.ask(label, v, &create(vec![assigned(&name, assignment)]))?;
    }
    let both = CreatableTopic { num_partitions: 1, ..assigned(&name, &[(0, &[1])]) };
    s.ask("a number of partitions too", v, &create(vec![both]))?;
    let both = CreatableTopic { replication_factor: 1, ..assigned(&name, &[(0, &[1])]) };
    s.ask("a number of replicas too", v, &create(vec![both])).map(drop)
}

fn wrong_configs(s: &mut Session, v: i16) -> Result<()> {
    let name = s.topic("a");
    let wrong: [(&str, &[Config<'_>]); 4] = [
        ("unknown", &[("no.such.key", Some("1"))]),
        ("no number", &[("retention.ms", Some("long"))]),
        ("null", &[("retention.ms", None)]),
        ("twice", &[("retention.ms", Some("1")), ("retention.ms", Some("2"))]),
    ];
    for (label, configs) in wrong {
        s.ask(label, v, &create(vec![configured(&name, configs)]))?;
    }
    Ok(())
}

fn wrong_config_values(s: &mut Session, v: i16) -> Result<()> {
    let wrong = [
        ("cleanup.policy", "compress"),
        ("cleanup.policy", ""),
        ("compression.type", "brotli"),
        ("compression.gzip.level", "0"),
        ("compression.gzip.level", "10"),
        ("compression.lz4.level", "18"),
        ("compression.zstd.level", "23"),
        ("delete.retention.ms", "-1"),
        ("file.delete.delay.ms", "-1"),
        ("flush.messages", "0"),
        ("flush.ms", "-1"),
        ("index.interval.bytes", "-1"),
        ("local.retention.bytes", "-3"),
        ("local.retention.ms", "-3"),
        ("max.compaction.lag.ms", "0"),
        ("max.message.bytes", "-1"),
        ("max.message.bytes", "1.5"),
        ("message.timestamp.after.max.ms", "-1"),
        ("message.timestamp.before.max.ms", "-1"),
        ("message.timestamp.type", "Never"),
        ("min.cleanable.dirty.ratio", "1.1"),
        ("min.cleanable.dirty.ratio", "-0.1"),
        ("min.compaction.lag.ms", "-1"),
        ("min.insync.replicas", "0"),
        ("preallocate", "maybe"),
        ("remote.storage.enable", "true"),
        ("retention.bytes", "9223372036854775808"),
        ("retention.ms", "-2"),
        ("segment.bytes", "13"),
        ("segment.index.bytes", "3"),
        ("segment.jitter.ms", "-1"),
        ("segment.ms", "0"),
        ("unclean.leader.election.enable", "yes"),
        ("leader.replication.throttled.replicas", "1"),
        ("leader.replication.throttled.replicas", "1:2,3:4"),
        ("leader.replication.throttled.replicas", "*"),
        ("message.format.version", "3.0"),
        ("message.downconversion.enable", "true"),
    ];
    for (at, (key, value)) in wrong.into_iter().enumerate() {
        let name = s.topic(&format!("{at}"));
        let request =
            CreateTopicsRequest { validate_only: true, ..create(vec![configured(&name, &[(key, Some(value))])]) };
        // Which configurations a topic has is shown elsewhere.
        let response = s.get(v, &request)?;
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        s.note(&format!("CreateTopics: {key}={value}"), &format!("error_codes={codes:?}"));
    }
    Ok(())
}

fn twice_in_one(s: &mut Session, v: i16) -> Result<()> {
    let (a, b) = (s.topic("a"), s.topic("b"));
    let topics = vec![to_create(&a, 1, 1), to_create(&b, 1, 1), to_create(&a, 2, 1)];
    s.ask("one of two twice", v, &create(topics)).map(drop)
}

fn good_and_bad(s: &mut Session, v: i16) -> Result<()> {
    let (a, b, c) = (s.topic("a"), s.topic("b"), s.topic("c"));
    let topics = vec![to_create(&a, 1, 1), to_create(&b, 0, 1), to_create(&c, 1, 5), to_create("?", 1, 1)];
    s.ask("one good, three bad", v, &create(topics))?;
    wait_ready(s, &a, 1)
}
