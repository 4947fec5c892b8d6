package ottla.conformance;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;

/** Members with a name of their own, who come back to what they had. */
final class GroupStatics {
    private final Clients clients;

    GroupStatics(Clients clients) {
        this.clients = clients;
    }

    /** A case with a group of two static members, `a` and `b`, that have two partitions each. */
    private interface Body {
        void run(Group group, String topic, Member first, Member second) throws Exception;
    }

    private void each(Cases cases, String name, List<Protocol> protocols, int sessionMs, Body body) {
        Map<String, Cases.Body> all = new TreeMap<>();
        for (Protocol protocol : protocols) {
            all.put(name + protocol.suffix(), () -> {
                try (Group group = new Group(clients, protocol, sessionMs)) {
                    String topic = group.topic(4);
                    Member first = group.join(topic, "group.instance.id", "a");
                    Member second = group.join(topic, "group.instance.id", "b");
                    group.awaitOwned(2, first, second);
                    body.run(group, topic, first, second);
                }
            });
        }
        cases.together(all);
    }

    void run(Cases cases) {
        int lasting = Group.LONG_SESSION_MS;
        List<Protocol> classic = List.of(Protocol.CLASSIC_RANGE, Protocol.CLASSIC_COOPERATIVE);
        List<Protocol> kinds = Protocol.ONE_OF_EACH_KIND;
        each(cases, "static_member_restarts", kinds, lasting, this::restarts);
        each(cases, "static_member_stays_away", kinds, Group.SHORT_SESSION_MS, this::staysAway);
        each(cases, "static_member_leaves_for_good", kinds, lasting, this::leavesForGood);
        each(cases, "older_of_two_is_fenced", classic, lasting, this::olderIsFenced);
        each(cases, "newer_of_two_is_refused", List.of(Protocol.CONSUMER_UNIFORM), lasting, this::newerIsRefused);
        each(cases, "static_member_is_removed", classic, lasting, this::isRemoved);
    }

    /** Both restart, the one that leads its group too; nobody else notices. */
    private void restarts(Group group, String topic, Member first, Member second) throws Exception {
        Set<TopicPartition> ofFirst = first.owned();
        Set<TopicPartition> ofSecond = second.owned();
        int changes = second.changes();
        int generation = second.generation();
        group.send(100);
        group.awaitRead();
        first.close();
        group.send(100);
        Member firstAgain = group.join(topic, "group.instance.id", "a");
        group.awaitOwned(2, firstAgain, second);
        group.awaitRead();
        Cases.equal(firstAgain.owned(), ofFirst, "partitions of the first");
        Cases.equal(second.changes(), changes, "what the second noticed");
        Cases.equal(second.generation(), generation, "generation of the second");
        int changesOfFirst = firstAgain.changes();
        second.close();
        Member secondAgain = group.join(topic, "group.instance.id", "b");
        group.awaitOwned(2, firstAgain, secondAgain);
        group.send(100);
        group.awaitRead();
        Cases.equal(secondAgain.owned(), ofSecond, "partitions of the second");
        Cases.equal(firstAgain.changes(), changesOfFirst, "what the first noticed");
        Cases.equal(firstAgain.generation(), generation, "generation of the first");
    }

    private void staysAway(Group group, String topic, Member first, Member second) throws Exception {
        first.close();
        group.send(100);
        group.awaitOwned(4, second);
        group.awaitRead();
    }

    private void leavesForGood(Group group, String topic, Member first, Member second) throws Exception {
        first.leave();
        group.awaitOwned(4, second);
        Cases.equal(group.described().members().size(), 1, "members");
    }

    private void olderIsFenced(Group group, String topic, Member first, Member second) throws Exception {
        Set<TopicPartition> owned = first.owned();
        int changes = second.changes();
        Member newer = group.join(topic, "group.instance.id", "a");
        Cases.equal(group.awaitProblem(first).getClass(), FencedInstanceIdException.class, "end of the older");
        group.awaitOwned(2, newer, second);
        group.send(100);
        group.awaitRead();
        Cases.equal(newer.owned(), owned, "partitions of the newer");
        Cases.equal(second.changes(), changes, "what the other noticed");
    }

    private void newerIsRefused(Group group, String topic, Member first, Member second) throws Exception {
        Set<TopicPartition> owned = first.owned();
        int changes = first.changes() + second.changes();
        Member newer = group.join(topic, "group.instance.id", "a");
        Cases.equal(group.awaitProblem(newer).getClass(), UnreleasedInstanceIdException.class, "end of the newer");
        group.send(100);
        group.awaitRead();
        Cases.equal(first.owned(), owned, "partitions of the older");
        Cases.equal(first.changes() + second.changes(), changes, "what the others noticed");
    }

    private void isRemoved(Group group, String topic, Member first, Member second) throws Exception {
        first.close();
        var options = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("a")));
        Clients.wait(group.admin.removeMembersFromConsumerGroup(group.id, options).all());
        group.awaitOwned(4, second);
        group.send(100);
        group.awaitRead();
    }
}
