package ottla.peer;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs command-line tools one after the other in one virtual machine, as if each were a process of its own.
 *
 * <p>Standard input brings jobs: class name, number of arguments, the arguments, the tool's input. Standard output answers
 * each: exit code, the tool's standard output, its standard error. Numbers are 32 bits, big-endian; all else is bytes
 * behind their number.
 */
public final class ToolServer {
    /** A tool's call to exit, on its way out. */
    private static final class Exited extends Error {
        private static final long serialVersionUID = 1;

        Exited(int code) {
            super("exit " + code);
        }
    }

    /** The code of the tool's first call to exit. */
    private static Integer exitCode;

    private ToolServer() {
    }

    /** Serves jobs until the input ends. */
    public static void main(String[] arguments) throws IOException {
        DataInputStream jobs = new DataInputStream(new FileInputStream(FileDescriptor.in));
        DataOutputStream answers = new DataOutputStream(new FileOutputStream(FileDescriptor.out));
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> { });
        while (true) {
            String name;
            try {
                name = new String(bytes(jobs));
            } catch (EOFException end) {
                System.exit(0);
                return;
            }
            String[] words = new String[jobs.readInt()];
            for (int at = 0; at < words.length; at++) {
                words[at] = new String(bytes(jobs));
            }
            serve(name, words, new ByteArrayInputStream(bytes(jobs)), answers);
        }
    }

    /** A process would be gone here. Tools that catch everything catch this too: what they say then does not count. */
    private static void exit(int code) {
        if (exitCode == null) {
            exitCode = code;
            System.out.flush();
            System.err.flush();
            System.setOut(new PrintStream(OutputStream.nullOutputStream()));
            System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        }
        throw new Exited(code);
    }

    private static byte[] bytes(DataInputStream from) throws IOException {
        return from.readNBytes(from.readInt());
    }

    private static void serve(String name, String[] words, InputStream input, DataOutputStream answers)
            throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setIn(input);
        System.setOut(new PrintStream(out, true));
        System.setErr(new PrintStream(err, true));
        exitCode = null;
        int code = call(name, words);
        System.out.flush();
        System.err.flush();
        answers.writeInt(code);
        for (ByteArrayOutputStream stream : new ByteArrayOutputStream[] {out, err}) {
            answers.writeInt(stream.size());
            stream.writeTo(answers);
        }
        answers.flush();
    }

    private static int call(String name, String[] words) {
        Throwable problem = null;
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) words);
        } catch (InvocationTargetException thrown) {
            problem = thrown.getCause();
        } catch (ReflectiveOperationException thrown) {
            problem = thrown;
        }
        if (exitCode != null) {
            return exitCode;
        }
        if (problem != null) {
            problem.printStackTrace();
        }
        return problem == null ? 0 : 1;
    }
}
