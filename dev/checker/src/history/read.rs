//! The text of a history.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    History, Key, Note, Offset, Operation, OperationId, OperationKind, Outcome, Positions, Process, Step, Value,
};

/// Why a text is no history.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}: {text}")]
pub struct ReadError {
    line: usize,
    text: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no time and process before the event")]
    Head,
    #[error("earlier than the process' line before")]
    Order,
    #[error("no such event")]
    Event,
    #[error("a word is missing")]
    Missing,
    #[error("a word too many")]
    Surplus,
    #[error("no number")]
    Number,
    #[error("a transaction in a transaction")]
    Nested,
    #[error("nothing is under way that could end")]
    NothingToEnd,
    #[error("no such value was sent and is without an answer")]
    NotSent,
    #[error("the value was sent to the key before")]
    SentBefore,
}

/// One line's head and the rest of it.
struct Line<'a> {
    number: usize,
    time: u64,
    process: Process,
    text: &'a str,
}

pub(super) fn read(text: &str) -> Result<History, ReadError> {
    let mut reader = Reader::default();
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            let error = |fault| ReadError { line: number + 1, text: text.to_owned(), fault };
            lines.push(reader.head(number + 1, text).map_err(error)?);
        }
    }
    lines.sort_by_key(|line| line.time);
    for line in lines {
        // A note may hold whatever an error says.
        let whole = line.text.split_whitespace().next() == Some("note");
        for event in line.text.splitn(if whole { 1 } else { usize::MAX }, ';') {
            let error = |fault| ReadError { line: line.number, text: event.trim().to_owned(), fault };
            reader.event(&line, event).map_err(error)?;
        }
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    history: History,
    by_name: HashMap<String, Process>,
    /// The time of each process' last line.
    last: BTreeMap<Process, u64>,
    /// The transaction or commit of offsets that each process is in.
    open: BTreeMap<Process, Open>,
    /// Sends without an answer: where they stand.
    unanswered: HashMap<(Process, Key, Value), (OperationId, usize)>,
    sent: BTreeSet<(Key, Value)>,
    words: HashMap<String, Arc<str>>,
}

struct Open {
    operation: OperationId,
    commit_asked: bool,
}

