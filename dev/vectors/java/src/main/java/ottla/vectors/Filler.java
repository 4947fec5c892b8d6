package ottla.vectors;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.NullableSchema;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/** Makes up the values of one message. The same message, version and case always get the same values. */
final class Filler {
    private static final int UNKNOWN_TAG = 10_000;

    private final Case which;
    private int count = 0;

    Filler(Case which) {
        this.which = which;
    }

    Struct struct(Schema schema) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, value(field.def.type, field.def.name));
        }
        return struct;
    }

    private Object value(Type type, String name) {
        if (type instanceof TaggedFields tagged) {
            return tags(tagged.fields());
        }
        if (which == Case.NULLS && type.isNullable()) {
            return null;
        }
        if (type.isArray()) {
            return array(type.arrayElementType().orElseThrow(), name);
        }
        if (type instanceof Schema schema) {
            return struct(schema);
        }
        count++;
        return scalar(type.toString().replace("COMPACT_", "").replace("NULLABLE_", ""), name);
    }

    private NavigableMap<Integer, Object> tags(Map<Integer, Field> fields) {
        NavigableMap<Integer, Object> values = new TreeMap<>();
        fields.forEach((tag, field) -> {
            // Kafka's description of a message says otherwise than its code how a tagged struct is null.
            if (!(which == Case.NULLS && field.type instanceof NullableSchema)) {
                values.put(tag, value(field.type, field.name));
            }
        });
        if (which == Case.UNKNOWN) {
            values.put(UNKNOWN_TAG, new RawTaggedField(UNKNOWN_TAG, text("unknown", 150)));
        }
        return values;
    }

    private Object[] array(Type element, String name) {
        boolean small = !(element instanceof Schema) && !element.isArray() && !element.toString().contains("STRING");
        int length = which == Case.LONG && small ? 130 : which == Case.FILLED || which == Case.UNKNOWN ? 2 : 1;
        Object[] array = new Object[length];
        for (int at = 0; at < length; at++) {
            array[at] = value(element, name);
        }
        return array;
    }

    private Object scalar(String type, String name) {
        boolean edge = which == Case.EDGE;
        boolean high = count % 2 == 0;
        return switch (type) {
            case "BOOLEAN" -> edge ? high : count % 3 != 0;
            case "INT8" -> edge ? (high ? Byte.MAX_VALUE : Byte.MIN_VALUE) : (byte) (count % 127 + 1);
            case "INT16" -> edge ? (high ? Short.MAX_VALUE : Short.MIN_VALUE) : (short) (300 + count);
            case "UINT16" -> edge ? (high ? 65_535 : 0) : 40_000 + count;
            case "INT32" -> edge ? (high ? Integer.MAX_VALUE : Integer.MIN_VALUE) : 100_000 + count;
            case "UINT32" -> edge ? (high ? 4_294_967_295L : 0L) : 3_000_000_000L + count;
            case "INT64" -> edge ? (high ? Long.MAX_VALUE : Long.MIN_VALUE) : 7_000_000_000_000L + count;
            case "FLOAT64" -> edge ? (high ? Double.MAX_VALUE : -0.0) : count + 0.25;
            case "UUID" -> edge ? (high ? new Uuid(-1, -1) : Uuid.ZERO_UUID) : new Uuid(count, 1L << 63 | count);
            case "STRING" -> new String(text(name), StandardCharsets.UTF_8);
            case "BYTES" -> ByteBuffer.wrap(text(name));
            case "RECORDS" -> MemoryRecords.readableRecords(ByteBuffer.wrap(text(name)));
            default -> throw new IllegalArgumentException("no values for type " + type);
        };
    }

    private byte[] text(String name) {
        return which == Case.EDGE ? new byte[0] : text(name, which == Case.LONG ? 130 : 0);
    }

    /** The name, a number and a letter of three bytes, padded to a length in bytes. */
    private byte[] text(String name, int length) {
        byte[] text = (name + "-" + count + "€").getBytes(StandardCharsets.UTF_8);
        int end = text.length;
        byte[] padded = Arrays.copyOf(text, Math.max(end, length));
        Arrays.fill(padded, end, padded.length, (byte) '.');
        return padded;
    }
}
