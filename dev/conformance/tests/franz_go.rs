//! franz-go: its own tests of groups, transactions, consumers and producers, as its module holds them, and tests of ours that use it.

use std::process::ExitCode;

use ottla_conformance::go::Tests;
use ottla_conformance::transactions::BROKER_PROPERTIES;

/// Those of its tests that talk to a broker. Not among them: share groups; brokers that are too old; and tests of the
/// client alone.
const THEIRS: [&str; 28] = [
    "TestGroupETL",
    "TestTxnEtl",
    "TestGroupSimple",
    "TestUnknownGroupOffsetFetchPinned",
    "Test848RegexBrokerResolves",
    "TestAddRemovePartitions",
    "TestConsumeMaxDecompressBatchBytes",
    "TestConsumeRegex",
    "TestConsumeTopicRetrieval",
    "TestConsumeTopicRetrieval_Many",
    "TestDirectPartitionPurge",
    "TestHookPollStart",
    "TestIssue325",
    "TestIssue337",
    "TestIssue434",
    "TestIssue523",
    "TestIssue648",
    "TestIssue769",
    "TestIssue810",
    "TestIssue831",
    "TestIssue865",
    "TestIssue1034",
    "TestPauseIssue489",
    "TestPauseIssueOct2023",
    "TestPing",
    "TestPooling",
    "TestClient_Produce",
    "TestClient_ProduceLargeMessages",
];
/// Every shape of a record in every codec; chains of groups with the assignors that their own chains leave out.
const OURS: [&str; 2] = ["TestShapes", "TestChains"];
/// One broker, so one replica; and as many records through each chain of groups as take seconds, not minutes.
const ENVIRONMENT: [(&str, &str); 4] =
    [("KGO_TEST_RF", "1"), ("KGO_TEST_RECORDS", "10000"), ("KGO_TEST_UNSAFE", "1"), ("KGO_LOG_LEVEL", "none")];

fn main() -> ExitCode {
    ottla_conformance::run("franz_go", &BROKER_PROPERTIES, |suite, broker| {
        let theirs = Tests {
            program: "go-franz",
            import: "github.com/twmb/franz-go/pkg/kgo",
            names: &THEIRS,
            environment: &ENVIRONMENT,
        };
        let ours = Tests { program: "go-ours", import: ".", names: &OURS, environment: &[] };
        ours.run(suite, broker)?;
        theirs.run(suite, broker)
    })
}
