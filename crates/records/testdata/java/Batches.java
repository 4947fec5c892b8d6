import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

/** Batches as Kafka's client library writes them, and Kafka's reading of batches that others wrote. */
public class Batches {
    static final long T = 1_700_000_000_000L;

    record Sent(long timestamp, byte[] key, byte[] value, Header... headers) {}

    static byte[] text(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static List<Sent> sent() {
        byte[] big = new byte[40_000];
        for (int i = 0; i < big.length; i++) big[i] = (byte) (i * 31 % 251);
        Header[] headers = {
            new RecordHeader("h", text("1")), new RecordHeader("h", text("2")), new RecordHeader("n", (byte[]) null),
            new RecordHeader("", new byte[0]), new RecordHeader("ü", text("ß")),
        };
        return List.of(
            new Sent(T, text("k0"), text("v0")),
            new Sent(T + 10, null, text("only value")),
            new Sent(T - 5, text("tombstone"), null),
            new Sent(T + 10, new byte[0], new byte[0], headers),
            new Sent(T + 1, text("big"), big),
            new Sent(T + 2, null, null));
    }

    public static void main(String[] args) throws IOException {
        switch (args[0]) {
            case "write" -> write(Path.of(args[1]));
            case "check" -> check(Path.of(args[1]));
            default -> throw new IllegalArgumentException("write or check");
        }
    }

    static void write(Path dir) throws IOException {
        Files.createDirectories(dir);
        save(dir, "none", Compression.NONE, TimestampType.CREATE_TIME, false);
        save(dir, "gzip", Compression.gzip().build(), TimestampType.CREATE_TIME, false);
        save(dir, "gzip-9", Compression.gzip().level(9).build(), TimestampType.CREATE_TIME, false);
        save(dir, "snappy", Compression.snappy().build(), TimestampType.CREATE_TIME, false);
        save(dir, "lz4", Compression.lz4().build(), TimestampType.CREATE_TIME, false);
        save(dir, "lz4-17", Compression.lz4().level(17).build(), TimestampType.CREATE_TIME, false);
        save(dir, "zstd", Compression.zstd().build(), TimestampType.CREATE_TIME, false);
        save(dir, "zstd-22", Compression.zstd().level(22).build(), TimestampType.CREATE_TIME, false);
        save(dir, "lz4-transactional", Compression.lz4().build(), TimestampType.CREATE_TIME, true);
        save(dir, "zstd-append-time", Compression.zstd().build(), TimestampType.LOG_APPEND_TIME, false);
        MemoryRecords marker = MemoryRecords.withEndTransactionMarker(
            0L, T, 3, 77L, (short) 4, new EndTransactionMarker(ControlRecordType.COMMIT, 9));
        put(dir, "marker-commit", marker.buffer());
    }

    static void save(Path dir, String name, Compression codec, TimestampType times, boolean transactional)
            throws IOException {
        long producer = transactional ? 77L : RecordBatch.NO_PRODUCER_ID;
        short epoch = transactional ? (short) 4 : RecordBatch.NO_PRODUCER_EPOCH;
        int sequence = transactional ? Integer.MAX_VALUE - 1 : RecordBatch.NO_SEQUENCE;
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), RecordBatch.MAGIC_VALUE_V2,
            codec, times, 0L, T + 99, producer, epoch, sequence, transactional, 3);
        for (Sent s : sent()) {
            builder.append(s.timestamp, wrap(s.key), wrap(s.value), s.headers);
        }
        put(dir, name, builder.build().buffer());
    }

    static ByteBuffer wrap(byte[] bytes) {
        return bytes == null ? null : ByteBuffer.wrap(bytes);
    }

    static void put(Path dir, String name, ByteBuffer bytes) throws IOException {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        Files.write(dir.resolve(name + ".batch"), copy);
    }

    /** Every file must hold one batch of the records above, or of a control record. */
    static void check(Path dir) throws IOException {
        int files = 0;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(dir, "*.batch")) {
            for (Path file : all) {
                checkFile(file);
                files++;
            }
        }
        System.out.println(files + " files are as they should be");
    }

    static void checkFile(Path file) throws IOException {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file)));
        List<Record> found = new ArrayList<>();
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            if (batch.isControlBatch()) return;
            batch.forEach(found::add);
            boolean appendTime = batch.timestampType() == TimestampType.LOG_APPEND_TIME;
            for (int i = 0; i < found.size(); i++) {
                same(file, i, found.get(i), sent().get(i), appendTime ? batch.maxTimestamp() : sent().get(i).timestamp);
            }
        }
        if (found.size() != sent().size()) throw new AssertionError(file + ": " + found.size() + " records");
        System.out.println(file.getFileName() + " " + records.sizeInBytes() + " bytes");
    }

    static void same(Path file, int at, Record found, Sent sent, long timestamp) {
        boolean same = found.offset() == at && found.timestamp() == timestamp
            && Arrays.equals(bytes(found.key()), sent.key) && Arrays.equals(bytes(found.value()), sent.value)
            && Arrays.equals(found.headers(), sent.headers);
        if (!same) throw new AssertionError(file + ": record " + at + " is " + found);
    }

    static byte[] bytes(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] copy = new byte[buffer.remaining()];
        buffer.duplicate().get(copy);
        return copy;
    }
}
