package ottla.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;

/** The harness of this program: cases one after the other, one line of report each. */
final class Cases {
    /** What a case does; it throws when it fails. */
    interface Body {
        void run() throws Exception;
    }

    private static final AtomicInteger TOPICS = new AtomicInteger();
    private final String[] filters;

    /** Only cases whose name holds one of the filters are run; none means all. */
    Cases(String[] filters) {
        this.filters = filters;
    }

    void run(String name, Body body) {
        if (!wanted(name)) {
            return;
        }
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable problem) {
            problem.printStackTrace();
            System.out.println("not ok " + name + ": " + String.valueOf(problem).replace('\n', ' '));
        }
    }

    /** Cases that mostly wait: all of them at once. */
    void together(Map<String, Body> bodies) {
        List<Thread> threads = new ArrayList<>();
        bodies.forEach((name, body) -> threads.add(new Thread(() -> run(name, body))));
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
        }
    }

    private boolean wanted(String name) {
        for (String filter : filters) {
            if (name.contains(filter)) {
                return true;
            }
        }
        return filters.length == 0;
    }

    /** A name that nobody has used. */
    static String topic(String hint) {
        return hint + "-" + ProcessHandle.current().pid() + "-" + TOPICS.getAndIncrement();
    }

    /** Asks again until it passes: a broker's answer may come before all of its parts know what changed. */
    static void eventually(Body body) throws Exception {
        long deadline = System.nanoTime() + Clients.PATIENCE.toNanos();
        while (true) {
            try {
                body.run();
                return;
            } catch (Exception | AssertionError problem) {
                if (System.nanoTime() > deadline) {
                    throw problem;
                }
                Thread.sleep(10);
            }
        }
    }

    static void equal(Object found, Object expected, String what) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(what + ": " + found + " where " + expected + " was expected");
        }
    }
}
