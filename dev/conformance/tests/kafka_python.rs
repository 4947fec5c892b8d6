//! kafka-python, the Python client that has its own codec.

use std::process::ExitCode;

use ottla_conformance::programs::{PURE, run_python};
use ottla_conformance::transactions::BROKER_PROPERTIES;

fn main() -> ExitCode {
    ottla_conformance::run("kafka_python", &BROKER_PROPERTIES, |suite, broker| {
        run_python(suite, broker, "pure.py", PURE)
    })
}
