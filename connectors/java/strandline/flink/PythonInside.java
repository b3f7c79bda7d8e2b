package strandline.flink;

import java.lang.reflect.Field;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.python.embedded.*;

/**
 * PyFlink's operator of thread mode, a Python function inside the JVM, but for what Python imports
 * first: see <code>strandline_flink/operators/inside.py</code>.
 */
public final class PythonInside extends EmbeddedPythonProcessOperator<byte[], byte[]> {
    private static final long serialVersionUID = 1L;
    static final String IMPORTS = "import strandline_flink.operators.inside";

    public PythonInside(Configuration configuration, DataStreamPythonFunctionInfo function) {
        super(
                configuration,
                function,
                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO,
                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    }

    /**
     * The interpreter is not called by its type: <code>flink run</code> gives a job a copy of that
     * class, which is not the one that Flink's own classes have.
     */
    @Override
    public void openPythonInterpreter() {
        try {
            Field field = AbstractEmbeddedPythonFunctionOperator.class
                    .getDeclaredField("interpreter");
            Object python = field.get(this);
            python.getClass().getMethod("exec", String.class).invoke(python, IMPORTS);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(IMPORTS, error);
        }
        super.openPythonInterpreter();
    }
}
