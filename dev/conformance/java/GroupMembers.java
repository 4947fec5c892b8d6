package ottla.conformance;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnsupportedAssignorException;

/** Members come, go and change their minds; every partition has one owner, and every record is read. */
final class GroupMembers {
    private final Clients clients;

    GroupMembers(Clients clients) {
        this.clients = clients;
    }

    /** A case for a group of some protocol. */
    private interface Body {
        void run(Group group) throws Exception;
    }

    private void each(Cases cases, String name, List<Protocol> protocols, int sessionMs, Body body) {
        Map<String, Cases.Body> all = new TreeMap<>();
        for (Protocol protocol : protocols) {
            all.put(name + protocol.suffix(), () -> {
                try (Group group = new Group(clients, protocol, sessionMs)) {
                    body.run(group);
                }
            });
        }
        cases.together(all);
    }

    void run(Cases cases) {
        int lasting = Group.LONG_SESSION_MS;
        int brief = Group.SHORT_SESSION_MS;
        List<Protocol> kinds = Protocol.ONE_OF_EACH_KIND;
        each(cases, "members_come_and_go", List.of(Protocol.values()), brief, this::comeAndGo);
        each(cases, "uncommitted_records_come_again", kinds, brief, this::uncommitted);
        each(cases, "nothing_happens_to_a_quiet_group", kinds, lasting, this::quiet);
        each(cases, "partitions_are_added", kinds, lasting, this::partitionsAreAdded);
        each(cases, "topics_come_and_go", kinds, lasting, this::topicsComeAndGo);
        each(cases, "subscriptions_differ_and_change", kinds, lasting, this::subscriptions);
        each(cases, "more_members_than_partitions", kinds, lasting, this::idleMember);
        each(cases, "pattern_of_the_client", kinds, lasting, this::patternOfTheClient);
        each(cases, "pattern_of_the_broker", List.of(Protocol.CONSUMER_UNIFORM), lasting, this::patternOfTheBroker);
        each(cases, "broken_pattern", List.of(Protocol.CONSUMER_UNIFORM), lasting, this::brokenPattern);
        each(cases, "unknown_assignor", List.of(Protocol.CONSUMER_UNIFORM), lasting, this::unknownAssignor);
        each(cases, "both_protocols_in_one_group",
                List.of(Protocol.CLASSIC_RANGE, Protocol.CLASSIC_COOPERATIVE), lasting, this::bothProtocols);
    }

    private void comeAndGo(Group group) throws Exception {
        String topic = group.topic(6);
        group.send(300);
        Member first = group.join(topic);
        group.awaitOwned(6, first);
        group.awaitRead();
        Member second = group.join(topic);
        Member third = group.join(topic);
        group.awaitOwned(2, first, second, third);
        group.send(300);
        group.awaitRead();
        second.leave();
        group.awaitOwned(3, first, third);
        group.send(300);
        third.crash();
        group.awaitOwned(6, first);
        group.send(300);
        group.awaitTimes(1);
        group.await("everything committed", () -> isAtTheEnd(group, 200));
    }

    /** True when every partition's committed offset is this one. */
    private static boolean isAtTheEnd(Group group, long offset) throws Exception {
        var offsets = group.offsets();
        return offsets.keySet().equals(group.partitions())
                && offsets.values().stream().allMatch(committed -> committed.offset() == offset);
    }

    private void uncommitted(Group group) throws Exception {
        String topic = group.topic(2);
        Member good = group.join(topic);
        group.send(100);
        group.awaitRead();
        good.leave();
        Member silent = group.joinWithoutCommits(topic);
        group.awaitOwned(2, silent);
        group.send(60);
        group.await("everything read", () -> silent.call(client ->
                client.position(new TopicPartition(topic, 0)) + client.position(new TopicPartition(topic, 1))) == 160);
        silent.crash();
        group.join(topic);
        group.awaitRead();
    }

    private void quiet(Group group) throws Exception {
        String topic = group.topic(4);
        Member first = group.join(topic);
        Member second = group.join(topic);
        group.awaitOwned(2, first, second);
        Set<TopicPartition> owned = first.owned();
        int changes = first.changes() + second.changes();
        int generation = first.generation();
        group.send(500);
        group.awaitRead();
        clients.create(Cases.topic("unrelated"), 3);
        group.awaitPolls(40, second);
        group.send(500);
        group.awaitRead();
        Cases.equal(first.changes() + second.changes(), changes, "changes of assignments");
        Cases.equal(first.generation(), generation, "generation");
        Cases.equal(first.owned(), owned, "partitions of the first");
    }

