//! Bytes that no client sends: everybody else is served as before, and memory stays where it was.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::rust_client::{config, create_topic};
use ottla_conformance::{Broker, programs};
use ottla_testkit::{Dice, Wire};
use ottla_wire::frame::request_header_version;
use ottla_wire::{ApiKey, MessageKind, Role};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// What the broker's memory may grow by, bytes.
const GROWTH_MAX: u64 = 64 << 20;
/// Frames of the mixture.
const FRAMES: usize = 3_700;
/// Hostile connections that are open at a time.
const OPEN_MAX: usize = 50;
/// Connections that announce much and send little.
const HALF_SENT: usize = 200;
/// Frames between two looks at whether others are served.
const LOOK_EVERY: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    ottla_conformance::run("hostile", &[], |suite, broker| {
        let address: SocketAddr = broker.bootstrap().parse().context("bootstrap")?;
        suite.case("records_before", || records_before(broker));
        suite.case("frames_of_every_api_mutated", || bounded(broker, || mutated_frames(address)));
        suite.case("large_frames_half_sent", || bounded(broker, || half_sent_frames(address)));
        suite.case("lengths_out_of_bounds", || bounded(broker, || lengths_out_of_bounds(address)));
        suite.case("answers_that_nobody_reads", || bounded(broker, || unread_answers(address)));
        Ok(())
    })
}

/// Something to lose.
fn records_before(broker: &Broker) -> Result<()> {
    let (bootstrap, topic) = (broker.bootstrap(), broker.topic("kept"));
    create_topic(&bootstrap, &topic, 2, &[])?;
    let producer: BaseProducer = config(&bootstrap, &[]).create()?;
    for partition in 0..2 {
        let record = BaseRecord::<(), str>::to(&topic).partition(partition).payload("kept");
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(PATIENCE)?)
}

/// Runs `attack` and compares the broker's memory before and after.
fn bounded(broker: &Broker, attack: impl FnOnce() -> Result<()>) -> Result<()> {
    let resident = || broker.process().map(|process| process.rss_bytes()).transpose();
    let before = resident()?;
    attack()?;
    if let (Some(before), Some(after)) = (before, resident()?) {
        let grown = after.saturating_sub(before);
        ensure!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
    }
    Ok(())
}

/// A client that behaves.
struct Good(Wire);

impl Good {
    fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(Wire::connect(address)?))
    }

    /// ApiVersions 0, answered.
    fn is_served(&mut self) -> Result<()> {
        let answer = self.0.exchange(&[0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff], PATIENCE);
        let answer = answer.context("a client that behaves is not served")?;
        ensure!(
            answer.starts_with(&[0, 0, 0, 7, 0, 0]),
            "the answer begins with {:02x?}",
            &answer[..6.min(answer.len())]
        );
        Ok(())
    }
}

fn mutated_frames(address: SocketAddr) -> Result<()> {
    let originals = requests()?;
    let mut dice = Dice::new(20);
    let mut good = Good::connect(address)?;
    let mut open = VecDeque::new();
    for number in 0..FRAMES {
        let original = &originals[number % originals.len()];
        let mut bad = Wire::connect(address)?;
        // The broker may close at once.
        let _ = bad.send_frame(&mutate(original, &mut dice));
        open.push_back(bad);
        if open.len() > OPEN_MAX {
            open.pop_front();
        }
        if number % LOOK_EVERY == 0 {
            good.is_served().with_context(|| format!("after {number} frames"))?;
        }
    }
    drop(open);
    good.is_served()?;
    Good::connect(address)?.is_served()
}

/// A whole request of every API and version that the codec knows: header and body.
fn requests() -> Result<Vec<Vec<u8>>> {
    let folder = programs::folder().join("../../crates/wire/testdata/vectors");
    let mut frames = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let path = file?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let Some(Role::Request(api)) = MessageKind::by_name(&name).map(|kind| kind.role) else { continue };
        for line in fs::read_to_string(&path)?.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(version), Some(_), Some(hex)) = (words.next(), words.next(), words.next()) else { continue };
            frames.push(frame(api, version.parse()?, &bytes_of(hex)?));
        }
    }
    ensure!(frames.len() > 500, "only {} requests in {}", frames.len(), folder.display());
    Ok(frames)
}

fn bytes_of(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn frame(api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 16);
    frame.extend_from_slice(&(api as i16).to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    if request_header_version(api, version) == 2 {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    frame
}

/// Cuts, lengths that lie, over-long varints, noise.
fn mutate(original: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut frame = original.to_vec();
    let at = |dice: &mut Dice, frame: &[u8]| dice.below(frame.len().max(1) as u64) as usize;
    match dice.below(6) {
        0 => frame.truncate(at(dice, &frame)),
        kind @ 1..=3 => {
            let lie = [i32::MAX, -2, 0][kind as usize - 1].to_be_bytes();
            let from = at(dice, &frame).max(8).min(frame.len().saturating_sub(4));
            let to = (from + 4).min(frame.len());
            frame[from..to].copy_from_slice(&lie[..to - from]);
        }
        4 => {
            let from = at(dice, &frame);
            frame.splice(from..from, [0xff; 11]);
        }
        _ => {
            for _ in 0..4 {
                let position = at(dice, &frame);
                frame[position] = dice.below(256) as u8;
            }
        }
    }
    frame
}

fn half_sent_frames(address: SocketAddr) -> Result<()> {
    let mut good = Good::connect(address)?;
    let mut open = Vec::new();
    for _ in 0..HALF_SENT {
        let mut bad = Wire::connect(address)?;
        bad.send_bytes(&(100_i32 << 20).to_be_bytes())?;
        bad.send_bytes(&[0; 1024])?;
        open.push(bad);
    }
    for _ in 0..10 {
        good.is_served()?;
    }
    Good::connect(address)?.is_served()
}

fn lengths_out_of_bounds(address: SocketAddr) -> Result<()> {
    let mut good = Good::connect(address)?;
    for length in [-1, i32::MIN, i32::MAX, (100 << 20) + 1] {
        let mut bad = Wire::connect(address)?;
        bad.send_bytes(&length.to_be_bytes())?;
        ensure!(bad.is_closed_within(PATIENCE)?, "a frame of {length} bytes is waited for");
        good.is_served()?;
    }
    Ok(())
}

/// Many requests, and nobody there to read what comes back.
fn unread_answers(address: SocketAddr) -> Result<()> {
    let mut good = Good::connect(address)?;
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut bad = Wire::connect(address)?;
        let request = [&10_i32.to_be_bytes()[..], &[0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]].concat();
        bad.send_bytes(&request.repeat(2_000))?;
        open.push(bad);
    }
    good.is_served()?;
    drop(open);
    good.is_served()
}
