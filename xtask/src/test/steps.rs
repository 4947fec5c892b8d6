//! Steps that are one command each.

use std::process::Command;

use anyhow::{Context, Result};
use ottla_peer::cache;

use super::tally::Tally;

/// The version of cargo-deny that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";

/// A command and how its output is judged.
pub(crate) struct Step {
    command: Command,
    counts_tests: bool,
}

impl Step {
    fn check(command: Command) -> Step {
        Step { command, counts_tests: false }
    }

    /// Runs it: one check, or as many tests as it reports.
    pub(crate) fn run(mut self, name: &str) -> Result<Tally> {
        announce(name);
        if !self.counts_tests {
            let status = self.command.status().with_context(|| format!("cannot start {name}"))?;
            return Ok(Tally::one(name, status.success()));
        }
        let output = self.command.output().with_context(|| format!("cannot start {name}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Tally::of_output(name, &text, output.status.success()))
    }
}

/// Says what comes next.
pub(crate) fn announce(name: &str) {
    println!("\n== {name}");
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}

/// The format of all sources.
pub(crate) fn fmt() -> Result<Step> {
    Ok(Step::check(cargo(&["fmt", "--all", "--check"])))
}

/// No warning from the compiler or clippy anywhere.
pub(crate) fn clippy() -> Result<Step> {
    Ok(Step::check(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))
}

/// Licences, bans and sources of everything that is built on.
pub(crate) fn deny() -> Result<Step> {
    let version = format!("={DENY_VERSION}");
    let folder = cache::entry(&format!("cargo-deny-{DENY_VERSION}"), &version, |folder| {
        announce("installing cargo-deny");
        let mut install = cargo(&["install", "--locked", "--debug", "cargo-deny", "--version", &version, "--root"]);
        // Its debug build takes a quarter of the time and is as quick for a check as small as this.
        install.arg(folder).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", folder.join("target"));
        anyhow::ensure!(install.status()?.success(), "cargo-deny cannot be installed");
        Ok(std::fs::remove_dir_all(folder.join("target"))?)
    })?;
    let mut command = Command::new(folder.join("bin/cargo-deny"));
    command.args(["--log-level", "error", "check", "licenses", "bans", "sources"]);
    Ok(Step::check(command))
}

/// Examples in documentation.
pub(crate) fn doc_tests() -> Step {
    Step { command: cargo(&["test", "--quiet", "--workspace", "--doc"]), counts_tests: true }
}
