//! Apache Kafka's Java client: many cases in one virtual machine.

use std::process::ExitCode;

use ottla_conformance::programs::run_java;

fn main() -> ExitCode {
    ottla_conformance::run("java_client", &[], |suite, broker| run_java(suite, broker, "ottla.conformance.Main"))
}
