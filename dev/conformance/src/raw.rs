//! A client that asks any request in any version, one at a time, and takes every answer: for what no library would say.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_testkit::Wire;
use ottla_wire::{ApiRequest, Message, frame};

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENT_ID: &str = "raw";

/// A connection.
#[derive(Debug)]
pub struct Raw {
    wire: Wire,
    correlation_id: i32,
}

impl Raw {
    /// Connects to `HOST:PORT`.
    pub fn connect(bootstrap: &str) -> Result<Raw> {
        let address: SocketAddr = bootstrap.parse().context("bootstrap")?;
        Ok(Raw { wire: Wire::connect(address)?, correlation_id: 0 })
    }

    /// Asks and waits for the answer.
    pub fn ask<M: ApiRequest>(&mut self, version: i16, request: &M) -> Result<M::Response> {
        self.send(version, request)?;
        self.answer::<M>(version)
    }

    /// Asks; the answer can be taken later.
    pub fn send<M: ApiRequest>(&mut self, version: i16, request: &M) -> Result<()> {
        self.correlation_id += 1;
        let frame = frame::encode_request(version, self.correlation_id, Some(CLIENT_ID), request);
        let frame = frame.with_context(|| format!("{:?} version {version}", M::API))?.read()?;
        self.wire.send_bytes(&frame).with_context(|| format!("sending {:?}", M::API))
    }

    /// The answer to the last request that was sent.
    pub fn answer<M: ApiRequest>(&mut self, version: i16) -> Result<M::Response> {
        let what = || format!("answer to {:?}", M::API);
        let frame = self.wire.read_frame(PATIENCE).with_context(what)?.context("closed").with_context(what)?;
        let (correlation_id, mut reader) = frame::parse_response(M::API, version, frame.into()).with_context(what)?;
        ensure!(correlation_id == self.correlation_id, "an {} to another request", what());
        M::Response::decode(&mut reader, version).with_context(what)
    }
}
