//! Groups whose members and brokers fail: no record is skipped, none comes again that was committed, and nobody is put
//! out who came back in time.

use std::process::ExitCode;

use anyhow::bail;
use ottla_conformance::groups::{self, BROKER_PROPERTIES};

mod brokers;
mod classic;
mod feed;
mod late;
mod members;
mod retention;

fn main() -> ExitCode {
    if let Some(ended) = groups::play() {
        return ended;
    }
    let properties = [&BROKER_PROPERTIES[..], &[("offsets.topic.num.partitions", "5")]].concat();
    ottla_conformance::run("groups_faults", &properties, |suite, broker| {
        if broker.is_external() {
            bail!("this suite kills its broker; it cannot run against one that is not its own");
        }
        late::run(suite, broker);
        members::run(suite, broker);
        brokers::run(suite, broker);
        suite.case("offsets_without_a_group_are_forgotten", retention::forgets);
        Ok(())
    })
}
