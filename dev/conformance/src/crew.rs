//! Clients of transactions as processes, and the history that they tell together.
//!
//! A crew is one process with many clients, each with a name: Apache Kafka's Java clients, which speak version 2 of the
//! transactions' protocol, or librdkafka's, which speak version 1. Both obey the same lines and write the same ones; what
//! they write is what `dev/checker` reads.

mod copier;
mod process;
mod role;
mod story;
mod transactions;
mod worker;

use std::path::PathBuf;

use anyhow::Result;
use ottla_peer::java::Jars;
use tempfile::TempDir;

pub use process::Crew;
pub use story::{Story, now};
pub use worker::play;

use crate::programs::folder;

/// Whose clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Apache Kafka's, version 2.
    Java,
    /// librdkafka's, version 1.
    Rust,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::Java, Language::Rust];

    /// For names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Rust => "librdkafka",
        }
    }
}

/// The crews' programs, compiled.
#[derive(Debug)]
pub struct Programs {
    jars: Jars,
    classes: TempDir,
}

impl Programs {
    /// Compiles the Java crew.
    pub fn compile() -> Result<Programs> {
        let (jars, classes) = (Jars::fetch()?, tempfile::tempdir()?);
        let mut sources: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder().join("java"))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("Crew")) {
                sources.push(path);
            }
        }
        jars.compile(&sources, classes.path())?;
        Ok(Programs { jars, classes })
    }
}
