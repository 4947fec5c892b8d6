package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/** Offsets that consumers commit and come back to. */
final class GroupOffsets {
    private final Clients clients;

    GroupOffsets(Clients clients) {
        this.clients = clients;
    }

    void run(Cases cases) {
        for (Protocol protocol : List.of(Protocol.CLASSIC_RANGE, Protocol.CONSUMER_UNIFORM)) {
            run(cases, "commit_sync_and_async", protocol, this::syncAndAsync);
            run(cases, "automatic_commits", protocol, this::automatic);
            run(cases, "seek_in_a_group", protocol, this::seek);
            run(cases, "group_metadata", protocol, this::metadata);
            run(cases, "what_comes_with_an_offset", protocol, this::whatComesWith);
            run(cases, "commit_of_a_removed_member", protocol, this::removed);
        }
        cases.run("assigned_by_hand", this::byHand);
        cases.run("many_offsets", this::many);
        cases.run("two_groups_at_once", this::twoGroups);
    }

    /** A case with one topic of two partitions and 100 records in each. */
    private interface Body {
        void run(Group group, String topic) throws Exception;
    }

    private void run(Cases cases, String name, Protocol protocol, Body body) {
        cases.run(name + protocol.suffix(), () -> {
            try (Group group = new Group(clients, protocol)) {
                String topic = group.topic(2);
                group.send(200);
                body.run(group, topic);
            }
        });
    }

    /** A consumer without a thread. */
    private KafkaConsumer<byte[], byte[]> consumer(Group group, Object... settings) {
        List<Object> all = new ArrayList<>(List.of("group.id", group.id, "auto.offset.reset", "earliest",
                "max.poll.records", 10));
        group.protocol().settings.forEach((name, value) -> all.addAll(List.of(name, value)));
        all.addAll(List.of(settings));
        return clients.consumer(all.toArray());
    }

    private static void awaitAssignment(KafkaConsumer<byte[], byte[]> consumer, int count) throws Exception {
        Cases.eventually(() -> {
            consumer.poll(Duration.ofMillis(50));
            Cases.equal(consumer.assignment().size(), count, "partitions assigned");
        });
    }

    private void syncAndAsync(Group group, String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        TopicPartition other = new TopicPartition(topic, 1);
        Set<TopicPartition> both = Set.of(place, other);
        try (var consumer = consumer(group)) {
            consumer.subscribe(List.of(topic));
            awaitAssignment(consumer, 2);
            Map<TopicPartition, OffsetAndMetadata> nothing = new HashMap<>();
            both.forEach(partition -> nothing.put(partition, null));
            Cases.equal(consumer.committed(both), nothing, "before the first commit");
            consumer.commitSync(Map.of(place, new OffsetAndMetadata(7)));
            Cases.equal(consumer.committed(both).get(place).offset(), 7L, "given");
            Cases.equal(consumer.committed(both).get(other), null, "of the other");
            Map<TopicPartition, Long> positions = new HashMap<>();
            both.forEach(partition -> positions.put(partition, consumer.position(partition)));
            consumer.commitSync();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(both);
            positions.forEach((partition, position) ->
                    Cases.equal(committed.get(partition).offset(), position, "position"));
            List<Long> acknowledged = Collections.synchronizedList(new ArrayList<>());
            for (long offset = 20; offset < 40; offset++) {
                consumer.commitAsync(Map.of(place, new OffsetAndMetadata(offset)), (offsets, problem) ->
                        acknowledged.add(problem == null ? offsets.get(place).offset() : -1));
            }
            Cases.eventually(() -> {
                consumer.poll(Duration.ofMillis(20));
                Cases.equal(acknowledged.size(), 20, "answers");
            });
            List<Long> expected = java.util.stream.LongStream.range(20, 40).boxed().toList();
            Cases.equal(acknowledged, expected, "answers in order");
            Cases.equal(consumer.committed(both).get(place).offset(), 39L, "the last one");
        }
    }

