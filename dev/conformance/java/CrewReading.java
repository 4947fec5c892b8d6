package ottla.conformance;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** What a consumer reads and from where, told line by line. */
final class CrewReading implements ConsumerRebalanceListener {
    private final CrewRole role;
    private final KafkaConsumer<String, String> consumer;

    CrewReading(CrewRole role, KafkaConsumer<String, String> consumer) {
        this.role = role;
        this.consumer = consumer;
    }

    /** Subscribes, or takes every partition from its committed offset on. */
    void begin() {
        if (role.is("subscribe")) {
            role.say("subscribe");
            consumer.subscribe(List.of(role.word("from")), this);
            return;
        }
        consumer.assign(role.partitions("from"));
        role.say("assign");
        rewind();
    }

    /** Goes to where the group's offsets are. */
    void rewind() {
        while (true) {
            try {
                Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
                StringBuilder line = new StringBuilder("seek");
                for (TopicPartition place : consumer.assignment()) {
                    OffsetAndMetadata offset = committed.get(place);
                    long next = offset == null ? 0 : offset.offset();
                    consumer.seek(place, next);
                    line.append(' ').append(CrewRole.key(place)).append('=').append(next);
                }
                role.say(line.toString());
                return;
            } catch (KafkaException again) {
                role.say("note trouble " + again);
            }
        }
    }

    void polled(ConsumerRecords<String, String> records) {
        for (TopicPartition place : records.partitions()) {
            StringBuilder line = new StringBuilder("polled " + CrewRole.key(place));
            for (ConsumerRecord<String, String> record : records.records(place)) {
                line.append(' ').append(record.offset()).append('=').append(record.value());
            }
            role.say(line.toString());
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        role.say("assigned" + keys(partitions));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        role.say("revoked" + keys(partitions));
    }

    private static String keys(Collection<TopicPartition> partitions) {
        TreeSet<String> keys = new TreeSet<>();
        partitions.forEach(place -> keys.add(" " + CrewRole.key(place)));
        return String.join("", keys);
    }
}
