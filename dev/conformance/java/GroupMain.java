package ottla.conformance;

import java.util.Arrays;

/** Groups of Apache Kafka's Java consumers. Arguments: HOST:PORT, then parts of names of the cases wanted. */
public final class GroupMain {
    private GroupMain() {
    }

    /** Runs all cases. */
    public static void main(String[] arguments) throws Exception {
        Clients clients = new Clients(arguments[0]);
        Cases cases = new Cases(Arrays.copyOfRange(arguments, 1, arguments.length));
        new GroupMembers(clients).run(cases);
        new GroupStatics(clients).run(cases);
        new GroupOffsets(clients).run(cases);
        new GroupAdministration(clients).run(cases);
        System.out.println("finished");
        System.exit(0);
    }
}
