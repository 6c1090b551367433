//! `flusso.toml`: keys, defaults, rules (2.1, 2.3 to 2.8).

use std::fmt::Write as _;

use crate::files::{Loaded, SOURCE, findings, lines, loaded};

/// A file with a right `[source]` and this text behind it.
fn after_source(text: &str) -> (String, Loaded) {
    let text = format!("{SOURCE}{text}");
    let loaded = loaded(&[
        ("flusso.toml", &text),
        ("s.yml", "version: 1\ntable: t\nfields: []\n"),
    ]);
    (text, loaded)
}

#[test]
fn every_key_has_the_default_of_the_page() {
    let text = format!(
        "{SOURCE}[sinks.primary]\ntype = \"opensearch\"\nurl = \"http://h\"\n\
         [[index]]\nname = \"shows\"\nschema = \"s.yml\"\n"
    );
    let (deployment, warnings) = loaded(&[
        ("flusso.toml", &text),
        ("s.yml", "version: 1\ntable: t\nfields: []\n"),
    ])
    .unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let index = &deployment.indexes[0];
    let shown = format!(
        "prefix {:?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n\
         index: enabled {} on_error {:?} sinks {:?} aliases {:?} {:?}\nschema {:?}",
        deployment.prefix,
        deployment.source,
        deployment.broker,
        deployment.capture,
        deployment.worker,
        deployment.sinks,
        deployment.server,
        deployment.telemetry,
        index.enabled,
        index.on_error,
        index.sinks,
        index.aliases,
        index.overrides,
        index.definition.root,
    );
    insta::assert_snapshot!(shown);
}

/// Every section with its keys, as the tables of the page list them.
const SECTIONS: [(&str, &str, &str); 11] = [
    (
        "",
        "",
        "broker capture index on_error prefix server sinks source telemetry worker",
    ),
    (
        "[source]\ntype = \"postgres\"\n",
        "",
        "allow_stale_parents asynchronous_commit connection_url manage_publication \
         manage_replica_identity on_slot_loss publication slot slot_failover sslcert sslkey sslmode \
         sslrootcert type",
    ),
    (
        "[source]\ntype = \"postgres\"\n[source.connection_url]\ndatabase = \"d\"\n",
        "",
        "database host password port user",
    ),
    (
        "[broker]\n",
        SOURCE,
        "bootstrap_servers compression dlq_retention framing kafka partitions replication_factor \
         retention retention_bytes schema_registry_password schema_registry_url \
         schema_registry_username topic_prefix",
    ),
    (
        "[capture]\n",
        SOURCE,
        "buffer_bytes buffer_records heartbeat_interval max_retained_wal slot_ack",
    ),
    (
        "[worker]\n",
        SOURCE,
        "batch_max_bytes batch_max_changes fanout_threshold freshness in_flight max_uncommitted \
         pool_size seed_chunk_rows seed_concurrency seed_rate statement_timeout",
    ),
    (
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\n",
        SOURCE,
        "api_key auto_subfields batch_size bearer_token ca_file client_cert client_key gc_deletes \
         gzip headers index_settings max_bytes max_concurrent_requests max_retries \
         number_of_replicas number_of_shards password pipeline refresh_interval refresh_when_idle \
         text_analysis timeout_secs tls_verify type url username",
    ),
    ("[sinks.a]\ntype = \"stdout\"\n", SOURCE, "pretty type"),
    (
        "[[index]]\nname = \"a\"\nschema = \"s.yml\"\n",
        SOURCE,
        "aliases enabled index_settings name number_of_replicas number_of_shards on_error pipeline \
         refresh_interval schema sinks",
    ),
    (
        "[server]\n",
        SOURCE,
        "admin_password admin_token admin_user capture private_address public_address worker",
    ),
    (
        "[telemetry]\n",
        SOURCE,
        "metrics_interval otlp_endpoint otlp_headers otlp_protocol service_name trace_ratio",
    ),
];

