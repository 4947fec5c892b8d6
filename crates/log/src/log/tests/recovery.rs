use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
};

use super::*;
use crate::Damage;

fn log_file(bed: &Bed, base: i64) -> PathBuf {
    bed.dir().join(format!("{base:020}.log"))
}

fn chop(path: &PathBuf, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn flip(path: &PathBuf, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
}

/// What may be stored as the recovery point, once all that stands beside the segments is durable.
fn persist_side_files(log: &Log) -> Offset {
    let written = log.write_side_files().unwrap();
    log.sync_written(&written).unwrap();
    written.to
}

/// Ten batches of one record in one segment; their length.
fn ten(bed: &Bed) -> u64 {
    let log = bed.open();
    append_many(&log, 10, 1, 400);
    read(&log, 0, 1)[0].1 as u64
}

#[test]
fn a_torn_tail_is_cut() {
    for cut in [1, 60, 100, 400] {
        let mut bed = Bed::small_segments(1 << 20, 500);
        let len = ten(&bed);
        chop(&log_file(&bed, 0), cut);
        let (log, report) = bed.crash(3);
        assert_eq!(log.log_end(), Offset(9));
        assert_eq!((report.cut_bytes, report.hole, report.damages.len()), (len - cut, false, 0));
        assert_eq!(log.state(), LogState::Online);
        assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(9));
        assert_eq!(read_all(&log, 0, 1), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn garbage_behind_the_last_batch_is_cut() {
    let mut bed = Bed::new();
    let len = ten(&bed);
    let file = OpenOptions::new().write(true).open(log_file(&bed, 0)).unwrap();
    for garbage in [vec![0; 5000], vec![0xff; 5000], vec![2; 61]] {
        file.write_all_at(&garbage, 10 * len).unwrap();
        let (log, report) = bed.crash(10);
        assert_eq!((log.log_end(), report.cut_bytes, report.hole), (Offset(10), garbage.len() as u64, false));
        assert_eq!(log.size().unwrap(), 10 * len);
    }
}

#[test]
fn a_broken_batch_above_the_recovery_point_ends_the_log_and_a_hole_is_told() {
    let mut bed = Bed::small_segments(1 << 20, 500);
    let len = ten(&bed);
    flip(&log_file(&bed, 0), 6 * len + 70);
    let (log, report) = bed.crash(6);
    assert_eq!((log.log_end(), report.cut_bytes), (Offset(6), 4 * len));
    assert!(report.hole && report.damages.is_empty());
    assert_eq!(log.state(), LogState::Online);
}

#[test]
fn a_broken_batch_below_the_recovery_point_is_damage_and_nothing_is_cut() {
    let mut bed = Bed::small_segments(1 << 20, 500);
    let len = ten(&bed);
    flip(&log_file(&bed, 0), 6 * len + 70);
    let (log, report) = bed.crash(7);
    let damage = Damage { segment: Offset(0), position: 6 * len, end: 7 * len, first: Offset(6), next: Offset(7) };
    assert_eq!((report.damages, log.damages()), (vec![damage], vec![damage]));
    assert_eq!((log.state(), log.log_end()), (LogState::Online, Offset(10)));
    assert_eq!(fs::metadata(log_file(&bed, 0)).unwrap().len(), 10 * len, "nothing is cut");
    assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(10));
    assert_eq!(read_all(&log, 7, 1), (7..11).collect::<Vec<_>>());
    let refused = log.read(Offset(6), 1, true, ReadBound::LogEnd);
    assert!(
        matches!(refused, Err(ReadError::Damaged { segment: Offset(0), next: Some(Offset(7)), position }) if position == 6 * len)
    );
    let before = log.read(Offset(4), 1 << 20, true, ReadBound::LogEnd).unwrap();
    assert_eq!(before.len() as u64, 2 * len, "no byte of it is served");
    assert!(log.truncate_to(Offset(6), NOW).unwrap());
    assert_eq!((log.log_end(), log.damages()), (Offset(6), vec![]));
    assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(6));
    assert_eq!(read_all(&log, 0, 1), (0..7).collect::<Vec<_>>());
}

#[test]
fn only_what_lies_behind_the_recovery_point_is_checked() {
    let mut bed = Bed::small_segments(4000, 500);
    let log = bed.open();
    append_many(&log, 40, 1, 400);
    log.flush().unwrap();
    persist_side_files(&log);
    let bases = log.segment_bases();
    drop(log);
    flip(&log_file(&bed, 0), 70);
    let (log, report) = bed.crash(39);
    assert!(report.checked_bytes < 4000, "{report:?}");
    assert_eq!((log.log_end(), log.segment_bases(), log.state()), (Offset(40), bases, LogState::Online));
}

#[test]
fn a_lost_segment_in_the_middle_ends_the_log() {
    let mut bed = Bed::small_segments(4000, 500);
    let log = bed.open();
    append_many(&log, 40, 1, 400);
    let bases = log.segment_bases();
    drop(log);
    fs::remove_file(log_file(&bed, bases[2].0)).unwrap();
    let (log, report) = bed.crash(3);
    assert_eq!(log.log_end(), bases[2]);
    assert!(report.hole && report.removed_segments == bases.len() - 3);
    assert_eq!(read_all(&log, 0, 1), (0..bases[2].0).collect::<Vec<_>>());
}

#[test]
fn lost_and_broken_side_files_are_made_again() {
    let mut bed = Bed::small_segments(4000, 500);
    let log = bed.open();
    append_many(&log, 40, 1, 400);
    append(&log, &checked(&idempotent(9, 0, 0, 1).build().unwrap()));
    let bases = log.segment_bases();
    log.close().unwrap();
    let side_file = |name: &str| !name.ends_with(".log");
    let names = |bed: &Bed| -> Vec<String> {
        let entries = fs::read_dir(bed.dir()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let indexes = |bed: &Bed| -> Vec<(String, Vec<u8>)> {
        let is_index = |name: &String| name.ends_with("index");
        names(bed).into_iter().filter(is_index).map(|n| (n.clone(), fs::read(bed.dir().join(n)).unwrap())).collect()
    };
    let before = indexes(&bed);
    for clean in [true, false] {
        for spoil in [None, Some(vec![]), Some(vec![0; 240]), Some(vec![0xff; 241])] {
            for name in names(&bed).into_iter().filter(|name| side_file(name)) {
                match &spoil {
                    None => fs::remove_file(bed.dir().join(name)).unwrap(),
                    Some(bytes) if !clean || !name.ends_with("index") => {
                        fs::write(bed.dir().join(name), bytes).unwrap()
                    }
                    Some(_) => {} // after a clean stop indexes that are there are trusted
                }
            }
            bed.start.clean = clean;
            bed.start.recovery_point = Offset(if clean { 41 } else { 0 });
            let log = bed.open();
            assert_eq!((log.log_end(), log.segment_bases()), (Offset(41), bases.clone()));
            assert_eq!(log.epochs(), [EpochStart { epoch: EPOCH, start: Offset(0) }], "clean {clean}, {spoil:?}");
            assert_eq!(log.producer(ProducerId(9)).unwrap().last_sequence, 0);
            assert_eq!(read_all(&log, 0, 1), (0..41).collect::<Vec<_>>());
            log.close().unwrap();
            assert_eq!(indexes(&bed), before, "clean {clean}, spoilt with {spoil:?}");
            assert!(clean || snapshots(&bed) == bases.len(), "one per segment but the first, and one at the end");
        }
    }
}

#[test]
fn stray_files_are_left_alone_and_unfinished_ones_settled() {
    let mut bed = Bed::small_segments(4000, 500);
    let log = bed.open();
    append_many(&log, 40, 1, 400);
    let bases = log.segment_bases();
    log.close().unwrap();
    bed.start.recovery_point = Offset(40);
    let at = |name: &str| bed.dir().join(name);
    let name = |base: Offset, suffix: &str| format!("{:020}.{suffix}", base.0);
    for stray in ["notes.txt", "00000000000000000003.index", "00000000000000000007.log.deleted"] {
        fs::write(at(stray), b"x").unwrap();
    }
    fs::create_dir(at("00000000000000000001.log")).unwrap();
    // a compaction of the first two segments into one that had been decided, and one that had not
    fs::copy(at(&name(bases[1], "log")), at(&name(bases[1], "log.swap"))).unwrap();
    fs::write(at(&name(bases[3], "log.cleaned")), b"x").unwrap();
    fs::write(at(&name(bases[4], "log.swap")), b"x").unwrap();
    let log = bed.open();
    assert_eq!((log.log_end(), log.segment_bases()), (Offset(40), bases.clone()));
    assert_eq!(read_all(&log, 0, 1), (0..40).collect::<Vec<_>>());
    assert!(at("notes.txt").exists());
    for gone in
        ["00000000000000000003.index".to_owned(), "00000000000000000007.log.deleted".into(), name(bases[4], "log.swap")]
    {
        assert!(!at(&gone).exists(), "{gone}");
    }
}

#[test]
fn a_log_that_lost_its_first_segment_begins_with_the_next_or_anew() {
    for (recovery_point, start, end) in [(0, 0, 0), (1, 8, 40)] {
        let mut bed = Bed::small_segments(4000, 500);
        let log = bed.open();
        append_many(&log, 40, 1, 400);
        assert_eq!(log.segment_bases()[1], Offset(8));
        drop(log);
        fs::remove_file(log_file(&bed, 0)).unwrap();
        let (log, report) = bed.crash(recovery_point);
        assert_eq!((log.log_start(), log.log_end()), (Offset(start), Offset(end)), "{report:?}");
        assert_eq!(log_file(&bed, 8).exists(), recovery_point > 0, "what may have been promised is not cut");
        assert_eq!(report.lost_from, (recovery_point > 0).then_some(Offset(0)));
        assert_eq!(append(&log, &batch(1, 1, 1)).first_offset, Offset(end));
        assert_eq!(read_all(&log, end, 1), [end]);
    }
}

fn snapshots(bed: &Bed) -> usize {
    let names = fs::read_dir(bed.dir()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with("snapshot")).count()
}

#[test]
fn producer_snapshots_of_lost_batches_go_and_strays_too() {
    let mut bed = Bed::small_segments(1 << 20, 500);
    let len = ten(&bed);
    let log = bed.open();
    append(&log, &checked(&idempotent(1, 0, 0, 1).build().unwrap()));
    append(&log, &checked(&idempotent(1, 0, 1, 1).build().unwrap()));
    log.close().unwrap();
    assert_eq!(snapshots(&bed), 1);
    chop(&log_file(&bed, 0), 1);
    let (log, _) = bed.crash(10);
    assert_eq!((log.log_end(), snapshots(&bed)), (Offset(11), 0));
    assert_eq!(log.producer(ProducerId(1)).unwrap().last_sequence, 0);
    assert!(log.size().unwrap() > 10 * len);
    bed.start.clean = true;
    for _ in 0..3 {
        let log = bed.open();
        append(&log, &batch(1, 1, 1));
        log.close().unwrap();
    }
    drop(bed.open());
    assert_eq!(snapshots(&bed), 1, "of those that belong to no segment only the newest is kept");
}

#[test]
fn the_last_index_entries_of_a_segment_closed_at_the_recovery_point_are_made_again() {
    for spoilt in [vec![], vec![0; 12], vec![0; 24]] {
        let mut bed = Bed::small_segments(1 << 20, 100_000);
        let log = bed.open();
        append_many(&log, 5, 1, 400);
        log.flush().unwrap();
        assert_eq!(persist_side_files(&log), Offset(5));
        log.roll(NOW).unwrap();
        drop(log);
        let time_index = bed.dir().join("00000000000000000000.timeindex");
        let whole = fs::read(&time_index).unwrap();
        fs::write(&time_index, spoilt).unwrap();
        let (log, _) = bed.crash(5);
        assert_eq!(log.max_timestamp_offset().unwrap().unwrap().offset, Offset(4));
        assert_eq!(fs::read(&time_index).unwrap(), whole);
    }
}

/// What compaction took from the end of a segment, on this broker or on the leader, is no loss.
#[test]
fn a_gap_between_segments_below_the_recovery_point_is_not_taken_for_a_loss() {
    let mut bed = Bed::small_segments(1000, 100);
    bed.config.cleanup.compact = true;
    let log = bed.open();
    for offset in [0, 1, 20, 21] {
        let mut builder = BatchBuilder::new().base_offset(Offset(offset)).leader_epoch(EPOCH);
        builder.append(NOW, Some(b"k"), Some(&[1; 400]));
        let batch = checked(&builder.build().unwrap());
        log.append(&batch, LeaderEpoch::UNKNOWN, Origin::Replication, NOW).unwrap();
    }
    assert_eq!(log.segment_bases(), [Offset(0), Offset(20)]);
    log.flush().unwrap();
    drop(log);
    let (log, report) = bed.crash(20);
    assert_eq!((log.log_end(), report.hole, report.damages), (Offset(22), false, vec![]));
    assert_eq!(read_all(&log, 0, 1), [0, 1, 20, 21]);
}
