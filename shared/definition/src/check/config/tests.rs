use std::time::Duration;

use super::*;
use crate::deployment::{
    Authorization, ByteSize, Connection, Framing, RefreshInterval, SinkKind, TextAnalysis,
};
use crate::diagnostic::Severity;

/// No file is read here, and every Kafka property is taken.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

const SOURCE: &str = "[source]\ntype = \"postgres\"\n";

fn read_with(
    text: &str,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> (Option<Config>, Vec<Diagnostic>) {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let read = super::read(
        "flusso.toml",
        text,
        Path::new("/etc/flusso"),
        (&environment, overrides),
        &NoFiles,
    );
    (read.config, read.findings)
}

fn config(text: &str) -> Config {
    let text = format!("{SOURCE}{text}");
    let (config, findings) = read_with(&text, &[], &Overrides::default());
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning),
        "{findings:#?}"
    );
    config.unwrap()
}

/// The only finding of a file: code, message, help.
fn finding(text: &str) -> (String, String, String) {
    let (_, findings) = read_with(text, &[], &Overrides::default());
    let [one] = findings.as_slice() else {
        panic!("{text}\n{findings:#?}")
    };
    (
        one.code.to_owned(),
        one.message.clone(),
        one.label
            .clone()
            .or_else(|| one.help.clone())
            .unwrap_or_default(),
    )
}

