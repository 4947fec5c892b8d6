package ottla.conformance;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** Makes an output of every input: consume, transform, produce, with the input's offsets in the transaction. */
final class CrewCopier extends CrewWorker {
    CrewCopier(CrewRole role) {
        super(role);
    }

    @Override
    void run() throws Exception {
        try (KafkaConsumer<String, String> consumer = role.consumer();
                CrewTransactions transactions = new CrewTransactions(role)) {
            CrewReading reading = new CrewReading(role, consumer);
            reading.begin();
            while (!isOver()) {
                ConsumerRecords<String, String> records;
                try {
                    records = consumer.poll(Duration.ofMillis(100));
                } catch (KafkaException error) {
                    role.say("note trouble " + error);
                    continue;
                }
                boolean aborts = role.oneIn(role.number("aborts"));
                if (!records.isEmpty() && !transactions.run(aborts, () -> copy(consumer, reading, records, transactions))) {
                    reading.rewind();
                }
            }
        } catch (CrewTransactions.Fenced fenced) {
            role.say("note fenced");
        }
    }

    private void copy(KafkaConsumer<String, String> consumer, CrewReading reading,
            ConsumerRecords<String, String> records, CrewTransactions transactions) {
        reading.polled(records);
        List<TopicPartition> to = role.partitions("to");
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (TopicPartition place : records.partitions()) {
            for (ConsumerRecord<String, String> record : records.records(place)) {
                String source = " <" + CrewRole.key(place) + ":" + record.offset();
                transactions.send(to.get(role.dice.nextInt(to.size())), transactions.next(), source);
                next.put(place, new OffsetAndMetadata(record.offset() + 1));
            }
        }
        transactions.offsets(next, consumer.groupMetadata());
    }
}
