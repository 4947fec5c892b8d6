//! Apache Kafka's command-line tools against the broker, with the words that a person would type.
//!
//! Every shape of a record goes through every codec, as far as the console producer can say it: its records are lines of
//! UTF-8, so that none holds a line break or other bytes, and it writes the same word for null wherever it stands.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use ottla_conformance::tools::{CONSUMER, OFFSETS, PRODUCER, TOPICS, Tools};
use ottla_conformance::{Broker, Suite};

fn main() -> ExitCode {
    ottla_conformance::run("java_tools", &[], |suite, broker| {
        let tools = Tools::start(broker)?;
        topics(suite, broker, &tools);
        configs(suite, broker, &tools);
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            suite.case(&format!("console_shapes_{codec}"), || shapes(&tools, &broker.topic("shapes"), codec));
        }
        records(suite, broker, &tools);
        cluster(suite, broker, &tools);
        Ok(())
    })
}

fn topics(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let topic = broker.topic("managed");
    suite.case("topics_create", || {
        let arguments = ["--create", "--topic", &topic, "--partitions", "3", "--replication-factor", "1"];
        topics_say(tools, &[&arguments[..], &["--config", "retention.ms=1000000"]].concat(), "Created topic")
    });
    suite.case("topics_create_twice_is_refused", || {
        tools.refused(TOPICS, &["--create", "--topic", &topic, "--partitions", "3"], "already exists")
    });
    suite.case("topics_list", || topics_say(tools, &["--list"], &topic));
    suite.case("topics_describe", || {
        let text = tools.run(TOPICS, &["--describe", "--topic", &topic])?;
        ensure!(text.contains("PartitionCount: 3") && text.contains("ReplicationFactor: 1"), "{text}");
        ensure!(text.contains("retention.ms=1000000") && text.contains("TopicId: "), "{text}");
        ensure!((0..3).all(|partition| text.contains(&format!("Partition: {partition}"))), "{text}");
        Ok(())
    });
    suite.case("topics_add_partitions", || {
        tools.run(TOPICS, &["--alter", "--topic", &topic, "--partitions", "5"])?;
        topics_say(tools, &["--describe", "--topic", &topic], "PartitionCount: 5")
    });
    suite.case("topics_delete", || {
        tools.run(TOPICS, &["--delete", "--topic", &topic])?;
        let text = tools.run(TOPICS, &["--list"])?;
        ensure!(!text.contains(&topic), "{text}");
        Ok(())
    });
    suite.case("topics_delete_unknown_is_refused", || {
        tools.refused(TOPICS, &["--delete", "--topic", &broker.topic("unknown")], "does not exist")
    });
}

fn topics_say(tools: &Tools, arguments: &[&str], expected: &str) -> Result<()> {
    let text = tools.run(TOPICS, arguments)?;
    ensure!(text.contains(expected), "{text}");
    Ok(())
}

fn configs(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let topic = broker.topic("configured");
    suite.case("configs_of_a_topic", || {
        tools.run(TOPICS, &["--create", "--topic", &topic])?;
        let of_topic = ["--entity-type", "topics", "--entity-name", &topic];
        tools.run(
            CONFIGS,
            &[&["--alter", "--add-config", "retention.ms=5000,cleanup.policy=compact"], &of_topic[..]].concat(),
        )?;
        let text = tools.run(CONFIGS, &[&["--describe"], &of_topic[..]].concat())?;
        ensure!(text.contains("retention.ms=5000") && text.contains("cleanup.policy=compact"), "{text}");
        tools.run(CONFIGS, &[&["--alter", "--delete-config", "retention.ms"], &of_topic[..]].concat())?;
        let text = tools.run(CONFIGS, &[&["--describe"], &of_topic[..]].concat())?;
        ensure!(!text.contains("retention.ms=5000"), "{text}");
        let text = tools.run(CONFIGS, &[&["--describe", "--all"], &of_topic[..]].concat())?;
        ensure!(text.contains("retention.ms=604800000") && text.contains("DEFAULT_CONFIG"), "{text}");
        Ok(())
    });
    suite.case("configs_of_a_topic_refused", || {
        let arguments =
            ["--alter", "--entity-type", "topics", "--entity-name", &topic, "--add-config", "retention.ms=-7"];
        tools.refused(CONFIGS, &arguments, "retention.ms")
    });
    suite.case("configs_of_a_broker", || {
        let of_all = ["--entity-type", "brokers", "--entity-default"];
        tools.run(CONFIGS, &[&["--alter", "--add-config", "log.retention.ms=77000"], &of_all[..]].concat())?;
        let text = tools.run(CONFIGS, &[&["--describe"], &of_all[..]].concat())?;
        ensure!(text.contains("log.retention.ms=77000"), "{text}");
        tools.run(CONFIGS, &[&["--alter", "--delete-config", "log.retention.ms"], &of_all[..]].concat())?;
        Ok(())
    });
}