#[test]
fn every_section_takes_the_keys_of_the_page_and_no_other() {
    for (section, before, keys) in SECTIONS {
        let own_source = if section.is_empty() { SOURCE } else { "" };
        let text = if section.is_empty() {
            format!("qqqqqq = 1\n{own_source}")
        } else {
            format!("{before}{section}qqqqqq = 1\n")
        };
        let loaded = loaded(&[
            ("flusso.toml", &text),
            ("s.yml", "version: 1\ntable: t\nfields: []\n"),
        ]);
        let unknown = findings(&loaded)
            .findings()
            .iter()
            .find(|finding| finding.message.contains("qqqqqq"))
            .unwrap_or_else(|| panic!("{text}"));
        let expected: Vec<&str> = keys.split_whitespace().collect();
        assert_eq!(unknown.allowed, expected, "{section}");
        let code = if section.is_empty() { "E101" } else { "E102" };
        assert_eq!(unknown.code, code);
    }
}

#[test]
fn every_key_takes_what_its_rule_allows() {
    for text in [
        // 2.1: forms
        "[broker]\nretention = \"500ms\"\ndlq_retention = \"30d\"\nretention_bytes = 1\n",
        "[broker]\nretention = \"5s\"\ndlq_retention = \"5m\"\nretention_bytes = \"1B\"\n",
        "[broker]\nretention = \"5h\"\nretention_bytes = \"2KB\"\n",
        "[capture]\nbuffer_bytes = \"2MB\"\nmax_retained_wal = \"2GB\"\n",
        "[capture]\nbuffer_bytes = \"2KiB\"\nmax_retained_wal = \"2MiB\"\n",
        "[capture]\nmax_retained_wal = \"none\"\nslot_ack = \"broker\"\nbuffer_records = 1\n",
        "[capture]\nheartbeat_interval = \"100ms\"\n",
        "[capture]\nheartbeat_interval = \"60s\"\n",
        // 2.4
        "[broker]\nbootstrap_servers = [\"a:1\", \"b:2\"]\ntopic_prefix = \"A.b_c-1\"\npartitions = 1000\nreplication_factor = 3\n",
        "[broker]\nbootstrap_servers = \"a:1, b:2\"\ncompression = \"none\"\n",
        "[broker]\ncompression = \"gzip\"\nframing = \"single_object\"\n",
        "[broker]\ncompression = \"snappy\"\n",
        "[broker]\ncompression = \"lz4\"\n",
        "[broker]\ncompression = \"zstd\"\n",
        "[broker]\nschema_registry_url = \"http://r\"\nschema_registry_username = \"u\"\nschema_registry_password = { env = \"P\" }\nframing = \"confluent\"\n",
        "[broker]\nkafka.security.protocol = \"ssl\"\n",
        "[broker]\nkafka = { \"group.protocol\" = \"consumer\", \"group.instance.id\" = { env = \"HOSTNAME\" } }\n",
        // 2.5
        "[worker]\nbatch_max_changes = 1\nbatch_max_bytes = 1\nin_flight = 1\nmax_uncommitted = 1\npool_size = 2\nstatement_timeout = \"0s\"\nfanout_threshold = 1\nseed_chunk_rows = 1\nseed_concurrency = 1\nseed_rate = 1\nfreshness = \"1ms\"\n",
        "[worker]\nin_flight = 64\n",
        // 2.6
        "[sinks.\" Big_1 \"]\ntype = \"opensearch\"\nurl = [\"https://a:9200\", { env = \"B\" }, { file = \"c\" }]\n",
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nusername = \"u\"\n",
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nbatch_size = -5\nmax_bytes = 0\nmax_concurrent_requests = 64\ntimeout_secs = 1\nmax_retries = 0\nnumber_of_shards = 0\nnumber_of_replicas = 0\n",
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nmax_bytes = \"0B\"\nrefresh_interval = -1\ngc_deletes = \"2m\"\nrefresh_when_idle = false\nheaders = { X-Team = \"shop\" }\n",
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nrefresh_interval = \"-1\"\ntext_analysis = \"icu\"\nauto_subfields = false\ngzip = true\ntls_verify = false\npipeline = \"p\"\n",
        "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nindex_settings = { \"mapping.nested_objects.limit\" = 50000 }\n",
        "[sinks.a]\ntype = \"stdout\"\npretty = true\n[sinks.b]\ntype = \"stdout\"\n[[index]]\nname = \"x\"\nschema = \"s.yml\"\nsinks = [\"B\"]\n",
        // 2.7
        "[[index]]\nname = \" Shows_1 \"\nschema = \"s.yml\"\nenabled = false\non_error = \"skip\"\naliases = [\"old\", \"older\"]\nnumber_of_shards = 2\nnumber_of_replicas = 0\nrefresh_interval = \"1s\"\npipeline = \"p\"\nindex_settings = { codec = \"default\" }\n",
        "[[index]]\nname = \"a\"\nschema = \"s.yml\"\n[[index]]\nname = \"b\"\nschema = \"s.yml\"\non_error = \"dead_letter\"\n",
        // 2.8
        "[server]\npublic_address = \":80\"\nprivate_address = \"[::1]:0\"\nadmin_user = \"me\"\nadmin_token = { file = \"t\" }\n",
        "[server]\npublic_address = \"10.0.0.1:9000\"\n[server.capture]\npublic_address = \"host.example:9001\"\nprivate_address = \":1\"\n[server.worker]\nprivate_address = \":2\"\n",
        "[telemetry]\notlp_endpoint = \"http://o:4318\"\notlp_protocol = \"grpc\"\notlp_headers = { authorization = { env = \"T\" } }\nservice_name = \"s\"\nmetrics_interval = \"1s\"\ntrace_ratio = 0.5\n",
        "[telemetry]\notlp_protocol = \"http/protobuf\"\ntrace_ratio = 0\n",
    ] {
        let (text, loaded) = after_source(text);
        assert_eq!(lines(&loaded, &text), "", "{text}");
    }
}

