package strandline.flink;

import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.python.embedded.EmbeddedPythonProcessOperator;
import pemja.core.PythonInterpreter;
import pemja.core.PythonInterpreterConfig;

/**
 * PyFlink's operator of thread mode, a Python function inside the JVM, but for what Python imports
 * first: see <code>strandline_flink/inside.py</code>.
 */
public final class PythonInside extends EmbeddedPythonProcessOperator<byte[], byte[]> {
    private static final long serialVersionUID = 1L;
    private static final String IMPORTS = "import strandline_flink.inside";

    public PythonInside(Configuration configuration, DataStreamPythonFunctionInfo function) {
        super(
                configuration,
                function,
                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO,
                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    }

    @Override
    public void openPythonInterpreter() {
        interpreter.exec(IMPORTS);
        super.openPythonInterpreter();
    }

    /**
     * Has Python start in this JVM and import what operators will, in a thread of its own: where
     * the JVM is all of Flink, both start at once. What fails here fails again where it is needed.
     */
    public static void startAhead(String python) {
        PythonInterpreterConfig config = PythonInterpreterConfig.newBuilder()
                .setExcType(PythonInterpreterConfig.ExecType.MULTI_THREAD)
                .setPythonExec(python)
                .addPythonPaths(System.getenv("PYTHONPATH"))
                .build();
        Thread thread = new Thread(() -> {
            try (PythonInterpreter interpreter = new PythonInterpreter(config)) {
                interpreter.exec(IMPORTS);
            }
        }, "python-ahead");
        thread.setDaemon(true);
        thread.start();
    }
}
