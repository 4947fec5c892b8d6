package ottla.conformance;

import java.util.Arrays;

/** Apache Kafka's Java client against a broker. Arguments: HOST:PORT, then parts of names of the cases wanted. */
public final class Main {
    private Main() {
    }

    /** Runs all cases. */
    public static void main(String[] arguments) throws Exception {
        Clients clients = new Clients(arguments[0]);
        Cases cases = new Cases(Arrays.copyOfRange(arguments, 1, arguments.length));
        new Records(clients).run(cases);
        new Positions(clients).run(cases);
        new Administration(clients).run(cases);
        System.out.println("finished");
        System.exit(0);
    }
}
