//! Real text to send: the workspace's own sources, and an English dictionary.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::programs;

const DICTIONARY: &str = "/usr/share/dict/words";

/// The dictionary's words, one per line.
pub fn dictionary() -> Result<Vec<u8>> {
    ensure!(Path::new(DICTIONARY).is_file(), "{DICTIONARY} is missing; to install it: apt-get install -y wamerican");
    Ok(fs::read(DICTIONARY)?)
}

/// Every Rust source of the workspace, one after the other, in order of their paths.
pub fn sources() -> Result<Vec<u8>> {
    let mut files = Vec::new();
    for folder in ["crates", "dev", "xtask"] {
        collect(&programs::folder().join("../..").join(folder), &mut files)?;
    }
    files.sort();
    let mut text = Vec::new();
    for file in files {
        text.extend(fs::read(file)?);
    }
    Ok(text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The lines of a text, each with its line feed, so that they joined again are the text.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}
