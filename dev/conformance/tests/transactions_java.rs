//! Transactions of Apache Kafka's Java clients: the current one, which speaks version 2 of their protocol, and the one
//! before it, which speaks version 1; each in one virtual machine.

use std::process::ExitCode;

use ottla_conformance::programs::{JavaClient, run_java_with};
use ottla_conformance::transactions::BROKER_PROPERTIES;

fn main() -> ExitCode {
    ottla_conformance::run("transactions_java", &BROKER_PROPERTIES, |suite, broker| {
        let clients = [JavaClient::Current, JavaClient::Older];
        run_java_with(suite, broker, "ottla.conformance.TransactionMain", &clients)
    })
}
