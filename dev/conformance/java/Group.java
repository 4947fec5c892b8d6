package ottla.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** A group with its topics, its members in this process, and what was sent to it. All of it ends with the case. */
final class Group implements AutoCloseable {
    /** As long as Kafka's own: nobody is put out by a slow machine. */
    static final int LONG_SESSION_MS = 45_000;
    /** For members that fall silent. */
    static final int SHORT_SESSION_MS = 3_000;
    final String id = Cases.topic("group");
    final Admin admin;
    private final Clients clients;
    private final Protocol protocol;
    private final int sessionMs;
    private final Journal journal = new Journal();
    private final Map<String, Integer> topics = new TreeMap<>();
    private final List<Member> members = new ArrayList<>();
    private final KafkaProducer<byte[], byte[]> producer;
    private int values;

    Group(Clients clients, Protocol protocol) throws Exception {
        this(clients, protocol, LONG_SESSION_MS);
    }

    Group(Clients clients, Protocol protocol, int sessionMs) throws Exception {
        this.clients = clients;
        this.protocol = protocol;
        this.sessionMs = sessionMs;
        admin = clients.admin();
        // A topic is listed before it takes records: with more on the way the first could be refused and the second taken.
        producer = clients.producer("max.in.flight.requests.per.connection", 1);
        if (protocol.isConsumer()) {
            set("consumer.session.timeout.ms", sessionMs);
        }
    }

    /** What members speak that are not asked to do otherwise. */
    Protocol protocol() {
        return protocol;
    }

