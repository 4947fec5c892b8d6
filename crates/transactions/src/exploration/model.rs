//! The whole: clients, network, coordinator, partitions; and the steps from one state to the next.

use std::{collections::HashMap, fmt, hash::Hash};

use super::{
    Without,
    clients::{Client, Doing},
    coordinator::{Answer, Asked, Coordinator},
    network::{Message, Network, Tag, Tags, Write},
    partitions::Partition,
    rules::{self, Violation},
};
use crate::{shard::Entry, state::State};

/// Clients and partitions at most.
const CLIENTS: usize = 2;
const PARTITIONS: usize = 2;

/// How much there is of what would go on for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Transactions of each client.
    pub(super) transactions: [u8; CLIENTS],
    pub(super) partitions: u8,
    /// How often a request to enter that expects nothing is granted at most: each time gives another epoch.
    pub(super) enters: u8,
    /// Whether writes come late, too; or only other requests.
    pub(super) late_writes: bool,
    /// An epoch that the producer had before all begins, if it had any.
    pub(super) epoch: Option<i16>,
}

/// One state; coordinator, partitions and messages by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    clients: [Client; CLIENTS],
    enters_left: [u8; CLIENTS],
    network: Network,
    coordinator: u32,
    pub(super) partitions: [u32; PARTITIONS],
    // What nobody but the rules knows.
    /// Transactions whose writes are in the one that the coordinator has open.
    open: Tags,
    /// Transactions that a client asked to commit.
    pub(super) asked: Tags,
    /// Transactions of which a client was told that they are committed.
    pub(super) told: Tags,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A client does its n-th move.
    Move(usize, usize),
    /// A message arrives; whether the answer comes back.
    Deliver(usize, bool),
    TimeOut,
    Crash,
}

/// All that was met: each thing once, and what follows from what.
pub(super) struct Universe {
    bounds: Bounds,
    without: Without,
    coordinator: Coordinator,
    entries: Numbers<Option<Entry>>,
    partitions: Numbers<Partition>,
    messages: Numbers<Message>,
    /// What the coordinator does is a function of what it holds.
    answers: HashMap<(u32, Asked), (u32, Answer)>,
    /// So with partitions.
    taken: HashMap<(u32, u32), (u32, bool)>,
}

/// Things by number.
struct Numbers<T> {
    things: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn of(&mut self, thing: T) -> u32 {
        let things = &mut self.things;
        *self.numbers.entry(thing).or_insert_with_key(|thing| {
            things.push(thing.clone());
            things.len() as u32 - 1
        })
    }

    fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { things: Vec::new(), numbers: HashMap::new() }
    }
}

impl Universe {
    pub(super) fn new(bounds: Bounds, without: Without) -> Self {
        Self {
            bounds,
            without,
            coordinator: Coordinator::new(without != Without::EpochBump),
            entries: Numbers::default(),
            partitions: Numbers::default(),
            messages: Numbers::default(),
            answers: HashMap::new(),
            taken: HashMap::new(),
        }
    }

    pub(super) fn start(&mut self) -> World {
        let entry = self.bounds.epoch.map(|epoch| self.coordinator.entry_at(epoch));
        World {
            clients: [0, 1].map(|client| Client::new(client, self.bounds.transactions[usize::from(client)])),
            enters_left: [self.bounds.enters; CLIENTS],
            network: Network::default(),
            coordinator: self.entries.of(entry),
            partitions: [self.partitions.of(Partition::default()); PARTITIONS],
            open: Tags::default(),
            asked: Tags::default(),
            told: Tags::default(),
        }
    }

