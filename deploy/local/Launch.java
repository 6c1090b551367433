import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * Runs one OpenSearch node until it gets SIGTERM: {@code Launch DIR HTTP_PORT TRANSPORT_PORT
 * [key=value ...]}. The runner's own main program can neither take exact ports nor settings, and
 * fails without a word.
 */
public class Launch {
    public static void main(String[] args) throws Exception {
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
            for (int i = 3; i < args.length; i++) {
                String[] pair = args[i].split("=", 2);
                settings.put(pair[0], pair[1]);
            }
        }).build(OpenSearchRunner.newConfigs().basePath(args[0]).numOfNode(1).printOnFailure());
        Thread.currentThread().join();
    }
}
