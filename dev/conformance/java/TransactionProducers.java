package ottla.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;

/** What transactions make of their records, and who sees them when. */
final class TransactionProducers {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private final Clients clients;
    private final Transactional transactional;
    private final String suffix;

    TransactionProducers(Clients clients, int version) {
        this.clients = clients;
        transactional = new Transactional(clients);
        suffix = "_v" + version;
    }

    void run(Cases cases) {
        for (String codec : CODECS) {
            cases.run("commit_and_abort_" + codec + suffix, () -> commitAndAbort(codec));
        }
        cases.run("nothing_is_seen_before_its_end" + suffix, this::nothingIsSeenBeforeItsEnd);
        cases.run("an_open_transaction_holds_back_later_ones" + suffix, this::openOneHoldsBack);
        cases.run("empty_transactions" + suffix, this::emptyTransactions);
        cases.run("many_partitions" + suffix, this::manyPartitions);
        cases.run("segment_roll" + suffix, this::segmentRoll);
        cases.run("one_abort_among_many_commits" + suffix, this::oneAbortAmongMany);
        cases.run("interleaved_producers" + suffix, this::interleavedProducers);
        cases.run("other_producers_between" + suffix, this::otherProducersBetween);
        cases.run("abortable_error" + suffix, this::abortableError);
        cases.run("unflushed_records_are_committed" + suffix, this::unflushed);
        cases.run("log_append_time" + suffix, this::logAppendTime);
        cases.run("records_deleted_up_to_the_stable_end" + suffix, this::recordsDeleted);
    }

    private String topic(int partitions, String... settings) throws Exception {
        String topic = Cases.topic("transactional");
        clients.create(topic, partitions, settings);
        return topic;
    }

    private void commitAndAbort(String codec) throws Exception {
        String topic = topic(1);
        String[] first = numbered("first", 200);
        String[] lost = numbered("lost", 200);
        String[] last = numbered("last", 200);
        try (var producer = transactional.producer(Cases.topic("id"), "compression.type", codec, "linger.ms", 10)) {
            Transactional.commit(producer, topic, first);
            Transactional.abort(producer, topic, lost);
            Transactional.commit(producer, topic, last);
        }
        List<String> kept = new ArrayList<>(List.of(first));
        kept.addAll(List.of(last));
        Cases.equal(transactional.committed(topic), kept, "committed");
        Cases.equal(transactional.all(topic).size(), 600, "all");
        // Each transaction ends with a marker, which has an offset of its own.
        Cases.equal(transactional.end(topic, "read_committed"), 603L, "end");
    }

    private static String[] numbered(String word, int count) {
        return IntStream.range(0, count).mapToObj(number -> word + number).toArray(String[]::new);
    }

