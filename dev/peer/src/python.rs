//! A Python virtual environment with pinned packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::programs::PYTHON;
use crate::{cache, run};

const FETCH_DEADLINE: Duration = Duration::from_secs(600);

/// The interpreter of the environment `name` with the packages that `requirements` (the text of a requirements file,
/// each pinned by `==`) names; made the first time.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    PYTHON.require()?;
    let folder = cache::entry(&format!("python-{name}"), requirements, |folder| make(folder, requirements))?;
    Ok(folder.join("bin/python"))
}

fn make(folder: &Path, requirements: &str) -> Result<()> {
    run::run(Command::new("python3").args(["-m", "venv"]).arg(folder), FETCH_DEADLINE)?.success()?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r"]).arg(list);
    run::run(&mut pip, FETCH_DEADLINE)?.success().map(drop)
}