    /// All that may happen next.
    pub(super) fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, client) in world.clients.iter().enumerate() {
            let moves = client.moves(self.bounds.partitions).len();
            steps.extend((0..moves).map(|it| Step::Move(index, it)));
        }
        for number in world.network.sent() {
            let message = *self.messages.get(number as u32);
            if !self.bounds.late_writes && world.is_late_write(message) {
                continue;
            }
            if world.awaits(message) {
                steps.push(Step::Deliver(number, true));
            }
            steps.push(Step::Deliver(number, false));
        }
        if self.state(world) == Some(State::Ongoing) {
            steps.push(Step::TimeOut);
        }
        if self.entry(world).is_some() {
            steps.push(Step::Crash);
        }
        steps
    }

    /// Takes one step.
    pub(super) fn take(&mut self, world: &mut World, step: Step) -> Result<(), Violation> {
        match step {
            Step::Move(index, it) => {
                let (client, message) = world.clients[index].moves(self.bounds.partitions)[it];
                world.clients[index] = client;
                if let Message::End { tag, commit: true, .. } = message {
                    world.asked.insert(tag);
                }
                self.send(world, message);
                Ok(())
            }
            Step::Deliver(number, answered) => self.deliver(world, *self.messages.get(number as u32), answered),
            Step::TimeOut => self.ask(world, Asked::TimeOut, None).map(|_| ()),
            Step::Crash => self.ask(world, Asked::Crash, None).map(|_| ()),
        }
    }

    pub(super) fn entry(&self, world: &World) -> Option<&Entry> {
        self.entries.get(world.coordinator).as_ref()
    }

    pub(super) fn partition(&self, number: u32) -> &Partition {
        self.partitions.get(number)
    }

    /// Whether the coordinator knows that there is something open in this partition.
    pub(super) fn gets_marker(&self, world: &World, partition: u8) -> bool {
        let Some(entry) = self.entry(world) else { return false };
        let due = if entry.hard.state == State::Ongoing { &entry.hard.partitions } else { &entry.unmarked };
        due.contains(&self.coordinator.name(partition))
    }

    pub(super) fn show(&self, step: Step) -> String {
        match step {
            Step::Deliver(number, answered) => {
                format!("{:?}{}", self.messages.get(number as u32), if answered { ", answered" } else { "" })
            }
            other => format!("{other:?}"),
        }
    }

    fn state(&self, world: &World) -> Option<State> {
        self.entry(world).map(|entry| entry.hard.state)
    }

    fn send(&mut self, world: &mut World, message: Message) {
        world.network.send(self.messages.of(message) as usize);
    }

    fn deliver(&mut self, world: &mut World, message: Message, answered: bool) -> Result<(), Violation> {
        match message {
            Message::Enter { client } => {
                let client = usize::from(client);
                if world.enters_left[client] == 0 {
                    return Ok(());
                }
                if let Ok(by) = self.ask(world, Asked::Init { expected: None }, None)? {
                    world.enters_left[client] -= 1;
                    if answered {
                        world.clients[client] = world.clients[client].entered(by);
                    }
                }
            }
            Message::GoOn { tag, by } => {
                let result = self.ask(world, Asked::Init { expected: Some(by) }, Some(tag))?;
                if answered {
                    world.answer(tag, by, result);
                }
            }
            Message::End { tag, by, commit } => {
                let result = self.ask(world, Asked::End { by, commit }, Some(tag))?;
                if answered {
                    if commit && result.is_ok() {
                        world.told.insert(tag);
                    }
                    world.answer(tag, by, result);
                }
            }
            Message::Written { by, decided, partition } => {
                let _ = self.ask(world, Asked::Written { by, decided, partition }, None)?;
            }
            Message::Produce(write) => self.produce(world, write)?,
            Message::Append(write, guard) => {
                if self.put(world, write.partition, message, |partition| partition.append(write, guard)) {
                    let client = &mut world.clients[usize::from(write.tag.client)];
                    *client = client.acknowledge(write);
                }
            }
            Message::Marker { by, commit, decided, partition } => {
                let bumped = !matches!(self.without, Without::EpochBump | Without::MarkerCheck);
                if self.put(world, partition, message, |partition| partition.mark(by, commit, bumped)) {
                    self.send(world, Message::Written { by, decided, partition });
                }
            }
        }
        Ok(())
    }

    /// A broker that leads the partition asks the coordinator to add it, and appends when that is done.
    fn produce(&mut self, world: &mut World, write: Write) -> Result<(), Violation> {
        let guard = self.partition(world.partitions[usize::from(write.partition)]).guard();
        let added = self.ask(world, Asked::Add { by: write.by, partition: write.partition }, None)?.is_ok();
        if added {
            rules::check_join(world.open, write.tag)?;
            world.open.insert(write.tag);
        }
        if added || self.without == Without::Verification {
            self.send(world, Message::Append(write, guard));
        }
        Ok(())
    }

    /// Asks the coordinator, for a transaction where a client does.
    fn ask(
        &mut self,
        world: &mut World,
        asked: Asked,
        tag: Option<Tag>,
    ) -> Result<Result<super::Producer, super::Code>, Violation> {
        let before = world.coordinator;
        if !self.answers.contains_key(&(before, asked)) {
            let answer = self.coordinator.ask(self.entries.get(before).as_ref(), asked);
            let after = self.entries.of(answer.entry.clone());
            self.answers.insert((before, asked), (after, answer));
        }
        let (after, answer) = &self.answers[&(before, asked)];
        let (after, result, markers) = (*after, answer.result, answer.markers.clone());
        let was_open = self.state(world) == Some(State::Ongoing);
        world.coordinator = after;
        for marker in markers {
            self.send(world, marker);
        }
        if was_open && self.state(world) != Some(State::Ongoing) {
            let open = std::mem::take(&mut world.open);
            if let Some(tag) = tag {
                rules::check_end(open, tag)?;
            }
        }
        Ok(result)
    }

    fn put(
        &mut self,
        world: &mut World,
        index: u8,
        message: Message,
        put: impl FnOnce(&mut Partition) -> bool,
    ) -> bool {
        let number = &mut world.partitions[usize::from(index)];
        let key = (*number, self.messages.of(message));
        if !self.taken.contains_key(&key) {
            let mut partition = self.partitions.get(*number).clone();
            let done = put(&mut partition);
            self.taken.insert(key, (self.partitions.of(partition), done));
        }
        let (after, done) = self.taken[&key];
        *number = after;
        done
    }
}

