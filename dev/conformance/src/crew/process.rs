//! A crew as the suite sees it: a process that is told what to do, listened to, and can be killed and paused.
//!
//! Invariant: no process is left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::story::Story;
use super::worker::ROLE_ENV;
use super::{Language, Programs};

/// A process with clients in it.
#[derive(Debug)]
pub struct Crew {
    child: Child,
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
    story: Arc<Story>,
}

impl Crew {
    /// Starts one without clients.
    pub fn start(programs: &Programs, language: Language, story: &Arc<Story>) -> Result<Crew> {
        let mut command = match language {
            Language::Java => {
                let java = programs.java()?;
                let jvm = java.jars.jvm().options(&["-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
                jvm.classes(java.classes.path()).class("ottla.conformance.CrewMain")
            }
            Language::Rust => {
                let mut command = Command::new(std::env::current_exe()?);
                command.env(ROLE_ENV, "1");
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting a crew")?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no output")?);
        let to = story.clone();
        let reader = std::thread::spawn(move || listen(output, &to));
        Ok(Crew { child, input, reader: Some(reader), story: story.clone() })
    }

    /// A line that the crew obeys: `start KIND NAME key=value ...`, `stop NAME`.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the crew is gone")?;
        writeln!(input, "{line}").and_then(|()| input.flush()).with_context(|| format!("telling a crew to {line:?}"))
    }

    /// Lets clients end what they are in, and waits until they have.
    pub fn stop(&mut self, names: &[String]) -> Result<()> {
        names.iter().try_for_each(|name| self.tell(&format!("stop {name}")))?;
        names.iter().try_for_each(|name| self.story.await_count(name, "note ended", 1))
    }

    /// kill -9; every line that it wrote has been heard when this returns.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        Ok(())
    }

    /// Stops it in its tracks.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("{signal:?}"))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn listen(output: impl Read, story: &Story) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if let Some(text) = line.strip_suffix(b"\n") {
            story.tell(&String::from_utf8_lossy(text));
        }
        line.clear();
    }
}
