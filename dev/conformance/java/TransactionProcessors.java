package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Groups that read, work and write in transactions, and offsets that are part of them. */
final class TransactionProcessors {
    private static final int PARTITIONS = 4;
    private final Clients clients;
    private final Transactional transactional;
    private final int version;

    TransactionProcessors(Clients clients, int version) {
        this.clients = clients;
        this.version = version;
        transactional = new Transactional(clients);
    }

    void run(Cases cases) {
        for (Protocol protocol : Protocol.ONE_OF_EACH_KIND) {
            // The older client has the consumer protocol as a preview only.
            if (version == 2 || !protocol.isConsumer()) {
                String suffix = protocol.suffix() + "_v" + version;
                cases.run("each_record_once" + suffix, () -> eachRecordOnce(protocol));
                cases.run("stale_metadata_is_refused" + suffix, () -> staleMetadata(protocol));
            }
        }
        cases.run("offsets_share_the_fate_of_their_transaction_v" + version, this::offsetsShareTheFate);
        cases.run("offsets_without_records_v" + version, this::offsetsWithoutRecords);
        cases.run("offsets_of_two_groups_v" + version, this::offsetsOfTwoGroups);
    }

    private String topic(int partitions) throws Exception {
        String topic = Cases.topic("processed");
        clients.create(topic, partitions);
        return topic;
    }

    /** Members come, go, and fall away in the middle of a transaction. */
    private void eachRecordOnce(Protocol protocol) throws Exception {
        String from = topic(PARTITIONS);
        String to = topic(3);
        String group = Cases.topic("group");
        Set<String> sent = new HashSet<>();
        List<Processor> processors = new ArrayList<>();
        try (var feeder = transactional.producer(Cases.topic("id"))) {
            processors.add(new Processor(clients, protocol, group, from, to));
            feed(feeder, from, sent, 300);
            processors.add(new Processor(clients, protocol, group, from, to));
            processors.add(new Processor(clients, protocol, group, from, to));
            feed(feeder, from, sent, 300);
            awaitOwned(processors);
            processors.get(1).fallAway();
            feed(feeder, from, sent, 300);
            Cases.eventually(() -> Cases.equal(processors.get(1).fellAway(), true, "one fell away in the middle"));
            processors.get(2).close();
            processors.add(new Processor(clients, protocol, group, from, to));
            feed(feeder, from, sent, 300);
            await(to, sent.size(), processors);
        } finally {
            processors.forEach(Processor::close);
        }
        for (Processor processor : processors) {
            if (processor.problem() != null) {
                throw new AssertionError("a processor ended", processor.problem());
            }
        }
        List<String> found = transactional.committed(to);
        Cases.equal(found.size(), sent.size(), "records");
        Cases.equal(new HashSet<>(found), sent, "each record");
    }

    /** What is read is written in transactions too, some of them aborted. */
    private void feed(KafkaProducer<byte[], byte[]> feeder, String topic,
            Set<String> sent, int count) {
        for (int begin = 0; begin < count; begin += 50) {
            for (boolean keep : new boolean[] {false, true}) {
                feeder.beginTransaction();
                for (int number = 0; number < 50; number++) {
                    String value = (keep ? "" : "lost") + (sent.size());
                    feeder.send(new ProducerRecord<>(topic, number % PARTITIONS, null,
                            value.getBytes()));
                    if (keep) {
                        sent.add(value);
                    }
                }
                if (keep) {
                    feeder.commitTransaction();
                } else {
                    // What is not there yet would not be sent at all by an abort.
                    feeder.flush();
                    feeder.abortTransaction();
                }
            }
        }
    }

    private static void awaitOwned(List<Processor> processors) throws Exception {
        Cases.eventually(() -> {
            int owned = processors.stream().mapToInt(Processor::owned).sum();
            Cases.equal(owned == PARTITIONS && processors.stream().allMatch(one -> one.owned() > 0), true,
                    "each one owns some: " + processors.stream().map(Processor::owned).toList());
        });
    }

    private void await(String topic, int count, List<Processor> processors) throws Exception {
        Cases.eventually(() -> {
            for (Processor processor : processors) {
                if (processor.problem() != null) {
                    throw new AssertionError("a processor ended", processor.problem());
                }
            }
            int found = transactional.committed(topic).size();
            Cases.equal(found >= count, true, found + " of " + count + " records");
        });
    }

