//! kafka-python, the Python client that has its own codec.

use std::process::ExitCode;

use ottla_conformance::groups::BROKER_PROPERTIES;
use ottla_conformance::programs::{PURE, run_python};

fn main() -> ExitCode {
    ottla_conformance::run("kafka_python", &BROKER_PROPERTIES, |suite, broker| {
        run_python(suite, broker, "pure.py", PURE)
    })
}
