//! What the suites of groups share: how their brokers are set, members as processes, and a journal of what they read.

mod journal;
mod member;
mod process;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use journal::Journal;
pub use member::Member;
pub use process::play;

/// No wait for members that are not coming, sessions as short as a case likes, and heartbeats that tell soon.
pub const BROKER_PROPERTIES: [(&str, &str); 5] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "300"),
];

/// As long as Kafka's own: nobody is put out by a slow machine.
pub const LONG_SESSION_MS: u32 = 45_000;
/// For members that fall silent.
pub const SHORT_SESSION_MS: u32 = 3_000;

/// A condition that does not come true within this time does not come true.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// How librdkafka's members belong to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Everything is given up in every rebalance.
    Eager,
    /// What stays is kept.
    Cooperative,
    /// The broker assigns.
    Consumer,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::Eager, Protocol::Cooperative, Protocol::Consumer];

    /// librdkafka's settings; the session of a group of the last kind is the group's own configuration.
    pub fn settings(self, session_ms: u32) -> Vec<(String, String)> {
        let classic = |assignor: &str| {
            vec![
                ("group.protocol".to_owned(), "classic".to_owned()),
                ("partition.assignment.strategy".to_owned(), assignor.to_owned()),
                ("session.timeout.ms".to_owned(), session_ms.to_string()),
                ("heartbeat.interval.ms".to_owned(), "300".to_owned()),
            ]
        };
        match self {
            Protocol::Eager => classic("range"),
            Protocol::Cooperative => classic("cooperative-sticky"),
            Protocol::Consumer => vec![("group.protocol".to_owned(), "consumer".to_owned())],
        }
    }
}

/// Looks until the condition holds; `state` says how things are when it does not.
pub fn wait(what: &str, mut holds: impl FnMut() -> Result<bool>, state: impl Fn() -> String) -> Result<()> {
    let begin = Instant::now();
    while !holds()? {
        if begin.elapsed() > PATIENCE {
            bail!("waited in vain for {what}: {}", state());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
