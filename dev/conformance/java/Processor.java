package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Reads, and writes what it read with the offsets of it in one transaction, in a thread of its own. */
final class Processor {
    private static final Duration POLL = Duration.ofMillis(50);
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<byte[], byte[]> producer;
    private final String to;
    private final Thread thread;
    private volatile boolean over;
    private volatile int owned;
    private volatile boolean fallsAway;
    private volatile boolean fellAway;
    private volatile Throwable problem;

    Processor(Clients clients, Protocol protocol, String group, String from, String to) {
        List<Object> settings = new ArrayList<>(List.of("group.id", group, "auto.offset.reset", "earliest",
                "isolation.level", "read_committed", "max.poll.records", 20));
        protocol.settings.forEach((name, value) -> settings.addAll(List.of(name, value)));
        consumer = clients.consumer(settings.toArray());
        consumer.subscribe(List.of(from));
        // Short, so that what one leaves behind that falls away is soon over.
        producer = new Transactional(clients).producer(Cases.topic("processor"), "transaction.timeout.ms", 3000);
        this.to = to;
        thread = new Thread(this::run);
        thread.start();
    }

    /** Goes after its transaction. */
    void close() {
        over = true;
        join();
    }

    /** Goes in the middle of its next transaction, when its offsets are sent and nothing is decided. */
    void fallAway() {
        fallsAway = true;
    }

    /** How many partitions it has. */
    int owned() {
        return owned;
    }

    boolean fellAway() {
        return fellAway;
    }

    /** What ended it, if anything did. */
    Throwable problem() {
        return problem;
    }

    private void join() {
        try {
            thread.join(Clients.PATIENCE.toMillis());
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
        if (thread.isAlive()) {
            throw new AssertionError("a processor does not end");
        }
    }

    private void run() {
        try {
            while (!over && !fellAway) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                owned = consumer.assignment().size();
                if (!records.isEmpty()) {
                    process(records);
                }
            }
        } catch (Throwable thrown) {
            problem = thrown;
        } finally {
            producer.close(fellAway ? Duration.ZERO : Clients.PATIENCE);
            consumer.close();
        }
    }

    private void process(ConsumerRecords<byte[], byte[]> records) {
        producer.beginTransaction();
        try {
            Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                producer.send(new ProducerRecord<>(to, record.value()));
                next.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
            if (fallsAway) {
                fellAway = true;
                return;
            }
            producer.commitTransaction();
        } catch (ProducerFencedException fenced) {
            throw fenced;
        } catch (CommitFailedException refused) {
            // The group has moved on: what was read is somebody else's now, or is read again.
            producer.abortTransaction();
            rewind();
        } catch (KafkaException failed) {
            producer.abortTransaction();
            rewind();
        }
    }

    private void rewind() {
        Set<TopicPartition> mine = consumer.assignment();
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(mine, Clients.PATIENCE);
        for (TopicPartition place : mine) {
            OffsetAndMetadata found = committed.get(place);
            if (found == null) {
                consumer.seekToBeginning(List.of(place));
            } else {
                consumer.seek(place, found.offset());
            }
        }
    }
}
