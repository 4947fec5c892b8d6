//! A member as the suite sees it: a process whose lines are read, and that can be killed and paused.
//!
//! Invariant: no process is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::journal::Journal;
use super::process::ROLE_ENV;
use super::wait;

/// What is kept of the lines for messages.
const LAST_WORDS: usize = 12;

/// A member.
#[derive(Debug)]
pub struct Member {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    state: Arc<Mutex<State>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    owned: BTreeSet<i32>,
    changes: usize,
    refused: usize,
    stale: bool,
    ended: bool,
    last_words: Vec<String>,
}

impl Member {
    /// Starts one that subscribes to `topic` with librdkafka's `settings`.
    pub fn start(
        name: &str,
        topic: &str,
        settings: &BTreeMap<String, String>,
        journal: &Arc<Mutex<Journal>>,
    ) -> Result<Member> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ROLE_ENV, serde_json::to_string(&(topic, settings))?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting a member")?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no output")?);
        let state = Arc::<Mutex<State>>::default();
        let (to, journal, own_name) = (state.clone(), journal.clone(), name.to_owned());
        let reader = std::thread::spawn(move || listen(output, &own_name, &to, &journal));
        Ok(Member { name: name.to_owned(), child, input, state, reader: Some(reader) })
    }

    /// The partitions that it owns.
    pub fn owned(&self) -> BTreeSet<i32> {
        self.state().owned.clone()
    }

    /// How often partitions, if none, were given to it or taken from it.
    pub fn changes(&self) -> usize {
        self.state().changes
    }

    /// How many commits were refused.
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.finish_reading();
        Ok(())
    }

    /// Stops it in its tracks.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after it was paused for so long that its group put it out.
    pub fn resume(&self) -> Result<()> {
        self.state().stale = true;
        self.signal(Signal::CONT)
    }

    /// Lets it leave its group and end.
    pub fn leave(&mut self) -> Result<()> {
        self.input = None;
        let what = format!("the end of {}", self.name);
        wait(&what, || Ok(self.state().ended), || self.describe())?;
        let status = self.child.wait()?;
        self.finish_reading();
        if !status.success() {
            bail!("{} ended with {status}", self.describe());
        }
        Ok(())
    }

    /// How it is, for people.
    pub fn describe(&self) -> String {
        let state = self.state();
        format!("{} owns {:?}, said last {:?}", self.name, state.owned, state.last_words)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("{signal:?}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Reads a member's lines to their end.
fn listen(output: impl Read, name: &str, state: &Mutex<State>, journal: &Mutex<Journal>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        state.hear(name, &line, &mut journal);
    }
    state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
}

impl State {
    fn hear(&mut self, name: &str, line: &str, journal: &mut Journal) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(-1);
        let partitions = || rest.split(',').filter_map(|word| word.parse::<i32>().ok());
        match kind {
            "read" => {
                let place = (number() as i32, number());
                journal.read(name, self.stale, place, words.next().unwrap_or_default());
                return;
            }
            "committed" => {
                let (partition, offset) = (number() as i32, number());
                journal.committed(name, self.stale, partition, offset);
                return;
            }
            "refused" => self.refused += 1,
            "assigned" => {
                self.owned.extend(partitions());
                self.changed();
            }
            "revoked" | "lost" => {
                self.owned.retain(|owned| !partitions().any(|partition| partition == *owned));
                self.changed();
            }
            _ => {}
        }
        self.last_words.push(line.to_owned());
        let over = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..over);
    }

    /// Whoever learns of a change knows where it stands.
    fn changed(&mut self) {
        self.changes += 1;
        self.stale = false;
    }
}
