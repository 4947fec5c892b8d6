//! Requests that come twice or late: none of them ends, enters or harms another transaction.

use std::sync::Arc;

use anyhow::{Result, ensure};
use ottla_conformance::crew::Story;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Body, Broker, Suite};
use ottla_types::ErrorCode;

use crate::drain::{await_closed, committed, drain, end_offset, fetch_offsets};
use crate::raw::{Transactional, Version};

/// A case of one version of the protocol.
type Case = fn(&mut Scene) -> Result<()>;

pub(crate) fn run(suite: &mut Suite, broker: &Broker, seed: u64) {
    use Version::{One, Two};
    let bodies: [(&str, Version, Case); 8] = [
        ("end_txn_twice", Two, end_txn_twice),
        ("end_txn_late", Two, end_txn_late),
        ("end_txn_late_after_init", One, end_txn_late),
        ("produce_late", Two, produce_late),
        ("produce_late", One, produce_late),
        ("txn_offset_commit_twice", Two, txn_offset_commit_twice),
        ("txn_offset_commit_twice", One, txn_offset_commit_twice),
        ("markers_twice", Two, markers_twice),
    ];
    let mut cases: Vec<(String, Body<'_>)> = Vec::new();
    for (name, version, body) in bodies {
        let name = format!("late_{name}_version_{version:?}_seed_{seed}").to_lowercase();
        let own = name.clone();
        cases.push((name, Box::new(move || Scene::play(broker, version, &own, body))));
    }
    suite.together(cases);
}

struct Scene {
    it: Transactional,
    bootstrap: String,
}

impl Scene {
    fn play(broker: &Broker, version: Version, name: &str, body: Case) -> Result<()> {
        let (story, topic, bootstrap) = (Arc::<Story>::default(), broker.topic("late"), broker.bootstrap());
        create_topic(&bootstrap, &topic, 2, &[])?;
        let it = Transactional::new(&bootstrap, &story, version, &topic)?;
        let mut scene = Scene { it, bootstrap };
        body(&mut scene)?;
        drain(&story, &scene.bootstrap, &topic, 2)?;
        fetch_offsets(&story, &scene.bootstrap, &scene.it.group, &topic, 1)?;
        story.check(name).map(drop)
    }

    /// Ends no transaction, and one that is open stays open.
    fn is_open(&self) -> Result<()> {
        let mut raw = Raw::connect(&self.bootstrap)?;
        let topic = &self.it.topic;
        let ends = (end_offset(&mut raw, topic, 0, true)?, end_offset(&mut raw, topic, 0, false)?);
        ensure!(ends.0 < ends.1, "the transaction is not open any more: {ends:?}");
        Ok(())
    }

    /// Waits until the last transaction's markers are written: its end is answered before, and until then what is late is
    /// not late yet.
    fn settle(&self) -> Result<()> {
        await_closed(&self.bootstrap, &self.it.topic, 2)?;
        committed(&self.bootstrap, &self.it.group, &self.it.topic, 1).map(drop)
    }

    /// A transaction with a record and an offset, committed.
    fn first(&mut self) -> Result<()> {
        self.it.say("begin");
        self.it.send(0)?;
        self.it.offset(1)?;
        self.it.end(true)
    }
}

/// The request is refused, with an error that says so: not one that clients retry, or know nothing of.
pub(crate) fn refused(
    it: &mut Transactional,
    what: &str,
    mut ask: impl FnMut(&mut Transactional) -> Result<i16>,
) -> Result<()> {
    let error = it.answered(what, &mut ask)?;
    ensure!(error != 0, "{what} was taken");
    let unknown = [ErrorCode::UnknownServerError, ErrorCode::RequestTimedOut];
    ensure!(!unknown.iter().any(|code| code.code() == error), "{what}: error {error}");
    println!("  {what}: error {error}");
    Ok(())
}

/// EndTxn of a transaction that is over, while the next one is open.
fn end_txn_twice(scene: &mut Scene) -> Result<()> {
    let before = scene.it.producer;
    scene.first()?;
    scene.it.say("begin");
    scene.it.send(0)?;
    // The same again is a client's that did not get the answer; it may be told that all is well.
    let (again, _) = scene.it.end_txn(true, before)?;
    println!("  the same EndTxn again: error {again}");
    scene.is_open()?;
    refused(&mut scene.it, "an abort of what was committed", |it| Ok(it.end_txn(false, before)?.0))?;
    scene.is_open()?;
    scene.it.end(false)?;
    scene.first()
}

/// EndTxn arrives when its client has given up waiting and has begun anew.
fn end_txn_late(scene: &mut Scene) -> Result<()> {
    scene.it.say("begin");
    scene.it.send(0)?;
    let before = scene.it.producer;
    scene.it.init_after(before)?;
    scene.it.say("fail");
    scene.it.say("begin");
    scene.it.send(0)?;
    for commits in [true, false] {
        refused(&mut scene.it, "a late EndTxn", |it| Ok(it.end_txn(commits, before)?.0))?;
        scene.is_open()?;
    }
    scene.it.end(true)
}

/// A record of a transaction that is over: it is refused, and holds nobody up. What was sent already may be called good once
/// more, at its place.
fn produce_late(scene: &mut Scene) -> Result<()> {
    let before = scene.it.producer;
    scene.first()?;
    scene.settle()?;
    for (partition, sequence) in [(0, 1), (1, 0)] {
        refused(&mut scene.it, "a late record", |it| Ok(it.produce(partition, "late", before, sequence)?.0))?;
    }
    if scene.it.version == Version::Two {
        let (error, offset) = scene.it.produce(0, "again", before, 0)?;
        ensure!(error != 0 || offset == 0, "a record that was sent already was taken at {offset}");
    }
    await_closed(&scene.bootstrap, &scene.it.topic, 2)?;
    scene.first()
}

/// Offsets that come twice are committed once; offsets of a transaction that is over are refused, and nothing is pending.
fn txn_offset_commit_twice(scene: &mut Scene) -> Result<()> {
    let before = scene.it.producer;
    scene.it.say("begin");
    scene.it.offset(5)?;
    let again = scene.it.txn_offset_commit(5, before)?;
    ensure!(again == 0, "the same offsets again: error {again}");
    scene.it.end(true)?;
    scene.settle()?;
    refused(&mut scene.it, "late offsets", |it| it.txn_offset_commit(3, before))?;
    let found = committed(&scene.bootstrap, &scene.it.group, &scene.it.topic, 1)?;
    ensure!(found == [(0, 5)], "{found:?}");
    Ok(())
}

/// The marker of a transaction that is over arrives once more, while the next one is open.
fn markers_twice(scene: &mut Scene) -> Result<()> {
    scene.first()?;
    scene.it.say("begin");
    scene.it.send(0)?;
    for commits in [true, false] {
        // The coordinator wrote it with the epoch that the next transaction has.
        refused(&mut scene.it, "a marker once more", |it| it.marker(commits, it.producer, 0))?;
        scene.is_open()?;
    }
    scene.it.end(true)
}