    /** Sets a value of the group's configuration. */
    void set(String name, Object value) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, id);
        ConfigEntry entry = new ConfigEntry(name, value.toString());
        Clients.wait(admin.incrementalAlterConfigs(
                Map.of(resource, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET)))).all());
    }

    /** A new topic of the group. */
    String topic(int partitions) throws Exception {
        String name = Cases.topic("grouped");
        topic(name, partitions);
        return name;
    }

    void topic(String name, int partitions) throws Exception {
        clients.create(name, partitions);
        topics.put(name, partitions);
    }

    /** The topic has so many partitions from now on, which may be none. */
    void resized(String topic, int partitions) {
        topics.put(topic, partitions);
    }

    /** Sends numbers that no other record has, spread over all partitions of all topics. */
    void send(int count) throws Exception {
        List<TopicPartition> places = new ArrayList<>(partitions());
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            TopicPartition place = places.get(number % places.size());
            String value = Integer.toString(values++);
            journal.sent(value);
            records.add(new ProducerRecord<>(place.topic(), place.partition(), null, value.getBytes()));
        }
        Clients.send(producer, records);
    }

    Member join(String topic, Object... settings) {
        return join(protocol, true, List.of(topic), settings);
    }

    Member join(List<String> topics, Object... settings) {
        return join(protocol, true, topics, settings);
    }

    /** A member that never commits. */
    Member joinWithoutCommits(String topic, Object... settings) {
        return join(protocol, false, List.of(topic), settings);
    }

    Member join(BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> subscribe) {
        return join(protocol, true, subscribe);
    }

    /** A member of another protocol than the group's first. */
    Member join(Protocol protocol, String topic) {
        return join(protocol, true, List.of(topic));
    }

    private Member join(Protocol protocol, boolean commits, List<String> topics, Object... settings) {
        return join(protocol, commits, (consumer, listener) -> consumer.subscribe(topics, listener), settings);
    }

    private Member join(Protocol protocol, boolean commits,
            BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> subscribe, Object... settings) {
        List<Object> all = new ArrayList<>(List.of("group.id", id, "auto.offset.reset", "earliest",
                "metadata.max.age.ms", 500, "allow.auto.create.topics", false));
        protocol.settings.forEach((name, value) -> all.addAll(List.of(name, value)));
        if (!protocol.isConsumer()) {
            all.addAll(List.of("session.timeout.ms", sessionMs));
        }
        all.addAll(Arrays.asList(settings));
        Member member = new Member(clients.consumer(all.toArray()), journal, commits, subscribe);
        members.add(member);
        return member;
    }

    /** Waits until these own all partitions, each one once, and each member so many. */
    void awaitOwned(int each, Member... owners) throws Exception {
        await("all partitions owned, " + each + " each", () -> {
            boolean even = Arrays.stream(owners).allMatch(member -> member.owned().size() == each);
            return even && areShared(owners) && areOfOneGeneration(owners);
        });
    }

    /** Waits until these own all partitions, each one once, and no member none. */
    void awaitShared(Member... owners) throws Exception {
        await("all partitions shared", () -> areShared(owners) && areOfOneGeneration(owners));
    }

    /** Waits until these know of each other and own so many partitions together. */
    void awaitOwnedTogether(int count, Member... owners) throws Exception {
        await(count + " partitions owned together", () -> {
            int owned = Arrays.stream(owners).mapToInt(member -> member.owned().size()).sum();
            return owned == count && areOfOneGeneration(owners);
        });
    }

    /** True when a rebalance is over for all of them: the last to be answered may have had its partitions all the time. */
    private static boolean areOfOneGeneration(Member... owners) throws Exception {
        Set<Integer> generations = new HashSet<>();
        for (Member member : owners) {
            generations.add(member.generation());
        }
        return generations.size() == 1;
    }

    private boolean areShared(Member... owners) {
        Set<TopicPartition> all = new HashSet<>();
        int count = 0;
        for (Member member : owners) {
            count += member.owned().size();
            all.addAll(member.owned());
        }
        boolean nobodyIdle = Arrays.stream(owners).noneMatch(member -> member.owned().isEmpty());
        return nobodyIdle && count == all.size() && all.equals(partitions());
    }

    /** Waits until everything that was sent was read, and committed; nothing came again after that. */
    void awaitRead() throws Exception {
        await("everything read and committed", () -> journal.isRead(1) && journal.isCommitted());
        journal.check();
    }

    /** What was committed may come again from here on. */
    void forgetCommits() {
        journal.forgetCommits();
    }

    /** Waits until everything came so often. */
    void awaitTimes(int times) throws Exception {
        await("everything read " + times + " times", () -> journal.isRead(times));
        journal.check();
    }

    /** Waits until the member ended by itself, and gives the reason. */
    Throwable awaitProblem(Member member) throws Exception {
        long deadline = System.nanoTime() + Clients.PATIENCE.toNanos();
        while (member.problem() == null) {
            pause(deadline, "the end of a member");
        }
        members.remove(member);
        return member.problem();
    }

    /** Waits until the member polled so many times more: what was to come would have come. */
    void awaitPolls(int more, Member member) throws Exception {
        int polls = member.polls() + more;
        await(more + " polls", () -> member.polls() >= polls);
    }

    /** A condition that may throw. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits; fails at once when a member ended by itself. */
    void await(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + Clients.PATIENCE.toNanos();
        while (!condition.holds()) {
            for (Member member : members) {
                if (member.problem() != null) {
                    throw new AssertionError(what + ": a member ended", member.problem());
                }
            }
            pause(deadline, what);
        }
    }

    private void pause(long deadline, String what) throws InterruptedException {
        if (System.nanoTime() > deadline) {
            throw new AssertionError("waited in vain for " + what + "; " + journal + "; members " + members);
        }
        Thread.sleep(10);
    }

    /** Every partition's offset as committed, those without one left out. */
    Map<TopicPartition, OffsetAndMetadata> offsets() throws Exception {
        return Clients.wait(admin.listConsumerGroupOffsets(id).partitionsToOffsetAndMetadata());
    }

    /** The group as the admin client describes it. */
    ConsumerGroupDescription described() throws Exception {
        return Clients.wait(admin.describeConsumerGroups(List.of(id)).describedGroups().get(id));
    }

    Set<TopicPartition> partitions() {
        Set<TopicPartition> all = new HashSet<>();
        topics.forEach((topic, count) -> {
            for (int partition = 0; partition < count; partition++) {
                all.add(new TopicPartition(topic, partition));
            }
        });
        return all;
    }

    /** All members go. */
    void leave() {
        members.forEach(Member::leave);
    }

    @Override
    public void close() {
        leave();
        producer.close();
        admin.close();
    }
}
