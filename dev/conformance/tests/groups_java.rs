//! Consumer groups of Apache Kafka's Java client: every assignor, both protocols, offsets, administration; in one virtual
//! machine.

use std::process::ExitCode;

use ottla_conformance::groups::BROKER_PROPERTIES;
use ottla_conformance::programs::run_java;

fn main() -> ExitCode {
    ottla_conformance::run("groups_java", &BROKER_PROPERTIES, |suite, broker| {
        run_java(suite, broker, "ottla.conformance.GroupMain")
    })
}
