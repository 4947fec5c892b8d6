package ottla.conformance;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ClassicGroupState;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Groups as the admin client sees and changes them. */
final class GroupAdministration {
    private static final List<Protocol> BOTH = List.of(Protocol.CLASSIC_RANGE, Protocol.CONSUMER_UNIFORM);
    private final Clients clients;

    GroupAdministration(Clients clients) {
        this.clients = clients;
    }

    /** A case with a group of two members that own two partitions each. */
    private interface Body {
        void run(Group group, String topic) throws Exception;
    }

    private void each(Cases cases, String name, Body body) {
        Map<String, Cases.Body> all = new TreeMap<>();
        for (Protocol protocol : BOTH) {
            all.put(name + protocol.suffix(), () -> {
                try (Group group = new Group(clients, protocol)) {
                    String topic = group.topic(4);
                    Member first = group.join(topic, "client.id", "the client", "client.rack", "a rack");
                    Member second = group.join(topic, "client.id", "the client", "client.rack", "a rack");
                    group.awaitOwned(2, first, second);
                    body.run(group, topic);
                }
            });
        }
        cases.together(all);
    }

    /** A case that needs no members. */
    private interface PlainBody {
        void run(Admin admin) throws Exception;
    }

    private void run(Cases cases, String name, PlainBody body) {
        cases.run(name, () -> {
            try (Admin admin = clients.admin()) {
                body.run(admin);
            }
        });
    }

    void run(Cases cases) {
        each(cases, "groups_are_listed", this::listed);
        each(cases, "groups_are_described", this::described);
        each(cases, "groups_are_deleted", this::deleted);
        each(cases, "offsets_are_altered", this::altered);
        each(cases, "offsets_are_deleted", this::offsetsDeleted);
        run(cases, "members_are_removed", this::removed);
        run(cases, "group_without_members", this::withoutMembers);
        run(cases, "groups_that_nobody_knows", this::unknown);
        run(cases, "group_configs", this::configs);
        run(cases, "offsets_of_deleted_topics", this::offsetsOfDeletedTopics);
    }

    private static void refused(Class<? extends Exception> expected, KafkaFuture<?> future) throws Exception {
        try {
            Clients.wait(future);
        } catch (ExecutionException problem) {
            Cases.equal(problem.getCause().getClass(), expected, "error " + problem.getCause());
            return;
        }
        throw new AssertionError("no " + expected.getSimpleName());
    }

    private static Set<String> ids(Admin admin, ListGroupsOptions options) throws Exception {
        return Clients.wait(admin.listGroups(options).all()).stream().map(GroupListing::groupId)
                .collect(Collectors.toSet());
    }

