use super::*;

const NOW: Millis = Millis(1_000_000);

/// Segments of ten offsets and a hundred bytes each, of these ages; the last one is active.
fn facts(ages_ms: &[i64], clean_to: Option<i64>) -> LogFacts {
    let segment = |(at, age): (usize, &i64)| SegmentFacts {
        base: Offset(at as i64 * 10),
        size: 100,
        newest: Some(NOW.plus(-age)),
        first: Some(NOW.plus(-age)),
    };
    let end = Offset(ages_ms.len() as i64 * 10);
    LogFacts {
        segments: ages_ms.iter().enumerate().map(segment).collect(),
        log_start: Offset(0),
        last_stable: end,
        log_end: end,
        clean_to: clean_to.map(Offset),
    }
}

/// First dirty offset, first that may not be compacted, clean and dirty bytes.
fn check(facts: &LogFacts, config: &LogConfig) -> (i64, i64, u64, u64) {
    let found = cleanable(facts, config, NOW);
    (found.from.0, found.to.0, found.clean_bytes, found.dirty_bytes)
}

#[test]
fn dirty_is_what_no_pass_has_been_over_without_the_active_segment() {
    let config = LogConfig::default();
    assert_eq!(check(&facts(&[9; 4], None), &config), (0, 30, 0, 300));
    assert_eq!(check(&facts(&[9; 4], Some(20)), &config), (20, 30, 200, 100));
    assert_eq!(check(&facts(&[9; 4], Some(25)), &config), (25, 30, 200, 100), "a pass ended within a segment");
    assert_eq!(check(&facts(&[9; 4], Some(30)), &config), (30, 30, 300, 0));
    assert_eq!(check(&facts(&[9; 4], Some(33)), &config), (33, 33, 300, 0));
    assert_eq!(check(&facts(&[9], None), &config), (0, 0, 0, 0));
}

#[test]
fn a_note_that_does_not_fit_the_log_is_passed_over() {
    let config = LogConfig::default();
    assert_eq!(check(&facts(&[9; 4], Some(41)), &config).0, 0, "the log was cut behind");
    let mut front = facts(&[9; 4], Some(3));
    front.log_start = Offset(12);
    assert_eq!(check(&front, &config), (12, 30, 100, 200), "the log was cut in front");
}

#[test]
fn nothing_above_the_last_stable_offset_is_touched() {
    let config = LogConfig::default();
    for (last_stable, to) in [(40, 30), (30, 30), (29, 20), (20, 20), (11, 10), (0, 0)] {
        let mut log = facts(&[9; 4], None);
        log.last_stable = Offset(last_stable);
        assert_eq!(check(&log, &config).1, to, "last stable {last_stable}");
    }
}

#[test]
fn records_younger_than_the_lag_stay() {
    let config = LogConfig { min_compaction_lag_ms: 100, ..LogConfig::default() };
    assert_eq!(check(&facts(&[300, 200, 99, 500, 0], None), &config), (0, 20, 0, 200));
    assert_eq!(check(&facts(&[300, 200, 100, 500, 0], None), &config).1, 40, "as old as asked for is old enough");
    assert_eq!(check(&facts(&[5, 5, 5], None), &config), (0, 0, 0, 0));
    assert_eq!(check(&facts(&[5, 200, 5], Some(10)), &config), (10, 20, 100, 100), "the clean part may be young");
}

#[test]
fn a_pass_is_due_by_share_or_because_a_record_has_waited() {
    let config = LogConfig { max_compaction_lag_ms: 400, ..LogConfig::default() };
    let due = |ages: &[i64], clean_to, ratio| cleanable(&facts(ages, Some(clean_to)), &config, NOW).is_due(ratio);
    assert!(due(&[9; 4], 0, 0.99));
    assert!(!due(&[9; 5], 20, 0.5), "half is not more than half");
    assert!(due(&[9; 4], 10, 0.5));
    assert!(!due(&[9; 4], 20, 0.5));
    assert!(due(&[9, 9, 401, 9], 20, 0.5));
    assert!(!due(&[9, 9, 400, 9], 20, 0.5));
    assert!(!due(&[401, 401, 9, 9], 20, 0.5), "what is clean waits for nothing");
    assert!(!due(&[9, 9, 9, 401], 30, 0.0), "nothing to do is never due");
    assert_eq!(cleanable(&facts(&[9, 9, 450, 9], Some(20)), &config, NOW).overdue_ms, 50);
    let young = LogConfig { min_compaction_lag_ms: 1000, ..config.clone() };
    assert!(
        !cleanable(&facts(&[500, 500, 500], None), &young, NOW).is_due(0.0),
        "what may not be compacted is not due"
    );
}

fn source(base: i64, end: i64, size: u64, index_bytes: u64) -> SourceFacts {
    SourceFacts { base: Offset(base), end: Offset(end), size, index_bytes, time_index_bytes: index_bytes / 2 }
}

#[test]
fn small_segments_make_one() {
    let config = LogConfig { segment_bytes: 1000, segment_index_bytes: 100, ..LogConfig::default() };
    let check = |sources: &[SourceFacts]| -> Vec<_> {
        groups(sources, &config).into_iter().map(|group| (group.start, group.end)).collect()
    };
    assert!(check(&[]).is_empty());
    let sized = |sizes: &[u64]| -> Vec<_> {
        sizes.iter().enumerate().map(|(at, size)| source(at as i64 * 10, at as i64 * 10 + 10, *size, 8)).collect()
    };
    assert_eq!(check(&sized(&[400, 400, 200, 1, 999, 2000, 0, 5])), [(0, 3), (3, 5), (5, 6), (6, 8)]);
    assert_eq!(check(&[source(0, 10, 1, 60), source(10, 20, 1, 40), source(20, 30, 1, 8)]), [(0, 2), (2, 3)]);
    let far = i64::from(i32::MAX);
    assert_eq!(check(&[source(0, 10, 1, 8), source(10, far + 1, 1, 8)]), [(0, 2)]);
    assert_eq!(check(&[source(0, 10, 1, 8), source(10, far + 2, 1, 8)]), [(0, 1), (1, 2)]);
    let times = SourceFacts { time_index_bytes: 60, ..source(0, 10, 1, 8) };
    assert_eq!(check(&[times, SourceFacts { base: Offset(10), end: Offset(20), ..times }]), [(0, 1), (1, 2)]);
}
