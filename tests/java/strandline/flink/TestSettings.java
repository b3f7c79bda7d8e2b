package strandline.flink;

import java.util.List;
import java.util.Map;

/** The settings of a test's job: this machine's Python, which the test names by a property. */
final class TestSettings {
    private TestSettings() {}

    static JobSettings of(
            String store,
            String submission,
            String from,
            Map<String, String> properties,
            String topic,
            List<String> oneStream) {
        return new JobSettings(
                System.getProperty("strandline.python"),
                System.getProperty("strandline.release"),
                store, "events", submission, from, false, false, properties, topic, false,
                oneStream);
    }
}
