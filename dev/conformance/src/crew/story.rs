//! The history of a run while it is being told.
//!
//! Invariants: a line that its process did not end is not part of it (it was killed before it did what the line says it is
//! about to do); it is kept as a file when it turns out to be wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ottla_checker::{History, check};
use rustix::time::{ClockId, clock_gettime};

/// What does not happen within this time does not happen.
const PATIENCE: Duration = Duration::from_secs(90);
/// Faults that are shown.
const SHOWN: usize = 10;
/// Where the files of wrong histories go; the system's folder for temporary files otherwise.
const KEEP_ENV: &str = "OTTLA_FAULTS_KEEP";

/// What was told so far.
#[derive(Debug, Default)]
pub struct Story {
    told: Mutex<Told>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    /// How often each client told of each kind of event.
    counts: BTreeMap<(String, String), usize>,
}

/// Microseconds on the clock that all processes of the machine share; Java's `nanoTime` is the same.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

impl Story {
    /// Adds a whole line.
    pub(super) fn tell(&self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (name, event) = (words.nth(1).unwrap_or_default(), words.next().unwrap_or_default());
        let mut parts = event.split(' ');
        let kind = match (parts.next(), parts.next()) {
            (Some("note"), Some(what)) => format!("note {what}"),
            (kind, _) => kind.unwrap_or_default().to_owned(),
        };
        let mut told = self.told();
        *told.counts.entry((name.to_owned(), kind)).or_default() += 1;
        told.lines.push(line.to_owned());
        drop(told);
        self.more.notify_all();
    }

    /// Adds an event of the one who watches.
    pub fn say(&self, name: &str, event: &str) {
        self.tell(&format!("{} {name} {event}", now()));
    }

    /// How often a client told of a kind of event: `ok`, `send`, `note init`.
    pub fn count(&self, name: &str, kind: &str) -> usize {
        self.told().count(name, kind)
    }

    /// Waits until a client has told so many more events of a kind than now.
    pub fn await_more(&self, name: &str, kind: &str, more: usize) -> Result<()> {
        let goal = self.count(name, kind) + more;
        self.await_count(name, kind, goal)
    }

    /// Waits until a client has told so many events of a kind.
    pub fn await_count(&self, name: &str, kind: &str, goal: usize) -> Result<()> {
        let begin = Instant::now();
        let mut told = self.told();
        while told.count(name, kind) < goal {
            if begin.elapsed() > PATIENCE {
                bail!("waited in vain for {kind:?} of {name}; it said last:\n{}", told.last_of(name));
            }
            (told, _) = self.more.wait_timeout(told, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Judges what was told; a wrong history is kept.
    pub fn check(&self, name: &str) -> Result<String> {
        let text = self.told().lines.join("\n");
        let judged = History::read(&text).context("the history cannot be read").and_then(|history| {
            let found = check(&history);
            let words: Vec<_> = found.iter().take(SHOWN).map(ToString::to_string).collect();
            anyhow::ensure!(found.is_empty(), "{} faults:\n{}", found.len(), words.join("\n"));
            Ok(history.describe())
        });
        judged.with_context(|| match keep(name, &text) {
            Ok(file) => format!("{name}; the history is in {}", file.display()),
            Err(error) => format!("{name}; the history cannot be kept: {error}"),
        })
    }

    /// The end of a story that did not come to its end; it is kept.
    pub fn keep(&self, name: &str) -> String {
        keep(name, &self.told().lines.join("\n"))
            .map_or_else(|error| error.to_string(), |file| file.display().to_string())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn count(&self, name: &str, kind: &str) -> usize {
        self.counts.get(&(name.to_owned(), kind.to_owned())).copied().unwrap_or(0)
    }

    fn last_of(&self, name: &str) -> String {
        let of_name = self.lines.iter().rev().filter(|line| line.split(' ').nth(1) == Some(name));
        of_name.take(5).map(|line| format!("  {}\n", &line[..line.floor_char_boundary(300)])).collect()
    }
}

fn keep(name: &str, text: &str) -> Result<PathBuf> {
    let folder = std::env::var_os(KEEP_ENV).map_or_else(|| std::env::temp_dir().join("ottla-histories"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let file = Path::new(&folder).join(format!("{name}-{}.txt", std::process::id()));
    std::fs::write(&file, text)?;
    Ok(file)
}
