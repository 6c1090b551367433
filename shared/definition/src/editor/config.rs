//! The JSON Schema of `flusso.toml`.

use serde_json::{Value, json};

use super::{
    DIALECT, Key, any_of, boolean, integer, integer_to, key, list, object, pattern, reference,
    some, table, text, with, words,
};
use crate::deployment::{SET_BY_THE_PRODUCT, SslMode};

const ON_ERROR: [&str; 3] = ["stop", "dead_letter", "skip"];

/// The name of a sink or index, before it is trimmed and lowercased.
const NAME: &str = r"^\s*[A-Za-z_][A-Za-z0-9_]{0,62}\s*$";

/// An SQL name, plain or quoted.
const IDENTIFIER: &str =
    "^\\s*([A-Za-z_\\u0080-\\uffff][A-Za-z0-9_$\\u0080-\\uffff]*|\"(\"\"|[^\"])+\")\\s*$";

/// Brokers, separated by commas.
const SERVERS: &str = r"^\s*[^\s,]+\s*(,\s*[^\s,]+\s*)*$";

/// An address of HTTP.
const HTTP: &str = r"^https?://[^/\s]\S*$";

/// A number of bytes with its unit, none at all included.
const SIZE: &str = r"^\s*[0-9]+\s*(B|KB|MB|GB|KiB|MiB|GiB)?\s*$";

/// The schema of `flusso.toml`.
#[must_use]
pub fn config_schema() -> Value {
    let mut schema = table(vec![
        key("prefix", "Stands before every index, alias and registry name: at most 50 bytes, lowercase.",
            pattern("^([a-z0-9\\u0080-\\uffff][^A-Z\\s,:\"*+/\\\\|?#<>]{0,49})?$")).default(""),
        key("on_error", "What to do with a document that OpenSearch refuses or that cannot be built. `skip` means `dead_letter`.",
            words(&ON_ERROR)).default("stop"),
        key("source", "The database.", reference("source")).required(),
        key("broker", "Kafka.", reference("broker")),
        key("capture", "Settings of capture-svc.", reference("capture")),
        key("worker", "Settings of worker-svc.", reference("worker")),
        key("sinks", "Where documents go, by name. Without any: standard output.",
            json!({"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": reference("sink")})),
        key("index", "The search documents.", list(&reference("index"))),
        key("server", "HTTP surfaces of both services.", reference("server")),
        key("telemetry", "Export of metrics and traces.", reference("telemetry")),
    ]);
    with(&mut schema, "$schema", DIALECT.into());
    with(&mut schema, "title", "flusso.toml".into());
    with(
        &mut schema,
        "description",
        "A deployment of flusso: one source, its topics, sinks and indexes.".into(),
    );
    with(
        &mut schema,
        "$defs",
        json!({
            "secret": secret(),
            "secret_reference": secret_reference(),
            "duration": duration(false),
            "some_duration": duration(true),
            "size": size(),
            "address_of_sink": any_of(&[pattern(HTTP), reference("secret_reference")]),
            "address": pattern(r"^\s*(\[[0-9A-Fa-f:.]+\]|[^:/@ \[]*):[0-9]{1,5}\s*$"),
            "refresh_interval": any_of(&[duration(true), json!({"enum": ["-1", -1]})]),
            "headers": json!({
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"},
                "additionalProperties": reference("secret"),
            }),
            "source": source(),
            "connection_parts": connection_parts(),
            "broker": broker(),
            "kafka": kafka(),
            "capture": capture(),
            "worker": worker(),
            "sink": {"oneOf": [reference("opensearch"), reference("stdout")]},
            "opensearch": opensearch(),
            "stdout": stdout(),
            "index": index(),
            "server": server(),
            "surface": table(addresses("of this service")),
            "telemetry": telemetry(),
        }),
    );
    schema
}

fn secret_reference() -> Value {
    let env = table(vec![
        key(
            "env",
            "The variable that holds it.",
            json!({"type": "string", "minLength": 1}),
        )
        .required(),
    ]);
    let file = table(vec![
        key(
            "file",
            "The file that holds it; one trailing line break is no part of it.",
            json!({"type": "string", "minLength": 1}),
        )
        .required(),
    ]);
    json!({ "oneOf": [env, file] })
}

fn secret() -> Value {
    any_of(&[text(), reference("secret_reference")])
}

fn duration(is_positive: bool) -> Value {
    pattern(if is_positive {
        r"^\s*0*[1-9][0-9]*\s*(ms|s|m|h|d)\s*$"
    } else {
        r"^\s*[0-9]+\s*(ms|s|m|h|d)\s*$"
    })
}

