//! A connection of a protocol driver: one request at a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ottla_testkit::Wire;
use ottla_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_wire::{ApiRequest, Message, frame};

const PATIENCE: Duration = Duration::from_secs(60);
/// Version with several keys.
const FIND: i16 = 4;
/// Codes that ask to come again.
const TRY_AGAIN: [i16; 3] = [14, 15, 16];

/// See the file's head.
pub(super) struct Link {
    wire: Wire,
    correlation: i32,
}

impl Link {
    pub(super) fn connect(bootstrap: SocketAddr) -> Result<Self> {
        Ok(Self { wire: Wire::connect(bootstrap)?, correlation: 0 })
    }

    /// Which also has the broker make its topic; there is only one broker.
    pub(super) fn find_coordinator(&mut self, group: &str) -> Result<()> {
        let request =
            FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..FindCoordinatorRequest::default() };
        let code =
            |response: &FindCoordinatorResponse| response.coordinators.first().map_or(-1, |found| found.error_code);
        let response = self.exchange_again(&request, FIND, code)?;
        ensure!(code(&response) == 0, "no coordinator: error {}", code(&response));
        Ok(())
    }

    /// Asks until the coordinator is there.
    pub(super) fn exchange_again<Q: ApiRequest, A: Message>(
        &mut self,
        request: &Q,
        version: i16,
        code: impl Fn(&A) -> i16,
    ) -> Result<A> {
        let begin = Instant::now();
        loop {
            let answer = self.exchange(request, version)?;
            if !TRY_AGAIN.contains(&code(&answer)) || begin.elapsed() > PATIENCE {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn exchange<Q: ApiRequest, A: Message>(&mut self, request: &Q, version: i16) -> Result<A> {
        self.correlation += 1;
        let encoded = frame::encode_request(version, self.correlation, Some("crowd"), request)?;
        self.wire.send_bytes(&encoded.read()?)?;
        let answer = self.wire.read_frame(PATIENCE)?.context("the broker closed the connection")?;
        let (correlation, mut body) = frame::parse_response(Q::API, version, Bytes::from(answer))?;
        ensure!(correlation == self.correlation, "an answer to another request");
        Ok(A::decode(&mut body, version)?)
    }
}
