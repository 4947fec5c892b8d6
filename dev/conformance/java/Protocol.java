package ottla.conformance;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;

/** How a member belongs to its group and who hands out the partitions: every way that Kafka's client has built in. */
enum Protocol {
    CLASSIC_RANGE(classic(RangeAssignor.class)),
    CLASSIC_ROUND_ROBIN(classic(RoundRobinAssignor.class)),
    CLASSIC_STICKY(classic(StickyAssignor.class)),
    CLASSIC_COOPERATIVE(classic(CooperativeStickyAssignor.class)),
    CONSUMER_UNIFORM(consumer("uniform")),
    CONSUMER_RANGE(consumer("range"));

    /** One that gives everything up in a rebalance, one that keeps what stays, one whose broker assigns. */
    static final List<Protocol> ONE_OF_EACH_KIND = List.of(CLASSIC_RANGE, CLASSIC_COOPERATIVE, CONSUMER_UNIFORM);

    final Map<String, Object> settings;

    Protocol(Map<String, Object> settings) {
        this.settings = settings;
    }

    /** True where the broker assigns. */
    boolean isConsumer() {
        return settings.get("group.protocol").equals("consumer");
    }

    /** The end of a case's name. */
    String suffix() {
        return "_" + name().toLowerCase(java.util.Locale.ROOT);
    }

    private static Map<String, Object> classic(Class<?> assignor) {
        return Map.of("group.protocol", "classic", "partition.assignment.strategy", List.of(assignor.getName()),
                "heartbeat.interval.ms", 200);
    }

    private static Map<String, Object> consumer(String assignor) {
        return Map.of("group.protocol", "consumer", "group.remote.assignor", assignor);
    }
}
