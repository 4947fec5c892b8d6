//! The answers of one connection, in the order of its requests.
//!
//! Invariant: an answer is sent only when every answer before it is out; dropping a pending [`Answers::advance`] loses
//! nothing.

use std::{collections::VecDeque, io};

use tokio::net::TcpStream;

use super::{Answer, Frame, FrameFuture, send::Outbox};

/// Requests of one connection that may be unanswered before it is not read any further. Clients keep five (Java) to a
/// few hundred (librdkafka without idempotence) in flight.
const UNANSWERED_MAX: usize = 128;

/// Answers not yet out.
#[derive(Default)]
pub(crate) struct Answers {
    outbox: Outbox,
    waiting: VecDeque<Waiting>,
    /// An answer that later requests must not overtake is waited for.
    exclusive: bool,
    closing: bool,
}

enum Waiting {
    Ready(Frame),
    Later(FrameFuture),
}

impl Answers {
    /// Whether another request may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        !self.closing && !self.exclusive && self.waiting.len() < UNANSWERED_MAX
    }

    /// Whether there is something to send or to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.is_empty() && self.waiting.is_empty()
    }

    /// Whether the connection ends here.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing && self.is_empty()
    }

    /// No more requests are taken in; what was taken in is answered.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    pub(crate) fn push(&mut self, answer: Answer) {
        match answer {
            Answer::Now(frame) if self.waiting.is_empty() => self.outbox.push(frame),
            Answer::Now(frame) => self.waiting.push_back(Waiting::Ready(frame)),
            Answer::Later(frame) => self.waiting.push_back(Waiting::Later(frame)),
            Answer::Exclusive(frame) => {
                self.exclusive = true;
                self.waiting.push_back(Waiting::Later(frame));
            }
            Answer::Nothing => {}
            Answer::Close => self.closing = true,
        }
    }

    /// Sends what is ready and waits for what is not, until nothing is left. Adds the bytes sent to `sent`.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn advance(&mut self, stream: &TcpStream, sent: &mut u64) -> io::Result<()> {
        loop {
            while let Some(Waiting::Ready(_)) = self.waiting.front() {
                if let Some(Waiting::Ready(frame)) = self.waiting.pop_front() {
                    self.outbox.push(frame);
                }
            }
            self.outbox.flush(stream, sent).await?;
            let Some(Waiting::Later(frame)) = self.waiting.front_mut() else {
                if self.waiting.is_empty() {
                    return Ok(());
                }
                continue;
            };
            let frame = frame.as_mut().await;
            self.waiting.pop_front();
            self.exclusive &= !self.waiting.is_empty();
            match frame {
                Some(frame) => self.outbox.push(frame),
                None => return Err(io::Error::other("an answer cannot be expressed")),
            }
        }
    }
}