    private void nothingIsSeenBeforeItsEnd() throws Exception {
        String topic = topic(1);
        try (var producer = transactional.producer(Cases.topic("id"))) {
            Transactional.commit(producer, topic, "a");
            producer.beginTransaction();
            Transactional.send(producer, topic, "b", "c");
            Cases.equal(transactional.committed(topic), List.of("a"), "committed while open");
            Cases.equal(transactional.all(topic), List.of("a", "b", "c"), "all while open");
            Cases.equal(transactional.end(topic, "read_committed"), 2L, "stable end");
            Cases.equal(transactional.end(topic, "read_uncommitted"), 4L, "end");
            producer.commitTransaction();
            // The answer to the end of a transaction comes before its markers are everywhere.
            Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("a", "b", "c"), "at last"));
        }
    }

    private void openOneHoldsBack() throws Exception {
        String topic = topic(1);
        try (var slow = transactional.producer(Cases.topic("id")); var quick = transactional.producer(Cases.topic("id"))) {
            slow.beginTransaction();
            Transactional.send(slow, topic, "slow");
            Transactional.commit(quick, topic, "quick");
            Transactional.abort(quick, topic, "never");
            Cases.equal(transactional.committed(topic), List.of(), "behind the open one");
            Cases.equal(transactional.end(topic, "read_committed"), 0L, "stable end");
            slow.abortTransaction();
            Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("quick"), "after its end"));
        }
    }

    private void emptyTransactions() throws Exception {
        String topic = topic(1);
        try (var producer = transactional.producer(Cases.topic("id"))) {
            for (int time = 0; time < 3; time++) {
                producer.beginTransaction();
                producer.commitTransaction();
                producer.beginTransaction();
                producer.abortTransaction();
            }
            Transactional.commit(producer, topic, "one");
            producer.beginTransaction();
            producer.commitTransaction();
        }
        Cases.equal(transactional.committed(topic), List.of("one"), "committed");
        Cases.equal(transactional.end(topic, "read_committed"), 2L, "end: a record and a marker");
    }

    private void manyPartitions() throws Exception {
        List<String> topics = List.of(topic(20), topic(20), topic(20));
        try (var producer = transactional.producer(Cases.topic("id"))) {
            for (String fate : List.of("kept", "lost", "kept")) {
                producer.beginTransaction();
                for (String topic : topics) {
                    for (int number = 0; number < 200; number++) {
                        producer.send(new ProducerRecord<>(topic, number % 20, null, fate.getBytes()));
                    }
                }
                if (fate.equals("kept")) {
                    producer.commitTransaction();
                } else {
                    // What is not there yet would not be sent at all by an abort.
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
        for (String topic : topics) {
            Cases.eventually(() -> {
                var fates = transactional.committed(topic).stream().collect(Collectors.groupingBy(fate -> fate,
                        Collectors.counting()));
                Cases.equal(fates.toString(), "{kept=400}", "committed");
            });
        }
    }

    /** Transactions that begin in one segment and end in another, aborted ones among them. */
    private void segmentRoll() throws Exception {
        String topic = topic(1, "segment.bytes", "1048576");
        String filler = "x".repeat(10_000);
        List<String> kept = new ArrayList<>();
        try (var producer = transactional.producer(Cases.topic("id"), "batch.size", 50_000, "linger.ms", 5)) {
            for (int number = 0; number < 8; number++) {
                producer.beginTransaction();
                for (int record = 0; record < 70; record++) {
                    String value = number + ":" + record + filler;
                    producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes()));
                    if (number % 2 == 0) {
                        kept.add(value);
                    }
                }
                if (number % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    // What is not there yet would not be sent at all by an abort.
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
        Cases.eventually(() -> Cases.equal(transactional.end(topic, "read_committed"), 568L, "end"));
        Cases.equal(transactional.committed(topic).equals(kept), true, "committed is what was kept");
        Cases.equal(transactional.all(topic).size(), 560, "all");
    }

    private void oneAbortAmongMany() throws Exception {
        String topic = topic(1);
        List<String> kept = new ArrayList<>();
        try (var producer = transactional.producer(Cases.topic("id"))) {
            for (int number = 0; number < 100; number++) {
                String value = Integer.toString(number);
                if (number == 57) {
                    Transactional.abort(producer, topic, value);
                } else {
                    Transactional.commit(producer, topic, value);
                    kept.add(value);
                }
            }
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), kept, "committed"));
        Cases.equal(transactional.end(topic, "read_committed"), 200L, "end");
    }

    /** Records of three transactions in turn; one of them is aborted. */
    private void interleavedProducers() throws Exception {
        String topic = topic(1);
        try (var one = transactional.producer(Cases.topic("id")); var two = transactional.producer(Cases.topic("id"));
                var three = transactional.producer(Cases.topic("id"))) {
            List.of(one, two, three).forEach(producer -> producer.beginTransaction());
            for (int number = 0; number < 30; number++) {
                Transactional.send(one, topic, "one" + number);
                Transactional.send(two, topic, "two" + number);
                Transactional.send(three, topic, "three" + number);
            }
            three.commitTransaction();
            two.abortTransaction();
            one.commitTransaction();
        }
        Cases.eventually(() -> {
            List<String> found = transactional.committed(topic);
            Cases.equal(found.size(), 60, "committed");
            Cases.equal(found.stream().noneMatch(value -> value.startsWith("two")), true, "nothing aborted");
        });
    }

    private void otherProducersBetween() throws Exception {
        String topic = topic(1);
        try (var producer = transactional.producer(Cases.topic("id")); var plain = clients.producer()) {
            producer.beginTransaction();
            Transactional.send(producer, topic, "lost");
            Transactional.send(plain, topic, "plain");
            Cases.equal(transactional.committed(topic), List.of(), "behind the open one");
            producer.abortTransaction();
            Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("plain"), "committed"));
        }
    }

    /** A record that is refused spoils its transaction and no other. */
    private void abortableError() throws Exception {
        String topic = topic(1, "max.message.bytes", "2000");
        try (var producer = transactional.producer(Cases.topic("id"))) {
            producer.beginTransaction();
            Transactional.send(producer, topic, "spoiled");
            producer.send(new ProducerRecord<>(topic, 0, null, new byte[10_000]));
            Transactional.refused("a commit after an error", producer::commitTransaction, RecordTooLargeException.class);
            producer.abortTransaction();
            Transactional.commit(producer, topic, "sound");
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("sound"), "committed"));
    }

    private void unflushed() throws Exception {
        String topic = topic(1);
        try (var producer = transactional.producer(Cases.topic("id"), "linger.ms", 10_000)) {
            producer.beginTransaction();
            for (String value : numbered("", 5000)) {
                producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes()));
            }
            producer.commitTransaction();
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of(numbered("", 5000)), "committed"));
    }

    private void logAppendTime() throws Exception {
        String topic = topic(1, "message.timestamp.type", "LogAppendTime");
        try (var producer = transactional.producer(Cases.topic("id"), "compression.type", "lz4")) {
            Transactional.abort(producer, topic, "lost");
            Transactional.commit(producer, topic, "kept");
        }
        Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("kept"), "committed"));
    }

    /** The log begins after an aborted transaction; what it aborted must not be looked for. */
    private void recordsDeleted() throws Exception {
        String topic = topic(1);
        try (var producer = transactional.producer(Cases.topic("id")); var admin = clients.admin()) {
            Transactional.abort(producer, topic, "lost", "lost");
            Transactional.commit(producer, topic, "kept");
            var place = new TopicPartition(topic, 0);
            var upTo = RecordsToDelete.beforeOffset(1);
            Clients.wait(admin.deleteRecords(Map.of(place, upTo)).all());
            Cases.eventually(() -> Cases.equal(transactional.committed(topic), List.of("kept"), "committed"));
            Cases.equal(transactional.all(topic), List.of("lost", "kept"), "all");
        }
    }
}