    /** Who was in the group once, or never, does not commit in its name. */
    private void staleMetadata(Protocol protocol) throws Exception {
        String topic = topic(PARTITIONS);
        String group = Cases.topic("group");
        try (var producer = transactional.producer(Cases.topic("id")); var first = member(protocol, group, topic);
                var second = member(protocol, group, topic)) {
            Cases.eventually(() -> {
                first.poll(Duration.ofMillis(50));
                Cases.equal(first.assignment().size(), PARTITIONS, "partitions");
            });
            ConsumerGroupMetadata old = first.groupMetadata();
            Cases.eventually(() -> {
                first.poll(Duration.ofMillis(50));
                second.poll(Duration.ofMillis(50));
                Cases.equal(first.assignment().size() + second.assignment().size(), PARTITIONS, "partitions");
                Cases.equal(second.assignment().isEmpty(), false, "nothing for the second");
            });
            ConsumerGroupMetadata now = first.groupMetadata();
            // In the other protocol an old epoch is good enough for a partition that the member has had since then.
            TopicPartition lost = second.assignment().iterator().next();
            TopicPartition kept = first.assignment().iterator().next();
            Cases.equal(now.generationId() > old.generationId(), true, "generation moved");
            ConsumerGroupMetadata stranger = new ConsumerGroupMetadata(group, now.generationId(), "nobody", Optional.empty());
            ConsumerGroupMetadata early = new ConsumerGroupMetadata(group, now.generationId() + 1, now.memberId(),
                    Optional.empty());
            for (ConsumerGroupMetadata wrong : List.of(old, stranger, early)) {
                producer.beginTransaction();
                Transactional.refused("offsets of " + wrong, () -> producer.sendOffsetsToTransaction(
                        Map.of(lost, new OffsetAndMetadata(7)), wrong), CommitFailedException.class);
                producer.abortTransaction();
            }
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(kept, new OffsetAndMetadata(3)), now);
            producer.commitTransaction();
            Cases.eventually(() -> Cases.equal(offset(group, kept), 3L, "committed"));
            Cases.equal(offset(group, lost), null, "not committed");
        }
    }

    private KafkaConsumer<byte[], byte[]> member(Protocol protocol, String group, String topic) {
        List<Object> settings = new ArrayList<>(List.of("group.id", group, "auto.offset.reset", "earliest"));
        protocol.settings.forEach((name, value) -> settings.addAll(List.of(name, value)));
        KafkaConsumer<byte[], byte[]> consumer = clients.consumer(settings.toArray());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private Long offset(String group, TopicPartition place) throws Exception {
        try (var admin = clients.admin()) {
            OffsetAndMetadata found = Clients.wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(place);
            return found == null ? null : found.offset();
        }
    }

    private void offsetsShareTheFate() throws Exception {
        String topic = topic(1);
        String group = Cases.topic("group");
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = transactional.producer(Cases.topic("id"))) {
            offsets(producer, place, group, 5);
            Cases.equal(offset(group, place), null, "while open");
            producer.commitTransaction();
            Cases.eventually(() -> Cases.equal(offset(group, place), 5L, "after the commit"));
            offsets(producer, place, group, 9);
            Transactional.send(producer, topic, "lost");
            producer.abortTransaction();
            Transactional.commit(producer, topic, "later");
            Cases.equal(offset(group, place), 5L, "after the abort");
            offsets(producer, place, group, 6);
            offsets(producer, place, group, 7, "a note");
            producer.commitTransaction();
            Cases.eventually(() -> Cases.equal(offset(group, place), 7L, "the last of two"));
        }
        try (var consumer = clients.consumer("group.id", group, "isolation.level", "read_committed")) {
            OffsetAndMetadata found = consumer.committed(Set.of(place), Clients.PATIENCE).get(place);
            Cases.equal(found.metadata(), "a note", "metadata");
        }
    }

    private static void offsets(KafkaProducer<byte[], byte[]> producer,
            TopicPartition place, String group, long offset) {
        producer.beginTransaction();
        producer.sendOffsetsToTransaction(Map.of(place, new OffsetAndMetadata(offset)), new ConsumerGroupMetadata(group));
    }

    /** More of a transaction that is open. */
    private static void offsets(KafkaProducer<byte[], byte[]> producer,
            TopicPartition place, String group, long offset, String note) {
        producer.sendOffsetsToTransaction(Map.of(place, new OffsetAndMetadata(offset, note)), new ConsumerGroupMetadata(group));
    }

    private void offsetsWithoutRecords() throws Exception {
        String group = Cases.topic("group");
        List<TopicPartition> places = new ArrayList<>();
        String topic = topic(30);
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (int partition = 0; partition < 30; partition++) {
            places.add(new TopicPartition(topic, partition));
            offsets.put(places.get(partition), new OffsetAndMetadata(partition));
        }
        try (var producer = transactional.producer(Cases.topic("id")); var admin = clients.admin()) {
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(offsets, new ConsumerGroupMetadata(group));
            producer.commitTransaction();
            Cases.eventually(() -> {
                var found = Clients.wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
                Cases.equal(found.size(), 30, "partitions");
                places.forEach(place -> Cases.equal(found.get(place).offset(), (long) place.partition(), "offset"));
            });
        }
    }

    private void offsetsOfTwoGroups() throws Exception {
        TopicPartition place = new TopicPartition(topic(1), 0);
        String one = Cases.topic("group");
        String other = Cases.topic("group");
        try (var producer = transactional.producer(Cases.topic("id"))) {
            offsets(producer, place, one, 5);
            offsets(producer, place, other, 6, "");
            producer.commitTransaction();
        }
        Cases.eventually(() -> {
            Cases.equal(offset(one, place), 5L, "one");
            Cases.equal(offset(other, place), 6L, "the other");
        });
    }
}
