//! Kafka's command-line tools, many in one virtual machine: a tool's own start costs more than most of what it does.
//!
//! Invariants: one tool at a time; the machine ends with the value.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::java::Jars;
use crate::run::Output;

const SOURCE: &str = include_str!("../java/ToolServer.java");
/// More than any tool writes; a bound on what is believed.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A virtual machine that runs tools.
#[derive(Debug)]
pub struct Tools {
    child: Child,
    jobs: ChildStdin,
    answers: ChildStdout,
    _classes: TempDir,
}

impl Tools {
    /// Starts it.
    pub fn start(jars: &Jars) -> Result<Tools> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("ToolServer.java");
        std::fs::write(&source, SOURCE)?;
        let classes = folder.path().join("classes");
        jars.compile(&[source], &classes)?;
        Tools::start_with(jars, &classes, folder)
    }

    fn start_with(jars: &Jars, classes: &Path, folder: TempDir) -> Result<Tools> {
        let options = ["-Xmx512M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
        let mut command = jars.jvm().options(&options).classes(classes).class("ottla.peer.ToolServer");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let jobs = child.stdin.take().context("no input")?;
        let answers = child.stdout.take().context("no output")?;
        Ok(Tools { child, jobs, answers, _classes: folder })
    }

    /// Runs the tool `class` to its end.
    pub fn run(&mut self, class: &str, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let command = format!("{class} {}", arguments.join(" "));
        self.exchange(class, arguments, input).with_context(|| format!("the virtual machine ended in {command}")).map(
            |(code, stdout, stderr)| Output {
                command,
                status: ExitStatus::from_raw((code & 0xff) << 8),
                stdout,
                stderr,
            },
        )
    }

    fn exchange(&mut self, class: &str, arguments: &[&str], input: &[u8]) -> Result<(i32, Vec<u8>, Vec<u8>)> {
        let mut job = Vec::new();
        put(&mut job, class.as_bytes());
        job.extend((arguments.len() as u32).to_be_bytes());
        arguments.iter().for_each(|argument| put(&mut job, argument.as_bytes()));
        put(&mut job, input);
        self.jobs.write_all(&job)?;
        self.jobs.flush()?;
        Ok((self.number()? as i32, self.bytes()?, self.bytes()?))
    }

    fn number(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.answers.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.number()? as usize;
        ensure!(length <= ANSWER_BYTES_MAX, "{length} bytes announced");
        let mut bytes = vec![0; length];
        self.answers.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn put(job: &mut Vec<u8>, bytes: &[u8]) {
    job.extend((bytes.len() as u32).to_be_bytes());
    job.extend(bytes);
}
