//! Histories that are wrong in one way each, and some that are not: each says in its head what must be found.
//!
//! `#! KIND WORDS` asks for one fault of a kind whose text holds the words. Nothing else may be found. A checker that is left
//! out is missed by at least one of them.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::BTreeSet;
use std::path::PathBuf;

use ottla_checker::checks::ALL;
use ottla_checker::{Anomaly, Checker, History, check, check_with};

struct Case {
    name: String,
    history: History,
    expected: Vec<(String, String)>,
}

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let case = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let history = History::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = text.lines().filter_map(|line| line.strip_prefix("#! "));
        let expected = expected.map(|line| line.split_once(' ').unwrap_or((line, "")));
        let expected = expected.map(|(kind, words)| (kind.to_owned(), words.to_owned())).collect();
        Case { name, history, expected }
    };
    files.into_iter().map(case).collect()
}

/// Why what was found is not what is expected.
fn difference(case: &Case, found: &[Anomaly]) -> Option<String> {
    let mut rest: Vec<_> = found.iter().collect();
    for (kind, words) in &case.expected {
        let at = rest.iter().position(|anomaly| anomaly.kind.name() == kind && anomaly.text.contains(words.as_str()));
        match at {
            Some(at) => drop(rest.remove(at)),
            None => return Some(format!("{}: no {kind} {words:?} among {}", case.name, lines(found))),
        }
    }
    (!rest.is_empty()).then(|| format!("{}: also found {}", case.name, lines(rest)))
}

fn lines<'a>(anomalies: impl IntoIterator<Item = &'a Anomaly>) -> String {
    anomalies.into_iter().map(|anomaly| format!("\n  {anomaly}")).collect()
}

#[test]
fn what_is_wrong_is_found_and_nothing_else() {
    let wrong: Vec<_> = cases().iter().filter_map(|case| difference(case, &check(&case.history))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_checker_is_missed_when_it_is_left_out() {
    let cases = cases();
    for left_out in ALL {
        let others: Vec<Checker> = ALL.into_iter().filter(|checker| checker.name != left_out.name).collect();
        let missed = cases.iter().any(|case| difference(case, &check_with(&case.history, &others)).is_some());
        assert!(missed, "no history needs {}", left_out.name);
    }
}

#[test]
fn there_is_a_history_for_each_kind_and_some_without_fault() {
    let cases = cases();
    let kinds: BTreeSet<_> =
        cases.iter().flat_map(|case| case.expected.iter().map(|(kind, _)| kind.as_str())).collect();
    let all: BTreeSet<_> = ottla_checker::Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(kinds, all);
    assert!(cases.iter().filter(|case| case.expected.is_empty()).count() >= 5);
}