#[test]
fn the_source_takes_what_its_rules_allow() {
    for text in [
        "connection_url = { env = \"DB\" }\nsslmode = \"verify-ca\"\nsslrootcert = \"system\"\n",
        "connection_url = { file = \"db\" }\nsslmode = \"allow\"\nslot = \"a_1\"\nslot_failover = true\n",
        "connection_url = \"postgresql://h/d\"\npublication = '\"My pub\"'\nmanage_publication = false\n",
        "connection_url = { database = \"a b%/?\", host = \"/run/pg\", port = 65535, user = \"u@h\", password = { env = \"P\" } }\n",
        "manage_replica_identity = false\nallow_stale_parents = true\non_slot_loss = \"stop\"\nasynchronous_commit = \"never\"\n",
        "on_slot_loss = \"reseed\"\nasynchronous_commit = \"possible\"\nsslmode = \"disable\"\n",
        // TOML 1.1: line breaks and a last comma in inline tables, `\\e` and `\\x` in texts.
        "connection_url = {\n  database = \"d\", # here\n  user = \"\\x41\\e\",\n}\n",
        "sslmode = \"prefer\"\n",
        "sslmode = \"require\"\n",
        "sslmode = \"verify-full\"\n",
    ] {
        let (text, loaded) = after_source(text);
        assert_eq!(lines(&loaded, &text), "", "{text}");
    }
}

