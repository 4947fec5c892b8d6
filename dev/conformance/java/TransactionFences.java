package ottla.conformance;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidTxnStateException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Producers that lose their transactions: to another of the same id, to time, or because they went. */
final class TransactionFences {
    private final Clients clients;
    private final Transactional transactional;
    private final String suffix;

    TransactionFences(Clients clients, int version) {
        this.clients = clients;
        transactional = new Transactional(clients);
        suffix = "_v" + version;
    }

    void run(Cases cases) {
        cases.run("fenced_by_a_second_of_its_id" + suffix, this::fencedBySecond);
        cases.run("fenced_while_it_sends" + suffix, this::fencedWhileItSends);
        cases.run("many_of_one_id" + suffix, this::manyOfOneId);
        cases.run("a_timeout_that_is_too_long" + suffix, this::timeoutTooLong);
        cases.run("closed_in_a_transaction" + suffix, this::closedInTransaction);
        // These wait for the broker to lose patience.
        cases.together(Map.of("timed_out" + suffix, this::timedOut,
                "timed_out_without_a_record" + suffix, this::timedOutWithoutRecord,
                "gone_in_a_transaction" + suffix, this::gone));
    }

    private String topic() throws Exception {
        String topic = Cases.topic("fenced");
        clients.create(topic, 1);
        return topic;
    }

    private void fencedBySecond() throws Exception {
        String topic = topic();
        String id = Cases.topic("id");
        try (var zombie = transactional.producer(id)) {
            Transactional.commit(zombie, topic, "before");
            zombie.beginTransaction();
            Transactional.send(zombie, topic, "zombie");
            try (var heir = transactional.producer(id)) {
                Transactional.refused("the zombie's commit", zombie::commitTransaction, ProducerFencedException.class,
                        InvalidProducerEpochException.class);
                Transactional.commit(heir, topic, "after");
                Transactional.refused("the zombie's next transaction", zombie::beginTransaction, KafkaException.class);
                Transactional.commit(heir, topic, "later");
            }
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("before", "after", "later"), "committed"));
    }

    private void fencedWhileItSends() throws Exception {
        String topic = topic();
        String id = Cases.topic("id");
        try (var zombie = transactional.producer(id)) {
            zombie.beginTransaction();
            Transactional.send(zombie, topic, "zombie");
            try (var heir = transactional.producer(id)) {
                heir.beginTransaction();
                Transactional.send(heir, topic, "heir");
                Transactional.refused("the zombie's record", () -> Transactional.send(zombie, topic, "late"),
                        ProducerFencedException.class, InvalidProducerEpochException.class);
                heir.commitTransaction();
            }
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("heir"), "committed"));
        Cases.equal(transactional.all(topic), List.of("zombie", "heir"), "all");
    }

    /** Each one leaves its transaction open to the next. */
    private void manyOfOneId() throws Exception {
        String topic = topic();
        String id = Cases.topic("id");
        for (int number = 0; number < 10; number++) {
            KafkaProducer<byte[], byte[]> producer = transactional.producer(id);
            if (number % 3 == 0) {
                Transactional.commit(producer, topic, "kept" + number);
            }
            producer.beginTransaction();
            Transactional.send(producer, topic, "lost" + number);
            producer.close(Duration.ZERO);
        }
        transactional.producer(id).close();
        List<String> kept = List.of("kept0", "kept3", "kept6", "kept9");
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), kept, "committed"));
    }

    private void timeoutTooLong() {
        try (var producer = transactional.unready(Cases.topic("id"), "transaction.timeout.ms", 900_001)) {
            try {
                producer.initTransactions();
            } catch (KafkaException refused) {
                // The client has no exception of its own for this one.
                Cases.equal(refused.getMessage().contains("timeout is larger"), true, refused.getMessage());
                return;
            }
            throw new AssertionError("taken");
        }
    }

    private void closedInTransaction() throws Exception {
        String topic = topic();
        try (var producer = transactional.producer(Cases.topic("id"))) {
            producer.beginTransaction();
            Transactional.send(producer, topic, "lost");
        }
        // The client ends it as it closes: nobody has to wait for the timeout.
        Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 2L, "end"));
        Cases.equal(transactional.committed(topic), List.of(), "committed");
    }

    private void timedOut() throws Exception {
        String topic = topic();
        String id = Cases.topic("id");
        try (var producer = transactional.producer(id, "transaction.timeout.ms", 1000)) {
            producer.beginTransaction();
            Transactional.send(producer, topic, "lost");
            Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 2L, "end"));
            Transactional.refused("a commit too late", producer::commitTransaction, ProducerFencedException.class,
                    InvalidProducerEpochException.class, InvalidTxnStateException.class);
            try (var again = transactional.producer(id)) {
                Transactional.commit(again, topic, "kept");
            }
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("kept"), "committed"));
    }

    /** A transaction that the broker never heard of has no time to run out. */
    private void timedOutWithoutRecord() throws Exception {
        String topic = topic();
        try (var producer = transactional.producer(Cases.topic("id"), "transaction.timeout.ms", 500);
                var other = transactional.producer(Cases.topic("id"), "transaction.timeout.ms", 500)) {
            producer.beginTransaction();
            other.beginTransaction();
            other.send(new ProducerRecord<>(topic, 0, null, "lost".getBytes()));
            other.flush();
            Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 2L, "end of the other"));
            Transactional.send(producer, topic, "kept");
            producer.commitTransaction();
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("kept"), "committed"));
    }

    private void gone() throws Exception {
        String topic = topic();
        var producer = transactional.producer(Cases.topic("id"), "transaction.timeout.ms", 1000);
        Transactional.commit(producer, topic, "kept");
        producer.beginTransaction();
        Transactional.send(producer, topic, "lost");
        producer.close(Duration.ZERO);
        Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 4L, "end"));
        Cases.equal(transactional.committed(topic), List.of("kept"), "committed");
    }
}