    private void automatic(Group group, String topic) throws Exception {
        Object[] settings = {"enable.auto.commit", true, "auto.commit.interval.ms", 100};
        try (var consumer = consumer(group, settings)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 200);
            Cases.eventually(() -> {
                consumer.poll(Duration.ofMillis(20));
                Cases.equal(total(group), 200L, "committed in time");
            });
            group.send(20);
            Clients.take(consumer, 20);
        }
        // What was read since then is committed when a consumer closes.
        Cases.equal(total(group), 220L, "committed at the end");
        group.send(30);
        try (var consumer = consumer(group, settings)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 30).forEach(record ->
                    Cases.equal(Integer.parseInt(new String(record.value())) >= 220, true, "only what is new"));
        }
    }

    private static long total(Group group) throws Exception {
        return group.offsets().values().stream().mapToLong(OffsetAndMetadata::offset).sum();
    }

    private void seek(Group group, String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 1);
        try (var consumer = consumer(group)) {
            consumer.subscribe(List.of(topic));
            awaitAssignment(consumer, 2);
            consumer.pause(List.of(new TopicPartition(topic, 0)));
            for (long offset : new long[] {90, 0, 50}) {
                consumer.seek(place, offset);
                Cases.equal(Clients.take(consumer, 10).get(0).offset(), offset, "after seeking");
                consumer.commitSync(Map.of(place, new OffsetAndMetadata(offset)));
                Cases.equal(consumer.committed(Set.of(place)).get(place).offset(), offset, "committed");
            }
            consumer.seekToEnd(List.of(place));
            Cases.equal(consumer.position(place), 100L, "end");
            consumer.seekToBeginning(List.of(place));
            Cases.equal(consumer.position(place), 0L, "beginning");
        }
    }

    private void metadata(Group group, String topic) throws Exception {
        try (var consumer = consumer(group, "group.instance.id", "named")) {
            consumer.subscribe(List.of(topic));
            awaitAssignment(consumer, 2);
            Cases.eventually(() -> Cases.equal(consumer.groupMetadata().generationId() > 0, true, "has a generation"));
            var metadata = consumer.groupMetadata();
            Cases.equal(metadata.groupId(), group.id, "group");
            Cases.equal(metadata.groupInstanceId(), Optional.of("named"), "name");
            var described = group.described().members().iterator().next();
            Cases.equal(metadata.memberId(), described.consumerId(), "member");
            Cases.equal(described.groupInstanceId(), Optional.of("named"), "described name");
        }
    }

    private void whatComesWith(Group group, String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var consumer = consumer(group)) {
            consumer.subscribe(List.of(topic));
            awaitAssignment(consumer, 2);
            for (OffsetAndMetadata each : List.of(
                    new OffsetAndMetadata(3, Optional.of(0), "a note"),
                    new OffsetAndMetadata(4, Optional.empty(), ""),
                    new OffsetAndMetadata(5, Optional.of(0), "x".repeat(4096)))) {
                consumer.commitSync(Map.of(place, each));
                Cases.equal(consumer.committed(Set.of(place)).get(place), each, "offset, epoch and note");
            }
            try {
                consumer.commitSync(Map.of(place, new OffsetAndMetadata(6, "x".repeat(4097))));
            } catch (OffsetMetadataTooLarge expected) {
                Cases.equal(consumer.committed(Set.of(place)).get(place).offset(), 5L, "after the refusal");
                return;
            }
            throw new AssertionError("a note over the limit is taken");
        }
    }

    /** A classic member is removed by the admin client; one of the newer kind goes itself, and its id is used once more. */
    private void removed(Group group, String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var consumer = consumer(group)) {
            consumer.subscribe(List.of(topic));
            awaitAssignment(consumer, 2);
            consumer.commitSync(Map.of(place, new OffsetAndMetadata(11)));
            var options = new RemoveMembersFromConsumerGroupOptions();
            if (group.protocol().isConsumer()) {
                consumer.unsubscribe();
                Cases.eventually(() -> Cases.equal(group.described().members().size(), 0, "members"));
            } else {
                Clients.wait(group.admin.removeMembersFromConsumerGroup(group.id, options).all());
            }
            Member next = group.join(topic);
            group.awaitOwned(2, next);
            try {
                consumer.commitSync(Map.of(place, new OffsetAndMetadata(12)));
            } catch (CommitFailedException | RebalanceInProgressException expected) {
                Cases.equal(group.offsets().get(place).offset() == 12, false, "committed all the same");
                return;
            }
            throw new AssertionError("a commit from outside an active group is taken");
        }
    }

    private void byHand() throws Exception {
        String topic = Cases.topic("by-hand");
        String id = Cases.topic("group");
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = clients.producer()) {
            Clients.send(producer, Clients.numbers(topic, 100));
        }
        for (int round = 0; round < 3; round++) {
            try (var consumer = clients.consumer("group.id", id, "auto.offset.reset", "earliest", "max.poll.records", 20)) {
                consumer.assign(List.of(place));
                Clients.equalNumbers(Clients.take(consumer, 20), round * 20);
                consumer.commitSync();
            }
        }
    }

    private void many() throws Exception {
        try (Group group = new Group(clients, Protocol.CLASSIC_RANGE)) {
            String topic = group.topic(100);
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            group.partitions().forEach(place -> offsets.put(place, new OffsetAndMetadata(place.partition() * 10L)));
            try (var consumer = clients.consumer("group.id", group.id)) {
                consumer.commitSync(offsets);
                Cases.equal(consumer.committed(group.partitions()), offsets, "asked for by name");
            }
            Cases.equal(group.offsets(), offsets, "all of the group");
            Cases.equal(group.offsets().containsKey(new TopicPartition(topic, 99)), true, "the last one");
        }
    }

    private void twoGroups() throws Exception {
        String topic = Cases.topic("shared");
        clients.create(topic, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        Map<String, ListConsumerGroupOffsetsSpec> asked = new HashMap<>();
        List<String> groups = List.of(Cases.topic("group"), Cases.topic("group"));
        for (String id : groups) {
            try (var consumer = clients.consumer("group.id", id)) {
                consumer.commitSync(Map.of(place, new OffsetAndMetadata(groups.indexOf(id) + 1)));
            }
            asked.put(id, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(place)));
        }
        String unknown = Cases.topic("unknown");
        asked.put(unknown, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(place)));
        try (var admin = clients.admin()) {
            var found = Clients.wait(admin.listConsumerGroupOffsets(asked).all());
            Cases.equal(found.get(groups.get(0)).get(place).offset(), 1L, "of the first");
            Cases.equal(found.get(groups.get(1)).get(place).offset(), 2L, "of the second");
            Cases.equal(found.get(unknown).get(place), null, "of a group that nobody knows");
        }
    }
}
