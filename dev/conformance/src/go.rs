//! Tests in Go: a test program run once, what it reports counted test by test.
//!
//! Invariant: a test that Go skips counts as failed. The tests asked for are those that this broker can pass, so that a
//! test which finds the broker lacking something must not go by unseen.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use ottla_peer::{go, run};

use crate::{Broker, Suite, programs};

const DEADLINE: Duration = Duration::from_secs(600);

/// Tests of one package.
#[derive(Debug, Clone, Copy)]
pub struct Tests<'a> {
    /// What the package's program is called in the cache.
    pub program: &'a str,
    /// The package, as `go/` imports it.
    pub import: &'a str,
    /// Names of the tests wanted.
    pub names: &'a [&'a str],
    /// What the tests take from the environment.
    pub environment: &'a [(&'a str, &'a str)],
}

impl Tests<'_> {
    /// Compiles them where that was not done before, and runs them; they find the broker in `KGO_SEEDS`.
    pub fn run(&self, suite: &mut Suite, broker: &Broker) -> Result<()> {
        let filters = suite.filters();
        let wanted = |name: &&&str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
        let names: Vec<_> = self.names.iter().filter(wanted).copied().collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(go::test_program(self.program, &programs::folder().join("go"), self.import)?);
        // Most of them wait most of the time: many at once, whatever the machine.
        command.args(["-test.v", "-test.parallel", "16", "-test.run", &format!("^({})$", names.join("|"))]);
        command.env("KGO_SEEDS", broker.bootstrap()).envs(self.environment.iter().copied());
        let output = run::run(&mut command, DEADLINE)?;
        let results: Vec<_> = results(&output.text()).collect();
        for (name, passed) in &results {
            suite.case(name, || passed.then_some(()).ok_or_else(|| anyhow!("see the words of the program")));
        }
        for name in names.iter().filter(|name| !results.iter().any(|(found, _)| found == *name)) {
            suite.case(name, || Err(anyhow!("was not run to its end")));
        }
        if !output.status.success() || results.iter().any(|(_, passed)| !passed) {
            println!("the program's words:\n{}", output.all_text());
        }
        Ok(())
    }
}

/// Each test that ended, tests within tests among them, and whether it passed.
fn results(output: &str) -> impl Iterator<Item = (String, bool)> {
    output.lines().filter_map(|line| {
        let (verdict, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
        let name = rest.split_whitespace().next()?;
        matches!(verdict, "PASS" | "FAIL" | "SKIP").then(|| (name.to_owned(), verdict == "PASS"))
    })
}

#[cfg(test)]
mod tests {
    use super::results;

    #[test]
    fn verdicts_are_read_and_a_skipped_test_has_not_passed() {
        let text = "=== RUN   TestA\n    --- PASS: TestA/b (0.1s)\n--- FAIL: TestA (2.00s)\n--- SKIP: TestC (0.00s)\nPASS\n--- x\n";
        let found: Vec<_> = results(text).collect();
        let expected = [("TestA/b", true), ("TestA", false), ("TestC", false)];
        assert_eq!(found, expected.map(|(name, passed)| (name.to_owned(), passed)));
    }
}
