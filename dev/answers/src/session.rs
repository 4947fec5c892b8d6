//! What a case speaks through: a connection, topics of its own, and a transcript of what was answered.
//!
//! Invariants: only what was asked with a label is in the transcript; a closed connection is an answer like any other,
//! and the next question opens a new one.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottla_testkit::Wire;
use ottla_wire::{ApiKey, ApiRequest, Message, Reader, Writer, frame};

use crate::answer::{Line, lines};
use crate::normal::Names;
use crate::records::Depth;
use crate::value::Value;

/// A broker that takes longer is taken never to answer, as Kafka does to some requests.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a change may take until every part of the broker knows of it.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at whether a change has settled.
const PAUSE: Duration = Duration::from_millis(3);
/// What the requests say of their sender.
const CLIENT_ID: &str = "answers";

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// API and label.
    pub title: String,
    /// The answer.
    pub lines: Vec<Line>,
}

/// What comes back.
#[derive(Debug)]
enum Answer {
    Frame(Bytes),
    Closed,
    Nothing,
}

/// A question on a connection of its own, whose answer depends on what others ask meanwhile.
#[derive(Debug)]
#[must_use]
pub struct Pending<M> {
    title: String,
    version: i16,
    wire: Wire,
    request: PhantomData<M>,
}

/// A conversation with a broker.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    wire: Option<Wire>,
    correlation_id: i32,
    names: Names,
    steps: Vec<Step>,
}

impl Session {
    /// A session whose topics start with `prefix`; connects when it first asks.
    #[must_use]
    pub fn new(address: SocketAddr, prefix: String) -> Session {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        Session { address, wire: None, correlation_id: 0, names: Names::new(prefix, now), steps: Vec::new() }
    }

