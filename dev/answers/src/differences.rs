//! The differences that are meant, each with its reason: `differences.txt`.
//!
//! One line is `CASES | PLACES | EXPECTED -> GOT | REASON`, where in the first three `*` stands for any text, and in the first
//! two `{a,b}` for `a` and for `b`, each of which must explain something;
//! empty lines and lines that begin with `#` are skipped. Invariant: a line that explains nothing is an error, so that the list cannot outlive its reasons.

use anyhow::{Context, Result, ensure};

use crate::compare::Difference;

/// The list, as checked in.
pub const LIST: &str = include_str!("../differences.txt");

/// A line of the list, for one of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    cases: String,
    places: String,
    changes: String,
    /// Why the answers differ.
    pub reason: String,
}

/// What is left of the differences, and of the list.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Differences that no line explains.
    pub unexplained: Vec<Difference>,
    /// How many are explained.
    pub explained: usize,
    /// Lines that explain nothing.
    pub stale: Vec<Meant>,
}

impl Meant {
    /// Reads the list.
    ///
    /// # Errors
    /// A line without its three parts.
    pub fn parse(list: &str) -> Result<Vec<Meant>> {
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut list = Vec::new();
        for line in lines {
            let meant = Meant::of(line).with_context(|| format!("in differences.txt: {line}"))?;
            for cases in alternatives(&meant.cases) {
                let one = |places| Meant { cases: cases.clone(), places, ..meant.clone() };
                list.extend(alternatives(&meant.places).into_iter().map(one));
            }
        }
        Ok(list)
    }

    fn of(line: &str) -> Result<Meant> {
        let mut parts = line.splitn(4, " | ").map(|part| part.trim().to_owned());
        let mut part = |what| parts.next().filter(|part| !part.is_empty()).with_context(|| format!("no {what}"));
        let meant =
            Meant { cases: part("cases")?, places: part("places")?, changes: part("change")?, reason: part("reason")? };
        ensure!(meant.cases != "*" || meant.places != "*", "explains everything");
        Ok(meant)
    }

    fn explains(&self, difference: &Difference) -> bool {
        matches(&self.cases, &difference.case)
            && matches(&self.places, &difference.place)
            && matches(&self.changes, &difference.change())
    }

    /// The line without its reason.
    #[must_use]
    pub fn pattern(&self) -> String {
        format!("{} | {} | {}", self.cases, self.places, self.changes)
    }
}

/// Sorts the differences into explained and not.
#[must_use]
pub fn judge(differences: Vec<Difference>, list: &[Meant]) -> Judged {
    let mut used = vec![false; list.len()];
    let mut judged = Judged::default();
    for difference in differences {
        let mut known = false;
        for (meant, used) in list.iter().zip(&mut used) {
            let explains = meant.explains(&difference);
            *used |= explains;
            known |= explains;
        }
        if known {
            judged.explained += 1;
        } else {
            judged.unexplained.push(difference);
        }
    }
    judged.stale = list.iter().zip(used).filter(|(_, used)| !used).map(|(meant, _)| meant.clone()).collect();
    judged
}

/// `a{b,c}d` as `abd` and `acd`; each of them must explain something.
fn alternatives(pattern: &str) -> Vec<String> {
    let inner = pattern.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?)));
    let Some((head, (choices, tail))) = inner else { return vec![pattern.to_owned()] };
    let tails = alternatives(tail);
    choices.split(',').flat_map(|choice| tails.iter().map(move |tail| format!("{head}{choice}{tail}"))).collect()
}

/// Whether `pattern`, where `*` stands for any text, is all of `text`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let ends = std::iter::once(text.len()).chain(text.char_indices().rev().map(|(at, _)| at));
    ends.into_iter().any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(case: &str, place: &str) -> Difference {
        Difference { case: case.to_owned(), place: place.to_owned(), expected: None, got: None }
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("t[~a].*", "t[~a].error_code", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn each_alternative_must_explain_something() {
        let list = Meant::parse("a@{1,2} | x{y,z} | - -> * | so\n").unwrap();
        let patterns: Vec<_> = list.iter().map(Meant::pattern).collect();
        assert_eq!(patterns, ["a@1 | xy | - -> *", "a@1 | xz | - -> *", "a@2 | xy | - -> *", "a@2 | xz | - -> *"]);
        assert_eq!(judge(vec![difference("a@2", "xz")], &list).stale, list[..3]);
    }

    #[test]
    fn a_line_explains_or_is_stale() {
        let list =
            Meant::parse("# why\n\nfetch/*@1* | *: error_code | * | so\nfetch/*@2 | *: error_code | 1 -> * | or so\n")
                .unwrap();
        let found =
            vec![difference("fetch/a@12", "Fetch: q: error_code"), difference("fetch/a@2", "Fetch: q: error_code")];
        let judged = judge(found, &list);
        assert_eq!((judged.explained, judged.unexplained.len()), (1, 1));
        assert_eq!(judged.stale, list[1..]);
    }

    #[test]
    fn a_line_needs_its_reason() {
        for list in ["a | b | c", "a", "* | * | * | why", "a | b | c | "] {
            assert!(Meant::parse(list).is_err(), "{list}");
        }
        assert!(Meant::parse(LIST).is_ok());
    }
}