fn size() -> Value {
    any_of(&[
        integer(1),
        pattern(r"^\s*0*[1-9][0-9]*\s*(B|KB|MB|GB|KiB|MiB|GiB)?\s*$"),
    ])
}

fn source() -> Value {
    let sslmodes: Vec<&str> = SslMode::WORDS.iter().map(|(word, _)| *word).collect();
    let mut source = table(vec![
        key("type", "The kind of database.", words(&["postgres"])).required(),
        key("connection_url", "A `postgres://` URL, or its parts. Else the variable DATABASE_URL.",
            any_of(&[
                pattern("^postgres(ql)?://"),
                reference("secret_reference"),
                reference("connection_parts"),
            ])),
        key("sslmode", "When to encrypt, and what to verify.", words(&sslmodes)).default("prefer"),
        key("sslrootcert", "PEM file of root certificates, or `system`.", text()),
        key("sslcert", "PEM file of the client certificate; with `sslkey`.", text()),
        key("sslkey", "PEM file of the client's key; with `sslcert`.", text()),
        key("slot", "Name of the replication slot.", pattern("^[a-z0-9_]{1,63}$")).default("flusso"),
        key("slot_failover", "Create the slot with FAILOVER (PostgreSQL 17 and later).", boolean()).default(false),
        key("publication", "Name of the publication.", pattern(IDENTIFIER)).default("flusso"),
        key("manage_publication", "Create and extend the publication when the role may.", boolean()).default(true),
        key("manage_replica_identity", "Set the replica identities that routing needs, on tables that the role owns.", boolean()).default(true),
        key("allow_stale_parents", "Start although a replica identity is missing: former parents then keep old rows.", boolean()).default(false),
        key("on_slot_loss", "What to do with an invalidated or missing slot: seed every index anew, or wait for a person.",
            words(&["reseed", "stop"])).default("reseed"),
        key("asynchronous_commit", "`never`: no session uses synchronous_commit = off, so a crash of Postgres needs no repair pass.",
            words(&["possible", "never"])).default("possible"),
    ]);
    with(
        &mut source,
        "dependentRequired",
        json!({"sslcert": ["sslkey"], "sslkey": ["sslcert"]}),
    );
    source
}

fn connection_parts() -> Value {
    table(vec![
        key(
            "host",
            "Host name, address, or directory of a socket.",
            text(),
        )
        .default("127.0.0.1"),
        key("port", "Port.", integer_to(1, 65535)).default(5432),
        key("user", "User.", text()).default("postgres"),
        key("password", "Password.", reference("secret")),
        key("database", "Database.", text()).required(),
    ])
}

fn broker() -> Value {
    table(vec![
        key(
            "bootstrap_servers",
            "The first brokers to ask: a list, or text with commas.",
            any_of(&[pattern(SERVERS), some(&pattern(SERVERS))]),
        )
        .default("127.0.0.1:9092"),
        key(
            "topic_prefix",
            "Stands before every topic name; its own per deployment on a shared cluster.",
            pattern("^[A-Za-z0-9._-]{1,100}$"),
        )
        .default("flusso"),
        key(
            "partitions",
            "Partitions of new topics: the most workers that share a feed.",
            integer_to(1, 1000),
        )
        .default(24),
        key(
            "replication_factor",
            "Replicas of new topics; else the broker's.",
            integer_to(1, 32767),
        ),
        key(
            "retention",
            "How long changes are kept.",
            reference("some_duration"),
        )
        .default("7d"),
        key(
            "retention_bytes",
            "Most bytes per partition of changes; else no limit.",
            reference("size"),
        ),
        key(
            "dlq_retention",
            "How long dead letters are kept.",
            reference("some_duration"),
        )
        .default("30d"),
        key(
            "compression",
            "Of records.",
            words(&["none", "gzip", "snappy", "lz4", "zstd"]),
        )
        .default("zstd"),
        key(
            "schema_registry_url",
            "A Confluent schema registry.",
            reference("secret"),
        ),
        key("schema_registry_username", "Its user.", reference("secret")),
        key(
            "schema_registry_password",
            "Its password.",
            reference("secret"),
        ),
        key(
            "framing",
            "What stands before a record; follows from the registry.",
            words(&["single_object", "confluent"]),
        ),
        key(
            "kafka",
            "librdkafka properties of all clients.",
            reference("kafka"),
        )
        .default(json!({})),
    ])
}

fn kafka() -> Value {
    json!({
        "type": "object",
        "propertyNames": {"not": {"enum": SET_BY_THE_PRODUCT}},
        "additionalProperties": {"anyOf": [
            {"type": ["string", "number", "boolean"]},
            reference("secret_reference"),
            reference("kafka"),
        ]},
    })
}

