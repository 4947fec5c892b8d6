package ottla.conformance;

import java.util.List;
import org.apache.kafka.common.TopicPartition;

/** Writes transactions over several partitions, some of which it aborts. */
final class CrewWriter extends CrewWorker {
    CrewWriter(CrewRole role) {
        super(role);
    }

    @Override
    void run() throws Exception {
        List<TopicPartition> to = role.partitions("to");
        try (CrewTransactions transactions = new CrewTransactions(role)) {
            while (!isOver()) {
                transactions.run(role.oneIn(role.number("aborts")), () -> {
                    for (int count = 2 + role.dice.nextInt(4); count > 0; count--) {
                        transactions.send(to.get(role.dice.nextInt(to.size())), transactions.next(), "");
                    }
                });
            }
        } catch (CrewTransactions.Fenced fenced) {
            role.say("note fenced");
        }
    }
}