    private void listed(Group group, String topic) throws Exception {
        GroupType type = group.protocol().isConsumer() ? GroupType.CONSUMER : GroupType.CLASSIC;
        GroupType otherType = group.protocol().isConsumer() ? GroupType.CLASSIC : GroupType.CONSUMER;
        group.await("a stable group", () -> group.described().groupState() == GroupState.STABLE);
        Admin admin = group.admin;
        GroupListing listing = Clients.wait(admin.listGroups().all()).stream()
                .filter(each -> each.groupId().equals(group.id)).findFirst().orElseThrow();
        Cases.equal(listing.type(), Optional.of(type), "type");
        Cases.equal(listing.protocol(), "consumer", "protocol");
        Cases.equal(listing.groupState(), Optional.of(GroupState.STABLE), "state");
        Cases.equal(ids(admin, ListGroupsOptions.forConsumerGroups()).contains(group.id), true, "consumer groups");
        Cases.equal(ids(admin, new ListGroupsOptions().withTypes(Set.of(type))).contains(group.id), true, "its type");
        Cases.equal(ids(admin, new ListGroupsOptions().withTypes(Set.of(otherType))).contains(group.id), false,
                "the other type");
        Cases.equal(ids(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE))).contains(group.id),
                true, "its state");
        Cases.equal(ids(admin, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))).contains(group.id),
                false, "another state");
        Cases.equal(ids(admin, new ListGroupsOptions().withProtocolTypes(Set.of("connect"))).contains(group.id),
                false, "another protocol");
    }

    private void described(Group group, String topic) throws Exception {
        group.await("a stable group", () -> group.described().groupState() == GroupState.STABLE);
        ConsumerGroupDescription described = group.described();
        boolean newer = group.protocol().isConsumer();
        Cases.equal(described.type(), newer ? GroupType.CONSUMER : GroupType.CLASSIC, "type");
        Cases.equal(described.partitionAssignor(), newer ? "uniform" : "range", "assignor");
        Cases.equal(described.isSimpleConsumerGroup(), false, "simple");
        Cases.equal(described.groupEpoch().isPresent(), newer, "has an epoch");
        Cases.equal(described.targetAssignmentEpoch(), described.groupEpoch(), "epoch of the assignment");
        Cases.equal(described.coordinator().host() + ":" + described.coordinator().port(), clients.bootstrap,
                "coordinator");
        Cases.equal(described.members().size(), 2, "members");
        Set<TopicPartition> assigned = new HashSet<>();
        for (MemberDescription member : described.members()) {
            Cases.equal(member.clientId(), "the client", "client");
            Cases.equal(member.host(), "/127.0.0.1", "host");
            Cases.equal(member.groupInstanceId(), Optional.empty(), "name");
            Cases.equal(member.assignment().topicPartitions().size(), 2, "partitions of a member");
            Cases.equal(member.memberEpoch(), described.groupEpoch(), "epoch of a member");
            Cases.equal(member.rackId(), newer ? Optional.of("a rack") : Optional.empty(), "rack");
            member.targetAssignment().ifPresent(target ->
                    Cases.equal(target, member.assignment(), "target assignment"));
            assigned.addAll(member.assignment().topicPartitions());
        }
        Cases.equal(assigned, group.partitions(), "partitions of all members");
        if (!newer) {
            var classic = Clients.wait(group.admin.describeClassicGroups(List.of(group.id)).describedGroups().get(group.id));
            Cases.equal(classic.state(), ClassicGroupState.STABLE, "classic state");
            Cases.equal(classic.protocol(), "consumer", "classic protocol");
            Cases.equal(classic.protocolData(), "range", "classic assignor");
            Cases.equal(classic.members().size(), 2, "classic members");
        }
    }

    private void deleted(Group group, String topic) throws Exception {
        group.send(40);
        group.awaitRead();
        refused(GroupNotEmptyException.class, group.admin.deleteConsumerGroups(List.of(group.id)).all());
        Cases.equal(group.offsets().size(), 4, "offsets");
        group.leave();
        group.await("an empty group", () -> group.described().groupState() == GroupState.EMPTY);
        Cases.equal(group.offsets().size(), 4, "offsets of the empty group");
        Clients.wait(group.admin.deleteConsumerGroups(List.of(group.id)).all());
        Cases.equal(ids(group.admin, new ListGroupsOptions()).contains(group.id), false, "listed");
        Cases.equal(group.offsets(), Map.of(), "offsets of the deleted group");
        refused(GroupIdNotFoundException.class, group.admin.deleteConsumerGroups(List.of(group.id)).all());
        // The name is free again: whoever takes it begins anew.
        group.forgetCommits();
        group.join(topic);
        group.awaitTimes(2);
    }

    private void altered(Group group, String topic) throws Exception {
        group.send(40);
        group.awaitRead();
        TopicPartition place = new TopicPartition(topic, 1);
        Map<TopicPartition, OffsetAndMetadata> change = Map.of(place, new OffsetAndMetadata(3, "by hand"));
        refused(UnknownMemberIdException.class, group.admin.alterConsumerGroupOffsets(group.id, change).all());
        group.leave();
        group.await("an empty group", () -> group.described().groupState() == GroupState.EMPTY);
        Clients.wait(group.admin.alterConsumerGroupOffsets(group.id, change).all());
        Cases.equal(group.offsets().get(place), new OffsetAndMetadata(3, "by hand"), "altered");
        Cases.equal(group.offsets().get(new TopicPartition(topic, 0)).offset(), 10L, "left alone");
    }

    private void offsetsDeleted(Group group, String topic) throws Exception {
        group.send(40);
        group.awaitRead();
        TopicPartition place = new TopicPartition(topic, 1);
        refused(GroupSubscribedToTopicException.class,
                group.admin.deleteConsumerGroupOffsets(group.id, Set.of(place)).partitionResult(place));
        group.leave();
        group.await("an empty group", () -> group.described().groupState() == GroupState.EMPTY);
        Clients.wait(group.admin.deleteConsumerGroupOffsets(group.id, Set.of(place)).partitionResult(place));
        Cases.equal(group.offsets().containsKey(place), false, "deleted");
        Cases.equal(group.offsets().size(), 3, "offsets that are left");
    }

    private void removed(Admin admin) throws Exception {
        try (Group group = new Group(clients, Protocol.CLASSIC_COOPERATIVE)) {
            String topic = group.topic(4);
            Member named = group.join(topic, "group.instance.id", "named");
            Member other = group.join(topic);
            group.awaitOwned(2, named, other);
            named.close();
            var one = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("named")));
            Clients.wait(admin.removeMembersFromConsumerGroup(group.id, one).all());
            group.awaitOwned(4, other);
            refused(UnknownMemberIdException.class,
                    admin.removeMembersFromConsumerGroup(group.id, one).memberResult(new MemberToRemove("named")));
            other.crash();
            Clients.wait(admin.removeMembersFromConsumerGroup(group.id, new RemoveMembersFromConsumerGroupOptions()).all());
            Cases.equal(group.described().groupState(), GroupState.EMPTY, "state");
        }
    }

    private void withoutMembers(Admin admin) throws Exception {
        String topic = Cases.topic("simple");
        clients.create(topic, 2);
        String id = Cases.topic("group");
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(
                new TopicPartition(topic, 0), new OffsetAndMetadata(5), new TopicPartition(topic, 1), new OffsetAndMetadata(6));
        Clients.wait(admin.alterConsumerGroupOffsets(id, offsets).all());
        Cases.equal(Clients.wait(admin.listConsumerGroupOffsets(id).partitionsToOffsetAndMetadata()), offsets, "offsets");
        var described = Clients.wait(admin.describeConsumerGroups(List.of(id)).describedGroups().get(id));
        Cases.equal(described.groupState(), GroupState.EMPTY, "state");
        Cases.equal(described.isSimpleConsumerGroup(), true, "simple");
        Cases.equal(described.members().size(), 0, "members");
        GroupListing listing = Clients.wait(admin.listGroups().all()).stream()
                .filter(each -> each.groupId().equals(id)).findFirst().orElseThrow();
        Cases.equal(listing.isSimpleConsumerGroup(), true, "listed as simple");
        Clients.wait(admin.deleteConsumerGroups(List.of(id)).all());
        Cases.equal(ids(admin, new ListGroupsOptions()).contains(id), false, "listed");
    }

    private void unknown(Admin admin) throws Exception {
        String id = Cases.topic("unknown");
        refused(GroupIdNotFoundException.class, admin.describeConsumerGroups(List.of(id)).describedGroups().get(id));
        refused(GroupIdNotFoundException.class, admin.describeClassicGroups(List.of(id)).describedGroups().get(id));
        refused(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(id)).all());
        Cases.equal(Clients.wait(admin.listConsumerGroupOffsets(id).partitionsToOffsetAndMetadata()), Map.of(), "offsets");
        TopicPartition place = new TopicPartition(Cases.topic("some"), 0);
        refused(GroupIdNotFoundException.class, admin.deleteConsumerGroupOffsets(id, Set.of(place)).all());
    }

    private void configs(Admin admin) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, Cases.topic("configured"));
        Config before = config(admin, resource);
        Cases.equal(before.get("consumer.session.timeout.ms").value(), "45000", "default");
        alter(admin, resource, AlterConfigOp.OpType.SET, "50000");
        Cases.eventually(() -> {
            ConfigEntry entry = config(admin, resource).get("consumer.session.timeout.ms");
            Cases.equal(entry.value(), "50000", "altered");
            Cases.equal(entry.source(), ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG, "source");
        });
        alter(admin, resource, AlterConfigOp.OpType.DELETE, null);
        Cases.eventually(() -> Cases.equal(config(admin, resource).get("consumer.session.timeout.ms").value(),
                "45000", "deleted"));
        for (String wrong : List.of("soon", "-1", "999999999")) {
            try {
                alter(admin, resource, AlterConfigOp.OpType.SET, wrong);
            } catch (ExecutionException problem) {
                Cases.equal(problem.getCause().getClass(), InvalidConfigurationException.class, wrong);
                continue;
            }
            throw new AssertionError(wrong + " is taken");
        }
    }

    private static Config config(Admin admin, ConfigResource resource) throws Exception {
        return Clients.wait(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private static void alter(Admin admin, ConfigResource resource, AlterConfigOp.OpType type, String value)
            throws Exception {
        ConfigEntry entry = new ConfigEntry("consumer.session.timeout.ms", value);
        Clients.wait(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(entry, type)))).all());
    }

    /** A deleted topic takes its offsets along. */
    private void offsetsOfDeletedTopics(Admin admin) throws Exception {
        try (Group group = new Group(clients, Protocol.CLASSIC_RANGE)) {
            String kept = group.topic(1);
            String gone = group.topic(1);
            Member member = group.join(List.of(kept, gone));
            group.awaitOwned(2, member);
            group.send(20);
            group.awaitRead();
            group.leave();
            Clients.wait(admin.deleteTopics(List.of(gone)).all());
            group.await("one offset", () -> group.offsets().keySet().equals(Set.of(new TopicPartition(kept, 0))));
        }
    }
}
