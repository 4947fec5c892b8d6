package ottla.bench;

import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Consume, transform, produce, the input's offsets in the transactions, which are committed at an interval.
 *
 * <p>First as fast as it goes, from a topic that is full; then at a fixed rate, where each record carries the time at which
 * it was due, and a reader of committed records sees it in the output. A record that could not be sent in time counts from
 * when it was due. Reports one line of JSON.
 *
 * <p>Arguments: HOST:PORT, the full topic, an empty input, an empty output, partitions, milliseconds between commits, records
 * of the full topic, records per second, seconds, bytes of a record.
 */
public final class CopyTransactions {
    /** What stands in an input's first bytes; the rest is filling. */
    private static final int STAMP_BYTES = Long.BYTES;
    private final String bootstrap;
    private final String output;
    private final int partitions;
    private final long intervalNanos;
    private volatile boolean over;
    private volatile Throwable problem;

    private CopyTransactions(String[] arguments) {
        bootstrap = arguments[0];
        output = arguments[3];
        partitions = Integer.parseInt(arguments[4]);
        intervalNanos = Long.parseLong(arguments[5]) * 1_000_000;
    }

    /** See the class. */
    public static void main(String[] arguments) throws Exception {
        CopyTransactions it = new CopyTransactions(arguments);
        long full = Long.parseLong(arguments[6]);
        long warmUp = full / 3;
        Span span = it.copyAll(arguments[1], full, warmUp);
        int rate = Integer.parseInt(arguments[7]);
        int seconds = Integer.parseInt(arguments[8]);
        double[] latencies = it.latencies(arguments[2], rate, seconds, Integer.parseInt(arguments[9]));
        System.out.printf(java.util.Locale.ROOT,
                "{\"records\": %d, \"seconds\": %f, \"cpu_seconds\": %f, \"records_in_all\": %d, "
                        + "\"p50_ms\": %f, \"p99_ms\": %f}%n",
                span.records(), span.nanos() / 1e9, span.cpuNanos() / 1e9, full,
                percentile(latencies, 0.5), percentile(latencies, 0.99));
        System.exit(0);
    }

    /** What was copied by when; or between two such moments. */
    private record Span(long records, long nanos, long cpuNanos) {
        static Span until(long records) {
            return new Span(records, System.nanoTime(), cpu());
        }

        Span since(Span begin) {
            return new Span(records - begin.records, nanos - begin.nanos, cpuNanos - begin.cpuNanos);
        }
    }

    /**
     * From the first commit after the records to warm up to the last before the end: the transaction in which the input ends
     * waits in vain for more.
     */
    private Span copyAll(String input, long records, long warmUp) throws Exception {
        List<Span> commits = new ArrayList<>();
        new Copier(input, "full").run(count -> {
            long done = count + (commits.isEmpty() ? 0 : commits.get(commits.size() - 1).records());
            commits.add(Span.until(done));
            return done < records;
        });
        List<Span> whole = commits.stream().filter(commit -> commit.records() >= warmUp && commit.records() < records).toList();
        if (whole.size() < 2) {
            throw new IllegalStateException("too few transactions: " + commits.size());
        }
        return whole.get(whole.size() - 1).since(whole.get(0));
    }

    /** Milliseconds from when a record was due to when it could be read in the output; as many seconds before to warm up. */
    private double[] latencies(String input, int rate, int seconds, int bytes) throws Exception {
        List<Thread> threads = List.of(
                thread(() -> new Copier(input, "paced").run(count -> !over)),
                thread(() -> feed(input, rate, 2 * seconds, bytes)));
        int wanted = rate * seconds;
        double[] found = new double[wanted];
        int seen = 0;
        try (KafkaConsumer<byte[], byte[]> reader = consumer("reader")) {
            reader.assign(places(output));
            // What the full topic left there is not what is measured.
            reader.seekToEnd(places(output));
            reader.assignment().forEach(reader::position);
            threads.forEach(Thread::start);
            while (seen < 2 * wanted && problem == null) {
                for (ConsumerRecord<byte[], byte[]> record : reader.poll(Duration.ofMillis(100))) {
                    if (seen >= wanted && seen < 2 * wanted) {
                        found[seen - wanted] = (System.nanoTime() - ByteBuffer.wrap(record.value()).getLong()) / 1e6;
                    }
                    seen++;
                }
            }
        }
        over = true;
        for (Thread thread : threads) {
            thread.join();
        }
        if (problem != null) {
            throw new IllegalStateException(problem);
        }
        Arrays.sort(found);
        return found;
    }

    private void feed(String input, int rate, int seconds, int bytes) {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("linger.ms", 0))) {
            long begin = System.nanoTime();
            for (int number = 0; number < rate * seconds; number++) {
                long due = begin + number * 1_000_000_000L / rate;
                while (System.nanoTime() < due) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                byte[] value = new byte[bytes];
                ByteBuffer.wrap(value).putLong(due);
                producer.send(new ProducerRecord<>(input, number % partitions, null, value));
            }
        }
    }

    /** Goes on after so many more were committed. */
    private interface Progress {
        boolean goesOn(int count);
    }

    /** The loop that is measured. */
    private final class Copier {
        private final String input;
        private final String name;

        Copier(String input, String name) {
            this.input = input;
            this.name = name + "-" + output;
        }

        void run(Progress progress) {
            Map<String, Object> own = Map.of("transactional.id", name, "linger.ms", 0, "batch.size", 131_072);
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(name); KafkaProducer<byte[], byte[]> producer = producer(own)) {
                producer.initTransactions();
                consumer.assign(places(input));
                consumer.seekToBeginning(places(input));
                boolean goesOn = true;
                while (goesOn) {
                    goesOn = progress.goesOn(transaction(consumer, producer));
                }
            }
        }

        /** One transaction, as long as the interval; none where nothing comes. */
        private int transaction(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer) {
            Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
            int count = 0;
            long end = System.nanoTime() + intervalNanos;
            for (long left = intervalNanos; left > 0; left = end - System.nanoTime()) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofNanos(left));
                if (count == 0 && !records.isEmpty()) {
                    producer.beginTransaction();
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    producer.send(new ProducerRecord<>(output, record.partition(), null, transformed(record.value())));
                    next.put(new TopicPartition(input, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                count += records.count();
            }
            if (count > 0) {
                producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
                producer.commitTransaction();
            }
            return count;
        }

        /** Something else than the input, as long, with the same stamp. */
        private byte[] transformed(byte[] value) {
            byte[] other = value.clone();
            for (int at = STAMP_BYTES; at < other.length; at++) {
                other[at] ^= 0x5a;
            }
            return other;
        }
    }

    private Thread thread(Runnable work) {
        Thread thread = new Thread(work);
        thread.setUncaughtExceptionHandler((any, thrown) -> problem = thrown);
        return thread;
    }

    private List<TopicPartition> places(String topic) {
        List<TopicPartition> places = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) {
            places.add(new TopicPartition(topic, partition));
        }
        return places;
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Map<String, Object> config = new HashMap<>(settings);
        config.put("bootstrap.servers", bootstrap);
        config.put("acks", "all");
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group) {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "group.id", group, "enable.auto.commit", false,
                "isolation.level", "read_committed", "auto.offset.reset", "earliest", "max.poll.records", 5_000);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static double percentile(double[] sorted, double part) {
        return sorted[(int) Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
    }

    private static long cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }
}