fn capture() -> Value {
    table(vec![
        key("slot_ack", "What the slot waits for: what all feeds made durable, or what Kafka acknowledged.",
            words(&["sink", "broker"])).default("sink"),
        key("max_retained_wal", "When the slot holds more, `sink` acts as `broker` until it holds less than half; or `none`.",
            any_of(&[reference("size"), words(&["none"])])).default("10GiB"),
        key("heartbeat_interval", "Time between heartbeats of a partition: 100ms to 60s.", reference("some_duration")).default("1s"),
        key("buffer_records", "Most records between stream and Kafka's acknowledgement.", integer(1)).default(100_000),
        key("buffer_bytes", "Most bytes between stream and Kafka's acknowledgement.", reference("size")).default("24MiB"),
    ])
}

fn worker() -> Value {
    table(vec![
        key(
            "batch_max_changes",
            "Most records in one batch of one feed.",
            integer(1),
        )
        .default(2000),
        key(
            "batch_max_bytes",
            "Most bytes of built documents held by one batch.",
            reference("size"),
        )
        .default("4MiB"),
        key(
            "in_flight",
            "Batches of a feed under way at a time.",
            integer_to(1, 64),
        )
        .default(4),
        key(
            "max_uncommitted",
            "Records of a partition that may be under way behind one that is not finished.",
            integer(1),
        )
        .default(200_000),
        key("pool_size", "Postgres connections per process.", integer(2)).default(8),
        key(
            "statement_timeout",
            "Of resolve and build statements; `0s`: none.",
            reference("duration"),
        )
        .default("5m"),
        key(
            "fanout_threshold",
            "Documents of one batch; the rest is shared through the fan-out topic.",
            integer(1),
        )
        .default(10_000),
        key("seed_chunk_rows", "Root rows per chunk, about.", integer(1)).default(10_000),
        key(
            "seed_concurrency",
            "Chunks at a time per process.",
            integer(1),
        )
        .default(2),
        key(
            "seed_rate",
            "Most rows per second per process; else no limit.",
            integer(1),
        ),
        key(
            "freshness",
            "A feed whose delay is at most this has caught up.",
            reference("some_duration"),
        )
        .default("10s"),
    ])
}

/// Keys of a sink that an index may have too.
fn index_options(of: &str) -> Vec<Key> {
    vec![
        key(
            "number_of_shards",
            &format!("Primary shards{of}; 0 counts as 1."),
            integer_to(0, 1024),
        ),
        key(
            "number_of_replicas",
            &format!("Replicas{of}, once seeded."),
            integer_to(0, i64::from(u32::MAX)),
        ),
        key(
            "refresh_interval",
            &format!("Refresh interval{of}, once seeded; -1 switches it off."),
            reference("refresh_interval"),
        ),
        key("pipeline", &format!("Ingest pipeline{of}."), pattern(r"\S")),
        key(
            "index_settings",
            &format!("More index settings{of}, none that has a key here, nor `analysis`."),
            object(),
        )
        .default(json!({})),
    ]
}

fn opensearch() -> Value {
    let mut keys = vec![
        key("type", "An OpenSearch cluster.", words(&["opensearch"])).required(),
        key(
            "url",
            "Its address, or several used in turn. Required, unless the variable <SINK>_OPENSEARCH_URL is set.",
            any_of(&[
                reference("address_of_sink"),
                some(&reference("address_of_sink")),
            ]),
        ),
        key("headers", "More request headers.", reference("headers")).default(json!({})),
        key("tls_verify", "false accepts any certificate.", boolean()).default(true),
        key(
            "ca_file",
            "PEM file of root certificates, added to the system's.",
            text(),
        ),
        key(
            "client_cert",
            "PEM file of the client certificate; with `client_key`.",
            text(),
        ),
        key(
            "client_key",
            "PEM file of the client's key; with `client_cert`.",
            text(),
        ),
        key("gzip", "Compress request bodies.", boolean()).default(false),
        key(
            "batch_size",
            "Actions per bulk request; below 1 counts as 1.",
            json!({"type": "integer"}),
        )
        .default(1000),
        key(
            "max_bytes",
            "Bytes per bulk request before compression; below 1 counts as 1.",
            any_of(&[json!({"type": "integer"}), pattern(SIZE)]),
        )
        .default(10_485_760),
        key(
            "max_concurrent_requests",
            "Bulk requests per feed and process.",
            integer_to(1, 64),
        )
        .default(4),
        key(
            "timeout_secs",
            "Time for a whole request.",
            integer_to(1, i64::from(u32::MAX)),
        )
        .default(30),
        key(
            "max_retries",
            "Failed tries before a feed counts as retrying.",
            integer(0),
        )
        .default(3),
        key(
            "refresh_when_idle",
            "A feed that has caught up refreshes its index.",
            boolean(),
        )
        .default(true),
        key(
            "gc_deletes",
            "How long OpenSearch remembers deleted documents: at least 2m.",
            reference("some_duration"),
        )
        .default("10m"),
        key(
            "text_analysis",
            "`icu` needs the plugin on every node.",
            words(&["builtin", "icu"]),
        )
        .default("builtin"),
        key(
            "auto_subfields",
            "Subfields of text and keyword fields.",
            boolean(),
        )
        .default(true),
    ];
    keys.extend(authorization());
    keys.extend(index_options("").into_iter().map(|key| match key.name {
        "number_of_shards" | "number_of_replicas" => key.default(1),
        "refresh_interval" => key.default("10s"),
        _ => key,
    }));
    let mut sink = table(keys);
    with(
        &mut sink,
        "dependentRequired",
        json!({"client_cert": ["client_key"], "client_key": ["client_cert"]}),
    );
    sink
}

