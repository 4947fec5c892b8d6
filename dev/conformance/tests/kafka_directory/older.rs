//! Kafka before 4: see the table at the head of the suite.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::PATIENCE;
use ottla_conformance::{Suite, rust_client};
use ottla_peer::java::Jars;
use ottla_peer::kafka::Settings;
use ottla_wire::messages::{
    ApiVersionsRequest, CreatableTopic, CreateTopicsRequest, FeatureUpdateKey, UpdateFeaturesRequest,
};

use super::kept::{self, Kept};
use super::survivors::Survivors;
use super::world::{World, imported, refused};
use super::{changes_nothing, way_back, written};

/// The oldest that can be formatted, and the newest of this Kafka.
const OLDEST: &str = "3.3-IV0";
const NEWEST: i16 = 21;
/// What Ottla raises an older one to.
const LOWEST: i16 = 7;
/// A setting of topics that Kafka 4 does not have any more.
const GONE: &str = "message.downconversion.enable";

pub(crate) fn run(suite: &mut Suite, folder: &Path) -> Result<()> {
    let settings = Settings {
        properties: [
            ("log.dirs", &*format!("{0}/data,{0}/more", folder.display())),
            ("metadata.log.dir", &*folder.join("metadata").display().to_string()),
            // A snapshot as soon as there is something in it.
            ("metadata.log.max.record.bytes.between.snapshots", "8000"),
            ("group.coordinator.rebalance.protocols", "classic,consumer"),
            ("unstable.api.versions.enable", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec(),
        format: vec!["--release-version".to_owned(), OLDEST.to_owned()],
        ..Settings::default()
    };
    let mut world = World::start(&Jars::fetch_older()?, folder, settings, &["data", "more", "metadata"])?;
    let (mut kept, mut survivors) = (Kept::default(), None);
    suite.case("older_writes", || written::write(&world.bootstrap(), &[(GONE, "false")]));
    suite.case("clients_are_at_work", || {
        survivors = Some(Survivors::begin(&world.bootstrap())?);
        Ok(())
    });
    suite.case("older_says", || {
        kept = kept::read(&world.bootstrap())?;
        Ok(())
    });
    let data = world.directories.clone();
    suite.case("a_running_broker_is_seen", || refused(&world.import(&data, &data), "a broker is running on it"));
    suite.case("older_stops", || world.kafka.stop().map(drop));
    suite.case("older_is_not_served_before", || {
        data.iter().try_for_each(|dir| changes_nothing(dir, || world.not_served("ottla import-kafka")))
    });
    suite.case("dump_log_finds_no_fault_in_older", || world.dump_log());
    let copy: Vec<_> = ["data", "more", "metadata"].iter().map(|name| folder.join("copy").join(name)).collect();
    suite.case("a_missing_directory_is_named", || {
        refused(&world.import(&data[..1], &copy[..1]), "none of the directories holds __cluster_metadata-0")?;
        refused(&world.import(&data[1..], &copy[1..]), "is in none of the directories; name all of log.dirs")
    });
    suite.case("older_is_imported_as_a_copy", || {
        imported(&world.import(&data, &copy), &[GONE, "a deleted partition; it goes", "metadata.version"])?;
        imported(&world.import(&data, &copy), &["already"])
    });
    // What is not carried over was named.
    kept = kept.without("none", &[GONE]);
    suite.case("older_is_served_and_clients_go_on", || {
        world.serve_copy(&copy, |bootstrap| {
            ensure!(level(bootstrap)? == LOWEST, "metadata version {}", level(bootstrap)?);
            kept.compare(&kept::read(bootstrap)?)?;
            ensure!(kept.partitions() == written::PARTITIONS + 2, "{} partitions", kept.partitions());
            if let Some(survivors) = &survivors {
                survivors.go_on(bootstrap)?;
            }
            written::go_on(bootstrap)
        })
    });
    drop(survivors);
    suite.case("older_is_raised_and_killed", || {
        world.kafka.start_again()?;
        let bootstrap = world.bootstrap();
        // Kafka's own is as it was.
        kept.compare(&kept::read(&bootstrap)?.without("none", &[GONE]))?;
        raise(&bootstrap)?;
        written::unserved(&bootstrap)?;
        snapshot(&bootstrap, &data)?;
        kept = kept::read(&bootstrap)?.without("none", &[GONE]);
        world.kafka.kill()
    });
    suite.case("older_is_imported_in_place", || {
        let named = ["not stopped cleanly", "client quotas", "SCRAM credentials", "carol", "dave", GONE];
        imported(&world.import(&data, &data), &named)
    });
    suite.case("older_is_served_in_place", || {
        world.serve_in_place(|bootstrap| {
            ensure!(level(bootstrap)? == NEWEST, "metadata version {}", level(bootstrap)?);
            kept.compare(&kept::read(bootstrap)?)?;
            written::go_on(bootstrap)
        })
    });
    suite.case("the_way_back_to_older", || way_back(&mut world, folder));
    Ok(())
}

/// The level of the metadata version.
fn level(bootstrap: &str) -> Result<i16> {
    let (client_software_name, client_software_version) = ("tests".to_owned(), "1".to_owned());
    let request = ApiVersionsRequest { client_software_name, client_software_version };
    let answer = Raw::connect(bootstrap)?.ask(3, &request)?;
    let found = answer.finalized_features.iter().find(|feature| feature.name == "metadata.version");
    Ok(found.map_or(0, |feature| feature.max_version_level))
}

fn raise(bootstrap: &str) -> Result<()> {
    let update = FeatureUpdateKey {
        feature: "metadata.version".to_owned(),
        max_version_level: NEWEST,
        upgrade_type: 1,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest { timeout_ms: 30_000, feature_updates: vec![update], validate_only: false };
    let answer = Raw::connect(bootstrap)?.ask(1, &request)?;
    ensure!(answer.error_code == 0 && answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
    Ok(())
}

/// Topics are made until there is a snapshot with some of them; one comes after it. Waits until the broker has heard of all.
fn snapshot(bootstrap: &str, dirs: &[PathBuf]) -> Result<()> {
    let log = dirs[2].join("__cluster_metadata-0");
    let snapshots = || -> Result<usize> {
        let names = fs::read_dir(&log)?.collect::<std::io::Result<Vec<_>>>()?;
        Ok(names.iter().filter(|entry| entry.file_name().to_string_lossy().ends_with(".checkpoint")).count())
    };
    let before = snapshots()?;
    let mut raw = Raw::connect(bootstrap)?;
    for round in 0..50 {
        if snapshots()? > before {
            break;
        }
        let topic = |number| CreatableTopic {
            name: format!("more-{round}-{number}"),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: (0..10).map(topic).collect(), timeout_ms: 30_000, ..Default::default() };
        let answer = raw.ask(7, &request)?;
        ensure!(answer.topics.iter().all(|topic| topic.error_code == 0), "{answer:?}");
    }
    ensure!(snapshots()? > before, "no snapshot comes");
    rust_client::create_topic(bootstrap, "after-the-snapshot", 1, &[("retention.ms", "77777777")])?;
    let begin = Instant::now();
    while !dirs.iter().any(|dir| dir.join("after-the-snapshot-0").exists()) {
        ensure!(begin.elapsed() < PATIENCE, "the broker does not hear of the last topic");
        std::thread::yield_now();
    }
    Ok(())
}
