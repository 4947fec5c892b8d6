//! The process of a member: this program once more, told by the environment what to be.
//!
//! It writes a line for everything that happens to it, and leaves its group when its input ends. Invariant: a record's
//! line is written before the record is committed, and a commit's line after the commit was acknowledged.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Holds the topic and the settings of the member, as JSON.
pub(super) const ROLE_ENV: &str = "OTTLA_CONFORMANCE_MEMBER";
/// Most records between two commits.
const BATCH: usize = 50;
const POLL: Duration = Duration::from_millis(50);

/// Plays the member that the environment asks for, if it does: what the program is to end with then.
pub fn play() -> Option<ExitCode> {
    let role = std::env::var(ROLE_ENV).ok()?;
    match run(&role) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            say(&format!("error {error:#}"));
            Some(ExitCode::FAILURE)
        }
    }
}

fn run(role: &str) -> Result<()> {
    let (topic, settings): (String, BTreeMap<String, String>) = serde_json::from_str(role)?;
    let mut config = ClientConfig::new();
    for (key, value) in &settings {
        config.set(key, value);
    }
    let watch = Watch { topic: topic.clone(), next: Mutex::default() };
    let consumer: BaseConsumer<Watch> = config.create_with_context(watch)?;
    consumer.subscribe(&[&topic])?;
    let over = input_ended();
    while !over.load(Ordering::Relaxed) {
        read_some(&consumer);
        consumer.context().commit(&consumer);
    }
    Ok(())
}

/// Set when nobody holds the other end of standard input any more.
fn input_ended() -> Arc<AtomicBool> {
    let over = Arc::<AtomicBool>::default();
    let set = over.clone();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        set.store(true, Ordering::Relaxed);
    });
    over
}

fn read_some(consumer: &BaseConsumer<Watch>) {
    let mut patience = POLL;
    for _ in 0..BATCH {
        match consumer.poll(patience) {
            Some(Ok(message)) => {
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                say(&format!("read {} {} {value}", message.partition(), message.offset()));
                consumer.context().next().insert(message.partition(), message.offset() + 1);
            }
            Some(Err(error)) => say(&format!("trouble {error}")),
            None => return,
        }
        patience = Duration::ZERO;
    }
}

/// What was read and not committed.
struct Watch {
    topic: String,
    next: Mutex<BTreeMap<i32, i64>>,
}

impl Watch {
    fn next(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what was read; what is refused stays for the next time.
    fn commit(&self, consumer: &BaseConsumer<Watch>) {
        let next = self.next().clone();
        if next.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &next {
            let _ = list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset));
        }
        match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => {
                next.iter().for_each(|(partition, offset)| say(&format!("committed {partition} {offset}")));
                self.next().clear();
            }
            Err(error) => say(&format!("refused {error}")),
        }
    }
}

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Watch>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => say(&format!("assigned {}", partitions(list))),
            Rebalance::Revoke(list) => {
                let lost = consumer.assignment_lost();
                if !lost {
                    self.commit(consumer);
                }
                self.next().retain(|partition, _| list.find_partition(&self.topic, *partition).is_none());
                say(&format!("{} {}", if lost { "lost" } else { "revoked" }, partitions(list)));
            }
            Rebalance::Error(error) => say(&format!("trouble {error}")),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> String {
    let numbers: Vec<_> = list.elements().iter().map(|element| element.partition().to_string()).collect();
    numbers.join(",")
}

/// A line; nobody is left to write for when that fails.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
