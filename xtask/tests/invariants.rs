//! Every invariant of ARCHITECTURE.md, and every row of docs/damage.md, names tests that keep it, and they are there.

#![allow(clippy::unwrap_used)] // a test may

use root::root;

#[path = "../src/root.rs"]
mod root;

/// How a paragraph begins that states an invariant.
const INVARIANT: &str = "**Invariant:**";
/// What stands before the tests that keep it.
const KEPT_BY: &str = "*Kept by*";
/// What a file holds that has tests, of Rust's harness or of a suite's.
const TESTS: [&str; 5] = ["#[test]", "#[tokio::test", "proptest!", "ottla_conformance::run(", ".case("];

/// A file of tests, and some of its tests by name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Check {
    file: String,
    names: Vec<String>,
}

/// The files in backticks, each with the names in backticks that follow it in parentheses.
fn checks(text: &str) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let mut in_parentheses = false;
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 0 {
            in_parentheses = (in_parentheses || piece.contains('(')) && !piece.trim_end().ends_with(')');
            in_parentheses &= piece.rfind(')').is_none_or(|end| piece.rfind('(').is_some_and(|begin| begin > end));
        } else if piece.ends_with(".rs") {
            checks.push(Check { file: piece.to_owned(), names: Vec::new() });
        } else if in_parentheses && let Some(check) = checks.last_mut() {
            check.names.push(piece.to_owned());
        }
    }
    checks
}

/// What is wrong with a paragraph that states an invariant; `read` gives a file of the workspace.
fn faults(paragraph: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let title: String = paragraph.trim_start_matches(INVARIANT).trim().chars().take(50).collect();
    let Some((_, kept_by)) = paragraph.split_once(KEPT_BY) else {
        return vec![format!("{title}: nothing is said to keep it")];
    };
    let checks = checks(kept_by);
    if checks.is_empty() {
        return vec![format!("{title}: no file of tests is named")];
    }
    checks.iter().flat_map(|check| missing(check, read(&check.file))).map(|fault| format!("{title}: {fault}")).collect()
}

fn missing(check: &Check, text: Option<String>) -> Vec<String> {
    let Some(text) = text else { return vec![format!("{} is not there", check.file)] };
    if !TESTS.iter().any(|mark| text.contains(mark)) {
        return vec![format!("{} has no tests", check.file)];
    }
    let is_there = |name: &&String| {
        [format!("fn {name}("), format!("fn {name}<"), format!("\"{name}\"")].iter().any(|form| text.contains(form))
    };
    let absent = check.names.iter().filter(|name| !is_there(name));
    absent.map(|name| format!("{} has no test {name}", check.file)).collect()
}

#[test]
fn every_invariant_is_kept_by_tests_that_are_there() {
    let root = root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let invariants: Vec<_> = text.split("\n\n").filter(|paragraph| paragraph.starts_with(INVARIANT)).collect();
    assert_eq!(invariants.len(), text.matches(INVARIANT).count(), "an invariant begins within a paragraph");
    assert!(invariants.len() > 10, "only {} invariants", invariants.len());
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    let wrong: Vec<_> = invariants.iter().flat_map(|paragraph| faults(paragraph, read)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with the rows of tables whose last column names tests.
fn faulty_rows(page: &str, read: impl Fn(&str) -> Option<String>) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut rows = 0;
    let tables = page.split("\n\n").filter(|table| table.lines().next().is_some_and(|head| head.ends_with("| test |")));
    for row in tables.flat_map(|table| table.lines().skip(2)) {
        rows += 1;
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let checks = checks(cells.last().unwrap());
        if checks.is_empty() || checks.iter().any(|check| check.names.is_empty()) {
            wrong.push(format!("{}: no test by name", cells[0]));
        }
        let faults = checks.iter().flat_map(|check| missing(check, read(&check.file)));
        wrong.extend(faults.map(|fault| format!("{}: {fault}", cells[0])));
    }
    (rows, wrong)
}

#[test]
fn every_row_of_the_page_on_damage_has_its_test() {
    let root = root();
    let page = std::fs::read_to_string(root.join("docs/damage.md")).unwrap();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    let (rows, wrong) = faulty_rows(&page, read);
    assert!(rows > 30, "only {rows} rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
    let named: Vec<_> = page.lines().flat_map(checks).collect();
    let folder = root.join("crates/log/tests/damage");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let of_file = named.iter().filter(|check| check.file.ends_with(&format!("damage/{name}")));
        let names: Vec<_> = of_file.flat_map(|check| check.names.clone()).collect();
        let text = std::fs::read_to_string(&file).unwrap();
        let tests = text.split("#[test]\nfn ").skip(1).filter_map(|test| test.split_once('(')).map(|(name, _)| name);
        let unnamed: Vec<_> = tests.filter(|test| !names.iter().any(|name| name == test)).collect();
        assert!(unnamed.is_empty() || ["scrub.rs", "files.rs"].contains(&&*name), "{name}: no row names {unnamed:?}");
    }
}

#[test]
fn a_row_without_its_test_is_named() {
    let read = |file: &str| (file == "a/tests.rs").then(|| "#[test]\nfn one() {}".to_owned());
    let page = |cell: &str| {
        format!("text\n\n| damage | test |\n|---|---|\n| a bit | {cell} |\n\n| other | table |\n|---|---|\n| x | y |")
    };
    assert_eq!(faulty_rows(&page("`a/tests.rs` (`one`)"), read), (1, vec![]));
    assert_eq!(faulty_rows(&page("`a/tests.rs`"), read), (1, vec!["a bit: no test by name".to_owned()]));
    assert_eq!(
        faulty_rows(&page("`a/tests.rs` (`two`)"), read),
        (1, vec!["a bit: a/tests.rs has no test two".to_owned()])
    );
    assert_eq!(faulty_rows(&page("none"), read).1.len(), 1);
}

#[test]
fn what_is_missing_is_named() {
    let read = |file: &str| match file {
        "a/tests.rs" => Some("#[test]\nfn one() {}\nsuite.case(\"two\", ..)".to_owned()),
        "a/lib.rs" => Some("fn one() {}".to_owned()),
        _ => None,
    };
    let faults = |kept_by: &str| faults(&format!("**Invariant:** x. {kept_by}"), read);
    assert!(faults("*Kept by* `a/tests.rs`\n(`one`, `two`) and `somebody` else.").is_empty());
    assert_eq!(faults(""), ["x.: nothing is said to keep it"]);
    assert_eq!(faults("*Kept by* the tests of `a`."), ["x. *Kept by* the tests of `a`.: no file of tests is named"]);
    assert_eq!(faults("*Kept by* `b.rs`."), ["x. *Kept by* `b.rs`.: b.rs is not there"]);
    assert_eq!(faults("*Kept by* `a/lib.rs`."), ["x. *Kept by* `a/lib.rs`.: a/lib.rs has no tests"]);
    let wrong = faults("*Kept by* `a/tests.rs` (`one`, `on`).");
    assert!(wrong.len() == 1 && wrong[0].ends_with("a/tests.rs has no test on"), "{wrong:?}");
}
