//! Clients that others wrote, beside a disk that is full: what they see, and that they go on when there is room.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ottla_conformance::programs;
use ottla_peer::{
    java::Jars,
    run::{Output, run_with_input},
};

use super::stage::{PATIENCE, Stage, TOPIC};

/// More than is left in a volume that is full.
const BYTES: usize = 9_000;
const PATIENT: &str = "message.timeout.ms=120000";
const HASTY: &str = "message.timeout.ms=3000";

/// Two Java producers: one that gives its record up, one that waits.
pub(crate) struct Java {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    _classes: tempfile::TempDir,
}

impl Java {
    /// Starts them.
    pub(crate) fn start(stage: &Stage, partition: i32) -> Result<Self> {
        let (jars, classes) = (Jars::fetch()?, tempfile::tempdir()?);
        jars.compile(&[programs::folder().join("java/FullDisk.java")], classes.path())?;
        let jvm = jars.jvm().options(&["-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        let mut command = jvm.classes(classes.path()).class("ottla.conformance.FullDisk");
        command.args([&stage.bootstrap()?, TOPIC, &partition.to_string(), &BYTES.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (input, output) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Ok(Self { child, input, lines, _classes: classes })
    }

    /// The next line that it writes.
    pub(crate) fn says(&self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE * 2).context("the Java program says nothing more")
    }

    /// There is room again.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"go on\n")?)
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// kcat with some records.
fn kcat(bootstrap: &str, partition: i32, patience: &str, values: &[String]) -> Result<Output> {
    let input: String = values.iter().map(|value| format!("{}\n", padded(value))).collect();
    let partition = partition.to_string();
    let mut command = Command::new("kcat");
    command.args([
        "-P",
        "-b",
        bootstrap,
        "-t",
        TOPIC,
        "-p",
        &partition,
        "-X",
        patience,
        "-X",
        "enable.idempotence=true",
    ]);
    run_with_input(&mut command, input.as_bytes(), Duration::from_secs(150))
}

/// One that gives its record up.
pub(crate) fn hasty_kcat(stage: &Stage, partition: i32) -> Result<()> {
    let output = kcat(&stage.bootstrap()?, partition, HASTY, &["given up by kcat".to_owned()])?;
    ensure!(!output.status.success() && output.all_text().contains("elivery failed"), "{}", output.all_text());
    Ok(())
}

/// One that waits, in a thread of its own, and what it sends.
pub(crate) fn patient_kcat(stage: &Stage, partition: i32) -> Result<(thread::JoinHandle<Result<Output>>, Vec<String>)> {
    let values: Vec<_> = (0..50).map(|number| format!("kcat {number}")).collect();
    let (bootstrap, sent) = (stage.bootstrap()?, values.clone());
    Ok((thread::spawn(move || kcat(&bootstrap, partition, PATIENT, &sent)), values))
}

/// A value as it lies in the log.
pub(crate) fn padded(value: &str) -> String {
    format!("{value} {}", "x".repeat(BYTES - value.len() - 1))
}
