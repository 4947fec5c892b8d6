//! Where the answers of two brokers differ.

use std::collections::BTreeMap;
use std::fmt;

use crate::answer::{Line, places};
use crate::session::Step;
use crate::transcript::Entry;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `api/name@version`.
    pub case: String,
    /// Title of the step, and the place in its answer: `Metadata: all: topics[~a].error_code`.
    pub place: String,
    /// What the first one answered; none where the place is not in the answer, or has the value that is left out.
    pub expected: Option<String>,
    /// What the second one answered.
    pub got: Option<String>,
}

impl Difference {
    /// `EXPECTED -> GOT`, where `-` is none.
    #[must_use]
    pub fn change(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} -> {}", shown(&self.expected), shown(&self.got))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {}", self.case, self.place, self.change())
    }
}

/// Every difference between what was `expected` and what was `got`. Cases that only one of them has count as a whole;
/// without `only_common`, that is: with it they are passed over.
#[must_use]
pub fn differences(expected: &[Entry], got: &[Entry], only_common: bool) -> Vec<Difference> {
    let by_case = |entries: &[Entry]| -> BTreeMap<(String, i16), Vec<Step>> {
        entries.iter().map(|e| ((e.case.clone(), e.version), e.steps.clone())).collect()
    };
    let (expected, got) = (by_case(expected), by_case(got));
    let mut found = Vec::new();
    for (key, steps) in &expected {
        let case = format!("{}@{}", key.0, key.1);
        match got.get(key) {
            Some(others) => compare_steps(&case, steps, others, &mut found),
            None if only_common => {}
            None => found.push(whole(case, true)),
        }
    }
    let new = got.keys().filter(|key| !only_common && !expected.contains_key(*key));
    found.extend(new.map(|(case, version)| whole(format!("{case}@{version}"), false)));
    found
}

fn whole(case: String, expected: bool) -> Difference {
    let is = |there: bool| there.then(|| "the case".to_owned());
    Difference { case, place: String::new(), expected: is(expected), got: is(!expected) }
}

fn compare_steps(case: &str, expected: &[Step], got: &[Step], found: &mut Vec<Difference>) {
    // Titles are unique within a case: where one asks what the other does not, the rest still has its counterpart.
    let of = |steps: &[Step], title: &str| steps.iter().find(|step| step.title == title).cloned();
    for step in expected {
        match of(got, &step.title) {
            Some(other) => compare_step(case, step, &other, found),
            None => found.push(missing_step(case, step, true)),
        }
    }
    let new = got.iter().filter(|step| of(expected, &step.title).is_none());
    found.extend(new.map(|step| missing_step(case, step, false)));
}

fn missing_step(case: &str, step: &Step, expected: bool) -> Difference {
    let text: Vec<String> = step.lines.iter().map(Line::render).collect();
    let is = |there: bool| there.then(|| text.join("; "));
    Difference { case: case.to_owned(), place: step.title.clone(), expected: is(expected), got: is(!expected) }
}

fn compare_step(case: &str, expected: &Step, got: &Step, found: &mut Vec<Difference>) {
    let (a, b) = (places(&expected.lines), places(&got.lines));
    let mut paths: Vec<&String> = a.keys().chain(b.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut missing: Option<&str> = None;
    for path in paths {
        let (expected_value, got_value) = (a.get(path), b.get(path));
        // Where a whole element is missing its fields are not listed one by one.
        if expected_value == got_value || missing.is_some_and(|missing| path.starts_with(missing)) {
            continue;
        }
        let is_element = expected_value.or(got_value).is_some_and(String::is_empty);
        missing = if is_element && !path.is_empty() { Some(path) } else { missing };
        found.push(Difference {
            case: case.to_owned(),
            place: format!("{}: {path}", expected.title),
            expected: expected_value.map(|value| described(value, is_element)),
            got: got_value.map(|value| described(value, is_element)),
        });
    }
}

fn described(value: &str, is_element: bool) -> String {
    if is_element { "the element".to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::parse;

    fn found(expected: &str, got: &str) -> Vec<String> {
        let entries = |text: &str| parse(text).unwrap();
        differences(&entries(expected), &entries(got), false).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn equal_answers_do_not_differ() {
        let text = "== a/b v1-2\n> Fetch: x\n. a=1\nt[1] b=2\n";
        assert!(found(text, text).is_empty());
    }

    #[test]
    fn each_field_is_named() {
        let expected = "== a/b v1\n> Fetch: x\n. a=1\nt[1] b=2\n> Fetch: y\nclosed\n";
        let got = "== a/b v1\n> Fetch: x\n. a=2 c=3\nt[2] b=2\n== a/c v1\n> Fetch: y\n.\n";
        let differences = [
            "a/b@1 | Fetch: x: a | 1 -> 2",
            "a/b@1 | Fetch: x: c | - -> 3",
            "a/b@1 | Fetch: x: t[1] | the element -> -",
            "a/b@1 | Fetch: x: t[2] | - -> the element",
            "a/b@1 | Fetch: y | closed -> -",
            "a/c@1 |  | - -> the case",
        ];
        assert_eq!(found(expected, got), differences);
    }
}
