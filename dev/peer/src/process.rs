//! A process that stays until it is stopped, measured through `/proc`.
//!
//! Invariants: stopped by its own id only; killed when the value is dropped.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::clock_getcpuclockid;
use rustix::process::{Pid, Signal, kill_process};
use wait_timeout::ChildExt;

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time of all its threads, ended ones too, in seconds; as exact as the scheduler counts.
    pub cpu_seconds: f64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
}

impl Process {
    /// Starts `command` with no input and its output appended to the file `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn();
        let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Process { child })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to stop (SIGTERM) and waits; returns how long that took. An error when it takes over `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<Duration> {
        let begin = Instant::now();
        if let Some(pid) = Pid::from_raw(self.pid() as i32) {
            kill_process(pid, Signal::TERM).context("SIGTERM")?;
        }
        match self.child.wait_timeout(patience)? {
            Some(_) => Ok(begin.elapsed()),
            None => bail!("process {} did not stop within {patience:?} of SIGTERM", self.pid()),
        }
    }

    /// Stops it in its tracks (SIGSTOP) until [`resume`](Process::resume).
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`pause`](Process::pause).
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("{signal:?}"))
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// CPU time and memory of the process so far.
    pub fn usage(&self) -> Result<Usage> {
        usage_of(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// CPU time and memory of the process `pid` so far.
pub fn usage_of(pid: u32) -> Result<Usage> {
    // Its own clock: `/proc/PID/stat` counts in hundredths of a second, which is a tenth of what is measured.
    let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(pid.try_into()?))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let used = Duration::from(clock.now()?);
    Ok(Usage { cpu_seconds: used.as_secs_f64(), resident_bytes: resident_bytes(&status).unwrap_or(0) })
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests;
