package ottla.conformance;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What a client is to do, and the lines that it writes: {@code TIME NAME EVENT}, in the order of their times. */
final class CrewRole {
    final String name;
    final Random dice;
    private final Map<String, String> words = new HashMap<>();

    CrewRole(String[] line) {
        name = line[2];
        for (int at = 3; at < line.length; at++) {
            int equal = line[at].indexOf('=');
            words.put(line[at].substring(0, equal), line[at].substring(equal + 1));
        }
        dice = new Random(number("seed"));
    }

    String word(String key) {
        return words.get(key);
    }

    int number(String key) {
        return Integer.parseInt(words.get(key));
    }

    boolean is(String key) {
        return "true".equals(words.get(key));
    }

    /** One in so many. */
    boolean oneIn(int many) {
        return many > 0 && dice.nextInt(many) == 0;
    }

    /** The partitions of the topic that a word names. */
    List<TopicPartition> partitions(String key) {
        List<TopicPartition> all = new ArrayList<>();
        for (int partition = 0; partition < number("partitions"); partition++) {
            all.add(new TopicPartition(word(key), partition));
        }
        return all;
    }

    /** The clock is the machine's, so that lines of all processes can be put in order. */
    void say(String event) {
        synchronized (System.out) {
            System.out.println(System.nanoTime() / 1000 + " " + name + " " + event);
            System.out.flush();
        }
    }

    static String key(TopicPartition place) {
        return place.topic() + "/" + place.partition();
    }

    KafkaProducer<String, String> producer() {
        Map<String, Object> config = client();
        config.put("transactional.id", word("txid"));
        config.put("transaction.timeout.ms", number("timeout"));
        config.put("max.block.ms", 20_000);
        config.put("request.timeout.ms", 15_000);
        config.put("linger.ms", 1);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer() {
        Map<String, Object> config = client();
        config.put("group.id", word("group"));
        config.put("enable.auto.commit", false);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "earliest");
        config.put("max.poll.records", 20);
        config.put("fetch.max.wait.ms", 100);
        config.put("session.timeout.ms", 6_000);
        config.put("heartbeat.interval.ms", 300);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> client() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", word("bootstrap"));
        config.put("reconnect.backoff.max.ms", 300);
        config.put("retry.backoff.max.ms", 300);
        config.put("metadata.recovery.strategy", "none");
        return config;
    }
}
