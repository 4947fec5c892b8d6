//! Transactions of confluent-kafka, the Python client over librdkafka, which speaks version 1 of their protocol.

use std::process::ExitCode;

use ottla_conformance::programs::{CONFLUENT, run_python};
use ottla_conformance::transactions::BROKER_PROPERTIES;

fn main() -> ExitCode {
    ottla_conformance::run("transactions_librdkafka", &BROKER_PROPERTIES, |suite, broker| {
        run_python(suite, broker, "confluent_transactions.py", CONFLUENT)
    })
}