/// The three ways to be let in; at most one is used.
fn authorization() -> [Key; 4] {
    [
        key("username", "User.", reference("secret")),
        key("password", "Password of the user.", reference("secret")),
        key(
            "api_key",
            "API key, instead of a user.",
            reference("secret"),
        ),
        key(
            "bearer_token",
            "Bearer token, instead of a user.",
            reference("secret"),
        ),
    ]
}

fn stdout() -> Value {
    table(vec![
        key(
            "type",
            "Standard output: one JSON object per operation.",
            words(&["stdout"]),
        )
        .required(),
        key("pretty", "Several lines per object.", boolean()).default(false),
    ])
}

fn index() -> Value {
    let mut keys = vec![
        key("name", "Its name, without prefix.", pattern(NAME)).required(),
        key(
            "schema",
            "Path of its schema file, a `*.schema.yml`.",
            text(),
        )
        .required(),
        key("enabled", "false: not fed, still listed.", boolean()).default(true),
        key(
            "on_error",
            "What to do with a document that is refused or cannot be built; else the deployment's.",
            words(&ON_ERROR),
        ),
        key("sinks", "Names of its sinks; else all.", some(&text())),
        key(
            "aliases",
            "Further aliases, without prefix added.",
            list(&pattern(
                "^(?!\\.{1,2}$)[^_\\-+A-Z\\s,:\"*/\\\\|?#<>][^A-Z\\s,:\"*/\\\\|?#<>]{0,254}$",
            )),
        )
        .default(json!([])),
    ];
    keys.extend(index_options(" of this index; else the sink's"));
    table(keys)
}

fn addresses(of: &str) -> Vec<Key> {
    vec![
        key(
            "public_address",
            &format!(
                "Health, status and metrics {of}: host:port, [IPv6]:port, or :port for all interfaces."
            ),
            reference("address"),
        ),
        key(
            "private_address",
            &format!("Administration {of}; with authentication."),
            reference("address"),
        ),
    ]
}

fn server() -> Value {
    let mut keys = addresses("of both services");
    keys.extend([
        key("capture", "Addresses of capture-svc.", reference("surface")),
        key("worker", "Addresses of worker-svc.", reference("surface")),
        key(
            "admin_user",
            "User of the private surface.",
            reference("secret"),
        )
        .default("admin"),
        key(
            "admin_password",
            "Its password. Without password and token the private surface is off.",
            reference("secret"),
        ),
        key(
            "admin_token",
            "Bearer token of the private surface.",
            reference("secret"),
        ),
    ]);
    table(keys)
}

fn telemetry() -> Value {
    table(vec![
        key(
            "otlp_endpoint",
            "Where metrics and traces are exported to; else nowhere.",
            pattern(HTTP),
        ),
        key(
            "otlp_protocol",
            "With which protocol.",
            words(&["http/protobuf", "grpc"]),
        )
        .default("http/protobuf"),
        key("otlp_headers", "Request headers.", reference("headers")).default(json!({})),
        key(
            "service_name",
            "Name of the service; else the binary's.",
            pattern(r"\S"),
        ),
        key(
            "metrics_interval",
            "Time between exports of metrics.",
            reference("some_duration"),
        )
        .default("10s"),
        key(
            "trace_ratio",
            "Share of traces exported.",
            json!({"type": "number", "minimum": 0, "maximum": 1}),
        )
        .default(1),
    ])
}
