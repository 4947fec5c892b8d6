package ottla.conformance;

import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Where a consumer begins, and how it waits. */
final class Positions {
    private static final long TIME = 1_600_000_000_000L;
    private final Clients clients;

    Positions(Clients clients) {
        this.clients = clients;
    }

    void run(Cases cases) {
        cases.run("offsets_and_times", this::offsetsAndTimes);
        cases.run("seek_and_reset", this::seekAndReset);
        cases.run("offset_out_of_range", this::offsetOutOfRange);
        cases.run("small_fetches", this::smallFetches);
        cases.run("read_committed", this::readCommitted);
        cases.run("a_waiting_consumer_is_woken", this::waitingConsumer);
        cases.run("six_partitions_by_key", this::sixPartitions);
        cases.run("partitions_come_and_go_in_a_session", this::session);
    }

    private String numbers(int count) throws Exception {
        String topic = Cases.topic("positions");
        try (var producer = clients.producer("batch.size", 500)) {
            Clients.send(producer, Clients.numbers(topic, count));
        }
        return topic;
    }

    private void offsetsAndTimes() throws Exception {
        String topic = Cases.topic("times");
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = clients.producer("batch.size", 300)) {
            for (int number = 0; number < 100; number++) {
                producer.send(new ProducerRecord<>(topic, 0, TIME + number * 10, null, new byte[8]));
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            Cases.equal(consumer.beginningOffsets(List.of(place)), Map.of(place, 0L), "beginning");
            Cases.equal(consumer.endOffsets(List.of(place)), Map.of(place, 100L), "end");
            for (long[] pair : new long[][] {{0, 0}, {5, 1}, {990, 99}}) {
                var found = consumer.offsetsForTimes(Map.of(place, TIME + pair[0])).get(place);
                Cases.equal(found.offset(), pair[1], "offset at " + pair[0]);
                Cases.equal(found.timestamp(), TIME + pair[1] * 10, "time at " + pair[0]);
            }
            Cases.equal(consumer.offsetsForTimes(Map.of(place, TIME + 991)).get(place), null, "after the last");
        }
    }

    private void seekAndReset() throws Exception {
        String topic = numbers(1000);
        TopicPartition place = new TopicPartition(topic, 0);
        try (var consumer = clients.consumer("auto.offset.reset", "earliest", "max.poll.records", 10)) {
            consumer.assign(List.of(place));
            consumer.seek(place, 700);
            Clients.equalNumbers(Clients.take(consumer, 10), 700);
            consumer.seekToBeginning(List.of(place));
            Clients.equalNumbers(Clients.take(consumer, 10), 0);
            consumer.seek(place, 5000);
            Clients.equalNumbers(Clients.take(consumer, 10), 0);
            consumer.seekToEnd(List.of(place));
            Cases.equal(consumer.position(place), 1000L, "end");
        }
    }

    private void offsetOutOfRange() throws Exception {
        String topic = numbers(10);
        try {
            clients.consume(topic, 11, 1);
        } catch (OffsetOutOfRangeException expected) {
            return;
        }
        throw new AssertionError("no error");
    }

    private void smallFetches() throws Exception {
        String topic = numbers(3000);
        Object[] small = {"max.partition.fetch.bytes", 1, "fetch.max.bytes", 1};
        Clients.equalNumbers(clients.consume(topic, 0, 3000, small), 0);
    }

    private void readCommitted() throws Exception {
        String topic = numbers(500);
        Clients.equalNumbers(clients.consume(topic, 0, 500, "isolation.level", "read_committed"), 0);
    }

    private void waitingConsumer() throws Exception {
        String topic = numbers(1);
        TopicPartition place = new TopicPartition(topic, 0);
        // So long a wait that a broker which does not wake it up is found out by the clock.
        Object[] waiting = {"fetch.max.wait.ms", 20_000, "fetch.min.bytes", 1};
        try (var consumer = clients.consumer(waiting); var producer = clients.producer()) {
            consumer.assign(List.of(place));
            consumer.seek(place, 1);
            Cases.equal(consumer.poll(Duration.ofMillis(500)).count(), 0, "records before any was sent");
            Clients.wait(producer.send(new ProducerRecord<>(topic, 0, null, "1".getBytes())));
            Clients.equalNumbers(List.copyOf(consumer.poll(Duration.ofSeconds(15)).records(place)), 1);
        }
    }

    private void sixPartitions() throws Exception {
        String topic = Cases.topic("six");
        clients.create(topic, 6);
        try (KafkaProducer<byte[], byte[]> producer = clients.producer()) {
            for (int number = 0; number < 6000; number++) {
                byte[] key = Integer.toString(number % 60).getBytes();
                producer.send(new ProducerRecord<>(topic, key, Integer.toString(number).getBytes()));
            }
        }
        List<TopicPartition> all = IntStream.range(0, 6).mapToObj(number -> new TopicPartition(topic, number)).toList();
        try (KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<String, Integer> lastOfKey = new HashMap<>();
            Set<String> seen = new HashSet<>();
            for (ConsumerRecord<byte[], byte[]> record : Clients.take(consumer, 6000)) {
                int number = Integer.parseInt(new String(record.value()));
                Integer before = lastOfKey.put(new String(record.key()), number);
                Cases.equal(before == null || before < number, true, "order within a key");
                Cases.equal(seen.add(new String(record.value())), true, "once");
            }
        }
    }

    private void session() throws Exception {
        String topic = Cases.topic("session");
        clients.create(topic, 3);
        List<TopicPartition> all = IntStream.range(0, 3).mapToObj(number -> new TopicPartition(topic, number)).toList();
        try (var consumer = clients.consumer(); var producer = clients.producer()) {
            for (List<TopicPartition> some : List.of(all, all.subList(0, 1), all.subList(1, 3), all)) {
                consumer.assign(some);
                consumer.seekToEnd(some);
                some.forEach(consumer::position);
                for (TopicPartition place : some) {
                    Clients.wait(producer.send(new ProducerRecord<>(topic, place.partition(), null, new byte[3])));
                }
                Set<Integer> partitions = new HashSet<>();
                Clients.take(consumer, some.size()).forEach(record -> partitions.add(record.partition()));
                Cases.equal(partitions.size(), some.size(), "partitions");
            }
        }
    }
}
