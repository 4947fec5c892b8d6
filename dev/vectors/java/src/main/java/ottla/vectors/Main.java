package ottla.vectors;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Writes the byte vectors that the wire codec is tested with, out of Apache Kafka's own serializers.
 *
 * Arguments: the folder of schema files, which say what messages and versions there are, and the folder to write to.
 * There is one file per message; a line of it is a version, a case, the bytes in hexadecimal and, for cases that have
 * one, Kafka's own rendering of the value as JSON, all separated by one space.
 */
public final class Main {
    private static final Pattern HEAD =
        Pattern.compile("(request|response|key|value|metadata|data) (?:\\d+ )?(\\w+) versions (\\d+)-(\\d+) .*");

    public static void main(String[] args) throws IOException {
        Path schemas = Path.of(args[0]);
        Path vectors = Path.of(args[1]);
        Files.createDirectories(vectors);
        try (Stream<Path> files = Files.list(schemas)) {
            for (Path file : files.sorted().toList()) {
                for (String line : Files.readAllLines(file)) {
                    Matcher head = HEAD.matcher(line);
                    if (head.matches()) {
                        write(vectors, head);
                    }
                }
            }
        }
    }

    private static void write(Path vectors, Matcher head) throws IOException {
        String name = switch (head.group(1)) {
            case "request" -> head.group(2) + "Request";
            case "response" -> head.group(2) + "Response";
            default -> head.group(2);
        };
        KafkaMessage message = KafkaMessage.named(name);
        List<String> lines = new ArrayList<>();
        for (int v = Integer.parseInt(head.group(3)); v <= Integer.parseInt(head.group(4)); v++) {
            for (Case which : Case.values()) {
                String line = message.vector((short) v, which);
                if (line != null) {
                    lines.add(v + " " + which.name().toLowerCase() + " " + line);
                }
            }
        }
        Files.write(vectors.resolve(name + ".txt"), lines);
    }
}
