//! Kafka's command-line tools against one broker, many in one virtual machine.

use std::cell::RefCell;

use anyhow::{Result, ensure};
use ottla_peer::java::Jars;
use ottla_peer::run::Output;

use crate::Broker;

/// `kafka-topics`.
pub const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
/// `kafka-get-offsets`.
pub const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
/// `kafka-console-producer`.
pub const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
/// `kafka-console-consumer`.
pub const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

/// The tools.
#[derive(Debug)]
pub struct Tools {
    machine: RefCell<ottla_peer::tools::Tools>,
    bootstrap: String,
}

impl Tools {
    /// Starts their virtual machine.
    pub fn start(broker: &Broker) -> Result<Tools> {
        let machine = RefCell::new(ottla_peer::tools::Tools::start(&Jars::fetch()?)?);
        Ok(Tools { machine, bootstrap: broker.bootstrap() })
    }

    /// `HOST:PORT`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What a tool left that is told the broker's address.
    pub fn output(&self, class: &str, arguments: &[&str], input: &str) -> Result<Output> {
        let all = [&["--bootstrap-server", &self.bootstrap], arguments].concat();
        self.machine.borrow_mut().run(class, &all, input.as_bytes())
    }

    /// Standard output of a tool that must succeed.
    pub fn run(&self, class: &str, arguments: &[&str]) -> Result<String> {
        self.run_with_input(class, arguments, "")
    }

    /// [`run`](Tools::run) with something on its standard input.
    pub fn run_with_input(&self, class: &str, arguments: &[&str], input: &str) -> Result<String> {
        Ok(self.output(class, arguments, input)?.success()?.text())
    }

    /// A tool that takes the broker's address elsewhere.
    pub fn run_plain(&self, class: &str, arguments: &[&str]) -> Result<String> {
        Ok(self.machine.borrow_mut().run(class, arguments, b"")?.success()?.text())
    }

    /// A tool that must fail, or print an error, with these words.
    pub fn refused(&self, class: &str, arguments: &[&str], words: &str) -> Result<()> {
        let output = self.output(class, arguments, "")?;
        let text = output.all_text();
        ensure!(text.contains(words) && text.contains("rror"), "{}: {text}", output.status);
        Ok(())
    }
}
