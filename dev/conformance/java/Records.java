package ottla.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/** What a producer sends comes back to a consumer. */
final class Records {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final long TIME = 1_600_000_000_000L;
    private final Clients clients;

    Records(Clients clients) {
        this.clients = clients;
    }

    void run(Cases cases) {
        for (String codec : CODECS) {
            cases.run("every_shape_" + codec, () -> everyShape(codec));
            cases.run("idempotent_" + codec, () -> many(codec, true, "all"));
        }
        for (String acks : new String[] {"0", "1", "all"}) {
            cases.run("acks_" + acks, () -> many("none", false, acks));
        }
        for (String codec : new String[] {"uncompressed", "gzip", "snappy", "lz4", "zstd"}) {
            cases.run("broker_compresses_" + codec, () -> brokerCompresses(codec));
        }
        cases.run("log_append_time", this::logAppendTime);
    }

    private static List<ProducerRecord<byte[], byte[]>> shapes(String topic) {
        byte[] large = new byte[1_000_000];
        for (int at = 0; at < large.length; at++) {
            large[at] = (byte) (at * 7 / 3);
        }
        byte[] key = "key".getBytes();
        byte[] value = {0, -1, 10, 13};
        byte[][][] pairs = {{key, value}, {null, value}, {key, null}, {null, null}, {{}, {}}, {key, large}};
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (byte[][] pair : pairs) {
            records.add(new ProducerRecord<>(topic, 0, TIME + records.size(), pair[0], pair[1]));
        }
        RecordHeaders headers = new RecordHeaders();
        headers.add("same", new byte[] {1}).add("same", new byte[] {2}).add("same", new byte[] {1});
        headers.add("empty", new byte[0]).add("null", null).add("", new byte[] {3}).add("naïve", new byte[] {4});
        records.add(new ProducerRecord<>(topic, 0, TIME + records.size(), key, value, headers));
        return records;
    }

    private void everyShape(String codec) throws Exception {
        String topic = Cases.topic(codec);
        List<ProducerRecord<byte[], byte[]>> sent = shapes(topic);
        try (var producer = clients.producer("compression.type", codec, "linger.ms", 20, "max.request.size", 1048588)) {
            List<RecordMetadata> acknowledged = Clients.send(producer, sent);
            for (int at = 0; at < sent.size(); at++) {
                Cases.equal(acknowledged.get(at).offset(), (long) at, "acknowledged offset");
            }
        }
        List<ConsumerRecord<byte[], byte[]>> found = clients.consume(topic, 0, sent.size());
        for (int at = 0; at < sent.size(); at++) {
            equal(found.get(at), sent.get(at), at);
        }
    }

    private static void equal(ConsumerRecord<byte[], byte[]> found, ProducerRecord<byte[], byte[]> sent, int offset) {
        Cases.equal(found.offset(), (long) offset, "offset");
        Cases.equal(found.timestamp(), sent.timestamp(), "time of " + offset);
        Cases.equal(Arrays.equals(found.key(), sent.key()), true, "key of " + offset);
        Cases.equal(Arrays.equals(found.value(), sent.value()), true, "value of " + offset);
        Cases.equal(text(found.headers().toArray()), text(sent.headers().toArray()), "headers of " + offset);
    }

    private static String text(Header[] headers) {
        StringBuilder text = new StringBuilder();
        for (Header header : headers) {
            text.append(header.key()).append('=').append(Arrays.toString(header.value())).append(' ');
        }
        return text.toString();
    }

    private void many(String codec, boolean idempotent, String acks) throws Exception {
        String topic = Cases.topic("many");
        clients.create(topic, 1);
        Object[] settings = {"compression.type", codec, "enable.idempotence", idempotent, "acks", acks, "batch.size", 2000};
        try (KafkaProducer<byte[], byte[]> producer = clients.producer(settings)) {
            Clients.send(producer, Clients.numbers(topic, 20_000));
        }
        Clients.equalNumbers(clients.consume(topic, 0, 20_000), 0);
    }

    private void brokerCompresses(String codec) throws Exception {
        String topic = Cases.topic("recompressed");
        clients.create(topic, 1, "compression.type", codec);
        try (var producer = clients.producer("compression.type", codec.equals("lz4") ? "gzip" : "lz4")) {
            Clients.send(producer, Clients.numbers(topic, 5000));
        }
        Clients.equalNumbers(clients.consume(topic, 0, 5000), 0);
    }

    private void logAppendTime() throws Exception {
        String topic = Cases.topic("append-time");
        clients.create(topic, 1, "message.timestamp.type", "LogAppendTime");
        try (var producer = clients.producer("compression.type", "lz4")) {
            RecordMetadata sent = Clients.wait(producer.send(new ProducerRecord<>(topic, 0, 5L, null, new byte[1])));
            ConsumerRecord<byte[], byte[]> found = clients.consume(topic, 0, 1).get(0);
            Cases.equal(found.timestampType(), TimestampType.LOG_APPEND_TIME, "kind of time");
            Cases.equal(found.timestamp(), sent.timestamp(), "acknowledged time");
            Cases.equal(found.timestamp() > TIME, true, "time is the broker's");
        }
    }
}
