package ottla.bench;

import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a topic twice with assigned partitions and reports the second time. Arguments: HOST:PORT TOPIC PARTITIONS RECORDS FETCH_BYTES. */
public final class ConsumeAssigned {
    private ConsumeAssigned() {
    }

    /** Runs it. */
    public static void main(String[] arguments) {
        long records = Long.parseLong(arguments[3]);
        // A fetch that waits at the end of the first reading holds the second one up.
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "enable.auto.commit", false,
                "auto.offset.reset", "none", "max.partition.fetch.bytes", Integer.parseInt(arguments[4]),
                "max.poll.records", 5000, "fetch.max.wait.ms", 10);
        List<TopicPartition> all = IntStream.range(0, Integer.parseInt(arguments[2]))
                .mapToObj(number -> new TopicPartition(arguments[1], number)).toList();
        var deserializer = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(config, deserializer, deserializer)) {
            consumer.assign(all);
            read(consumer, all, records);
            long cpu = cpu();
            long begin = System.nanoTime();
            read(consumer, all, records);
            double seconds = (System.nanoTime() - begin) / 1e9;
            System.out.printf(java.util.Locale.ROOT,
                    "{\"records\": %d, \"seconds\": %f, \"cpu_seconds\": %f, \"records_in_all\": %d}%n",
                    records, seconds, (cpu() - cpu) / 1e9, 2 * records);
        }
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> all, long records) {
        consumer.seekToBeginning(all);
        long read = 0;
        while (read < records) {
            read += consumer.poll(Duration.ofSeconds(1)).count();
        }
    }

    private static long cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }
}
