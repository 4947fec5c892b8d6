package ottla.conformance;

import java.util.List;
import org.apache.kafka.common.TopicPartition;

/** Writes transactions over several partitions, some of which it aborts. */
final class CrewWriter extends CrewWorker {
    /** Between transactions: what is written while a group loses a member that was killed is all to be read and judged. */
    private static final int PAUSE_MS = 5;

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
                Thread.sleep(PAUSE_MS);
            }
        } catch (CrewTransactions.Fenced fenced) {
            role.say("note fenced");
        }
    }
}
