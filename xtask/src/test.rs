//! `cargo xtask test`: everything that must pass, step by step, counted.
//!
//! Invariants: any failure makes the whole fail; a suite that ran no test fails; so does a test that is ignored; the last
//! line is `N passed, N failed`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

mod executables;
mod install;
mod steps;
mod tally;

use crate::root::root;
use steps::Step;
use tally::Tally;

/// The variable by which tests find the binary under test.
pub(crate) const BINARY_ENV: &str = "OTTLA_BINARY";
/// The package whose tests each start a broker.
const CONFORMANCE: &str = "ottla-conformance";

/// What of it to run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Run only this: fmt, deny, clippy, units, conformance, or the name of one suite or package; may be repeated
    #[arg(long = "only", value_name = "NAME")]
    only: Vec<String>,
    /// Run only the tests whose name holds this
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Whether a suite is among it.
    fn wants_suites(&self) -> bool {
        self.wants("conformance") || suites().any(|suite| self.wants(&suite)) || self.wants(CONFORMANCE)
    }

    /// The one package that all of it belongs to, where only suites are wanted: nothing else need be built.
    fn package(&self) -> Option<&'static str> {
        let is_suite = |name: &String| name == "conformance" || suites().any(|suite| suite == *name);
        (!self.only.is_empty() && self.only.iter().all(is_suite)).then_some(CONFORMANCE)
    }
}

/// Names of the suites: the files of their package's `tests`.
fn suites() -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(root().join("dev/conformance/tests"));
    let files = files.into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    files.filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
}

/// Runs what is wanted; the exit code says whether all of it passed.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let begin = Instant::now();
    install::what_is_missing(arguments.wants_suites())?;
    let mut total = Tally::default();
    let checks = [("fmt", steps::fmt as fn() -> Result<Step>), ("deny", steps::deny), ("clippy", steps::clippy)];
    for (name, check) in checks {
        if arguments.wants(name) {
            total.add(check()?.run(name)?);
        }
    }
    if arguments.only.iter().all(|only| checks.iter().any(|(name, _)| name == only)) && !arguments.only.is_empty() {
        return finish(total, begin);
    }
    match build(arguments) {
        Ok(executables) => total.add(run_tests(arguments, &executables)?),
        Err(error) => total.fail("build", &error),
    }
    finish(total, begin)
}

/// The binary under test, and the tests that may be wanted.
fn build(arguments: &Arguments) -> Result<executables::Executables> {
    steps::announce("build");
    let status = Command::new("cargo").args(["build", "--profile", "ci", "-p", "ottla"]).status()?;
    ensure!(status.success(), "the binary does not build");
    executables::build(arguments.package())
}

fn run_tests(arguments: &Arguments, executables: &executables::Executables) -> Result<Tally> {
    let binary = target_folder()?.join("ci").join("ottla");
    let all = |test: &executables::Executable| {
        arguments.wants(&test.package)
            || arguments.wants(&test.target)
            || arguments.wants(if test.is_suite() { "conformance" } else { "units" })
    };
    let wanted: Vec<_> = executables.tests.iter().filter(|test| all(test)).collect();
    ensure!(!wanted.is_empty(), "there is nothing called {:?}", arguments.only);
    let mut total = Tally::default();
    let (suites, units): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|test| test.is_suite());
    for unit in &units {
        total.add(unit.run(&binary, &arguments.filters)?);
    }
    if arguments.wants("units") {
        total.add(steps::doc_tests().run("doc tests")?);
    }
    if !units.is_empty() && total.passed == 0 && arguments.filters.is_empty() {
        total.fail("units", &anyhow::anyhow!("no test was run"));
    }
    for suite in &suites {
        total.add(suite.run(&binary, &arguments.filters)?);
    }
    Ok(total)
}

fn finish(total: Tally, begin: Instant) -> Result<ExitCode> {
    if total.passed + total.failed == 0 {
        bail!("nothing was run");
    }
    for name in &total.failures {
        println!("FAILED: {name}");
    }
    println!("{} s", begin.elapsed().as_secs());
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let output = Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(metadata["target_directory"].as_str().context("no target directory")?.into())
}