    /// What was asked and answered.
    #[must_use]
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// The real name of the topic that the case calls `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        self.names.topic(name)
    }

    /// Batches are compared by their records from now on: the broker compressed them itself.
    pub fn compare_records(&mut self) {
        self.names.depth = Depth::Records;
    }

    /// The next question goes out on a new connection.
    pub fn reconnect(&mut self) {
        self.wire = None;
    }

    /// Asks, and keeps the answer in the transcript; none where the connection was closed, or nothing came.
    ///
    /// # Errors
    /// Where the request cannot be sent or the answer cannot be read.
    pub fn ask<M: ApiRequest>(&mut self, label: &str, version: i16, request: &M) -> Result<Option<M::Response>> {
        let answer = self.exchange(version, request)?;
        self.answered::<M>(format!("{:?}: {label}", M::API), version, answer)
    }

    /// Asks without keeping the answer.
    ///
    /// # Errors
    /// Also where the connection was closed.
    pub fn get<M: ApiRequest>(&mut self, version: i16, request: &M) -> Result<M::Response> {
        let answer = self.exchange(version, request)?;
        self.learned::<M>(version, answer)
    }

    /// Sends a question; what is asked before the answer is taken with [`receive`](Self::receive) goes out on another
    /// connection.
    ///
    /// # Errors
    /// Where the request cannot be sent.
    pub fn send<M: ApiRequest>(&mut self, label: &str, version: i16, request: &M) -> Result<Pending<M>> {
        let frame = self.encode(version, request)?;
        let mut wire = Wire::connect(self.address).context("connecting")?;
        wire.send_bytes(&frame)?;
        Ok(Pending { title: format!("{:?}: {label}", M::API), version, wire, request: PhantomData })
    }

    /// Waits for the answer and keeps it, as [`ask`](Self::ask) does.
    ///
    /// # Errors
    /// As of [`ask`](Self::ask).
    pub fn receive<M: ApiRequest>(&mut self, pending: Pending<M>) -> Result<Option<M::Response>> {
        let Pending { title, version, mut wire, .. } = pending;
        let answer = read(&mut wire)?;
        self.answered::<M>(title, version, answer)
    }

    /// Waits for the answer without keeping it.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub fn receive_unkept<M: ApiRequest>(&mut self, mut pending: Pending<M>) -> Result<M::Response> {
        let answer = read(&mut pending.wire)?;
        self.learned::<M>(pending.version, answer)
    }

    /// Sends a request that nothing answers, then asks for the versions on the same connection: kept is whether that is
    /// answered, and not the former.
    ///
    /// # Errors
    /// Where a request cannot be sent.
    pub fn tell<M: ApiRequest>(&mut self, label: &str, version: i16, request: &M) -> Result<()> {
        let title = format!("{:?}: {label}", M::API);
        let frame = self.encode(version, request)?;
        self.wire()?.send_bytes(&frame)?;
        let next = self.exchange(0, &ottla_wire::messages::ApiVersionsRequest::default())?;
        self.push(title, if matches!(next, Answer::Frame(_)) { "nothing" } else { "closed" });
        Ok(())
    }

    /// Sends any header and body; kept is the body that comes back, read as `version_back` of `M`'s response.
    ///
    /// # Errors
    /// Where the frame cannot be sent, or the answer is no such response.
    pub fn ask_raw<M: ApiRequest>(&mut self, label: &str, request: &[u8], version_back: i16) -> Result<()> {
        let title = format!("{:?}: {label}", M::API);
        self.wire()?.send_frame(request)?;
        match self.answer()? {
            Answer::Frame(frame) => self.keep::<M::Response>(title, M::API, version_back, frame)?,
            _ => {
                self.push(title, "closed");
                return Ok(());
            }
        };
        Ok(())
    }

    /// Sends any frame; kept is only whether the connection is closed.
    ///
    /// # Errors
    /// Where it cannot be sent.
    pub fn send_raw(&mut self, label: &str, request: &[u8]) -> Result<()> {
        self.wire()?.send_frame(request)?;
        let answer = match self.answer()? {
            Answer::Frame(_) => "answered",
            Answer::Closed => "closed",
            Answer::Nothing => "nothing",
        };
        self.push(label.to_owned(), answer);
        Ok(())
    }

    /// Keeps `fields`, `name=value` with blanks between, made of what [`get`](Self::get) gave, under a title.
    pub fn note(&mut self, title: &str, fields: &str) {
        self.push(title.to_owned(), &format!(". {fields}"));
    }

    /// Asks until `settled` holds of the answer; neither questions nor answers are kept.
    ///
    /// # Errors
    /// Where that takes too long.
    pub fn settle(&mut self, what: &str, mut settled: impl FnMut(&mut Session) -> Result<bool>) -> Result<()> {
        let begin = Instant::now();
        while !settled(self)? {
            ensure!(begin.elapsed() < SETTLED_WITHIN, "not within {SETTLED_WITHIN:?}: {what}");
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn encode<M: ApiRequest>(&mut self, version: i16, request: &M) -> Result<Bytes> {
        self.correlation_id += 1;
        let frame = frame::encode_request(version, self.correlation_id, Some(CLIENT_ID), request);
        Ok(frame.with_context(|| format!("{:?} version {version}", M::API))?.read()?)
    }

    fn exchange<M: ApiRequest>(&mut self, version: i16, request: &M) -> Result<Answer> {
        let frame = self.encode(version, request)?;
        self.wire()?.send_bytes(&frame)?;
        let answer = self.answer()?;
        if let Answer::Frame(answer) = &answer {
            ensure!(answer.starts_with(&self.correlation_id.to_be_bytes()), "an answer to another request");
        }
        Ok(answer)
    }

    fn wire(&mut self) -> Result<&mut Wire> {
        let wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.address).context("connecting")?,
        };
        Ok(self.wire.insert(wire))
    }

    /// The next frame. A connection that ends or stays silent is not used again.
    fn answer(&mut self) -> Result<Answer> {
        let answer = read(self.wire()?)?;
        if !matches!(answer, Answer::Frame(_)) {
            self.wire = None;
        }
        Ok(answer)
    }

    fn answered<M: ApiRequest>(&mut self, title: String, version: i16, answer: Answer) -> Result<Option<M::Response>> {
        match answer {
            Answer::Frame(frame) => self.keep(title, M::API, version, frame).map(Some),
            Answer::Closed => {
                self.push(title, "closed");
                Ok(None)
            }
            Answer::Nothing => {
                self.push(title, "nothing");
                Ok(None)
            }
        }
    }

    /// The response, whose names are known from now on; that it is there is what counts.
    fn learned<M: ApiRequest>(&mut self, version: i16, answer: Answer) -> Result<M::Response> {
        let Answer::Frame(frame) = answer else { bail!("{:?}: no answer", M::API) };
        let (_, mut reader) = frame::parse_response(M::API, version, frame)?;
        let response = M::Response::decode(&mut reader, version)?;
        self.names.normal(Value::of(&response)?);
        Ok(response)
    }

    fn keep<R: Message>(&mut self, title: String, api: ApiKey, version: i16, frame: Bytes) -> Result<R> {
        let (_, mut reader) = frame::parse_response(api, version, frame.clone())?;
        let response = R::decode(&mut reader, version).with_context(|| format!("{title}, version {version}"))?;
        let mut lines = lines(&self.names.normal(Value::of(&response)?));
        if !is_all_of(&response, version, api, &frame)? {
            lines.push(Line::parse("! other bytes than the codec writes"));
        }
        self.add(title, lines);
        Ok(response)
    }

    fn push(&mut self, title: String, answer: &str) {
        self.add(title, vec![Line::parse(answer)]);
    }

    /// Steps are told apart by their titles: a title that comes again gets a number.
    fn add(&mut self, title: String, lines: Vec<Line>) {
        let again = format!("{title} (");
        let same = self.steps.iter().filter(|step| step.title == title || step.title.starts_with(&again)).count();
        let title = if same == 0 { title } else { format!("{title} ({})", same + 1) };
        self.steps.push(Step { title, lines });
    }
}

/// The next frame of a connection.
fn read(wire: &mut Wire) -> Result<Answer> {
    Ok(match wire.read_frame(ANSWER_WITHIN) {
        Ok(Some(frame)) => Answer::Frame(frame.into()),
        Ok(None) => Answer::Closed,
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Answer::Nothing,
            io::ErrorKind::ConnectionReset => Answer::Closed,
            _ => return Err(error.into()),
        },
    })
}

/// Whether encoding the response gives the bytes that came: what the codec skips would go unseen else.
fn is_all_of<R: Message>(response: &R, version: i16, api: ApiKey, frame: &Bytes) -> Result<bool> {
    let mut body = Writer::with_capacity(frame.len());
    response.encode(&mut body, version)?;
    let body = body.finish().read()?;
    let (_, reader): (i32, Reader) = frame::parse_response(api, version, frame.clone())?;
    Ok(reader.rest() == body)
}
