use super::*;
use crate::Cleanup;

const NOW: Millis = Millis(1_000_000);

/// Segments of ten offsets and a hundred bytes each, of these ages; the last one is active.
fn facts(ages_ms: &[i64]) -> LogFacts {
    let segment = |(at, age): (usize, &i64)| SegmentFacts {
        base: Offset(at as i64 * 10),
        size: 100,
        newest: Some(Millis(NOW.0 - age)),
    };
    let end = Offset(ages_ms.len() as i64 * 10);
    LogFacts {
        segments: ages_ms.iter().enumerate().map(segment).collect(),
        log_start: Offset(0),
        high_watermark: end,
        log_end: end,
    }
}

fn config(ms: Option<i64>, bytes: Option<u64>) -> LogConfig {
    LogConfig { retention_ms: ms, retention_bytes: bytes, ..LogConfig::default() }
}

/// New start, whether the active segment goes, and why.
fn check(facts: &LogFacts, config: &LogConfig) -> Option<(i64, bool, Reason)> {
    plan(facts, config, NOW).map(|expiry| (expiry.start.0, expiry.roll, expiry.reason))
}

#[test]
fn segments_go_by_age_from_the_front() {
    let aged = |ages: &[i64], ms| check(&facts(ages), &config(ms, None));
    assert_eq!(aged(&[500, 400, 300, 0], Some(350)), Some((20, false, Reason::Age)));
    assert_eq!(aged(&[350, 300, 0], Some(350)), None, "as old as allowed is not too old");
    assert_eq!(aged(&[100, 900, 0], Some(350)), None, "a younger one in front keeps those behind it");
    assert_eq!(aged(&[-5, 900, 0], Some(350)), None, "a time to come is young");
    assert_eq!(aged(&[900, 900, 0], None), None, "no limit");
    assert_eq!(aged(&[1, 1, 0], Some(0)), Some((20, false, Reason::Age)));
}

#[test]
fn the_active_segment_goes_when_it_is_too_old_unless_it_is_empty() {
    let mut log = facts(&[900, 900]);
    assert_eq!(check(&log, &config(Some(350), None)), Some((20, true, Reason::Age)));
    log.segments[1].size = 0;
    log.log_end = Offset(10);
    log.high_watermark = Offset(10);
    assert_eq!(check(&log, &config(Some(350), None)), Some((10, false, Reason::Age)));
    log.segments.remove(0);
    assert_eq!(check(&log, &config(Some(350), Some(0))), None);
}

#[test]
fn segments_go_by_size_from_the_front() {
    let sized = |bytes| check(&facts(&[9, 9, 9, 9]), &config(None, Some(bytes)));
    assert_eq!(sized(400), None);
    assert_eq!(sized(399), None, "the log stays at least as large as allowed");
    assert_eq!(sized(300), Some((10, false, Reason::Size)));
    assert_eq!(sized(101), Some((20, false, Reason::Size)));
    assert_eq!(sized(0), Some((40, true, Reason::Size)));
    assert_eq!(check(&facts(&[9, 9, 9, 9]), &config(None, None)), None);
}

#[test]
fn size_comes_first_and_age_goes_on_from_there() {
    let log = facts(&[0, 900, 900, 0]);
    assert_eq!(check(&log, &config(Some(350), Some(300))), Some((30, false, Reason::Age)));
}

#[test]
fn nothing_goes_that_is_not_below_the_high_watermark() {
    let mut log = facts(&[900, 900, 900]);
    for (high_watermark, expected) in [(9, None), (10, Some(10)), (29, Some(20)), (30, Some(30))] {
        log.high_watermark = Offset(high_watermark);
        for config in [config(Some(350), None), config(None, Some(0))] {
            assert_eq!(plan(&log, &config, NOW).map(|expiry| expiry.start.0), expected, "{high_watermark}");
        }
    }
}

#[test]
fn what_lies_below_the_log_start_counts_for_nothing() {
    let mut log = facts(&[900, 9, 9, 9]);
    log.log_start = Offset(15);
    assert_eq!(check(&log, &config(Some(350), None)), None);
    assert_eq!(check(&log, &config(None, Some(300))), None);
    assert_eq!(check(&log, &config(None, Some(200))), Some((20, false, Reason::Size)));
}

#[test]
fn only_the_policy_delete_removes_by_age_and_size() {
    let log = facts(&[900, 900]);
    for (delete, compact, goes) in
        [(true, false, true), (true, true, true), (false, true, false), (false, false, false)]
    {
        let config = LogConfig { cleanup: Cleanup { delete, compact }, ..config(Some(1), Some(1)) };
        assert_eq!(plan(&log, &config, NOW).is_some(), goes, "delete {delete}, compact {compact}");
    }
}

#[test]
fn a_segment_whose_age_nobody_knows_stays() {
    let mut log = facts(&[900, 900]);
    log.segments[0].newest = None;
    assert_eq!(check(&log, &config(Some(1), None)), None);
}
