//! Disks that are away, break, lose bits or are full, under clients that others wrote: one directory of several goes offline alone, a
//! full one takes records again when there is room, and whatever was acknowledged is there afterwards.
//!
//! The faults are real: volumes of a few megabytes (tmpfs), and a file system on a loop device whose backing file cannot
//! grow, so that the kernel answers EIO. They are mounted in a mount namespace of the suite's own, which ends with it. Where
//! the system permits no such namespace, the cases that need one are left out, and the suite says so.

mod away;
mod broken;
mod clients;
mod damaged;
mod full;
mod moved;
mod producer;
mod stage;
mod tools;
mod volumes;

use std::process::ExitCode;

use anyhow::bail;
use ottla_conformance::namespace;

fn main() -> ExitCode {
    if let Some(code) = namespace::enter() {
        return code;
    }
    ottla_conformance::run("bad_disks", &[], |suite, broker| {
        if broker.is_external() || broker.process().is_none() {
            bail!("this suite starts brokers of its own; it has nothing to say of another one");
        }
        suite.case("one_of_two_is_away_at_the_start", away::at_the_start);
        suite.case("another_disk_is_mounted_in_its_place", away::another_in_its_place);
        suite.case("metadata_is_never_begun_anew", away::without_metadata);
        suite.case("a_directory_that_is_gone_takes_its_partitions_only", broken::gone);
        suite.case("a_consumer_seeks_past_a_damaged_batch", damaged::a_consumer_seeks_past);
        suite.case("a_partition_is_moved_while_it_is_used", moved::while_produced);
        suite.case("kafka_s_tools_move_partitions", tools::move_partitions);
        if namespace::is_own() {
            suite.case("a_disk_that_answers_eio_goes_offline_alone", broken::eio);
            suite.case("a_journal_that_failed_is_noticed", broken::journal);
            suite.case("a_full_disk_takes_records_again", full::one_of_two);
            suite.case("deleted_records_make_room", full::deleted_records_make_room);
            suite.case("clients_of_others_wait_for_room", full::clients_of_others);
            suite.case("the_only_disk_is_full", full::the_only_one);
        } else {
            println!("LEFT OUT: this system permits no mount namespace (unshare -m), so no volumes can be made");
        }
        Ok(())
    })
}
