//! Counts of tests, read from the `test result:` lines that Rust's harness prints.

use anyhow::Error;

/// As much of a reason as is told again at the end.
const REASON: usize = 500;

/// How many passed and failed, and what failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests and checks that passed.
    pub(crate) passed: usize,
    /// Tests and checks that failed, ignored ones among them.
    pub(crate) failed: usize,
    /// Tests that a filter left out.
    pub(crate) left_out: usize,
    /// The steps in which something failed, each with its failed tests and their reasons.
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
            tally.failures.extend(failed_tests(output));
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

/// Name and reason of every failed test: a suite prints the reason below the result, Rust's harness in a section of its own.
fn failed_tests(output: &str) -> Vec<String> {
    let lines: Vec<_> = output.lines().collect();
    let told = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?)));
    told.map(|(at, test)| {
        let section = format!("---- {test} stdout ----");
        let reason: Vec<_> = match lines.get(at + 1) {
            Some(reason) if reason.starts_with("  ") => vec![reason.trim()],
            _ => lines.iter().skip_while(|line| **line != section).skip(1).take(4).map(|line| line.trim()).collect(),
        };
        format!("  {test}: {}", reason.join(" ").trim().chars().take(REASON).collect::<String>())
    })
    .collect()
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
    fn failed_tests_are_named_with_their_reasons() {
        let suite = format!("test s::a ... ok\ntest s::b ... FAILED\n  no answer: timed out\n\n{BAD}");
        assert_eq!(Tally::of_output("s", &suite, false).failures, ["s", "  s::b: no answer: timed out"]);
        let unit = format!(
            "test m::a ... FAILED\ntest m::b ... ok\n\nfailures:\n\n---- m::a stdout ----\n\nthread 'm::a' panicked at f.rs:1:2:\nleft and right\n\n{BAD}"
        );
        let reason = "  m::a: thread 'm::a' panicked at f.rs:1:2: left and right";
        assert_eq!(Tally::of_output("u", &unit, false).failures, ["u", reason]);
    }

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::one("a", true);
        total.add(Tally::one("b", false));
        assert_eq!((total.passed, total.failed), (1, 1));
        assert_eq!(total.failures, ["b"]);
    }
}
