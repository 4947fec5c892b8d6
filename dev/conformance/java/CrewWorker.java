package ottla.conformance;

/** A client with a thread: it says {@code note ended} when that is over. */
abstract class CrewWorker {
    final CrewRole role;
    private volatile boolean over;

    CrewWorker(CrewRole role) {
        this.role = role;
    }

    void start() {
        new Thread(this::live, role.name).start();
    }

    void stop() {
        over = true;
    }

    boolean isOver() {
        return over;
    }

    private void live() {
        try {
            run();
        } catch (Throwable thrown) {
            role.say("note trouble " + thrown);
        }
        role.say("note ended");
    }

    abstract void run() throws Exception;
}
