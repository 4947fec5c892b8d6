//! Counts of tests, read from the `test result:` lines that Rust's harness prints.

use anyhow::Error;

/// How many passed and failed, and what failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests and checks that passed.
    pub(crate) passed: usize,
    /// Tests and checks that failed, ignored ones among them.
    pub(crate) failed: usize,
    /// Tests that a filter left out.
    pub(crate) left_out: usize,
    /// Names of the steps in which something failed.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// One check.
    pub(crate) fn one(name: &str, passed: bool) -> Tally {
        let failures = if passed { Vec::new() } else { vec![name.to_owned()] };
        Tally { passed: passed.into(), failed: (!passed).into(), left_out: 0, failures }
    }

    /// What the test program `name` printed, and whether it ended well. A program that did not, but names no failed test,
    /// counts as one failure.
    pub(crate) fn of_output(name: &str, output: &str, ended_well: bool) -> Tally {
        let mut tally = Tally::default();
        for line in output.lines().filter(|line| line.starts_with("test result:")) {
            tally.passed += count(line, "passed");
            tally.failed += count(line, "failed") + count(line, "ignored");
            tally.left_out += count(line, "filtered out");
        }
        if !ended_well && tally.failed == 0 {
            tally.failed = 1;
        }
        if tally.failed > 0 {
            tally.failures.push(name.to_owned());
        }
        tally
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.left_out += other.left_out;
        self.failures.extend(other.failures);
    }

    /// One more failure, shown at once.
    pub(crate) fn fail(&mut self, name: &str, why: &Error) {
        println!("{name}: {why:#}");
        self.failed += 1;
        self.failures.push(name.to_owned());
    }
}

/// The number before ` words` in a result line.
fn count(line: &str, words: &str) -> usize {
    let number = line.split(';').find_map(|part| part.trim_end().strip_suffix(words));
    let number = number.and_then(|part| part.split_whitespace().last());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.02s";
    const BAD: &str = "test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0s";

    #[test]
    fn results_are_counted() {
        let tally = Tally::of_output("x", &format!("{GOOD}\nnoise\n{BAD}\n"), false);
        assert_eq!((tally.passed, tally.failed, tally.left_out), (14, 3, 3));
        assert_eq!(tally.failures, ["x"]);
    }

    #[test]
    fn a_crash_is_a_failure() {
        assert_eq!(Tally::of_output("x", "", false).failed, 1);
        assert_eq!(Tally::of_output("x", GOOD, false).failed, 1);
        assert_eq!(Tally::of_output("x", GOOD, true).failed, 0);
    }

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::one("a", true);
        total.add(Tally::one("b", false));
        assert_eq!((total.passed, total.failed), (1, 1));
        assert_eq!(total.failures, ["b"]);
    }
}
