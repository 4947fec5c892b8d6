use super::*;

fn damage(position: u64, end: u64, first: i64, next: i64) -> Damage {
    Damage { segment: Offset(0), position, end, first: Offset(first), next: Offset(next) }
}

#[test]
fn places_that_touch_become_one() {
    let marks = Marks::default();
    assert!(!marks.any());
    assert!(marks.add(damage(200, 300, 2, 3)));
    assert!(marks.any());
    assert!(marks.add(damage(500, 500, 5, 9)), "bytes that are missing");
    assert!(marks.add(damage(0, 100, 0, 1)));
    assert!(!marks.add(damage(220, 300, 2, 3)), "known already");
    assert!(!marks.add(damage(500, 500, 5, 9)));
    assert_eq!(marks.places(), [damage(0, 100, 0, 1), damage(200, 300, 2, 3), damage(500, 500, 5, 9)]);
    assert!(marks.add(damage(250, 400, 2, 4)));
    assert_eq!(marks.places(), [damage(0, 100, 0, 1), damage(200, 400, 2, 4), damage(500, 500, 5, 9)]);
    assert!(marks.replace(vec![damage(200, 400, 2, 4)]));
    assert!(!marks.replace(vec![damage(200, 400, 2, 4)]));
    assert!(marks.replace(Vec::new()));
    assert!(!marks.any());
}

#[test]
fn a_doubted_index_makes_a_segment_suspect_until_somebody_looks() {
    let marks = Marks::default();
    assert!(!marks.is_suspect());
    marks.doubt_index();
    assert!(marks.is_suspect() && !marks.any());
    assert!(marks.take_index_doubt() && !marks.take_index_doubt() && !marks.is_suspect());
    assert!(marks.add(damage(0, 100, 0, 1)));
    marks.doubt_index();
    assert!(marks.replace(Vec::new()));
    assert!(marks.is_suspect(), "the index is another matter");
}
