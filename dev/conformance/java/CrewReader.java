package ottla.conformance;

import java.time.Duration;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;

/** Reads what was committed. */
final class CrewReader extends CrewWorker {
    CrewReader(CrewRole role) {
        super(role);
    }

    @Override
    void run() {
        try (KafkaConsumer<String, String> consumer = role.consumer()) {
            CrewReading reading = new CrewReading(role, consumer);
            reading.begin();
            while (!isOver()) {
                try {
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                    reading.polled(records);
                } catch (KafkaException error) {
                    role.say("note trouble " + error);
                }
            }
        }
    }
}