#[test]
fn a_file_with_a_source_alone_has_every_default() {
    let config = config("");
    assert_eq!(config.broker, Broker::default());
    assert_eq!(config.capture, Capture::default());
    assert_eq!(config.worker, Worker::default());
    assert_eq!(config.server, Server::default());
    assert_eq!(config.sinks.first().unwrap().name, "stdout");
    let source = config.source.unwrap();
    assert_eq!(
        source.connection,
        Connection::Url(Secret::Env("DATABASE_URL".to_owned()))
    );
    assert_eq!(source.slot, "flusso");
    assert!(source.manage_publication);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of rules")]
fn every_rule_has_its_code_message_and_help() {
    for (text, code, message, help) in [
        (
            "",
            "E110",
            "`[source]` is missing",
            "[source] with type = \"postgres\" is the one section that is required",
        ),
        (
            "sink = 1\n[source]\ntype = \"postgres\"",
            "E101",
            "unknown key `sink` at top level",
            "did you mean `sinks`?",
        ),
        (
            "[source]\ntype = \"postgres\"\nslott = 1",
            "E102",
            "unknown key `slott` in [source]",
            "did you mean `slot`?",
        ),
        (
            "[source]\ntype = \"mysql\"",
            "E106",
            "source.type cannot be \"mysql\"",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\nsslmode = \"on\"",
            "E106",
            "source.sslmode cannot be \"on\"",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\nslot = \"A\"",
            "E106",
            "\"A\" is not right for source.slot",
            "lower-case letters, digits and _, at most 63",
        ),
        (
            "[source]\ntype = \"postgres\"\nsslcert = \"a\"",
            "E210",
            "source.sslcert and source.sslkey belong together",
            "give both or none",
        ),
        (
            "[source]\ntype = \"postgres\"\nsslmode = \"verify-full\"\nconnection_url = \"postgres://h/d?sslmode=disable\"",
            "E108",
            "sslmode is \"disable\" in the connection URL, \"verify-full\" in [source]",
            "keep one of them",
        ),
        (
            "[source]\ntype = \"postgres\"\n[capture]\nmax_retained_wal = \"10 gigs\"",
            "E106",
            "\"10 gigs\" is not a size",
            "an integer with B, KB, MB, GB, KiB, MiB or GiB: \"10GiB\"",
        ),
        (
            "[source]\ntype = \"postgres\"\n[capture]\nheartbeat_interval = \"5 weeks\"",
            "E106",
            "\"5 weeks\" is not a duration",
            "an integer with ms, s, m, h or d: \"500ms\"",
        ),
        (
            "[source]\ntype = \"postgres\"\n[capture]\nheartbeat_interval = \"2m\"",
            "E202",
            "capture.heartbeat_interval must be at most 1m",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\n[worker]\npool_size = 1",
            "E202",
            "worker.pool_size must be at least 2",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\n[worker]\nin_flight = 65",
            "E202",
            "worker.in_flight must be at most 64",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\n[worker]\nin_flight = \"4\"",
            "E106",
            "worker.in_flight must be an integer, found text",
            "",
        ),
        (
            "[source]\ntype = \"postgres\"\n[broker.kafka]\nacks = \"all\"",
            "E109",
            "kafka: `acks` is set by the product",
            "remove it",
        ),
        (
            "[source]\ntype = \"postgres\"\n[broker]\nkafka.group.id = \"x\"",
            "E109",
            "kafka: `group.id` is set by the product",
            "remove it",
        ),
        (
            "[source]\ntype = \"postgres\"\n[broker]\nframing = \"confluent\"",
            "E210",
            "framing is confluent without a schema registry",
            "set schema_registry_url, or remove framing",
        ),
        (
            "[source]\ntype = \"postgres\"\n[sinks.primary]\ntype = \"opensearch\"",
            "E110",
            "sinks.primary.url is missing",
            "\"https://host:9200\", or set PRIMARY_OPENSEARCH_URL",
        ),
        (
            "[source]\ntype = \"postgres\"\n[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nindex_settings = { \"index.analysis.x\" = 1 }",
            "E213",
            "sinks.a.index_settings cannot hold `analysis.x`",
            "analysis is the product's; text_analysis chooses it",
        ),
        (
            "[source]\ntype = \"postgres\"\n[[index]]\nname = \"1\"\nschema = \"a.yml\"",
            "E212",
            "\"1\" is not an index name",
            "letters, digits and _, not first a digit, at most 63",
        ),
        (
            "[source]\ntype = \"postgres\"\n[[index]]\nname = \"_a\"\nschema = \"a.yml\"",
            "E212",
            "the index name _a starts with _",
            "OpenSearch refuses it: rename the index, or set a prefix",
        ),
        (
            "[source]\ntype = \"postgres\"\n[[index]]\nname = \"a\"\nschema = \"a.yml\"\nsinks = [\"stdot\"]",
            "E211",
            "there is no sink `stdot`",
            "did you mean `stdout`?",
        ),
        (
            "prefix = \"A\"\n[source]\ntype = \"postgres\"",
            "E106",
            "\"A\" is not right for prefix",
            "at most 50 bytes, lowercase, first a letter or digit, no space and none of , : \" * + / \\ | ? # < >",
        ),
        (
            "[source]\ntype = \"postgres\"\n[server]\npublic_address = \"here\"",
            "E106",
            "\"here\" is not an address",
            "host:port, [IPv6]:port, or :port for all interfaces",
        ),
        (
            "[source]\ntype = \"postgres\"\nconnection_url = 5",
            "E106",
            "source.connection_url is not a secret",
            "\"text\", { env = \"NAME\" } or { file = \"path\" }",
        ),
    ] {
        let found = finding(text);
        assert_eq!(
            (found.0.as_str(), found.1.as_str(), found.2.as_str()),
            (code, message, help),
            "{text}"
        );
    }
}

#[test]
fn a_syntax_error_is_one_finding_with_its_place() {
    let (config, findings) = read_with("[source\ntype = 1", &[], &Overrides::default());
    assert!(config.is_none());
    let first = findings.first().unwrap();
    assert_eq!(first.code, "E100");
    assert_eq!(first.place.as_ref().unwrap().line, 1);
}

#[test]
fn a_flag_wins_over_its_twin_and_the_twin_over_the_file() {
    let text = format!("prefix = \"file_\"\n{SOURCE}slot = \"file\"\n");
    let environment = [
        ("FLUSSO_INDEX_PREFIX", "twin_"),
        ("FLUSSO_SLOT", "twin"),
        ("FLUSSO_TOPIC_PREFIX", ""),
    ];
    let overrides = Overrides {
        slot: Some("flag".to_owned()),
        ..Overrides::default()
    };
    let (config, findings) = read_with(&text, &environment, &overrides);
    assert!(findings.is_empty(), "{findings:#?}");
    let config = config.unwrap();
    assert_eq!(config.prefix, "twin_");
    assert_eq!(config.source.unwrap().slot, "flag");
    // An empty twin counts as unset.
    assert_eq!(config.broker.topic_prefix, "flusso");
}

#[test]
fn a_reserved_variable_wins_over_a_literal_but_not_over_a_reference() {
    let environment = [
        ("DATABASE_URL", "postgres://env/d"),
        ("PRIMARY_OPENSEARCH_URL", "http://env:9200"),
        ("PRIMARY_OPENSEARCH_API_KEY", "k"),
    ];
    let literal = "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://file/d\"\n[sinks.primary]\ntype = \"opensearch\"\nurl = \"http://file:9200\"\n";
    let (config, _) = read_with(literal, &environment, &Overrides::default());
    let config = config.unwrap();
    assert_eq!(
        config.source.unwrap().connection,
        Connection::Url(Secret::Env("DATABASE_URL".to_owned()))
    );
    let SinkKind::OpenSearch(sink) = &config.sinks.first().unwrap().kind else {
        panic!()
    };
    assert_eq!(
        sink.urls,
        [Secret::Env("PRIMARY_OPENSEARCH_URL".to_owned())]
    );
    assert_eq!(
        sink.authorization,
        Authorization::ApiKey(Secret::Env("PRIMARY_OPENSEARCH_API_KEY".to_owned()))
    );
    let reference = literal
        .replace("\"postgres://file/d\"", "{ env = \"SHOP\" }")
        .replace("\"http://file:9200\"", "{ file = \"url\" }");
    let (config, _) = read_with(&reference, &environment, &Overrides::default());
    let config = config.unwrap();
    assert_eq!(
        config.source.unwrap().connection,
        Connection::Url(Secret::Env("SHOP".to_owned()))
    );
    let SinkKind::OpenSearch(sink) = &config.sinks.first().unwrap().kind else {
        panic!()
    };
    assert_eq!(sink.urls, [Secret::File(PathBuf::from("/etc/flusso/url"))]);
}

#[test]
fn kafka_properties_are_read_quoted_and_bare() {
    let config = config(
        "[broker]\nkafka.security.protocol = \"ssl\"\n[broker.kafka.\"sasl.password\"]\nfile = \"pw\"\n[broker.kafka.socket]\n\"keepalive.enable\" = true\n\"timeout.ms\" = 10_000\n",
    );
    let found: Vec<(&str, String)> = config
        .broker
        .kafka
        .iter()
        .map(|property| {
            let value = property
                .value
                .literal()
                .map_or_else(|| format!("{:?}", property.value), str::to_owned);
            (property.name.as_str(), value)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("security.protocol", "ssl".to_owned()),
            ("sasl.password", "{ file = \"/etc/flusso/pw\" }".to_owned()),
            ("socket.keepalive.enable", "true".to_owned()),
            ("socket.timeout.ms", "10000".to_owned()),
        ]
    );
}

#[test]
fn every_key_of_a_sink_and_an_index_arrives() {
    let config = config(
        r#"
on_error = "skip"
[broker]
schema_registry_url = "http://registry"
[sinks.Main]
type = "opensearch"
url = ["http://a:9200", "http://b:9200"]
username = { env = "U" }
gzip = true
batch_size = 0
max_bytes = "1MiB"
max_concurrent_requests = 8
timeout_secs = 5
number_of_shards = 0
number_of_replicas = 0
refresh_interval = "-1"
gc_deletes = "5m"
text_analysis = "icu"
auto_subfields = false
index_settings = { "index.codec" = "best_compression", mapping = { "nested_objects.limit" = 50000 } }
[[index]]
name = " Shows "
schema = "shows.schema.yml"
enabled = false
on_error = "stop"
aliases = ["x"]
number_of_shards = 3
refresh_interval = "1s"
index_settings = { codec = "default" }
"#
        .replace("\non_error = \"skip\"\n", "\n")
        .as_str(),
    );
    assert_eq!(config.broker.framing, Framing::Confluent);
    let sink = config.sinks.first().unwrap();
    assert_eq!(sink.name, "main");
    let SinkKind::OpenSearch(opensearch) = &sink.kind else {
        panic!()
    };
    assert_eq!(opensearch.urls.len(), 2);
    assert!(opensearch.gzip);
    assert_eq!(opensearch.batch_size, 1);
    assert_eq!(opensearch.max_bytes, ByteSize::mebibytes(1));
    assert_eq!(opensearch.timeout, Duration::from_secs(5));
    assert_eq!(opensearch.index.number_of_shards, 1);
    assert_eq!(opensearch.index.refresh_interval, RefreshInterval::Off);
    assert_eq!(opensearch.index.text_analysis, TextAnalysis::Icu);
    let index = config.indexes.first().unwrap();
    assert_eq!(index.name, "shows");
    assert!(!index.enabled);
    assert_eq!(index.schema, Path::new("/etc/flusso/shows.schema.yml"));
    assert_eq!(index.sinks, ["main"]);
    let options = sink.index_options(&index.overrides);
    assert_eq!(options.number_of_shards, 3);
    assert_eq!(options.number_of_replicas, 0);
    assert_eq!(options.refresh_interval.to_string(), "1s");
    assert_eq!(
        serde_json::Value::Object(options.index_settings).to_string(),
        r#"{"codec":"default","mapping.nested_objects.limit":50000}"#
    );
}

#[test]
fn literal_secrets_get_a_warning_that_does_not_quote_them() {
    let text = "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://u:hunter2@h/d\"\n[broker]\nkafka = { \"sasl.password\" = \"hunter2\" }\n[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\napi_key = \"hunter2\"\n[server]\nadmin_password = \"hunter2\"\n";
    let (_, findings) = read_with(text, &[], &Overrides::default());
    let labels: Vec<&str> = findings
        .iter()
        .map(|finding| {
            assert_eq!(finding.code, "W219");
            assert!(!format!("{finding:?}").contains("hunter2"));
            finding.message.split(' ').next().unwrap()
        })
        .collect();
    assert_eq!(
        labels,
        [
            "source.connection_url",
            "kafka:",
            "sinks.a.api_key",
            "server.admin_password"
        ]
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*") {
        let _ = read_with(&text, &[], &Overrides::default());
    }

    #[test]
    fn any_arrangement_of_the_languages_words_is_read_without_a_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "[source]\n", "[broker]\n", "kafka", ".", " = ", "\"", "{", "}", "[[index]]\n",
                "[sinks.a]\n", "type", "\"opensearch\"\n", "url", "name", "schema", "1", "1e9",
                "99999999999999999999999999999999999999999", "nan", "2026-01-01", "\n", "[", "]",
                ",", "é", "connection_url", "\"postgres://%zz\"", "env", "index_settings", "#",
                "max_bytes", "-1", "\"10 gigs\"", "trace_ratio", "[telemetry]\n", "[server]\n",
            ]),
            0..40,
        )
    ) {
        let _ = read_with(&words.concat(), &[], &Overrides::default());
    }
}
