//! confluent-kafka, the Python client over librdkafka.

use std::process::ExitCode;

use ottla_conformance::programs::{CONFLUENT, run_python};

fn main() -> ExitCode {
    ottla_conformance::run("confluent_kafka", &[], |suite, broker| run_python(suite, broker, "confluent.py", CONFLUENT))
}
