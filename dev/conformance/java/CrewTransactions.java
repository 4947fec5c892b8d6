package ottla.conformance;

import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * One transactional id's transactions, and what becomes of them.
 *
 * <p>Invariants: what is sent is said before, what was answered after; {@code commit} is said before the commit is asked for,
 * and an outcome only when it is certain.
 */
final class CrewTransactions implements AutoCloseable {
    /** Another producer has taken the transactional id. */
    static final class Fenced extends Exception {
        private static final long serialVersionUID = 1;
    }

    /** What happens in a transaction. */
    interface Work {
        void run() throws Exception;
    }

    private final CrewRole role;
    private KafkaProducer<String, String> producer;
    private int sent;

    CrewTransactions(CrewRole role) {
        this.role = role;
        open();
    }

    /** A value that this client has not sent before. */
    String next() {
        return role.name + "." + sent++;
    }

    void send(TopicPartition to, String value, String source) {
        role.say("send " + CrewRole.key(to) + " " + value + source);
        producer.send(new ProducerRecord<>(to.topic(), to.partition(), null, value), (metadata, error) -> {
            if (error == null && metadata.hasOffset()) {
                role.say("acked " + CrewRole.key(to) + " " + value + " @" + metadata.offset());
            } else if (error != null) {
                role.say("note refused " + error.getClass().getName());
            }
        });
    }

    void offsets(Map<TopicPartition, OffsetAndMetadata> offsets, ConsumerGroupMetadata group) {
        Map<String, Long> words = new TreeMap<>();
        offsets.forEach((place, offset) -> words.put(CrewRole.key(place), offset.offset()));
        StringBuilder line = new StringBuilder("offsets " + group.groupId());
        words.forEach((key, offset) -> line.append(' ').append(key).append('=').append(offset));
        role.say(line.toString());
        producer.sendOffsetsToTransaction(offsets, group);
        role.say("note offsets");
    }

    /** Runs one transaction; true when it was committed. */
    boolean run(boolean aborts, Work work) throws Exception {
        role.say("begin");
        try {
            producer.beginTransaction();
            work.run();
            if (!aborts) {
                role.say("commit");
                commit();
                role.say("ok");
                return true;
            }
            // What is not flushed would not be sent, and an aborted transaction would leave nothing to be seen.
            producer.flush();
            producer.abortTransaction();
            role.say("fail");
        } catch (KafkaException error) {
            role.say("note trouble " + error);
            recover(error);
        }
        return false;
    }

    /** A commit that is not answered in time can only be asked for again. */
    private void commit() {
        while (true) {
            try {
                producer.commitTransaction();
                return;
            } catch (TimeoutException again) {
                role.say("note " + again);
            }
        }
    }

    private void recover(KafkaException error) throws Fenced {
        boolean fatal = error instanceof ProducerFencedException || error instanceof AuthorizationException
                || error instanceof OutOfOrderSequenceException || error instanceof InvalidProducerEpochException;
        if (!fatal) {
            try {
                producer.abortTransaction();
                role.say("fail");
                return;
            } catch (KafkaException | IllegalStateException worse) {
                role.say("note trouble " + worse);
            }
        }
        role.say("unknown");
        producer.close(java.time.Duration.ZERO);
        if (!role.is("revive")) {
            throw new Fenced();
        }
        open();
    }

    private void open() {
        producer = role.producer();
        while (true) {
            try {
                producer.initTransactions();
                role.say("note init");
                return;
            } catch (TimeoutException again) {
                role.say("note " + again);
            }
        }
    }

    @Override
    public void close() {
        producer.close();
    }
}
