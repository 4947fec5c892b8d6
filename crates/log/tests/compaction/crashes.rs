//! A crash in a pass, and another one in the start that follows.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ottla_disk::Disk;
use ottla_log::{CleanError, Identity, LogDirs, LogDirsConfig, LogState};
use ottla_records::BatchBuilder;
use ottla_testkit::SimDisk;
use ottla_types::{BrokerId, Millis, Offset, Uuid};
use proptest::prelude::*;

use crate::world::{Op, START, World, cases, config, content, op, open, partition, settings};

fn world_of(ops: &[Op]) -> Result<World, TestCaseError> {
    let mut world = World::new();
    for op in ops {
        world.carry_out(op)?;
    }
    world.log.roll(Millis(world.now)).unwrap();
    world.put(BatchBuilder::new(), &[(9, 1)], None);
    world.log.flush().unwrap();
    Ok(world)
}

/// A log in which a pass crashed at its mutation number `at`, and what the log held before and would have held after.
struct Crashed {
    world: World,
    disk: SimDisk,
    before: Vec<(i64, u32, i32)>,
    after: Vec<(i64, u32, i32)>,
    /// Where the segments begin that groups become.
    groups: Vec<Offset>,
}

impl Crashed {
    fn new(ops: &[Op], at: u64) -> Result<Self, TestCaseError> {
        let (mut undisturbed, world) = (world_of(ops)?, world_of(ops)?);
        let before = content(&world.log);
        undisturbed.clean(64)?;
        let after = content(&undisturbed.log);
        let groups = undisturbed.log.segment_bases();
        world.disk.crash_at(world.disk.mutations() + at);
        let logs = [Arc::clone(&world.log)];
        let mut pace = |_| ControlFlow::Continue(());
        let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace);
        let ended = report.is_none_or(|report| report.result.is_ok());
        prop_assert!(ended || world.disk.crashed());
        let disk = world.disk.clone();
        Ok(Self { world, disk, before, after, groups })
    }

    /// What a start finds on `disk`: within a group, which is one segment afterwards, either the old or the new.
    fn found_on(&mut self, disk: SimDisk) -> Result<(), TestCaseError> {
        self.world.reopen_after_crash(disk)?;
        prop_assert_eq!(self.world.unfinished(), Vec::<String>::new(), "a start leaves nothing half done");
        let seen = content(&self.world.log);
        for (at, from) in self.groups.iter().enumerate() {
            let to = self.groups.get(at + 1).map_or(i64::MAX, |next| next.0);
            let of = |all: &[(i64, u32, i32)]| -> Vec<_> {
                all.iter().filter(|batch| (from.0..to).contains(&batch.0)).copied().collect()
            };
            let (now, before, after) = (of(&seen), of(&self.before), of(&self.after));
            prop_assert!(now == before || now == after, "from {from}: {now:?}\nneither {before:?}\nnor {after:?}");
        }
        self.world.check()
    }

    /// The next pass does what is left, and leaves nothing beside.
    fn goes_on(&mut self) -> Result<(), TestCaseError> {
        self.world.clean(64)?;
        self.world.check()?;
        prop_assert_eq!(self.world.unfinished(), Vec::<String>::new());
        Ok(())
    }
}

impl World {
    /// Files of passes that did not end.
    fn unfinished(&self) -> Vec<String> {
        let names = self.disk.list(Path::new("/data/t-0")).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".cleaned") || name.ends_with(".swap")).collect()
    }

    fn reopen_after_crash(&mut self, disk: SimDisk) -> Result<(), TestCaseError> {
        let before = self.producers();
        self.disk = disk;
        self.dirs = open(&self.disk, Millis(self.now));
        self.log = self.dirs.log(&partition(), Millis(self.now)).unwrap();
        self.log.advance_high_watermark(self.log.log_end());
        prop_assert_eq!(self.log.state(), LogState::Online);
        prop_assert_eq!(self.producers(), before);
        Ok(())
    }
}

/// Starts, crashes at that mutation of the start, and gives what is left.
fn start_and_crash(disk: &SimDisk, at: u64, lose: impl Fn(&SimDisk) -> SimDisk) -> SimDisk {
    disk.crash_at(disk.mutations() + at);
    let identity =
        Identity { cluster_id: "c".to_owned(), node_id: BrokerId(1), new_directory_ids: vec![Uuid([1; 16])] };
    let settings =
        LogDirsConfig { flush_threads: 0, open_files_max: 4, recovery_threads_per_dir: 1, ..LogDirsConfig::default() };
    let _ = LogDirs::open(
        Arc::new(disk.clone()),
        &[PathBuf::from("/data")],
        &identity,
        settings,
        Arc::new(config()),
        START,
    );
    lose(disk)
}

fn without_crashes() -> impl Strategy<Value = Vec<Op>> {
    let calm = |ops: Vec<Op>| ops.into_iter().filter(|op| !matches!(op, Op::Crash(_) | Op::Restart(_))).collect();
    prop::collection::vec(op(), 10..60).prop_map(calm)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_crash_in_a_pass_leaves_each_group_as_it_was_or_will_be(
        ops in without_crashes(),
        at in 0u64..60,
        start_at in 0u64..40,
        seed in any::<u64>(),
    ) {
        let mut crashed = Crashed::new(&ops, at)?;
        let found = crashed.disk.crash(seed);
        crashed.found_on(start_and_crash(&found, start_at, |disk| disk.crash(!seed)))?;
        crashed.goes_on()?;
    }

    #[test]
    fn a_power_cut_in_a_pass_leaves_each_group_as_it_was_or_will_be(
        ops in without_crashes(),
        at in 0u64..60,
        start_at in 0u64..40,
    ) {
        let mut crashed = Crashed::new(&ops, at)?;
        let found = crashed.disk.power_cut();
        crashed.found_on(start_and_crash(&found, start_at, SimDisk::power_cut))?;
        crashed.goes_on()?;
    }
}

