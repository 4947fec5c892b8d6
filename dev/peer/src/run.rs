//! A program run to its end: input given, output captured, killed at its deadline.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use wait_timeout::ChildExt;

/// What a finished program left.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: Vec<u8>,
    /// Everything it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output and standard error, one after the other, as text.
    pub fn all_text(&self) -> String {
        format!("{}{}", self.text(), String::from_utf8_lossy(&self.stderr))
    }

    /// Itself, or an error that shows the command and what it wrote when it did not exit with 0.
    pub fn success(self) -> Result<Output> {
        if self.status.success() {
            return Ok(self);
        }
        bail!("{} ended with {}:\n{}", self.command, self.status, tail(&self.all_text(), 4000))
    }
}

/// The last `bytes` of `text`, cut at a character.
fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Runs `command` with `input` on its standard input; an error when it cannot start or runs past `deadline`.
pub fn run_with_input(command: &mut Command, input: &[u8], deadline: Duration) -> Result<Output> {
    let line = command_line(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {line}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (status, stdout, stderr) = thread::scope(|scope| {
        // A program may stop reading before its input ends; that is its right.
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
        let stdout = scope.spawn(move || read_all(stdout));
        let stderr = scope.spawn(move || read_all(stderr));
        let status = child.wait_timeout(deadline)?;
        if status.is_none() {
            child.kill()?;
            child.wait()?;
        }
        anyhow::Ok((status, stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default()))
    })?;
    match status {
        Some(status) => Ok(Output { command: line, status, stdout, stderr }),
        None => {
            let text = [stdout, stderr].concat();
            bail!("{line} did not end within {deadline:?}:\n{}", tail(&String::from_utf8_lossy(&text), 4000))
        }
    }
}

/// [`run_with_input`] with empty input.
pub fn run(command: &mut Command, deadline: Duration) -> Result<Output> {
    run_with_input(command, b"", deadline)
}

fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

fn command_line(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
