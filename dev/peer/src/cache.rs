//! The folder for what is fetched from others: jars, Python packages, tools.
//!
//! Invariants: lies outside the checkout; an entry is used only when it was made to the end from the same recipe;
//! two processes never make the same entry at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$XDG_CACHE_HOME/ottla`, or `.cache/ottla` under the home directory.
pub fn dir() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = match base {
        Some(base) => base,
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("ottla"))
}

/// The entry `name`, made by `make(folder)` unless it is there already, made from the same `recipe` text.
pub fn entry(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&dir()?, name, recipe, make)
}

/// [`entry`] below `base` instead of the user's cache folder.
pub fn entry_in(base: &Path, name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = base.join(name);
    let marker = base.join(format!("{name}.made"));
    fs::create_dir_all(folder.parent().unwrap_or(base))?;
    let lock = File::create(base.join(format!("{name}.lock")))?;
    lock.lock().with_context(|| format!("lock of {}", folder.display()))?;
    if fs::read_to_string(&marker).is_ok_and(|made| made == recipe) {
        return Ok(folder);
    }
    let _ = fs::remove_file(&marker);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    make(&folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(&marker, recipe)?;
    Ok(folder)
}

#[cfg(test)]
mod tests;
