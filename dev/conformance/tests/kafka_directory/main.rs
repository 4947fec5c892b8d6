//! Data directories that Apache Kafka wrote, before 4 and now, imported and served: ids, records, configurations, groups and
//! transactions are what they were, and clients that were at work go on; what is not carried over is named; what cannot be is
//! refused by name; and the way back.
//!
//! | Kafka | directory | stop | import |
//! |---|---|---|---|
//! | before 4 | two for partitions and one for the metadata, with records of the oldest metadata version that can be formatted | clean | a copy, served on Kafka's own port |
//! | the same, started again | the metadata version raised, a snapshot of the metadata | kill -9 | in place |
//! | now | one | clean | in place |
//! | before 4, with ZooKeeper, message formats 0 and 1 | one | clean | refused |

mod kept;
mod older;
mod survivors;
mod world;
mod written;
mod zookeeper;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use ottla_conformance::Suite;
use ottla_peer::java::Jars;
use ottla_peer::kafka::Settings;

use kept::Kept;
use world::{World, imported};

fn main() -> ExitCode {
    // The suite's own broker is not used: those of these cases start on directories of their own.
    ottla_conformance::run("kafka_directory", &[], |suite, broker| {
        if broker.is_external() {
            bail!("this suite serves directories of its own; it cannot run against another's broker");
        }
        let folder = tempfile::tempdir()?;
        older::run(suite, &folder.path().join("older"))?;
        current(suite, &folder.path().join("current"))?;
        zookeeper::run(suite, &folder.path().join("zookeeper"))
    })
}

/// The Kafka that is the peer.
fn current(suite: &mut Suite, folder: &Path) -> Result<()> {
    let mut world = World::start(&Jars::fetch()?, folder, Settings::default(), &["data"])?;
    let mut kept = Kept::default();
    suite.case("current_writes", || {
        written::write(&world.bootstrap(), &[]).and_then(|()| written::unserved(&world.bootstrap()))
    });
    suite.case("current_says", || {
        kept = kept::read(&world.bootstrap())?;
        Ok(())
    });
    suite.case("current_stops", || world.kafka.stop().map(drop));
    suite.case("current_is_not_served_before", || world.not_served("ottla import-kafka"));
    suite.case("dump_log_finds_no_fault_in_current", || world.dump_log());
    let data = world.directories.clone();
    suite.case("current_is_imported_in_place", || {
        imported(&world.import(&data, &data), &["client quotas", "SCRAM credentials", "carol", "dave"])
    });
    suite.case("current_is_served_in_place", || {
        world.serve_in_place(|bootstrap| {
            kept.compare(&kept::read(bootstrap)?)?;
            written::go_on(bootstrap)
        })
    });
    suite.case("the_way_back_to_current", || way_back(&mut world, folder));
    Ok(())
}

/// Ottla is started so often that its epochs are ahead of those that Kafka would begin with.
const STARTS: usize = 4;

/// Kafka starts on what Ottla has served in place, has what was written meanwhile, and goes on.
fn way_back(world: &mut World, folder: &Path) -> Result<()> {
    for _ in 0..STARTS {
        world.serve_in_place(written::once_more)?;
    }
    let said = ["were raised in Kafka's metadata", "producer ids go on at", "__ottla_metadata elsewhere"];
    imported(&world.export(), &said)?;
    // Once is enough.
    imported(&world.export(), &["of 0 partitions"])?;
    // It is where Kafka has its own.
    let metadata = world.directories.last().unwrap_or(&world.directories[0]).join("__ottla_metadata");
    fs::rename(metadata, folder.join("metadata-of-ottla"))?;
    world.kafka.start_again()?;
    written::go_back(&world.bootstrap(), STARTS)?;
    world.kafka.stop().map(drop)
}

/// A start or an import that is refused changes nothing.
fn changes_nothing(dir: &Path, of: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = world::listing(dir)?;
    of()?;
    let after = world::listing(dir)?;
    ensure!(before == after, "{before:?} became {after:?}");
    Ok(())
}
