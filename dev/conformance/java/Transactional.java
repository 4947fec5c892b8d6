package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** What the cases of transactions share: producers with an id, and what consumers of either isolation see. */
final class Transactional {
    private final Clients clients;

    Transactional(Clients clients) {
        this.clients = clients;
    }

    /** A producer that has its id, fenced off from others before it. */
    KafkaProducer<byte[], byte[]> producer(String id, Object... settings) {
        KafkaProducer<byte[], byte[]> producer = unready(id, settings);
        producer.initTransactions();
        return producer;
    }

    /** A producer that has not asked for its id yet. */
    KafkaProducer<byte[], byte[]> unready(String id, Object... settings) {
        List<Object> all = new ArrayList<>(List.of("transactional.id", id, "max.block.ms",
                (int) Clients.PATIENCE.toMillis(), "linger.ms", 0));
        all.addAll(Arrays.asList(settings));
        return clients.producer(all.toArray());
    }

    /** Sends the values to partition 0 and waits until the broker has them; the offset of the last. */
    static long send(KafkaProducer<byte[], byte[]> producer, String topic, String... values) throws Exception {
        Future<RecordMetadata> last = null;
        for (String value : values) {
            last = producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes()));
        }
        producer.flush();
        return Clients.wait(last).offset();
    }

    /** One whole transaction. */
    static void commit(KafkaProducer<byte[], byte[]> producer, String topic, String... values) throws Exception {
        producer.beginTransaction();
        send(producer, topic, values);
        producer.commitTransaction();
    }

    /** One that comes to nothing. */
    static void abort(KafkaProducer<byte[], byte[]> producer, String topic, String... values) throws Exception {
        producer.beginTransaction();
        send(producer, topic, values);
        producer.abortTransaction();
    }

    /** All that a consumer of committed records sees of a topic, up to its last stable offset. */
    List<String> committed(String topic) {
        return values(read(topic, "read_committed"));
    }

    /** All records of a topic, whatever became of their transactions. */
    List<String> all(String topic) {
        return values(read(topic, "read_uncommitted"));
    }

    /** Reads all partitions of a topic to the end that its isolation has. */
    List<ConsumerRecord<byte[], byte[]>> read(String topic, String isolation) {
        try (var consumer = clients.consumer("isolation.level", isolation, "max.poll.records", 100_000)) {
            List<TopicPartition> places = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(info -> places.add(new TopicPartition(topic, info.partition())));
            consumer.assign(places);
            consumer.seekToBeginning(places);
            return toEnd(consumer, consumer.endOffsets(places));
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> toEnd(KafkaConsumer<byte[], byte[]> consumer,
            Map<TopicPartition, Long> ends) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        long deadline = System.nanoTime() + Clients.PATIENCE.toNanos();
        while (!ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
            consumer.poll(Duration.ofMillis(100)).forEach(found::add);
            if (System.nanoTime() > deadline) {
                throw new AssertionError("no end at " + ends + " after " + found.size() + " records");
            }
        }
        return found;
    }

    /** The end of partition 0 as a consumer of this isolation is told. */
    long end(String topic, String isolation) {
        try (var consumer = clients.consumer("isolation.level", isolation)) {
            TopicPartition place = new TopicPartition(topic, 0);
            return consumer.endOffsets(List.of(place)).get(place);
        }
    }

    static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> new String(record.value())).toList();
    }

    /** The body must throw one of these kinds of exception, directly or as the cause. */
    @SafeVarargs
    static void refused(String what, Cases.Body body, Class<? extends Throwable>... kinds) {
        try {
            body.run();
        } catch (Throwable thrown) {
            for (Throwable at = thrown; at != null; at = at.getCause()) {
                for (Class<? extends Throwable> kind : kinds) {
                    if (kind.isInstance(at)) {
                        return;
                    }
                }
            }
            throw new AssertionError(what + " was refused in another way", thrown);
        }
        throw new AssertionError(what + " was taken");
    }
}