    private void partitionsAreAdded(Group group) throws Exception {
        String topic = group.topic(2);
        Member first = group.join(topic);
        Member second = group.join(topic);
        group.awaitOwned(1, first, second);
        Clients.wait(group.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(6))).all());
        group.resized(topic, 6);
        group.awaitOwned(3, first, second);
        group.send(600);
        group.awaitRead();
    }

    private void topicsComeAndGo(Group group) throws Exception {
        String there = group.topic(2);
        String later = Cases.topic("later");
        Member first = group.join(List.of(there, later));
        Member second = group.join(List.of(there, later));
        group.awaitOwned(1, first, second);
        group.topic(later, 2);
        group.awaitOwned(2, first, second);
        group.send(100);
        group.awaitRead();
        Clients.wait(group.admin.deleteTopics(List.of(later)).all());
        group.resized(later, 0);
        group.awaitOwned(1, first, second);
        group.send(100);
        group.awaitRead();
    }

    private void subscriptions(Group group) throws Exception {
        String one = group.topic(8);
        String both = group.topic(4);
        Member first = group.join(List.of(one, both));
        Member second = group.join(both);
        group.awaitShared(first, second);
        Cases.equal(topicsOf(first).contains(one), true, "the one topic goes to its subscriber");
        Cases.equal(topicsOf(second), Set.of(both), "the other's topics");
        group.send(120);
        group.awaitRead();
        subscribe(first, one);
        group.await("each a topic", () -> first.owned().size() == 8 && second.owned().size() == 4);
        subscribe(second, one, both);
        group.await("a share for both", () -> topicsOf(second).containsAll(Set.of(one, both)));
        group.awaitShared(first, second);
        group.send(120);
        group.awaitRead();
    }

    private static Set<String> topicsOf(Member member) {
        return member.owned().stream().map(TopicPartition::topic).collect(java.util.stream.Collectors.toSet());
    }

    private static void subscribe(Member member, String... topics) throws Exception {
        member.call(client -> {
            client.subscribe(List.of(topics), member);
            return null;
        });
    }

    private void idleMember(Group group) throws Exception {
        String topic = group.topic(1);
        Member first = group.join(topic);
        group.awaitOwned(1, first);
        Member second = group.join(topic);
        group.await("two members", () -> group.described().members().size() == 2);
        group.send(50);
        group.awaitRead();
        group.awaitOwnedTogether(1, first, second);
        (first.owned().isEmpty() ? second : first).leave();
        group.awaitShared(first.owned().isEmpty() ? second : first);
        group.send(50);
        group.awaitRead();
    }

    private void patternOfTheClient(Group group) throws Exception {
        String prefix = Cases.topic("pattern");
        group.topic(prefix + ".one", 2);
        Pattern pattern = Pattern.compile(Pattern.quote(prefix) + "\\.(one|two)");
        Member first = group.join((client, listener) -> client.subscribe(pattern, listener));
        Member second = group.join((client, listener) -> client.subscribe(pattern, listener));
        group.awaitOwned(1, first, second);
        clients.create(prefix + ".three", 2);
        group.topic(prefix + ".two", 2);
        group.awaitOwned(2, first, second);
        group.send(100);
        group.awaitRead();
    }

    private void patternOfTheBroker(Group group) throws Exception {
        String prefix = Cases.topic("regex");
        group.topic(prefix + ".one", 2);
        SubscriptionPattern pattern = new SubscriptionPattern(prefix + "\\.(one|two)");
        Member first = group.join((client, listener) -> client.subscribe(pattern, listener));
        Member second = group.join((client, listener) -> client.subscribe(pattern, listener));
        group.awaitOwned(1, first, second);
        // A pattern must match all of a name.
        clients.create(prefix + ".one.more", 2);
        group.topic(prefix + ".two", 2);
        group.awaitOwned(2, first, second);
        group.send(100);
        group.awaitRead();
    }

    private void brokenPattern(Group group) throws Exception {
        group.topic(1);
        SubscriptionPattern broken = new SubscriptionPattern("(unclosed");
        Member member = group.join((client, listener) -> client.subscribe(broken, listener));
        Cases.equal(group.awaitProblem(member).getClass(), InvalidRegularExpression.class, "error");
    }

    private void unknownAssignor(Group group) throws Exception {
        Member member = group.join(group.topic(1), "group.remote.assignor", "nobody-knows");
        Cases.equal(group.awaitProblem(member).getClass(), UnsupportedAssignorException.class, "error");
    }

    /** A group is of the newer kind as long as one member is. */
    private void bothProtocols(Group group) throws Exception {
        String topic = group.topic(6);
        Member classic = group.join(topic);
        group.awaitOwned(6, classic);
        Cases.equal(group.described().type(), GroupType.CLASSIC, "type at first");
        Member newer = group.join(Protocol.CONSUMER_UNIFORM, topic);
        group.awaitOwned(3, classic, newer);
        Cases.equal(group.described().type(), GroupType.CONSUMER, "type with both");
        group.send(300);
        group.awaitRead();
        newer.leave();
        group.awaitOwned(6, classic);
        group.await("back to classic", () -> group.described().type() == GroupType.CLASSIC);
        group.send(300);
        group.awaitRead();
        Member next = group.join(Protocol.CONSUMER_UNIFORM, topic);
        group.awaitOwned(3, classic, next);
        classic.leave();
        group.awaitOwned(6, next);
        Member late = group.join(topic);
        group.awaitOwned(3, late, next);
        group.send(300);
        group.awaitRead();
        Cases.equal(group.described().type(), GroupType.CONSUMER, "type at last");
    }
}
