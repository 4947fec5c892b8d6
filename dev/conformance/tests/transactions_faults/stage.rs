//! The clients of one case: writers into a topic, copiers from that into another, readers of both, in one crew or more.

use std::sync::Arc;

use anyhow::Result;
use ottla_conformance::Broker;
use ottla_conformance::crew::{Crew, Language, Programs, Story};
use ottla_conformance::rust_client::create_topic;
use ottla_testkit::Dice;

use crate::drain::{drain, fetch_offsets};

/// Of every topic.
const PARTITIONS: i32 = 3;
/// One transaction of so many is aborted.
const ABORTS: u32 = 5;
/// Longer than any fault lasts.
pub(crate) const LONG_TIMEOUT_MS: u32 = 120_000;

/// Everything of one case.
pub(crate) struct Stage<'a> {
    pub(crate) name: String,
    pub(crate) story: Arc<Story>,
    pub(crate) dice: Dice,
    pub(crate) bootstrap: String,
    programs: &'a Programs,
    topics: Vec<(String, Option<String>)>,
}

/// Where clients of one language work.
#[derive(Clone)]
pub(crate) struct Place {
    language: Language,
    input: String,
    output: String,
    group: String,
    timeout_ms: u32,
    /// A client whose producer was fenced begins anew.
    revive: bool,
}

/// A crew and who is in it.
pub(crate) struct Cast {
    pub(crate) crew: Crew,
    pub(crate) writers: Vec<String>,
    pub(crate) copiers: Vec<String>,
    readers: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(name: &str, broker: &Broker, programs: &'a Programs, seed: u64) -> Stage<'a> {
        Stage {
            name: format!("{name}-seed-{seed}"),
            story: Arc::default(),
            dice: Dice::new(seed),
            bootstrap: broker.bootstrap(),
            programs,
            topics: Vec::new(),
        }
    }

    /// Topics for clients of one language.
    pub(crate) fn place(&mut self, broker: &Broker, language: Language) -> Result<Place> {
        let (input, output, group) = (broker.topic("input"), broker.topic("output"), broker.topic("copiers"));
        for topic in [&input, &output] {
            create_topic(&self.bootstrap, topic, PARTITIONS, &[])?;
        }
        self.topics.push((input.clone(), Some(group.clone())));
        self.topics.push((output.clone(), None));
        Ok(Place { language, input, output, group, timeout_ms: LONG_TIMEOUT_MS, revive: true })
    }

    /// A crew with its clients at work. Two casts of one place have the same transactional ids; `take` tells their names
    /// apart.
    pub(crate) fn cast(&mut self, place: &Place, take: &str) -> Result<Cast> {
        let crew = Crew::start(self.programs, place.language, &self.story)?;
        // Only Kafka's client is asked to belong to a group: two copiers share the input.
        let subscribes = place.language == Language::Java;
        let copiers = if subscribes { 2 } else { 1 };
        let name = |kind: &str, number: i32| format!("{}-{take}-{kind}{number}", place.language.name());
        let mut cast = Cast { crew, writers: Vec::new(), copiers: Vec::new(), readers: Vec::new() };
        for number in 1..=2 {
            let name = name("writer", number);
            let words = format!("to={} txid={}-w{number}", place.input, place.input);
            self.start(&mut cast.crew, place, "writer", &name, &words)?;
            cast.writers.push(name);
        }
        for number in 1..=copiers {
            let name = name("copier", number);
            let words = format!(
                "from={} to={} group={} txid={}-c{number} subscribe={subscribes}",
                place.input, place.output, place.group, place.input
            );
            self.start(&mut cast.crew, place, "copier", &name, &words)?;
            cast.copiers.push(name);
        }
        for (number, topic, subscribes) in [(1, &place.output, false), (2, &place.input, subscribes)] {
            let name = name("reader", number);
            let words = format!("from={topic} group={name} subscribe={subscribes}");
            self.start(&mut cast.crew, place, "reader", &name, &words)?;
            cast.readers.push(name);
        }
        Ok(cast)
    }

    fn start(&mut self, crew: &mut Crew, place: &Place, kind: &str, name: &str, words: &str) -> Result<()> {
        let (seed, bootstrap) = (self.dice.below(1 << 30), &self.bootstrap);
        let (timeout, revive) = (place.timeout_ms, place.revive);
        crew.tell(&format!(
            "start {kind} {name} bootstrap={bootstrap} partitions={PARTITIONS} aborts={ABORTS} seed={seed} \
             timeout={timeout} revive={revive} {words}"
        ))
    }

    /// Waits until every client that is named has committed some more.
    pub(crate) fn progress<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<()> {
        let goals: Vec<_> = names.into_iter().map(|name| (name, self.story.count(name, "ok") + 3)).collect();
        goals.into_iter().try_for_each(|(name, goal)| self.story.await_count(name, "ok", goal))
    }

    /// The last look at everything, and the judgement.
    pub(crate) fn judge(self) -> Result<()> {
        let looked = self.look();
        if looked.is_err() {
            println!("  the history so far is in {}", self.story.keep(&self.name));
        }
        looked?;
        println!("  {}: {}", self.name, self.story.check(&self.name)?);
        Ok(())
    }

    fn look(&self) -> Result<()> {
        for (topic, group) in &self.topics {
            drain(&self.story, &self.bootstrap, topic, PARTITIONS)?;
            if let Some(group) = group {
                fetch_offsets(&self.story, &self.bootstrap, group, topic, PARTITIONS)?;
            }
        }
        Ok(())
    }
}

impl Place {
    /// ... with transactions that may last so long.
    pub(crate) fn with_timeout_ms(&self, timeout_ms: u32) -> Place {
        Place { timeout_ms, ..self.clone() }
    }

    /// ... with clients that end when they are fenced.
    pub(crate) fn mortal(&self) -> Place {
        Place { revive: false, ..self.clone() }
    }

    /// Waits until no transaction is open where writers write.
    pub(crate) fn await_closed(&self, bootstrap: &str) -> Result<()> {
        crate::drain::await_closed(bootstrap, &self.input, PARTITIONS)
    }
}

impl Cast {
    /// Those who have transactions.
    pub(crate) fn producers(&self) -> impl Iterator<Item = &String> {
        self.writers.iter().chain(&self.copiers)
    }

    /// Everybody ends what he is in.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let all = [&self.writers[..], &self.copiers, &self.readers].concat();
        self.crew.stop(&all)
    }
}
