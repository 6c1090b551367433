import java.util.Arrays;
import java.util.List;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * Runs one OpenSearch node until it gets SIGTERM: {@code Launch DIR HTTP_PORT TRANSPORT_PORT
 * [key=value ...]}. The runner's own main program can neither take exact ports nor settings, and
 * fails without a word. The node has {@link IcuPlugin} unless one of the settings is
 * {@value #WITHOUT_ICU}.
 */
public class Launch {
    private static final String WITHOUT_ICU = "icu=false";

    public static void main(String[] args) throws Exception {
        List<String> given = Arrays.asList(args).subList(3, args.length);
        OpenSearchRunner.Configs configs = OpenSearchRunner.newConfigs().basePath(args[0]).numOfNode(1).printOnFailure();
        if (!given.contains(WITHOUT_ICU)) {
            configs.pluginTypes(IcuPlugin.class.getName());
        }
        OpenSearchRunner node = new OpenSearchRunner();
        node.setMaxHttpPort(-1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        node.onBuild((number, settings) -> {
            settings.put("http.port", args[1]);
            settings.put("transport.port", args[2]);
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            for (String setting : given) {
                String[] pair = setting.split("=", 2);
                if (!pair[0].equals("icu")) {
                    settings.put(pair[0], pair[1]);
                }
            }
        }).build(configs);
        Thread.currentThread().join();
    }
}