impl World {
    /// Whether the client waits for the answer to just this. An acknowledgement that is lost is one that the client makes no
    /// use of, so that there is no need to tell these apart.
    fn awaits(&self, message: Message) -> bool {
        let (tag, doing) = match message {
            Message::Enter { client } => return self.clients[usize::from(client)].doing == Doing::Entering,
            Message::GoOn { tag, by } => (tag, Doing::GoingOn { by }),
            Message::End { tag, by, commit } => (tag, Doing::Ending { by, commit }),
            _ => return false,
        };
        let client = &self.clients[usize::from(tag.client)];
        (client.tag, client.doing) == (tag, doing)
    }

    /// Whether this is a write that its client does not wait for any more.
    fn is_late_write(&self, message: Message) -> bool {
        let (Message::Produce(write) | Message::Append(write, _)) = message else { return false };
        let client = &self.clients[usize::from(write.tag.client)];
        client.tag != write.tag || !matches!(client.doing, Doing::In { .. })
    }

    fn answer(&mut self, tag: Tag, before: super::Producer, result: Result<super::Producer, super::Code>) {
        let client = &mut self.clients[usize::from(tag.client)];
        *client = match result {
            Ok(by) => client.next(before, by),
            Err(super::Code::ConcurrentTransactions) => *client,
            Err(_) => client.over(),
        };
    }
}

impl fmt::Debug for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, partitions) = (self.entries.things.len(), self.partitions.things.len());
        write!(f, "{entries} of the coordinator, {partitions} of a partition, {} messages", self.messages.things.len())
    }
}
