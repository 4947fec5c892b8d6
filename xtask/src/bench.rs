//! `cargo xtask bench`: builds the binary and the benchmark as they ship, and starts the benchmark.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::test::{BINARY_ENV, target_folder};

/// Starts the benchmark with its own arguments.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let packages = ["-p", "ottla", "-p", "ottla-bench"];
    let built = Command::new("cargo").args(["build", "--release"]).args(packages).status()?;
    ensure!(built.success(), "the build failed");
    let folder = target_folder()?.join("release");
    let binary = std::env::var_os(BINARY_ENV).unwrap_or_else(|| folder.join("ottla").into());
    let status = Command::new(folder.join("ottla-bench")).args(arguments).env(BINARY_ENV, binary).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
