package ottla.conformance;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;

/**
 * Clients of transactions, many in one virtual machine, each with a thread of its own.
 *
 * <p>Standard input brings {@code start KIND NAME key=value ...} and {@code stop NAME}; a client that is told to stop ends
 * what it is in. Standard output is a history of all of them. The machine ends with its input.
 */
public final class CrewMain {
    private CrewMain() {
    }

    /** Obeys until the input ends. */
    public static void main(String[] arguments) throws IOException {
        Map<String, CrewWorker> workers = new HashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("start")) {
                CrewWorker worker = worker(words[1], new CrewRole(words));
                workers.put(words[2], worker);
                worker.start();
            } else {
                workers.get(words[1]).stop();
            }
        }
        System.exit(0);
    }

    private static CrewWorker worker(String kind, CrewRole role) {
        return switch (kind) {
            case "writer" -> new CrewWriter(role);
            case "copier" -> new CrewCopier(role);
            case "reader" -> new CrewReader(role);
            default -> throw new IllegalArgumentException(kind);
        };
    }
}