fn records(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    let topic = broker.topic("console");
    suite.case("console_producer", || {
        let input: String = (0..1000).map(|n| format!("key {n}\tvalue {n}\n")).collect();
        let keyed = ["--topic", &topic, "--reader-property", "parse.key=true", "--compression-codec", "zstd"];
        tools.run_with_input(PRODUCER, &keyed, &input).map(drop)
    });
    suite.case("console_consumer", || {
        let all = ["--topic", &topic, "--partition", "0", "--offset", "earliest", "--max-messages", "1000"];
        let text = tools.run(CONSUMER, &[&all[..], &["--formatter-property", "print.key=true"]].concat())?;
        let expected: String = (0..1000).map(|n| format!("key {n}\tvalue {n}\n")).collect();
        ensure!(text == expected, "{} bytes differ", text.len());
        Ok(())
    });
    suite.case("console_consumer_from_an_offset", || {
        let last = ["--topic", &topic, "--partition", "0", "--offset", "998", "--max-messages", "2"];
        let text = tools.run(CONSUMER, &last)?;
        ensure!(text == "value 998\nvalue 999\n", "{text}");
        Ok(())
    });
    suite.case("get_offsets", || {
        for (time, offset) in [("-1", 1000), ("-2", 0), ("latest", 1000), ("earliest", 0)] {
            let text = tools.run(OFFSETS, &["--topic", &topic, "--time", time])?;
            ensure!(text.trim() == format!("{topic}:0:{offset}"), "{time}: {text}");
        }
        Ok(())
    });
    suite.case("delete_records", || {
        let file = tempfile::NamedTempFile::new()?;
        let place = format!(r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"offset":300}}]}}"#);
        std::fs::write(file.path(), place)?;
        let text = tools.run(DELETE_RECORDS, &["--offset-json-file", &file.path().to_string_lossy()])?;
        ensure!(text.contains("low_watermark: 300"), "{text}");
        let text = tools.run(OFFSETS, &["--topic", &topic, "--time", "earliest"])?;
        ensure!(text.trim() == format!("{topic}:0:300"), "{text}");
        Ok(())
    });
    suite.case("producer_perf", || producer_perf(tools, &broker.topic("perf")));
}

