package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Makes clients of one broker, and does with them what most cases need. */
final class Clients {
    static final Duration PATIENCE = Duration.ofSeconds(30);
    final String bootstrap;

    Clients(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    /** Settings in pairs of name and value. */
    private Map<String, Object> config(Object... settings) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        for (int at = 0; at < settings.length; at += 2) {
            config.put((String) settings[at], settings[at + 1]);
        }
        return config;
    }

    KafkaProducer<byte[], byte[]> producer(Object... settings) {
        return new KafkaProducer<>(config(settings), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Object... settings) {
        Map<String, Object> config = config(settings);
        config.putIfAbsent("auto.offset.reset", "none");
        config.putIfAbsent("enable.auto.commit", false);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    Admin admin() {
        return Admin.create(config());
    }

    void create(String topic, int partitions, String... settings) throws Exception {
        Map<String, String> config = new HashMap<>();
        for (int at = 0; at < settings.length; at += 2) {
            config.put(settings[at], settings[at + 1]);
        }
        try (Admin admin = admin()) {
            wait(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(config))).all());
        }
    }

    static <T> T wait(Future<T> future) throws Exception {
        return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    static <T> T wait(org.apache.kafka.common.KafkaFuture<T> future) throws Exception {
        return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    /** Sends all and waits for every acknowledgement. */
    static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, List<ProducerRecord<byte[], byte[]>> records)
            throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : records) {
            sent.add(producer.send(record));
        }
        producer.flush();
        List<RecordMetadata> acknowledged = new ArrayList<>();
        for (Future<RecordMetadata> future : sent) {
            acknowledged.add(wait(future));
        }
        return acknowledged;
    }

    /** Records of partition 0 with the values 0, 1, … as text. */
    static List<ProducerRecord<byte[], byte[]>> numbers(String topic, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            records.add(new ProducerRecord<>(topic, 0, null, Integer.toString(number).getBytes()));
        }
        return records;
    }

    /** Reads records of one partition from an offset on. */
    List<ConsumerRecord<byte[], byte[]>> consume(String topic, long from, int count, Object... settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            TopicPartition place = new TopicPartition(topic, 0);
            consumer.assign(List.of(place));
            consumer.seek(place, from);
            return take(consumer, count);
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (records.size() < count) {
            consumer.poll(Duration.ofMillis(500)).forEach(records::add);
            if (System.nanoTime() > deadline) {
                throw new AssertionError("only " + records.size() + " of " + count + " records came");
            }
        }
        Cases.equal(records.size(), count, "records");
        return records;
    }

    static void equalNumbers(List<ConsumerRecord<byte[], byte[]>> records, int from) {
        for (int at = 0; at < records.size(); at++) {
            Cases.equal(new String(records.get(at).value()), Integer.toString(from + at), "value " + at);
            Cases.equal(records.get(at).offset(), (long) from + at, "offset " + at);
        }
    }
}
