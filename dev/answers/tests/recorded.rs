//! The real binary gives the recorded answers, except where `differences.txt` says why not.

use std::path::Path;

use ottla_answers::broker::Broker;
use ottla_answers::differences::{LIST, Meant, judge};
use ottla_answers::{cases, compare, transcript};
use ottla_testkit::BINARY_ENV;

#[test]
fn answers_are_as_recorded() {
    let binary = std::env::var_os(BINARY_ENV).expect("OTTLA_BINARY names the program; `cargo xtask test` sets it");
    let broker = Broker::ottla(Path::new(&binary)).unwrap();
    let outcome = cases::run(broker.address(), "*", |_| {});
    assert!(outcome.failures.is_empty(), "cases that failed:\n{}", outcome.failures.join("\n"));
    let recorded = transcript::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")).unwrap();
    let judged = judge(compare::differences(&recorded, &outcome.entries, false), &Meant::parse(LIST).unwrap());
    let unexplained: Vec<String> = judged.unexplained.iter().map(ToString::to_string).collect();
    assert!(unexplained.is_empty(), "{} answers differ:\n{}", unexplained.len(), unexplained.join("\n"));
    let stale: Vec<String> = judged.stale.iter().map(Meant::pattern).collect();
    assert!(stale.is_empty(), "lines of differences.txt that explain nothing:\n{}", stale.join("\n"));
}

#[test]
fn every_case_is_recorded() {
    let recorded = transcript::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")).unwrap();
    let missing: Vec<String> =
        cases::names().into_iter().filter(|name| recorded.iter().all(|entry| entry.case != *name)).collect();
    assert!(missing.is_empty(), "not recorded: {missing:?}");
}