/// Headers, key and value of a record in a line, as the console consumer writes it and its producer reads it.
fn shapes(tools: &Tools, topic: &str, codec: &str) -> Result<()> {
    let large: String =
        (0..).flat_map(|n: u32| format!("{n:x},").into_bytes()).take(1_000_000).map(char::from).collect();
    let lines = [
        "one:1\tkey\tvalue",
        "same:1,same:2,same:1\tkey\ttwice the same header",
        "empty:,:no name,null:NULL\tkey\tempty and null",
        "na\u{ef}ve:\u{2713}\tk\u{e9}y\tbeyond ASCII \u{1f980}",
        "a:b\tNULL\tno key",
        "a:b\ttombstone\tNULL",
        "a:b\tNULL\tNULL",
        "a:b\t\tempty key",
        "a:b\tempty value\t",
        "a:b\t\t",
        &format!("a:b\tlarge\t{large}"),
    ];
    let input: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let reader = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
    let reader = reader.iter().flat_map(|property| ["--reader-property", property]);
    let place = ["--topic", topic, "--compression-codec", codec, "--command-property", "max.request.size=1048588"];
    tools.run_with_input(PRODUCER, &place.into_iter().chain(reader).collect::<Vec<_>>(), &input)?;
    let count = lines.len().to_string();
    let writer = ["print.key=true", "print.headers=true", "null.literal=NULL"];
    let writer = writer.iter().flat_map(|property| ["--formatter-property", property]);
    let place = ["--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", &count];
    let found = tools.run(CONSUMER, &place.into_iter().chain(writer).collect::<Vec<_>>())?;
    for (number, (found, sent)) in found.lines().zip(lines).enumerate() {
        ensure!(found == sent, "record {number}: {:.300}", found);
    }
    ensure!(found == input, "{} bytes where {} were sent", found.len(), input.len());
    Ok(())
}

fn producer_perf(tools: &Tools, topic: &str) -> Result<()> {
    let properties = format!("bootstrap.servers={}", tools.bootstrap());
    let load = ["--topic", topic, "--num-records", "50000", "--record-size", "100", "--throughput", "-1"];
    let more = ["--command-property", &properties, "acks=all", "compression.type=lz4"];
    let text = tools.run_plain(PERFORMANCE, &[&load[..], &more[..]].concat())?;
    ensure!(text.contains("50000 records sent"), "{text}");
    let text = tools.run(OFFSETS, &["--topic", topic])?;
    ensure!(text.trim() == format!("{topic}:0:50000"), "{text}");
    Ok(())
}

fn cluster(suite: &mut Suite, broker: &Broker, tools: &Tools) {
    suite.case("api_versions", || {
        let text = tools.run(API_VERSIONS, &[])?;
        ensure!(text.contains("Produce(0): ") && text.contains("[usable: "), "{text}");
        Ok(())
    });
    suite.case("cluster_id", || {
        let text = tools.run_plain(CLUSTER, &["cluster-id", "--bootstrap-server", tools.bootstrap()])?;
        ensure!(text.contains("Cluster ID: "), "{text}");
        Ok(())
    });
    let topic = broker.topic("described");
    suite.case("log_dirs", || {
        tools.run_with_input(PRODUCER, &["--topic", &topic], "x\n")?;
        let text = tools.run(LOG_DIRS, &["--describe", "--topic-list", &topic])?;
        ensure!(text.contains(&format!("\"{topic}-0\"")) && text.contains("\"logDirs\""), "{text}");
        Ok(())
    });
    suite.case("quorum_status", || {
        let text = tools.run(QUORUM, &["describe", "--status"])?;
        ensure!(text.contains("LeaderId:") && text.contains("CurrentVoters:"), "{text}");
        Ok(())
    });
    suite.case("active_producers", || {
        let partition = ["describe-producers", "--topic", &topic, "--partition", "0"];
        let text = tools.run(TRANSACTIONS, &partition)?;
        ensure!(text.contains("ProducerId"), "{text}");
        Ok(())
    });
    suite.case("elect_leaders", || {
        let arguments = ["--election-type", "preferred", "--topic", &topic, "--partition", "0"];
        let text = tools.run(ELECTION, &arguments)?;
        ensure!(text.contains("Valid replica already elected"), "{text}");
        Ok(())
    });
    suite.case("reassignments_in_progress", || {
        let text = tools.run(REASSIGN, &["--list"])?;
        ensure!(text.contains("No partition reassignments found."), "{text}");
        Ok(())
    });
    suite.case("acls_are_off", || tools.refused(ACLS, &["--list"], "No Authorizer is configured"));
}

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const API_VERSIONS: &str = "org.apache.kafka.tools.BrokerApiVersionsCommand";
const CLUSTER: &str = "org.apache.kafka.tools.ClusterTool";
const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
const QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";
const ELECTION: &str = "org.apache.kafka.tools.LeaderElectionCommand";
const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
