//! The active controller at work: questions are decided one after the other, committed together.
//!
//! Questions that wait are decided in order, each on the image that the ones before it lead to; their records go into one
//! entry of the log, and all are answered when it is committed and applied. Invariants: no answer before the commit of
//! all that it rests on; when an entry is not committed, none of its questions is answered with success.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use ottla_controller::{Command, Controller, Decision, MetadataImage, MetadataRecord, Reply};
use ottla_disk::Clock;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{metadata_log::MetadataLog, quorum::SubmitError, raft::Applier};

/// Questions that may wait; whoever comes then waits to ask.
const WAITING_MAX: usize = 1024;
/// Records after which an entry takes no further question: some MiB.
const RECORDS_MAX: usize = 20_000;

type Answer = oneshot::Sender<Result<Reply, SubmitError>>;

struct Question {
    command: Command,
    answer: Answer,
}

/// Where questions go in.
#[derive(Debug)]
pub(crate) struct Inbox {
    questions: parking_lot::Mutex<Option<mpsc::Sender<Question>>>,
}

impl Inbox {
    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, SubmitError> {
        let questions = self.questions.lock().clone().ok_or(SubmitError::Stopped)?;
        let (answer, answered) = oneshot::channel();
        questions.send(Question { command, answer }).await.map_err(|_| SubmitError::Stopped)?;
        drop(questions); // the driver ends when nobody can ask any more
        answered.await.map_err(|_| SubmitError::Stopped)?
    }

    /// Takes no more questions; those that wait are still answered.
    pub(crate) fn close(&self) {
        self.questions.lock().take();
    }
}

/// See the file's head.
pub(crate) struct Driver<L> {
    log: Arc<L>,
    applier: Applier,
    controller: Controller,
    clock: Arc<dyn Clock>,
}

impl<L: MetadataLog> Driver<L> {
    /// Starts to decide; the task ends when the inbox is closed and empty.
    pub(crate) fn start(
        log: Arc<L>,
        applier: Applier,
        controller: Controller,
        clock: Arc<dyn Clock>,
    ) -> (Inbox, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let driver = Self { log, applier, controller, clock };
        let task = tokio::spawn(driver.run(receiver));
        (Inbox { questions: parking_lot::Mutex::new(Some(sender)) }, task)
    }

    async fn run(self, mut questions: mpsc::Receiver<Question>) {
        while let Some(first) = questions.recv().await {
            let batch = self.decide_batch(first, &mut questions);
            self.commit(batch).await;
        }
    }

    fn decide_batch(&self, first: Question, questions: &mut mpsc::Receiver<Question>) -> Batch {
        let mut batch = Batch { image: self.applier.latest(), records: Vec::new(), answers: Vec::new() };
        self.decide(&mut batch, first);
        while batch.records.len() < RECORDS_MAX
            && let Ok(next) = questions.try_recv()
        {
            self.decide(&mut batch, next);
        }
        batch
    }

    fn decide(&self, batch: &mut Batch, question: Question) {
        let decide = || self.controller.decide(&batch.image, self.clock.now(), &question.command);
        // Deciding is pure, so a panic inside leaves nothing half done.
        match catch_unwind(AssertUnwindSafe(decide)) {
            Ok(decision) => batch.take(decision, question.answer),
            Err(_) => answer(question.answer, Err(SubmitError::Faulty)),
        }
    }

    async fn commit(&self, mut batch: Batch) {
        if batch.records.is_empty() {
            batch.answer(None);
            return;
        }
        let committed = self.log.propose(Arc::new(std::mem::take(&mut batch.records))).await;
        if let Err(error) = &committed {
            tracing::warn!(%error, "a change of the metadata was not committed");
        }
        batch.answer(committed.err().map(SubmitError::from));
    }
}

/// Decisions that are committed together.
struct Batch {
    image: Arc<MetadataImage>,
    records: Vec<MetadataRecord>,
    answers: Vec<(Answer, Reply)>,
}

impl Batch {
    fn take(&mut self, decision: Decision, waiting: Answer) {
        if !decision.records.is_empty() {
            match self.image.apply(&decision.records, self.image.version()) {
                Ok((image, _)) => self.image = Arc::new(image),
                Err(error) => {
                    tracing::error!(%error, "the controller decided what does not fit its image");
                    return answer(waiting, Err(SubmitError::Faulty));
                }
            }
            self.records.extend(decision.records);
        }
        self.answers.push((waiting, decision.reply));
    }

    fn answer(self, error: Option<SubmitError>) {
        for (waiting, reply) in self.answers {
            answer(waiting, error.map_or(Ok(reply), Err));
        }
    }
}

/// Nobody may wait any more: then nobody is told.
fn answer(waiting: Answer, result: Result<Reply, SubmitError>) {
    let _ = waiting.send(result);
}
