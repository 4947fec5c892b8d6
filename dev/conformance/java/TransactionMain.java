package ottla.conformance;

import java.util.Arrays;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Transactions of Apache Kafka's Java clients. Arguments: HOST:PORT, then parts of names of the cases wanted. Clients older
 * than 4 speak version 1 of the protocol and have fewer cases.
 */
public final class TransactionMain {
    private TransactionMain() {
    }

    /** Runs all cases. */
    public static void main(String[] arguments) throws Exception {
        Clients clients = new Clients(arguments[0]);
        Cases cases = new Cases(Arrays.copyOfRange(arguments, 1, arguments.length));
        int version = AppInfoParser.getVersion().startsWith("3.") ? 1 : 2;
        new TransactionProducers(clients, version).run(cases);
        new TransactionFences(clients, version).run(cases);
        new TransactionProcessors(clients, version).run(cases);
        if (version == 2) {
            new TransactionAdministration(clients).run(cases);
        }
        System.out.println("finished");
        System.exit(0);
    }
}
