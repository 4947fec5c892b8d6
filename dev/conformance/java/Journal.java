package ottla.conformance;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** What was sent to a group and what its members made of it. A value that was committed must not come again. */
final class Journal {
    private final Set<String> sent = new HashSet<>();
    private final Map<String, Integer> times = new HashMap<>();
    private final Set<String> committed = new HashSet<>();
    private String fault;

    synchronized void sent(String value) {
        sent.add(value);
    }

    synchronized void got(String value) {
        times.merge(value, 1, Integer::sum);
        if (committed.contains(value) && fault == null) {
            fault = value + " came again though it was committed";
        }
    }

    synchronized void committed(Collection<String> values) {
        committed.addAll(values);
    }

    synchronized void forgetCommits() {
        committed.clear();
    }

    /** True when everything that was sent came at least so many times. */
    synchronized boolean isRead(int atLeast) {
        return sent.stream().allMatch(value -> times.getOrDefault(value, 0) >= atLeast);
    }

    synchronized boolean isCommitted() {
        return committed.containsAll(sent);
    }

    synchronized void check() {
        if (fault != null) {
            throw new AssertionError(fault);
        }
    }

    @Override
    public synchronized String toString() {
        return sent.size() + " sent, " + times.size() + " read, " + committed.size() + " committed";
    }
}
