use super::*;

fn batch(base: u64, count: u64, valid: bool) -> String {
    let last = base + count - 1;
    format!("baseOffset: {base} lastOffset: {last} count: {count} position: 0 crc: 7 isvalid: {valid}")
}

fn judge(lines: &[String]) -> Result<Partition> {
    let mut judge = Judge::default();
    for line in lines {
        judge.line(line)?;
    }
    judge.begin_file(Path::new("/d/end-0/0.log"))?;
    Ok(judge.partitions.remove("t-0").unwrap_or_default())
}

fn check(body: &[&str], defect: Option<&str>) {
    let lines: Vec<_> =
        std::iter::once("Dumping /d/t-0/0.log").chain(body.iter().copied()).map(str::to_owned).collect();
    match (judge(&lines), defect) {
        (Ok(_), None) => {}
        (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
        (result, defect) => panic!("{result:?} where {defect:?} was expected"),
    }
}

const RECORDS: [&str; 2] = ["| offset: 0 CreateTime: 5 keySize: -1", "| offset: 1 CreateTime: 5 keySize: -1"];

#[test]
fn a_sound_file_passes() {
    check(
        &["Log starting offset: 0", &batch(0, 2, true), RECORDS[0], RECORDS[1], &batch(2, 1, true), "| offset: 2 x"],
        None,
    );
    check(
        &["Dumping /d/t-0/0.index", "offset: 5 position: 100", "Dumping /d/t-0/0.timeindex", "timestamp: 1 offset: 2"],
        None,
    );
    check(&["Dumping /d/t-0/0.index", "/d/t-0/0.index is empty."], None);
    check(&["Non-consecutive offsets in /d/t-0/0078.log", "  -1 is followed by 78"], None);
}

#[test]
fn damage_is_a_defect() {
    check(&[&batch(0, 2, false)], Some("not valid"));
    check(&[&batch(0, 2, true), RECORDS[0]], Some("missing"));
    check(&[&batch(0, 2, true), RECORDS[1]], Some("should have offset 0"));
    check(&[&batch(0, 1, true), RECORDS[0], RECORDS[1]], Some("more than"));
    check(&[&batch(0, 1, true), RECORDS[0], &batch(3, 1, true)], Some("begin at 1"));
    check(&["Non-consecutive offsets in /d/t-0/0078.log", "  -1 is followed by 79"], Some("base offset"));
    check(&["Non-consecutive offsets in /d/t-0/0078.log", "  90 is followed by 95"], Some("not a line"));
    check(&["Found 371 invalid bytes at the end of 0.log"], Some("not a line"));
    check(&["Dumping /d/t-0/0.index", "Mismatches in :/d/t-0/0.index"], Some("not a line"));
    check(&["Dumping /d/t-0/0.timeindex", "Found timestamp mismatch in :/d/t-0/0.timeindex"], Some("not a line"));
    check(&["Dumping /d/t-0/5.snapshot", "null"], Some("not a line"));
}

#[test]
fn records_and_batches_are_counted() {
    let lines = ["Dumping /d/t-0/0.log", &batch(0, 2, true), RECORDS[0], RECORDS[1]].map(str::to_owned);
    let expected = Partition { records: 2, batches: 1, segments: 1, end_offset: 2, ..Partition::default() };
    assert_eq!(judge(&lines).unwrap(), expected);
}

#[test]
fn a_compacted_partition_may_have_gaps_and_no_more() {
    let check = |folder: &str, body: &[&str]| -> Result<()> {
        let mut judge = Judge::default();
        judge.line(&format!("Dumping /d/{folder}-0/0.log"))?;
        body.iter().try_for_each(|line| judge.line(line))?;
        judge.begin_file(Path::new("/d/end-0/0.log"))
    };
    let gaps = [
        "baseOffset: 5 lastOffset: 9 count: 1 position: 0 isvalid: true",
        "| offset: 7 CreateTime: 5 keySize: 1",
        "baseOffset: 20 lastOffset: 29 count: 0 position: 0 isvalid: true",
    ];
    assert!(check("compacted-t", &gaps).is_ok());
    assert!(check("t", &gaps).is_err());
    let back =
        ["baseOffset: 5 lastOffset: 9 count: 0 isvalid: true", "baseOffset: 9 lastOffset: 9 count: 0 isvalid: true"];
    assert!(check("compacted-t", &back).is_err());
    let crowd = ["baseOffset: 5 lastOffset: 6 count: 3 position: 0 isvalid: true"];
    assert!(check("compacted-t", &crowd).is_err());
    // The tool complains when it is through with all files.
    let complaint = |of: &str, line: &str| {
        let of = format!("Non-consecutive offsets in /d/{of}-0/00000000000000000005.log");
        check("other", &[&of, line])
    };
    assert!(complaint("compacted-t", "  7 is followed by 9").is_ok());
    assert!(complaint("compacted-t", "  -1 is followed by 9").is_ok());
    assert!(complaint("compacted-t", "  9 is followed by 9").is_err());
    assert!(complaint("t", "  7 is followed by 9").is_err());
    assert!(complaint("t", "  -1 is followed by 5").is_ok());
    assert!(complaint("t", "  -1 is followed by 9").is_err());
}
