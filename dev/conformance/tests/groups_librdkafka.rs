//! Consumer groups of confluent-kafka, the Python client over librdkafka. Its Rust client is in the suite of faults.

use std::process::ExitCode;

use ottla_conformance::groups::BROKER_PROPERTIES;
use ottla_conformance::programs::{CONFLUENT, run_python};

fn main() -> ExitCode {
    ottla_conformance::run("groups_librdkafka", &BROKER_PROPERTIES, |suite, broker| {
        run_python(suite, broker, "confluent_groups.py", CONFLUENT)
    })
}
