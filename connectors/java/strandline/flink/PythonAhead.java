package strandline.flink;

import pemja.core.PythonInterpreter;
import pemja.core.PythonInterpreterConfig;

/**
 * Python inside a JVM that is all of Flink: it starts and imports what operators will while Flink
 * starts. What fails here fails again in an operator, which says so.
 */
public final class PythonAhead {
    private PythonAhead() {}

    /** Begin, and return at once. */
    public static void start(String python) {
        PythonInterpreterConfig config = PythonInterpreterConfig.newBuilder()
                .setExcType(PythonInterpreterConfig.ExecType.MULTI_THREAD)
                .setPythonExec(python)
                .addPythonPaths(System.getenv("PYTHONPATH"))
                .build();
        Thread thread = new Thread(() -> {
            try (PythonInterpreter interpreter = new PythonInterpreter(config)) {
                interpreter.exec(PythonInside.IMPORTS);
            }
        }, "python-ahead");
        thread.setDaemon(true);
        thread.start();
    }
}
