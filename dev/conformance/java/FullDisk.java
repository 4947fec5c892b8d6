package ottla.conformance;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringSerializer;

/** Producers beside a disk that is full until a line comes in: {@code FullDisk BOOTSTRAP TOPIC PARTITION BYTES}. */
final class FullDisk {
    private static final int PATIENT_RECORDS = 100;

    private final String bootstrap;
    private final String topic;
    private final int partition;
    private final int bytes;

    private FullDisk(String[] args) {
        bootstrap = args[0];
        topic = args[1];
        partition = Integer.parseInt(args[2]);
        bytes = Integer.parseInt(args[3]);
    }

    public static void main(String[] args) throws Exception {
        new FullDisk(args).run();
    }

    private void run() throws Exception {
        try (KafkaProducer<String, String> hasty = producer(3000); KafkaProducer<String, String> patient = producer(120_000)) {
            try {
                send(hasty, "given up by Java").get();
                say("taken");
            } catch (ExecutionException refused) {
                Throwable cause = refused.getCause();
                say("gave up " + cause.getClass().getSimpleName() + " " + (cause instanceof RetriableException));
            }
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < PATIENT_RECORDS; number++) {
                sent.add(send(patient, "Java " + number));
            }
            while (retries(patient) == 0) {
                Thread.sleep(10);
            }
            say("waits " + sent.stream().filter(Future::isDone).count());
            new BufferedReader(new InputStreamReader(System.in)).readLine();
            for (int number = 0; number < PATIENT_RECORDS; number++) {
                say("at " + sent.get(number).get().offset() + " Java " + number);
            }
            say("at " + send(hasty, "Java after").get().offset() + " Java after");
            say("finished");
        }
    }

    private KafkaProducer<String, String> producer(int deliveryMs) {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap,
            "key.serializer", StringSerializer.class,
            "value.serializer", StringSerializer.class,
            "linger.ms", 0,
            "request.timeout.ms", 2000,
            "delivery.timeout.ms", deliveryMs);
        return new KafkaProducer<>(config);
    }

    /** The value is as long as it must be not to fit into what little room there may be. */
    private Future<RecordMetadata> send(KafkaProducer<String, String> producer, String value) {
        String padded = value + " " + "x".repeat(bytes - value.length() - 1);
        return producer.send(new ProducerRecord<>(topic, partition, null, padded));
    }

    private static double retries(KafkaProducer<String, String> producer) {
        return producer.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("record-retry-total") && metric.getKey().tags().size() == 1)
            .mapToDouble(metric -> (Double) metric.getValue().metricValue())
            .sum();
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