/// What is refused or warned of, by section. Each is the end of a file that begins with a right
/// `[source]`.
const WRONG: [&str; 92] = [
    // 2.1
    "slot = { env = \"X\" }\n",
    "slot_failover = { file = \"x\" }\n",
    "sslmod = \"require\"\n",
    "[broker]\npartitions = { env = \"N\" }\n",
    "[broker]\nretention = { env = \"N\" }\n",
    "[broker]\nretention_bytes = { env = \"N\" }\n",
    "[broker]\nretention = 7\n",
    "[broker]\nretention = \"7 d\"\n",
    "[broker]\nretention = \"0s\"\n",
    "[broker]\nretention_bytes = 0\n",
    "[broker]\nretention_bytes = \"10 GiB\"\n",
    "[broker]\nretention_bytes = 1.5\n",
    "[broker]\nretention_bytes = true\n",
    "[[index]]\nname = \"1a\"\nschema = \"s.yml\"\n",
    "[[index]]\nname = \"ünder\"\nschema = \"s.yml\"\n",
    "[[index]]\nname = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\nschema = \"s.yml\"\n",
    "[sinks.a-b]\ntype = \"stdout\"\n",
    "[server]\npublic_address = \"localhost\"\n",
    "[server]\npublic_address = \"::1:80\"\n",
    "[server]\nprivate_address = \"h:65536\"\n",
    // 2.2
    "connection_url = {}\n",
    "connection_url = { env = \"\" }\n",
    "connection_url = { env = \"A\", file = \"b\" }\n",
    "connection_url = { env = 5 }\n",
    "connection_url = true\n",
    // 2.3
    "connection_url = { database = \"d\", port = 0 }\n",
    "connection_url = { database = \"d\", port = 65536, sslmode = \"require\" }\n",
    "connection_url = { host = \"h\", password = \"hunter2\" }\n",
    "connection_url = \"http://h/d\"\n",
    "connection_url = \"postgres://u:p%zz@h/d\"\n",
    "connection_url = \"postgres://h:0/d\"\n",
    "connection_url = \"postgres://h:+1/d\"\n",
    "connection_url = \"postgres://h/d?sslmode=on\"\n",
    "connection_url = \"postgres://h/d?target_session_attrs=any&keepalives=1\"\n",
    "connection_url = \"postgres://h/d?sslcert=a\"\n",
    "connection_url = \"postgres://h/d?sslrootcert=a\"\nsslrootcert = \"system\"\n",
    "sslcert = \"a\"\nsslkey = \"b\"\n",
    "sslkey = \"b\"\nconnection_url = { env = \"X\" }\n",
    "slot = \"\"\n",
    "slot = \"a-b\"\n",
    "publication = \"a.b\"\n",
    "publication = \"1\"\n",
    "on_slot_loss = \"reseeds\"\n",
    "asynchronous_commit = \"always\"\n",
    // 2.4
    "[broker]\nbootstrap_servers = []\n",
    "[broker]\nbootstrap_servers = \"a:1,,b:2\"\n",
    "[broker]\nbootstrap_servers = 5\n",
    "[broker]\ntopic_prefix = \"a/b\"\n",
    "[broker]\ntopic_prefix = \"\"\n",
    "[broker]\npartitions = 0\n",
    "[broker]\npartitions = 1001\n",
    "[broker]\nreplication_factor = 0\n",
    "[broker]\ncompression = \"zst\"\n",
    "[broker]\nframing = \"single_object\"\nschema_registry_url = \"http://r\"\n",
    "[broker]\nschema_registry_password = { env = \"P\" }\n",
    "[broker]\nkafka = \"sasl.password=hunter2\"\n",
    "[broker]\nkafka = { a = [1] }\n",
    "[broker]\nkafka = { \"a.b\" = 1, a.b = 2 }\n",
    "[broker]\nkafka = { \"sasl.password\" = { env = \"A\", file = \"b\" } }\n",
    "[broker]\nkafka = { \"sasl.password\" = 12345, \"ssl.key.pem\" = \"hunter2\" }\n",
    // 2.5
    "[capture]\nslot_ack = \"kafka\"\n",
    "[capture]\nmax_retained_wal = \"all\"\n",
    "[capture]\nmax_retained_wal = 0\n",
    "[capture]\nheartbeat_interval = \"99ms\"\n",
    "[capture]\nheartbeat_interval = \"61s\"\n",
    "[capture]\nbuffer_records = 0\n",
    "[worker]\nbatch_max_changes = 0\nbatch_max_bytes = 0\nin_flight = 0\nmax_uncommitted = 0\npool_size = 1\nfanout_threshold = 0\nseed_chunk_rows = 0\nseed_concurrency = 0\nseed_rate = 0\nfreshness = \"0s\"\nstatement_timeout = 5\n",
    "[worker]\nin_flight = 65\n",
    "[worker]\nseed_rate = 99999999999999999999\n",
    // 2.6
    "[sinks.a]\nurl = \"http://h\"\napi_key = \"hunter2\"\n",
    "[sinks]\na = { type = \"elastic\", password = \"hunter2\" }\n",
    "sinks = \"hunter2\"\n",
    "[sinks]\na = \"hunter2\"\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = []\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"h:9200\"\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\npassword = { env = \"P\" }\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\napi_key = { env = \"K\" }\nbearer_token = { env = \"T\" }\npassword = { env = \"P\" }\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nheaders = \"Authorization: hunter2\"\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nheaders = { \"a b\" = \"hunter2\" }\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nclient_cert = \"c\"\nca_file = \"missing.pem\"\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nmax_concurrent_requests = 65\ntimeout_secs = 0\nmax_retries = -1\nnumber_of_replicas = -1\nrefresh_interval = \"0s\"\ngc_deletes = \"119s\"\ntext_analysis = \"kuromoji\"\npipeline = \"\"\n",
    "[sinks.a]\ntype = \"opensearch\"\nurl = \"http://h\"\nindex_settings = { number_of_shards = 1, \"index.gc_deletes\" = \"1m\", analysis = { x = 1 }, codec = \"a\", \"index.codec\" = \"b\" }\n",
    "[sinks.a]\ntype = \"stdout\"\nurl = \"http://h\"\n[sinks.A]\ntype = \"stdout\"\n",
    // 2.7
    "[index]\nname = \"a\"\n",
    "[[index]]\nname = \"a\"\nschema = \"s.txt\"\n[[index]]\nschema = \"s.yml\"\nname = \"A\"\n",
    "[[index]]\nname = \"flusso_meta\"\nschema = \"s.yml\"\n[[index]]\nname = \"_a\"\nschema = \"s.yml\"\n[[index]]\nschema = \"s.yml\"\n",
    "[[index]]\nname = \"a\"\nschema = \"s.yml\"\nsinks = []\naliases = [\"A\", \"-x\", \"a\", \"a,b\"]\non_error = \"ignore\"\nenabled = 1\n",
    "[[index]]\nname = \"a\"\nschema = \"s.yml\"\nsinks = [\"stdout\", \"sdtout\"]\naliases = \"x\"\n",
    // 2.8
    "[server]\nadmin_user = 5\n[server.capture]\nadmin_user = \"x\"\n",
    "[telemetry]\notlp_endpoint = \"o:4317\"\notlp_protocol = \"http\"\nservice_name = \" \"\nmetrics_interval = \"0s\"\ntrace_ratio = 1.5\n",
    "[telemetry]\ntrace_ratio = nan\n",
    "[[source]]\n",
];

