use super::*;

fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
    LeaderEpochs::from_entries(
        entries.iter().map(|&(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) }),
    )
}

fn entries(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
    epochs.entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect()
}

#[test]
fn an_epoch_ends_where_the_next_begins() {
    let known = epochs(&[(2, 10), (4, 20), (7, 30)]);
    let ask = |epoch| known.end_offset_for(LeaderEpoch(epoch), Offset(99)).map(|found| (found.epoch.0, found.end.0));
    for (epoch, expected) in [
        (-1, None),
        (0, Some((0, 10))), // older than all: the log agrees with it up to where it begins
        (2, Some((2, 20))),
        (3, Some((2, 20))),
        (4, Some((4, 30))),
        (6, Some((4, 30))),
        (7, Some((7, 99))),
        (8, None),
    ] {
        assert_eq!(ask(epoch), expected, "epoch {epoch}");
    }
    assert_eq!(epochs(&[]).end_offset_for(LeaderEpoch(0), Offset(0)), None);
}

#[test]
fn only_a_newer_epoch_is_news_and_an_empty_one_gives_way() {
    let mut known = epochs(&[(1, 0)]);
    assert!(!known.assign(LeaderEpoch(1), Offset(5)));
    assert!(!known.assign(LeaderEpoch(0), Offset(5)));
    assert!(!known.assign(LeaderEpoch(-1), Offset(5)));
    assert!(known.assign(LeaderEpoch(2), Offset(5)));
    assert!(known.assign(LeaderEpoch(4), Offset(5)));
    assert_eq!(entries(&known), [(1, 0), (4, 5)]);
    assert_eq!(known.epoch_at(Offset(4)), Some(LeaderEpoch(1)));
    assert_eq!(known.epoch_at(Offset(5)), Some(LeaderEpoch(4)));
    assert_eq!(epochs(&[(1, 3)]).epoch_at(Offset(2)), None);
}

#[test]
fn cutting_the_end_drops_the_epochs_that_began_there() {
    for (end, expected) in [(31, vec![(2, 10), (4, 20), (7, 30)]), (30, vec![(2, 10), (4, 20)]), (5, vec![])] {
        let mut known = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert_eq!(known.truncate_from_end(Offset(end)), expected.len() < 3);
        assert_eq!(entries(&known), expected, "end {end}");
    }
}

#[test]
fn cutting_the_start_keeps_the_epoch_of_the_first_record() {
    for (start, expected) in [
        (5, vec![(2, 10), (4, 20), (7, 30)]),
        (10, vec![(2, 10), (4, 20), (7, 30)]),
        (15, vec![(2, 15), (4, 20), (7, 30)]),
        (20, vec![(4, 20), (7, 30)]),
        (99, vec![(7, 99)]),
    ] {
        let mut known = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert_eq!(known.truncate_from_start(Offset(start)), start > 10);
        assert_eq!(entries(&known), expected, "start {start}");
    }
}
