//! The harness of a suite: cases one after the other, printed and counted as Rust's own harness does.
//!
//! Invariants: a suite whose cases all pass ends with exit code 0 and one `test result: ok.` line, every other with 1;
//! a suite without a case fails unless a filter left them out; a panic fails its case and no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Error, Result, anyhow};

use crate::broker::Broker;
use crate::lines::Line;
use crate::{dump, lines};

/// A case that may run beside others.
pub type Body<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// The cases of one suite so far.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    filters: Vec<String>,
    passed: usize,
    failed: usize,
    left_out: usize,
}

/// Runs a suite against one broker that is started with `properties`: the body's cases, then a clean stop, then Kafka's
/// dump tool over the files left.
pub fn run(
    name: &'static str,
    properties: &[(&str, &str)],
    body: impl FnOnce(&mut Suite, &mut Broker) -> Result<()>,
) -> ExitCode {
    let filters = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut suite = Suite { name, filters, passed: 0, failed: 0, left_out: 0 };
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    println!("\nsuite {name}");
    if let Err(error) = suite.with_broker(properties, body) {
        suite.count("setup", Err(error));
    }
    suite.finish(begin)
}

impl Suite {
    fn with_broker(
        &mut self,
        properties: &[(&str, &str)],
        body: impl FnOnce(&mut Suite, &mut Broker) -> Result<()>,
    ) -> Result<()> {
        let mut broker = Broker::start(properties)?;
        println!("against {}", broker.describe());
        body(self, &mut broker)?;
        if !broker.is_external() {
            self.case("stops_cleanly", || broker.stop());
            self.case("files_pass_the_dump_tool", || dump::judge_all(&broker.data()).map(drop));
        }
        if self.failed > 0 {
            println!("the broker's last words:\n{}", broker.last_words());
        }
        Ok(())
    }

    /// Runs one case.
    pub fn case(&mut self, name: &str, body: impl FnOnce() -> Result<()>) {
        if self.is_left_out(name) {
            self.left_out += 1;
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(anyhow!("panicked; see above")));
        self.count(name, result);
    }

    /// Runs cases that mostly wait, all at once.
    pub fn together<'a>(&mut self, cases: Vec<(String, Body<'a>)>) {
        let (wanted, left_out): (Vec<_>, Vec<_>) = cases.into_iter().partition(|(name, _)| !self.is_left_out(name));
        self.left_out += left_out.len();
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = wanted.into_iter().map(|(name, body)| (name, scope.spawn(body))).collect();
            running.into_iter().map(|(name, thread)| (name, thread.join())).collect()
        });
        for (name, result) in results {
            self.count(&name, result.unwrap_or_else(|_| Err(anyhow!("panicked; see above"))));
        }
    }

    /// Counts the cases that a program reported line by line; see [`lines`].
    /// `words` is all that the program said; it is shown when a case failed.
    pub fn reported(&mut self, report: &str, words: &str) {
        let failed = self.failed;
        let mut finished = false;
        for line in lines::parse(report) {
            match line {
                Line::Passed(name) => self.count(name, Ok(())),
                Line::Failed(name, reason) => self.count(name, Err(anyhow!("{reason}"))),
                Line::Finished => finished = true,
            }
        }
        if !finished {
            self.count("ran_to_its_end", Err(anyhow!("the program ended early")));
        }
        if self.failed > failed {
            println!("the program's words:\n{words}");
        }
    }

    /// The names that the cases of a program may have: none means all.
    pub fn filters(&self) -> &[String] {
        &self.filters
    }

    fn is_left_out(&self, name: &str) -> bool {
        !self.filters.is_empty() && !self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    fn count(&mut self, name: &str, result: Result<(), Error>) {
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("test {}::{name} ... ok", self.name);
            }
            Err(error) => {
                self.failed += 1;
                println!("test {}::{name} ... FAILED\n  {error:#}", self.name);
            }
        }
    }

    fn finish(&self, begin: Instant) -> ExitCode {
        let empty = self.passed + self.failed == 0 && self.filters.is_empty();
        let ok = self.failed == 0 && !empty;
        println!(
            "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
            if ok { "ok" } else { "FAILED" },
            self.passed,
            self.failed,
            self.left_out,
            begin.elapsed().as_secs_f64(),
        );
        if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
