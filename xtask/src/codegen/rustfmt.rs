//! Formats generated files with the toolchain's own rustfmt and the project's settings.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context, Result, ensure};

/// Formats all files in one run of rustfmt, in a folder of their own.
pub(super) fn format(root: &Path, files: BTreeMap<PathBuf, String>) -> Result<BTreeMap<PathBuf, String>> {
    let folder = env::temp_dir().join(format!("ottla-codegen-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let formatted = format_in(&folder, root, files);
    fs::remove_dir_all(&folder)?;
    formatted
}

fn format_in(folder: &Path, root: &Path, files: BTreeMap<PathBuf, String>) -> Result<BTreeMap<PathBuf, String>> {
    for (name, text) in &files {
        fs::write(folder.join(name), text)?;
    }
    // The project's folder decides which toolchain's rustfmt runs. `mod.rs` names all other files, so rustfmt finds them from there.
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .arg(folder.join("mod.rs"))
        .current_dir(root)
        .status()
        .context("rustfmt does not run")?;
    ensure!(status.success(), "rustfmt could not format the generated files in {}", folder.display());
    files.into_keys().map(|name| Ok((name.clone(), fs::read_to_string(folder.join(name))?))).collect()
}