/// Every write of a pass, and after it every write of the start, may be the last one.
#[test]
fn every_write_of_a_pass_and_of_the_start_may_be_the_last() {
    let mut ops = Vec::new();
    for round in 0..2 {
        for key in 0..6u8 {
            ops.push(Op::Put(vec![(key, 300 + round), (key, 50)], 0));
            ops.push(Op::Transactional(2 + key % 3, key, 30));
            ops.push(Op::End(2 + key % 3, key % 2 == 0));
            if key % 2 == 0 {
                // Small segments, so that groups have several; and of what they end with nothing stays.
                ops.extend([Op::Roll, Op::Put(vec![(7, 40)], 0), Op::Roll]);
            }
        }
    }
    for at in 0.. {
        let mut crashed = Crashed::new(&ops, at).unwrap();
        let ended = !crashed.disk.crashed();
        for seed in at * 100..at * 100 + 6 {
            // The dice fall otherwise each time; every other start is left in peace.
            for start_at in [0, 1 + seed % 12, 99] {
                let found = crashed.disk.crash(seed);
                let again = start_and_crash(&found, start_at, |disk| disk.crash(seed * 31 + start_at));
                crashed
                    .found_on(again)
                    .unwrap_or_else(|error| panic!("mutation {at} of the pass, {start_at} of the start: {error}"));
            }
        }
        crashed.goes_on().unwrap();
        if ended {
            assert!(at > 20, "a pass has {at} mutations");
            return;
        }
    }
}

#[test]
fn a_full_disk_ends_a_pass_and_the_log_stays_whole() {
    let ops: Vec<_> = (0..60).map(|i| Op::Put(vec![(i % 8, 200)], 0)).collect();
    let world = world_of(&ops).unwrap();
    let before = content(&world.log);
    world.disk.inject(|operation| {
        let cleaned = operation.path.to_string_lossy().ends_with(".cleaned");
        (cleaned && operation.kind == ottla_testkit::OperationKind::Write).then(ottla_testkit::Fault::enospc)
    });
    let logs = [Arc::clone(&world.log)];
    let mut pace = |_| ControlFlow::Continue(());
    let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace).unwrap();
    assert!(matches!(report.result, Err(CleanError::Io(_))), "{:?}", report.result);
    assert_eq!((content(&world.log), world.log.state()), (before, LogState::Online));
    world.disk.heal();
    let report = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace).unwrap();
    assert!(report.result.unwrap().records_after < 20);
}

/// A pass that failed may leave files whose names say "nothing was decided"; they must not be there when a later pass has
/// decided, or a restart would undo it after the old segments are gone.
#[test]
fn what_a_failed_pass_left_does_not_undo_a_later_one() {
    // Without a transaction this pass has no such file, and does not write over it. Every segment holds what must not go.
    let ops: Vec<_> = (0..40).map(|i| Op::Put(vec![(100 + i, 200), (7, 20)], 0)).collect();
    for at in 0.. {
        let mut world = world_of(&ops).unwrap();
        let expected = world.values();
        for base in world.log.segment_bases() {
            let stray = PathBuf::from(format!("/data/t-0/{:020}.txnindex.cleaned", base.0));
            world.disk.open(&stray, ottla_disk::OpenMode::Create).unwrap();
        }
        world.disk.sync_dir(Path::new("/data/t-0")).unwrap();
        world.disk.crash_at(world.disk.mutations() + at);
        let logs = [Arc::clone(&world.log)];
        let mut pace = |_| ControlFlow::Continue(());
        let _ = world.dirs.clean_dirtiest(&logs, &settings(64), Millis(world.now), &mut pace);
        if !world.disk.crashed() {
            assert!(at > 40, "a pass has {at} mutations");
            return;
        }
        let found = world.disk.crash(at);
        world.reopen_after_crash(found).unwrap();
        assert_eq!(world.values(), expected);
        world.check().unwrap_or_else(|error| panic!("mutation {at}: {error}"));
    }
}

/// A crash between the renames of a decision leaves files of both names; one while the start undoes that must not leave those
/// alone that say "it was decided".
#[test]
fn every_crash_of_a_start_that_undoes_a_decision_leaves_the_old_segments() {
    // Small segments of which nothing stays, and one that gives what they become an entry in its index.
    let small = (0..2).flat_map(|_| [Op::Put(vec![(0, 0)], 0), Op::Roll]);
    let large = [vec![(4, 110)], vec![(1, 64), (2, 0), (5, 129)], vec![(0, 0)]];
    let ops: Vec<_> = small.chain(large.map(|records| Op::Put(records, 0))).collect();
    let mut undone = 0;
    for at in 0.. {
        let mut crashed = Crashed::new(&ops, at).unwrap();
        let ended = !crashed.disk.crashed();
        for seed in 0..20 {
            let found = crashed.disk.crash(seed);
            let names: Vec<_> =
                found.list(Path::new("/data/t-0")).unwrap().into_iter().map(|entry| entry.name).collect();
            let any = |suffix: &str| names.iter().any(|name| name.ends_with(suffix));
            if !(any(".cleaned") && any(".swap")) {
                continue;
            }
            undone += 1;
            for start_at in 0..20 {
                let again = start_and_crash(&crashed.disk.crash(seed), start_at, |disk| disk.crash(!seed));
                crashed.found_on(again).unwrap_or_else(|error| panic!("{at}, {seed}, {start_at}: {error}"));
            }
        }
        if ended {
            break;
        }
    }
    assert!(undone > 10, "{undone} crashes between the renames");
}
