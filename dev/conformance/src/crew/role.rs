//! What a client is to do, and the lines that it writes.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use ottla_testkit::Dice;
use rdkafka::config::ClientConfig;

use super::story::now;

/// A client's name and its words.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) name: String,
    words: BTreeMap<String, String>,
    over: Arc<AtomicBool>,
}

impl Role {
    /// Of the words after `start KIND`.
    pub(super) fn new(mut words: std::str::Split<'_, char>) -> Result<Role> {
        let name = words.next().context("no name")?.to_owned();
        let pairs = words.filter_map(|word| word.split_once('='));
        let words = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Role { name, words, over: Arc::default() })
    }

    pub(super) fn word(&self, key: &str) -> Result<&str> {
        self.words.get(key).map(String::as_str).with_context(|| format!("no {key}"))
    }

    pub(super) fn number(&self, key: &str) -> Result<u64> {
        self.word(key)?.parse().with_context(|| key.to_owned())
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.words.get(key).is_some_and(|value| value == "true")
    }

    pub(super) fn dice(&self) -> Result<Dice> {
        Ok(Dice::new(self.number("seed")?))
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Writes a line. The time is taken while nobody else writes, so that lines are in the order of their times.
    pub(super) fn say(&self, event: impl Display) {
        let mut out = io::stdout().lock();
        let line = format!("{} {} {event}\n", now(), self.name);
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::exit(1); // Nobody is left to write for.
        }
    }

    /// What every client is configured with.
    pub(super) fn config(&self, settings: &[(&str, &str)]) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.word("bootstrap")?);
        config.set("reconnect.backoff.max.ms", "300").set("retry.backoff.max.ms", "300");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Ok(config)
    }

    /// A consumer that reads what was committed, from the offsets of its group.
    pub(super) fn consumer(&self) -> Result<ClientConfig> {
        let settings = [
            ("group.id", self.word("group")?),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "earliest"),
            ("fetch.wait.max.ms", "100"),
        ];
        self.config(&settings)
    }
}

/// A partition as histories name it.
pub(super) fn key(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}