impl Reader {
    fn head<'a>(&mut self, number: usize, text: &'a str) -> Result<Line<'a>, Fault> {
        let mut words = text.splitn(3, char::is_whitespace);
        let time = words.next().and_then(|word| word.parse().ok()).ok_or(Fault::Head)?;
        let name = words.next().filter(|name| !name.is_empty()).ok_or(Fault::Head)?;
        let text = words.next().ok_or(Fault::Head)?;
        let next = Process(self.history.processes.len());
        let process = *self.by_name.entry(name.to_owned()).or_insert(next);
        if process == next {
            self.history.processes.push(name.to_owned());
        }
        if self.last.insert(process, time).is_some_and(|last| last > time) {
            return Err(Fault::Order);
        }
        Ok(Line { number, time, process, text })
    }

    fn event(&mut self, line: &Line<'_>, event: &str) -> Result<(), Fault> {
        let mut words = event.split_whitespace();
        let name = words.next().ok_or(Fault::Event)?;
        let words: Vec<&str> = words.collect();
        let positions = |from: usize, reader: &mut Reader| {
            words[from.min(words.len())..]
                .iter()
                .map(|word| reader.position(word))
                .collect::<Result<Positions, Fault>>()
        };
        match name {
            "note" => {
                let (process, time, text) = (line.process, line.time, words.join(" "));
                self.history.notes.push(Note { process, time, text });
            }
            "begin" => {
                if self.open.contains_key(&line.process) {
                    return Err(Fault::Nested);
                }
                self.begin(line, OperationKind::Transaction);
            }
            "commit" => self.open.get_mut(&line.process).ok_or(Fault::NothingToEnd)?.commit_asked = true,
            "ok" => self.end(line, Outcome::Ok)?,
            "fail" => self.end(line, Outcome::Failed)?,
            "unknown" => self.end(line, Outcome::Unknown)?,
            "send" => self.send(line, &words)?,
            "acked" => {
                let (key, value) = self.key_and_value(&words)?;
                let offset = offset(words.get(2).and_then(|word| word.strip_prefix('@')).ok_or(Fault::Missing)?)?;
                self.answered(line, key, value, Some(offset))?;
            }
            "refused" => {
                let (key, value) = self.key_and_value(&words)?;
                self.answered(line, key, value, None)?;
            }
            "polled" => {
                let key = self.key(words.first().ok_or(Fault::Missing)?);
                let mut records = Vec::new();
                for word in &words[1..] {
                    let (at, value) = word.split_once('=').ok_or(Fault::Missing)?;
                    records.push((offset(at)?, Value(self.word(value))));
                }
                self.step(line, OperationKind::Poll, Step::Poll { key, records });
            }
            "offsets" | "fetched" => {
                let group = self.word(words.first().ok_or(Fault::Missing)?);
                let positions = positions(1, self)?;
                let step = Step::Offsets { group, positions };
                match (name, self.open.get(&line.process)) {
                    ("offsets", Some(open)) => self.history.operations[open.operation.0].steps.push(step),
                    ("offsets", None) => {
                        let operation = self.begin(line, OperationKind::Offsets);
                        self.history.operations[operation.0].steps.push(step);
                    }
                    _ => self.alone(line, OperationKind::Fetched, step),
                }
            }
            "assign" => {
                let positions = positions(0, self)?;
                self.step(line, OperationKind::Move, Step::Anew);
                self.step(line, OperationKind::Move, Step::Seek(positions));
            }
            "seek" => {
                let positions = positions(0, self)?;
                self.step(line, OperationKind::Move, Step::Seek(positions));
            }
            "subscribe" => self.step(line, OperationKind::Move, Step::Anew),
            "assigned" | "revoked" => {
                let keys = words.iter().map(|word| self.key(word)).collect();
                self.step(line, OperationKind::Move, Step::Rebalance(keys));
            }
            "drained" => {
                let keys = words.iter().map(|word| self.key(word)).collect();
                self.step(line, OperationKind::Move, Step::Drained(keys));
            }
            _ => return Err(Fault::Event),
        }
        Ok(())
    }

    fn begin(&mut self, line: &Line<'_>, kind: OperationKind) -> OperationId {
        let operation = self.push(line, kind, None, Outcome::Unknown);
        // Offsets alone have no commit that could be missing.
        self.open.insert(line.process, Open { operation, commit_asked: kind == OperationKind::Offsets });
        operation
    }

    fn push(&mut self, line: &Line<'_>, kind: OperationKind, end: Option<u64>, outcome: Outcome) -> OperationId {
        let id = OperationId(self.history.operations.len());
        let (process, begin, steps) = (line.process, line.time, Vec::new());
        self.history.operations.push(Operation { process, kind, begin, end, outcome, steps });
        id
    }

    /// An operation of one step that is over at once.
    fn alone(&mut self, line: &Line<'_>, kind: OperationKind, step: Step) {
        let id = self.push(line, kind, Some(line.time), Outcome::Ok);
        self.history.operations[id.0].steps.push(step);
    }

    /// A step of what the process is in, or alone.
    fn step(&mut self, line: &Line<'_>, kind: OperationKind, step: Step) {
        match self.open.get(&line.process) {
            Some(open) => self.history.operations[open.operation.0].steps.push(step),
            None => self.alone(line, kind, step),
        }
    }

    fn end(&mut self, line: &Line<'_>, outcome: Outcome) -> Result<(), Fault> {
        let open = self.open.remove(&line.process).ok_or(Fault::NothingToEnd)?;
        let operation = &mut self.history.operations[open.operation.0];
        operation.outcome = if outcome == Outcome::Unknown && !open.commit_asked { Outcome::Failed } else { outcome };
        // What may happen yet has no end.
        operation.end = (operation.outcome != Outcome::Unknown).then_some(line.time);
        Ok(())
    }

    fn send(&mut self, line: &Line<'_>, words: &[&str]) -> Result<(), Fault> {
        let (key, value) = self.key_and_value(words)?;
        let (mut at, mut source) = (None, None);
        for word in &words[2..] {
            if let Some(number) = word.strip_prefix('@') {
                at = Some(offset(number)?);
            } else {
                let (from, number) = word.strip_prefix('<').and_then(|it| it.rsplit_once(':')).ok_or(Fault::Surplus)?;
                source = Some((self.key(from), offset(number)?));
            }
        }
        if !self.sent.insert((key.clone(), value.clone())) {
            return Err(Fault::SentBefore);
        }
        let step = Step::Send { key: key.clone(), value: value.clone(), offset: None, source };
        let operation = match self.open.get(&line.process) {
            Some(open) => {
                let operation = open.operation;
                self.history.operations[operation.0].steps.push(step);
                operation
            }
            None => {
                let operation = self.push(line, OperationKind::Send, None, Outcome::Unknown);
                self.history.operations[operation.0].steps.push(step);
                operation
            }
        };
        let place = (operation, self.history.operations[operation.0].steps.len() - 1);
        self.unanswered.insert((line.process, key.clone(), value.clone()), place);
        if at.is_some() {
            self.answered(line, key, value, at)?;
        }
        Ok(())
    }

    fn answered(&mut self, line: &Line<'_>, key: Key, value: Value, at: Option<Offset>) -> Result<(), Fault> {
        let (operation, step) = self.unanswered.remove(&(line.process, key, value)).ok_or(Fault::NotSent)?;
        let operation = &mut self.history.operations[operation.0];
        if let Step::Send { offset, .. } = &mut operation.steps[step] {
            *offset = at;
        }
        if operation.kind == OperationKind::Send {
            operation.outcome = if at.is_some() { Outcome::Ok } else { Outcome::Failed };
            operation.end = Some(line.time);
        }
        Ok(())
    }

    fn finish(mut self) -> History {
        for open in self.open.into_values() {
            if !open.commit_asked {
                self.history.operations[open.operation.0].outcome = Outcome::Failed;
            }
        }
        self.history
    }

    fn key_and_value(&mut self, words: &[&str]) -> Result<(Key, Value), Fault> {
        let [key, value, ..] = words else { return Err(Fault::Missing) };
        Ok((self.key(key), Value(self.word(value))))
    }

    fn position(&mut self, word: &str) -> Result<(Key, Offset), Fault> {
        let (key, at) = word.rsplit_once('=').ok_or(Fault::Missing)?;
        Ok((self.key(key), offset(at)?))
    }

    fn key(&mut self, word: &str) -> Key {
        Key(self.word(word))
    }

    /// The same word is kept once.
    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        self.words.insert(word.to_owned(), new.clone());
        new
    }
}

fn offset(word: &str) -> Result<Offset, Fault> {
    word.parse().map(Offset).map_err(|_| Fault::Number)
}