#[test]
fn every_rule_of_the_file_is_kept_with_place_and_words() {
    let mut shown = String::new();
    for text in WRONG {
        let (text, loaded) = after_source(text);
        let end = text.strip_prefix(SOURCE).unwrap();
        let lines = lines(&loaded, &text);
        assert!(!lines.is_empty(), "{text}");
        writeln!(shown, "{end}{lines}").unwrap();
        let report = findings(&loaded).render_human(false);
        assert!(
            !report.contains("hunter2") && !report.contains("12345"),
            "{report}"
        );
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_prefix_is_verified_on_load() {
    for right in ["", "a", "1_", "dev-", "日本", "a.b"] {
        let text = format!("prefix = {right:?}\n{SOURCE}");
        assert!(loaded(&[("flusso.toml", &text)]).is_ok(), "{right}");
    }
    let long = "a".repeat(51);
    for wrong in [
        "_a", "-a", "A", "aB", "a b", "a,b", "a:b", "a\"b", "a*b", "a+b", "a/b", "a\\b", "a|b",
        "a?b", "a#b", "a<b", "a>b", "ǅ", &long,
    ] {
        let text = format!("prefix = {wrong:?}\n{SOURCE}");
        let refused = loaded(&[("flusso.toml", &text)]).unwrap_err();
        let [one] = refused.findings() else {
            panic!("{wrong}: {refused}")
        };
        assert_eq!((one.code, one.place.as_ref().unwrap().line), ("E106", 1));
    }
}

#[test]
fn each_property_that_the_product_sets_is_refused_quoted_and_bare() {
    let listed = "bootstrap.servers group.id enable.auto.commit enable.auto.offset.store \
        auto.offset.reset isolation.level acks request.required.acks enable.idempotence \
        transactional.id partitioner compression.type compression.codec enable.partition.eof \
        message.timeout.ms delivery.timeout.ms retries message.send.max.retries \
        enable.gapless.guarantee partition.assignment.strategy";
    for name in listed.split_whitespace() {
        for key in [format!("\"{name}\""), name.to_owned()] {
            let (_, loaded) = after_source(&format!("[broker.kafka]\n{key} = 1\n"));
            let refused = loaded.unwrap_err();
            let [one] = refused.findings() else {
                panic!("{key}: {refused}")
            };
            assert_eq!(one.code, "E109");
            assert_eq!(
                one.message,
                format!("kafka: `{name}` is set by the product")
            );
            assert_eq!(one.help.as_deref(), Some("remove it"));
        }
    }
}
