//! Power cuts under clients that others wrote: the broker's disk is a mounted file system that loses what was not synced, in any
//! order and torn (`dev/lossyfs`). What was acknowledged after a flush is there afterwards, at its offset, in order and once; what was not
//! flushed may be lost, and one case sees that it is.
//!
//! It is mounted in a mount namespace of the suite's own. Where the system permits no such namespace, or has no `/dev/fuse`, the
//! cases are left out, and the suite says so. `OTTLA_FAULTS_SEED=N` is the seed of what is random, 1 where it is not set.

mod acknowledged;
mod clean;
mod machine;
mod metadata;
mod unflushed;
mod volume;

use std::process::ExitCode;

use anyhow::bail;
use ottla_conformance::namespace;
use ottla_testkit::Dice;

fn main() -> ExitCode {
    if let Some(code) = namespace::enter() {
        return code;
    }
    ottla_conformance::run("lost_writes", &[], |suite, broker| {
        if broker.is_external() || broker.process().is_none() {
            bail!("this suite starts brokers of its own; it has nothing to say of another one");
        }
        if !namespace::is_own() || !ottla_lossyfs::is_possible() {
            println!(
                "LEFT OUT: this system permits no mount namespace (unshare -m), or has no /dev/fuse; no power can be cut"
            );
            return Ok(());
        }
        let seed = seed();
        println!("seed {seed}");
        let mut seeds = Dice::new(seed);
        let mut dice = || Dice::new(seeds.throw());
        suite.case("the_file_system_loses_what_is_not_synced_and_nothing_else", volume::keeps_its_word);
        let one = dice();
        suite.case("acknowledged_records_of_one_partition_outlive_power_cuts", || acknowledged::of(1, one));
        let many = dice();
        suite.case("acknowledged_records_of_a_hundred_partitions_do", || acknowledged::of(100, many));
        suite.case("records_that_were_not_flushed_are_lost", unflushed::all_of_them);
        let some = dice();
        suite.case("and_at_most_those_behind_the_last_flush", || unflushed::some_of_them(some));
        let metadata = dice();
        suite.case("topics_outlive_a_power_cut_once_they_are_answered", || metadata::topics(metadata));
        suite.case("committed_offsets_do_where_their_topic_is_flushed", metadata::offsets);
        suite.case("after_a_clean_stop_nothing_is_lost", clean::stop);
        Ok(())
    })
}

fn seed() -> u64 {
    std::env::var("OTTLA_FAULTS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
