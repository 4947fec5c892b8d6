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
use std::sync::{Arc, Mutex, PoisonError};

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

/// The crews' programs, compiled when the first crew of Java's is started.
#[derive(Debug, Default)]
pub struct Programs {
    java: Mutex<Option<Java>>,
}

#[derive(Debug, Clone)]
struct Java {
    jars: Jars,
    classes: Arc<TempDir>,
}

impl Programs {
    fn java(&self) -> Result<Java> {
        let mut java = self.java.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(java) = java.as_ref() {
            return Ok(java.clone());
        }
        let compiled = Java::compile()?;
        *java = Some(compiled.clone());
        Ok(compiled)
    }
}

impl Java {
    fn compile() -> Result<Java> {
        let (jars, classes) = (Jars::fetch()?, Arc::new(tempfile::tempdir()?));
        let mut sources: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder().join("java"))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("Crew")) {
                sources.push(path);
            }
        }
        jars.compile(&sources, classes.path())?;
        Ok(Java { jars, classes })
    }
}
