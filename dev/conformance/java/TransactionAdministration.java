package ottla.conformance;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** Transactions as the admin client lists, describes and ends them. */
final class TransactionAdministration {
    private final Clients clients;
    private final Transactional transactional;

    TransactionAdministration(Clients clients) {
        this.clients = clients;
        transactional = new Transactional(clients);
    }

    void run(Cases cases) {
        cases.run("transactions_are_listed", () -> with(this::listed));
        cases.run("transactions_are_described", () -> with(this::described));
        cases.run("producers_are_described", () -> with(this::producers));
        cases.run("abort_a_transaction_on_a_partition", () -> with(this::abort));
        cases.run("fence_producers", () -> with(this::fence));
        cases.run("force_the_end_of_a_transaction", () -> with(this::force));
        cases.run("ids_that_nobody_knows", () -> with(this::unknown));
    }

    private interface Work {
        void run(Admin admin, String topic, String id) throws Exception;
    }

    private void with(Work work) throws Exception {
        String topic = Cases.topic("administered");
        clients.create(topic, 2);
        try (Admin admin = clients.admin()) {
            work.run(admin, topic, Cases.topic("id"));
        }
    }

    private void listed(Admin admin, String topic, String id) throws Exception {
        String other = id + "-other";
        try (var producer = transactional.producer(id); var idle = transactional.producer(other)) {
            Transactional.commit(idle, topic, "done");
            producer.beginTransaction();
            Transactional.send(producer, topic, "open");
            Map<String, TransactionListing> all = list(admin, new ListTransactionsOptions());
            Cases.equal(all.get(id).state(), TransactionState.ONGOING, "state");
            long producerId = all.get(id).producerId();
            Cases.eventually(() -> Cases.equal(list(admin, new ListTransactionsOptions()).get(other).state(),
                    TransactionState.COMPLETE_COMMIT, "state of the other"));
            var ongoing = list(admin, new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING)));
            Cases.equal(ongoing.containsKey(id) && !ongoing.containsKey(other), true, "by state: " + ongoing);
            var one = list(admin, new ListTransactionsOptions().filterProducerIds(Set.of(producerId)));
            Cases.equal(one.keySet(), Set.of(id), "by producer id");
            var pattern = list(admin, new ListTransactionsOptions().filterOnTransactionalIdPattern(id + "-o.*"));
            Cases.equal(pattern.keySet(), Set.of(other), "by pattern");
            var old = list(admin, new ListTransactionsOptions().filterOnDuration(3_600_000));
            Cases.equal(old.containsKey(id), false, "an hour old");
            Cases.eventually(() -> Cases.equal(list(admin, new ListTransactionsOptions().filterOnDuration(1)).containsKey(id),
                    true, "a millisecond old"));
            producer.commitTransaction();
        }
    }

    private static Map<String, TransactionListing> list(Admin admin, ListTransactionsOptions options) throws Exception {
        return Clients.wait(admin.listTransactions(options).all()).stream()
                .collect(Collectors.toMap(TransactionListing::transactionalId, listing -> listing));
    }

    private static TransactionDescription describe(Admin admin, String id) throws Exception {
        return Clients.wait(admin.describeTransactions(List.of(id)).description(id));
    }

    private void described(Admin admin, String topic, String id) throws Exception {
        try (var producer = transactional.producer(id, "transaction.timeout.ms", 54_321)) {
            TransactionDescription empty = describe(admin, id);
            Cases.equal(empty.state(), TransactionState.EMPTY, "state before");
            Cases.equal(empty.transactionTimeoutMs(), 54_321L, "timeout");
            Cases.equal(empty.transactionStartTimeMs().isPresent(), false, "start before");
            producer.beginTransaction();
            Transactional.send(producer, topic, "a");
            TransactionDescription open = describe(admin, id);
            Cases.equal(open.state(), TransactionState.ONGOING, "state");
            Cases.equal(open.topicPartitions(), Set.of(new TopicPartition(topic, 0)), "partitions");
            Cases.equal(open.transactionStartTimeMs().isPresent(), true, "start");
            Cases.equal(open.producerId(), empty.producerId(), "producer id");
            producer.commitTransaction();
            Cases.eventually(() -> Cases.equal(describe(admin, id).state(), TransactionState.COMPLETE_COMMIT, "state after"));
            Cases.equal(describe(admin, id).topicPartitions(), Set.of(), "partitions after");
            // Version 2: each transaction has an epoch of its own.
            Cases.equal(describe(admin, id).producerEpoch(), open.producerEpoch() + 1, "epoch after");
            Transactional.abort(producer, topic, "b");
            Cases.eventually(() -> Cases.equal(describe(admin, id).state(), TransactionState.COMPLETE_ABORT, "state at last"));
            Cases.equal(describe(admin, id).producerEpoch(), open.producerEpoch() + 2, "epoch at last");
        }
    }

    private static ProducerState only(Admin admin, TopicPartition place) throws Exception {
        List<ProducerState> found =
                Clients.wait(admin.describeProducers(List.of(place)).partitionResult(place)).activeProducers();
        Cases.equal(found.size(), 1, "producers");
        return found.get(0);
    }

    private void producers(Admin admin, String topic, String id) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = transactional.producer(id)) {
            Transactional.commit(producer, topic, "a", "b");
            producer.beginTransaction();
            long offset = Transactional.send(producer, topic, "c");
            ProducerState open = only(admin, place);
            Cases.equal(open.currentTransactionStartOffset().getAsLong(), offset, "start of the transaction");
            Cases.equal(open.producerId(), describe(admin, id).producerId(), "producer id");
            Cases.equal(open.producerEpoch(), describe(admin, id).producerEpoch(), "epoch");
            Cases.equal(open.lastSequence(), 0, "sequence: each epoch begins anew");
            producer.commitTransaction();
            Cases.eventually(() -> Cases.equal(only(admin, place).currentTransactionStartOffset().isPresent(), false, "open"));
            Cases.equal(only(admin, place).coordinatorEpoch().isPresent(), true, "epoch of the coordinator");
        }
    }

    /** What ends a transaction that its coordinator has forgotten: a marker on one partition. */
    private void abort(Admin admin, String topic, String id) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = transactional.producer(id, "transaction.timeout.ms", 10_000)) {
            producer.beginTransaction();
            Transactional.send(producer, topic, "lost");
            ProducerState open = only(admin, place);
            Cases.equal(transactional.end(topic, "read_committed"), 0L, "stable end before");
            Clients.wait(admin.abortTransaction(new AbortTransactionSpec(place, open.producerId(),
                    (short) open.producerEpoch(), open.coordinatorEpoch().orElse(0))).all());
            Cases.equal(only(admin, place).currentTransactionStartOffset().isPresent(), false, "open");
            Cases.equal(transactional.end(topic, "read_committed"), 2L, "stable end");
            Cases.equal(transactional.committed(topic), List.of(), "committed");
            producer.abortTransaction();
        }
    }

    private void fence(Admin admin, String topic, String id) throws Exception {
        String fresh = id + "-fresh";
        try (var zombie = transactional.producer(id)) {
            zombie.beginTransaction();
            Transactional.send(zombie, topic, "lost");
            long producerId = describe(admin, id).producerId();
            var fenced = admin.fenceProducers(List.of(id, fresh));
            Clients.wait(fenced.all());
            Cases.equal(Clients.wait(fenced.producerId(id)), producerId, "producer id");
            Cases.equal(Clients.wait(fenced.epochId(fresh)), (short) 0, "epoch of a new id");
            Transactional.refused("a fenced commit", zombie::commitTransaction, ProducerFencedException.class,
                    InvalidProducerEpochException.class);
        }
        Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 2L, "stable end"));
        Cases.equal(transactional.committed(topic), List.of(), "committed");
    }

    private void force(Admin admin, String topic, String id) throws Exception {
        try (var zombie = transactional.producer(id)) {
            zombie.beginTransaction();
            Transactional.send(zombie, topic, "lost");
            Clients.wait(admin.forceTerminateTransaction(id).result());
            Cases.eventually(() -> Cases.equal(describe(admin, id).state(), TransactionState.EMPTY, "state"));
            Transactional.refused("a commit after the end", zombie::commitTransaction, ProducerFencedException.class,
                    InvalidProducerEpochException.class);
        }
        Cases.equal(transactional.committed(topic), List.of(), "committed");
    }

    private void unknown(Admin admin, String topic, String id) throws Exception {
        Transactional.refused("an unknown id", () -> describe(admin, id), TransactionalIdNotFoundException.class);
        TopicPartition place = new TopicPartition(topic, 0);
        Cases.equal(Clients.wait(admin.describeProducers(List.of(place)).partitionResult(place)).activeProducers(),
                List.of(), "producers of an empty partition");
    }
}
