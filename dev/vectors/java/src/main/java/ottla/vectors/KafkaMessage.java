package ottla.vectors;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;

/** One of Kafka's generated message classes. */
final class KafkaMessage {
    private static final List<String> PACKAGES = List.of(
        "org.apache.kafka.common.message.",
        "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.share.generated.",
        "org.apache.kafka.coordinator.transaction.generated.");

    private final Class<?> type;

    private KafkaMessage(Class<?> type) {
        this.type = type;
    }

    static KafkaMessage named(String name) {
        return PACKAGES.stream()
            .flatMap(folder -> Stream.of(folder + name + "Data", folder + name))
            .flatMap(KafkaMessage::load)
            .findFirst()
            .map(KafkaMessage::new)
            .orElseThrow(() -> new IllegalArgumentException("no class for " + name));
    }

    private static Stream<Class<?>> load(String name) {
        try {
            return Stream.of(Class.forName(name));
        } catch (ClassNotFoundException e) {
            return Stream.empty();
        }
    }

    /** Bytes in hexadecimal and, for some cases, the value; null where this version has no such case. */
    String vector(short version, Case which) {
        try {
            Schema schema = ((Schema[]) type.getField("SCHEMAS").get(null))[version];
            if (which == Case.UNKNOWN && !schema.toString().contains("_tagged_fields")) {
                return null;
            }
            Message message = (Message) type.getConstructor().newInstance();
            if (which == Case.DEFAULT) {
                return hex(write(message, version));
            }
            Struct values = new Filler(which).struct(schema);
            ByteBuffer bytes = ByteBuffer.allocate(values.sizeOf());
            values.writeTo(bytes);
            bytes.flip();
            message.read(new ByteBufferAccessor(bytes), version);
            String hex = hex(write(message, version));
            return which.showsValue() ? hex + " " + json(message, version) : hex;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type + " version " + version + " " + which, e);
        }
    }

    private static ByteBuffer write(Message message, short version) {
        ObjectSerializationCache sizes = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(sizes, version));
        message.write(new ByteBufferAccessor(bytes), sizes, version);
        bytes.flip();
        return bytes;
    }

    private static String hex(ByteBuffer bytes) {
        return HexFormat.of().formatHex(bytes.array(), 0, bytes.limit());
    }

    private JsonNode json(Message message, short version) throws ReflectiveOperationException {
        Class<?> converter = Class.forName(type.getName() + "JsonConverter");
        Method write = converter.getMethod("write", type, short.class);
        return (JsonNode) write.invoke(null, message, version);
    }
}
