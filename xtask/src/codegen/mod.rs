//! Generates the wire codec from the schema files: notation → model → Rust.
//!
//! Invariant: the generated files hold nothing that the schema files do not say, so generating twice changes nothing;
//! `tests` compares what is checked in with what would be written.

mod check;
mod emit;
mod index;
mod model;
mod names;
mod notation;
mod read;
mod rustfmt;
mod shape;
mod show;
#[cfg(test)]
mod tests;
mod types;
mod versions;
mod write;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::root::root;

const SCHEMA: &str = "crates/wire/schema";
const MESSAGES: &str = "crates/wire/src/messages";

/// Writes the generated files of this checkout.
///
/// # Errors
/// What is wrong with a schema file, or what the file system says.
pub(crate) fn run() -> Result<()> {
    run_in(&root())
}

/// Writes the generated files of the checkout at `root`; files there that nothing generates any more are removed.
fn run_in(root: &Path) -> Result<()> {
    let files = generate(root)?;
    let folder = root.join(MESSAGES);
    fs::create_dir_all(&folder)?;
    for name in file_names(&folder)?.iter().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, text) in &files {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            fs::write(path, text)?;
        }
    }
    Ok(())
}

/// What the generated files should hold, formatted, by file name.
fn generate(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut messages = Vec::new();
    for name in file_names(&root.join(SCHEMA))? {
        let text = fs::read_to_string(root.join(SCHEMA).join(&name))?;
        messages.extend(notation::parse(&text).with_context(|| name.display().to_string())?);
    }
    messages.sort_by(|a, b| a.name.cmp(&b.name));
    check::all(&messages)?;
    let mut files = BTreeMap::new();
    for message in &messages {
        files.insert(PathBuf::from(names::snake(&message.name) + ".rs"), emit::module(message));
    }
    files.insert("mod.rs".into(), index::modules(&messages));
    files.insert("api_key.rs".into(), index::api_keys(&messages));
    files.insert("dispatch.rs".into(), index::dispatch(&messages));
    rustfmt::format(root, files)
}

fn file_names(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut names = entries.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
