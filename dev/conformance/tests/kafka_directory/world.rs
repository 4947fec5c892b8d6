//! A Kafka, its directories, and the program that imports and serves them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, anyhow, ensure};
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_testkit::{BINARY_ENV, BrokerCommand, program};

/// See the file's head.
pub(crate) struct World {
    binary: PathBuf,
    pub(crate) kafka: Kafka,
    /// `log.dirs`, and behind them `metadata.log.dir` where that is another.
    pub(crate) directories: Vec<PathBuf>,
}

impl World {
    /// Starts a Kafka whose directories have these names in `folder`.
    pub(crate) fn start(jars: &Jars, folder: &Path, mut settings: Settings, names: &[&str]) -> Result<World> {
        let directories: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        let small = [
            ("num.partitions", "1"),
            ("transaction.state.log.num.partitions", "3"),
            ("offsets.topic.num.partitions", "3"),
            ("log.cleaner.backoff.ms", "100"),
            // A start after a kill waits until the broker of before is given up.
            ("broker.session.timeout.ms", "3000"),
            ("broker.heartbeat.interval.ms", "300"),
        ];
        settings.properties.extend(small.map(|(key, value)| (key.to_owned(), value.to_owned())));
        Ok(World { binary: binary()?, kafka: Kafka::start(jars, folder, &settings)?, directories })
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.kafka.address().to_string()
    }

    /// Imports `from` as `to`; in place where they are the same.
    pub(crate) fn import(&self, from: &[PathBuf], to: &[PathBuf]) -> Result<Output> {
        import(from, to)
    }

    /// Prepares Kafka's directories for Kafka.
    pub(crate) fn export(&self) -> Result<Output> {
        Ok(program(&self.binary).args(["export-kafka", "--data-dir", &joined(&self.directories)]).output()?)
    }

    /// `ottla serve` on Kafka's directories ends with these words, and changes nothing.
    pub(crate) fn not_served(&self, words: &str) -> Result<()> {
        not_served(&self.directories, words)
    }

    pub(crate) fn dump_log(&self) -> Result<()> {
        let mut arguments = vec!["dump-log".to_owned(), "--print-data-log".into(), "--format".into(), "json".into()];
        for dir in &self.directories {
            arguments.extend(["--files".to_owned(), dir.display().to_string()]);
        }
        let output = program(&self.binary).args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let fault = text.lines().find(|line| line.contains("\"kind\":\"damage\""));
        ensure!(output.status.success() && fault.is_none(), "{fault:?} {}", words(&output));
        for word in
            ["\"type\":\"TopicRecord\"", "\"type\":\"OffsetCommit\"", "\"type\":\"TransactionLog\"", "LEADER_CHANGE"]
        {
            ensure!(text.contains(word), "no {word}");
        }
        Ok(())
    }

    /// Serves a copy on Kafka's port, has `check` look, and stops cleanly.
    pub(crate) fn serve_copy(&self, dirs: &[PathBuf], check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        let mut settings = vec!["node.id=1".to_owned()];
        settings.extend(metadata_dir(dirs).map(|dir| format!("metadata.log.dir={}", dir.display())));
        self.serve(dirs, settings.iter().flat_map(|setting| ["--set", setting]).collect(), check)
    }

    /// Serves Kafka's own directories, with its own file of settings.
    pub(crate) fn serve_in_place(&self, check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        let file = self.directories[0].with_file_name("server.properties").display().to_string();
        self.serve(&self.directories, vec!["--config", &file], check)
    }

    fn serve(&self, dirs: &[PathBuf], arguments: Vec<&str>, check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        let command = BrokerCommand::new(&self.binary, joined(log_dirs(dirs))).listen(self.bootstrap());
        let command = arguments.into_iter().fold(command, |command, argument| command.argument(argument));
        let mut process = command.start()?;
        check(&process.address().to_string()).with_context(|| process.stderr())?;
        let status = process.terminate()?;
        ensure!(status.success(), "the stop: {status}: {}", process.stderr());
        Ok(())
    }
}

fn binary() -> Result<PathBuf> {
    Ok(std::env::var_os(BINARY_ENV).context("no binary to test")?.into())
}

/// Of three directories the last one is for the metadata alone.
fn metadata_dir(dirs: &[PathBuf]) -> Option<&PathBuf> {
    dirs.get(2)
}

fn log_dirs(dirs: &[PathBuf]) -> &[PathBuf] {
    &dirs[..dirs.len().min(2)]
}

fn joined(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(",")
}

/// Imports `from` as `to`; in place where they are the same.
pub(crate) fn import(from: &[PathBuf], to: &[PathBuf]) -> Result<Output> {
    let mut command = program(&binary()?);
    command.args(["import-kafka", "--data-dir", &joined(to)]);
    if from != to {
        command.args(["--from", &joined(from)]);
    }
    Ok(command.output()?)
}

/// `ottla serve` ends with these words, and changes nothing.
pub(crate) fn not_served(dirs: &[PathBuf], says: &str) -> Result<()> {
    let mut command = program(&binary()?);
    command.args(["serve", "--data-dir", &joined(log_dirs(dirs)), "--listen", "127.0.0.1:0", "--set", "node.id=1"]);
    if let Some(dir) = metadata_dir(dirs) {
        command.arg("--set").arg(format!("metadata.log.dir={}", dir.display()));
    }
    refused(&Ok(command.output()?), says)
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The command succeeded, and said all of this.
pub(crate) fn imported(output: &Result<Output>, notes: &[&str]) -> Result<()> {
    let output = output.as_ref().map_err(|error| anyhow!("{error}"))?;
    let said = words(output);
    let missing: Vec<_> = notes.iter().filter(|note| !said.contains(**note)).collect();
    ensure!(output.status.success() && missing.is_empty(), "{}: without {missing:?}: {said}", output.status);
    Ok(())
}

/// The command failed, and said this.
pub(crate) fn refused(output: &Result<Output>, says: &str) -> Result<()> {
    let output = output.as_ref().map_err(|error| anyhow!("{error}"))?;
    ensure!(output.status.code() == Some(1) && words(output).contains(says), "{}: {}", output.status, words(output));
    Ok(())
}

/// Names and sizes of all files in a directory but the lock, which whoever looks at it holds.
pub(crate) fn listing(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(listing(&entry.path())?);
        } else if entry.file_name() != ".lock" {
            found.push((entry.path(), entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found)
}
