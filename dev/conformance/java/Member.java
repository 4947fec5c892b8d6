package ottla.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;

/** A consumer with a thread of its own: it polls all the time, and commits behind itself and before it gives partitions up. */
final class Member implements AutoCloseable, ConsumerRebalanceListener {
    private static final Duration POLL = Duration.ofMillis(50);
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Journal journal;
    private final boolean commits;
    private final Thread thread;
    private final Queue<Runnable> jobs = new ConcurrentLinkedQueue<>();
    private final Map<TopicPartition, List<String>> uncommitted = new HashMap<>();
    private final Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
    private final AtomicInteger polls = new AtomicInteger();
    private final AtomicInteger changes = new AtomicInteger();
    private volatile Set<TopicPartition> owned = Set.of();
    private volatile Throwable problem;
    /** How it is to end; nothing until then. */
    private volatile GroupMembershipOperation end;

    Member(KafkaConsumer<byte[], byte[]> consumer, Journal journal, boolean commits,
            BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> subscribe) {
        this.consumer = consumer;
        this.journal = journal;
        this.commits = commits;
        subscribe.accept(consumer, this);
        thread = new Thread(this::run);
        thread.start();
    }

    /** What it owns now. */
    Set<TopicPartition> owned() {
        return owned;
    }

    /** How often partitions, if none, were given or taken. */
    int changes() {
        return changes.get();
    }

    /** How often it polled. */
    int polls() {
        return polls.get();
    }

    /** What ended it, if anything did. */
    Throwable problem() {
        return problem;
    }

    /** Does something with the consumer between two polls. */
    <T> T call(Function<KafkaConsumer<byte[], byte[]>, T> what) throws Exception {
        CompletableFuture<T> done = new CompletableFuture<>();
        jobs.add(() -> {
            try {
                done.complete(what.apply(consumer));
            } catch (Throwable thrown) {
                done.completeExceptionally(thrown);
            }
        });
        return Clients.wait(done);
    }

    /** The generation of a classic member, the epoch of the other kind. */
    int generation() throws Exception {
        return call(client -> client.groupMetadata().generationId());
    }

    /** Goes as clients do: a static member is expected back. */
    @Override
    public void close() {
        end(GroupMembershipOperation.DEFAULT);
    }

    /** Goes for good. */
    void leave() {
        end(GroupMembershipOperation.LEAVE_GROUP);
    }

    /** Falls silent: commits nothing more and does not say that it goes. */
    void crash() {
        end(GroupMembershipOperation.REMAIN_IN_GROUP);
    }

    private void end(GroupMembershipOperation operation) {
        if (end == null) {
            end = operation;
        }
        try {
            thread.join(Clients.PATIENCE.toMillis());
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
        if (thread.isAlive()) {
            throw new AssertionError("a member does not end");
        }
    }

    private void run() {
        try {
            while (end == null) {
                for (Runnable job = jobs.poll(); job != null; job = jobs.poll()) {
                    job.run();
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    String value = new String(record.value());
                    TopicPartition place = new TopicPartition(record.topic(), record.partition());
                    uncommitted.computeIfAbsent(place, any -> new ArrayList<>()).add(value);
                    next.put(place, new OffsetAndMetadata(record.offset() + 1));
                    journal.got(value);
                }
                commit();
                polls.incrementAndGet();
            }
        } catch (Throwable thrown) {
            problem = thrown;
        } finally {
            GroupMembershipOperation operation = end == null ? GroupMembershipOperation.DEFAULT : end;
            consumer.close(CloseOptions.timeout(Duration.ofSeconds(10)).withGroupMembershipOperation(operation));
            owned = Set.of();
        }
    }

    /** Commits what was read and nothing else: a deleted topic, which it may own still, would hold the commit up. */
    private void commit() {
        if (!commits || uncommitted.isEmpty() || end == GroupMembershipOperation.REMAIN_IN_GROUP) {
            return;
        }
        try {
            consumer.commitSync(next, Clients.PATIENCE);
        } catch (RebalanceInProgressException | CommitFailedException refused) {
            return;
        }
        uncommitted.values().forEach(journal::committed);
        uncommitted.clear();
        next.clear();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        Set<TopicPartition> now = new HashSet<>(owned);
        now.addAll(partitions);
        owned = now;
        changes.incrementAndGet();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
        remove(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        remove(partitions);
    }

    private void remove(Collection<TopicPartition> partitions) {
        Set<TopicPartition> now = new HashSet<>(owned);
        now.removeAll(partitions);
        owned = now;
        uncommitted.keySet().removeAll(partitions);
        next.keySet().removeAll(partitions);
        changes.incrementAndGet();
    }

    @Override
    public String toString() {
        return owned + (problem == null ? "" : " " + problem);
    }
}
