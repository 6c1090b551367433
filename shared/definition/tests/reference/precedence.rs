//! Where a value comes from (2.2), and what a connection URL means (2.3).

use std::path::PathBuf;
use std::time::Duration;

use definition::deployment::{
    Authorization, Connection, ConnectionParameters, RootCertificate, SslMode,
};
use definition::{Deployment, Overrides, Secret, SinkKind};

use crate::files::{Loaded, SOURCE, findings, loaded_with};

const FILE: &str = "prefix = \"file_\"\n[source]\ntype = \"postgres\"\nconnection_url = \"postgres://file/d\"\nslot = \"file\"\npublication = \"file\"\nmanage_publication = false\n[broker]\ntopic_prefix = \"file\"\nbootstrap_servers = \"file:1\"\n[server]\npublic_address = \"file:1\"\nprivate_address = \"file:2\"\nadmin_user = \"file\"\nadmin_password = { env = \"FROM_FILE\" }\n";

const TWINS: [(&str, &str); 10] = [
    ("FLUSSO_INDEX_PREFIX", "twin_"),
    ("FLUSSO_SLOT", "twin"),
    ("FLUSSO_PUBLICATION", "Twin"),
    ("FLUSSO_MANAGE_PUBLICATION", "on"),
    ("FLUSSO_TOPIC_PREFIX", "twin"),
    ("FLUSSO_BOOTSTRAP_SERVERS", "twin:1,twin:2"),
    ("FLUSSO_PUBLIC_ADDRESS", "twin:1"),
    ("FLUSSO_PRIVATE_ADDRESS", "twin:2"),
    ("FLUSSO_ADMIN_USER", "twin"),
    ("FLUSSO_ADMIN_PASSWORD", "twin"),
];

fn with(text: &str, variables: &[(&str, &str)], overrides: &Overrides) -> Deployment {
    match loaded_with(&[("flusso.toml", text)], variables, overrides) {
        Ok((deployment, _)) => deployment,
        Err(findings) => panic!("{findings}"),
    }
}

/// What a file says of every value that has a flag.
fn winners(variables: &[(&str, &str)], overrides: &Overrides) -> String {
    let deployment = with(FILE, variables, overrides);
    let source = &deployment.source;
    let server = &deployment.server;
    format!(
        "{} {} {} {} {} {} {} {} {:?} {:?}",
        deployment.prefix,
        source.slot,
        source.publication,
        source.manage_publication,
        deployment.broker.topic_prefix,
        deployment.broker.bootstrap_servers.join("+"),
        server.worker.public_address,
        server.capture.private_address,
        server.admin_user,
        server.admin_password,
    )
}

#[test]
fn a_flag_beats_its_twin_and_a_twin_the_file_and_an_empty_one_is_unset() {
    let flags = Overrides {
        index_prefix: Some("flag_".into()),
        topic_prefix: Some("flag".into()),
        bootstrap_servers: Some("flag:1".into()),
        slot: Some("flag".into()),
        publication: Some("\"Flag\"".into()),
        manage_publication: Some(false),
        public_address: Some("flag:1".into()),
        private_address: Some("flag:2".into()),
        admin_user: Some("flag".into()),
        admin_password: Some("flag".into()),
    };
    let none = Overrides::default();
    let file = "file_ file file false file file:1 file:1 file:2 *** Some({ env = \"FROM_FILE\" })";
    assert_eq!(
        winners(&TWINS, &flags),
        "flag_ flag Flag false flag flag:1 flag:1 flag:2 *** Some(***)"
    );
    assert_eq!(
        winners(&TWINS, &none),
        "twin_ twin twin true twin twin:1+twin:2 twin:1 twin:2 { env = \"FLUSSO_ADMIN_USER\" } \
         Some({ env = \"FLUSSO_ADMIN_PASSWORD\" })"
    );
    assert_eq!(winners(&TWINS.map(|(name, _)| (name, "")), &none), file);
    assert_eq!(winners(&[], &none), file);
}

#[test]
fn a_twin_is_checked_like_the_key_and_named_in_the_message() {
    for (name, value, message) in [
        (
            "FLUSSO_SLOT",
            "A",
            "FLUSSO_SLOT: \"A\" is not right for source.slot",
        ),
        (
            "FLUSSO_INDEX_PREFIX",
            "_",
            "FLUSSO_INDEX_PREFIX: \"_\" is not right for prefix",
        ),
        (
            "FLUSSO_MANAGE_PUBLICATION",
            "maybe",
            "FLUSSO_MANAGE_PUBLICATION: \"maybe\" is not a boolean",
        ),
        (
            "FLUSSO_PUBLIC_ADDRESS",
            "x",
            "FLUSSO_PUBLIC_ADDRESS: \"x\" is not right for server.public_address",
        ),
    ] {
        let loaded = loaded_with(
            &[("flusso.toml", FILE)],
            &[(name, value)],
            &Overrides::default(),
        );
        let refused = loaded.unwrap_err();
        let found: Vec<&str> = refused
            .findings()
            .iter()
            .filter(|finding| finding.code == "E106")
            .map(|finding| finding.message.as_str())
            .collect();
        assert_eq!(found, [message]);
    }
    let overrides = Overrides {
        topic_prefix: Some("a b".into()),
        ..Overrides::default()
    };
    let refused = loaded_with(&[("flusso.toml", FILE)], &[], &overrides).unwrap_err();
    let errors = refused
        .findings()
        .iter()
        .filter(|finding| finding.code == "E106");
    let messages: Vec<&str> = errors.map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        ["--topic-prefix: \"a b\" is not right for broker.topic_prefix"]
    );
}

#[test]
fn booleans_in_variables_have_eight_words() {
    for (word, expected) in [
        ("true", true),
        ("1", true),
        ("yes", true),
        ("ON", true),
        ("false", false),
        ("0", false),
        ("no", false),
        ("off", false),
    ] {
        let deployment = with(
            SOURCE,
            &[("FLUSSO_MANAGE_PUBLICATION", word)],
            &Overrides::default(),
        );
        assert_eq!(deployment.source.manage_publication, expected, "{word}");
    }
}

fn connection(url: &str, database_url: &str) -> Connection {
    let text = format!("{SOURCE}{url}");
    let variables = [("DATABASE_URL", database_url)];
    with(&text, &variables, &Overrides::default())
        .source
        .connection
}

#[test]
fn database_url_beats_a_literal_and_parts_and_nothing_else() {
    let variable = Connection::Url(Secret::Env("DATABASE_URL".into()));
    let literal = "connection_url = \"postgres://file/d\"\n";
    let parts = "connection_url = { database = \"d\" }\n";
    for beaten in [literal, parts, ""] {
        assert_eq!(connection(beaten, "postgres://env/d"), variable, "{beaten}");
    }
    for (kept, expected) in [
        (
            "connection_url = { env = \"SHOP\" }\n",
            Secret::Env("SHOP".into()),
        ),
        (
            "connection_url = { file = \"url\" }\n",
            Secret::File(PathBuf::from("url")),
        ),
    ] {
        assert_eq!(
            connection(kept, "postgres://env/d"),
            Connection::Url(expected)
        );
    }
    // Empty counts as unset.
    assert_eq!(
        connection(literal, ""),
        Connection::Url(Secret::Literal("postgres://file/d".into()))
    );
    assert!(matches!(connection(parts, ""), Connection::Parts { .. }));
}

#[test]
fn a_sink_has_its_own_reserved_variables() {
    let sink = |keys: &str, variables: &[(&str, &str)]| {
        let text = format!("{SOURCE}[sinks.big_one]\ntype = \"opensearch\"\n{keys}");
        let deployment = with(&text, variables, &Overrides::default());
        let SinkKind::OpenSearch(sink) = deployment.sinks[0].kind.clone() else {
            panic!()
        };
        (sink.urls, sink.authorization)
    };
    let env = |name: &str| Secret::Env(format!("BIG_ONE_OPENSEARCH_{name}"));
    let url = [("BIG_ONE_OPENSEARCH_URL", "http://env")];
    assert_eq!(sink("", &url), (vec![env("URL")], Authorization::None));
    assert_eq!(sink("url = \"http://file\"\n", &url).0, [env("URL")]);
    assert_eq!(
        sink("url = { env = \"X\" }\n", &url).0,
        [Secret::Env("X".into())]
    );
    let login = [
        ("BIG_ONE_OPENSEARCH_URL", "http://env"),
        ("BIG_ONE_OPENSEARCH_USERNAME", "u"),
        ("BIG_ONE_OPENSEARCH_PASSWORD", "p"),
        ("BIG_ONE_OPENSEARCH_API_KEY", ""),
        ("BIG_ONE_OPENSEARCH_BEARER_TOKEN", ""),
    ];
    let basic = Authorization::Basic {
        username: env("USERNAME"),
        password: Some(env("PASSWORD")),
    };
    assert_eq!(
        sink("username = \"file\"\npassword = \"file\"\n", &login).1,
        basic
    );
    let token = [
        ("BIG_ONE_OPENSEARCH_URL", "http://e"),
        ("BIG_ONE_OPENSEARCH_BEARER_TOKEN", "t"),
    ];
    assert_eq!(
        sink("", &token).1,
        Authorization::Bearer(env("BEARER_TOKEN"))
    );
    // Of two ways one has to go, wherever they come from.
    let both = loaded_with(
        &[(
            "flusso.toml",
            &format!(
                "{SOURCE}[sinks.big_one]\ntype = \"opensearch\"\napi_key = {{ env = \"K\" }}\n"
            ),
        )],
        &token,
        &Overrides::default(),
    );
    assert_eq!(both.unwrap_err().findings()[0].code, "E210");
}

#[test]
fn relative_paths_start_at_the_directory_of_the_file() {
    let text = "[source]\ntype = \"postgres\"\nconnection_url = { file = \"db\" }\nsslrootcert = \"ca.pem\"\n[[index]]\nname = \"a\"\nschema = \"../s.yml\"\n[[index]]\nname = \"b\"\nschema = \"/abs.yml\"\n";
    let schema = "version: 1\ntable: t\nfields: []\n";
    let files = crate::files::Memory::new(&[
        ("conf/flusso.toml", text),
        ("conf/../s.yml", schema),
        ("/abs.yml", schema),
        ("conf/ca.pem", ""),
    ]);
    let (deployment, warnings) = definition::load(
        std::path::Path::new("conf/flusso.toml"),
        &files,
        &std::collections::BTreeMap::new(),
        &Overrides::default(),
    )
    .unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let file = Connection::Url(Secret::File(PathBuf::from("conf/db")));
    assert_eq!(deployment.source.connection, file);
    let root = RootCertificate::File(PathBuf::from("conf/ca.pem"));
    assert_eq!(deployment.source.tls.sslrootcert, Some(root));
    let paths: Vec<_> = deployment
        .indexes
        .iter()
        .map(|index| index.schema.clone())
        .collect();
    assert_eq!(
        paths,
        [PathBuf::from("conf/../s.yml"), PathBuf::from("/abs.yml")]
    );
}

/// A literal URL under these keys of `[source]`, as it will be used.
fn parameters(url: &str, tls: &str) -> ConnectionParameters {
    let text = format!("{SOURCE}connection_url = {url:?}\n{tls}");
    let source = with(&text, &[], &Overrides::default()).source;
    ConnectionParameters::new(&source, url).unwrap()
}

#[test]
fn a_url_has_defaults_hosts_sockets_and_parameters() {
    let hosts = |url: &str| -> String {
        let list = parameters(url, "").hosts;
        list.iter()
            .map(|host| format!("{}:{} ", host.name, host.port))
            .collect()
    };
    assert_eq!(hosts("postgres://"), "127.0.0.1:5432 ");
    assert_eq!(
        hosts("postgres://a,b:6000,[2001:db8::1]:7,[::1]/d"),
        "a:5432 b:6000 2001:db8::1:7 ::1:5432 "
    );
    assert_eq!(hosts("postgresql://%2Frun%2Fpg/d"), "/run/pg:5432 ");
    let one = parameters("postgres://a%3Ab:c%2525%40@h/x%2Fy", "");
    assert_eq!(
        (
            one.user.as_str(),
            one.password.as_deref(),
            one.database.as_str()
        ),
        ("a:b", Some("c%25@"), "x/y")
    );
    let bare = parameters("postgres://h", "");
    assert_eq!(
        (bare.user.as_str(), bare.database.as_str(), bare.tls.mode),
        ("postgres", "postgres", SslMode::Prefer)
    );
    let full = parameters(
        "postgres://h/d?application_name=a%26b&connect_timeout=3&options=-c%20a%3Db&channel_binding=require&sslmode=allow",
        "",
    );
    assert_eq!(full.application_name.as_deref(), Some("a&b"));
    assert_eq!(full.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(full.options.as_deref(), Some("-c a=b"));
    assert_eq!(full.channel_binding.as_deref(), Some("require"));
    assert_eq!(full.tls.mode, SslMode::Prefer);
    assert!(full.ignored.is_empty());
}

#[test]
fn tls_settings_of_both_places_are_laid_together() {
    let url = "postgres://h/d?sslmode=require";
    assert_eq!(parameters(url, "").tls.mode, SslMode::Require);
    // The same in both places is no difference; `allow` is `prefer`.
    assert_eq!(
        parameters(url, "sslmode = \"require\"\n").tls.mode,
        SslMode::Require
    );
    assert_eq!(
        parameters("postgres://h/d?sslmode=allow", "sslmode = \"prefer\"\n")
            .tls
            .mode,
        SslMode::Prefer
    );
    assert_eq!(
        parameters(url, "sslrootcert = \"ca.pem\"\n").tls.mode,
        SslMode::VerifyCa
    );
    let both = parameters("postgres://h/d?sslcert=c&sslkey=k", "");
    assert!(both.tls.client_certificate.is_some());
    let half = parameters(
        "postgres://h/d?sslcert=c",
        "sslcert = \"c\"\nsslkey = \"k\"\n",
    );
    assert!(half.tls.client_certificate.is_some());
}

#[test]
fn what_flusso_0_15_knew_and_nobody_needs_gives_one_warning() {
    let loaded: Loaded = loaded_with(
        &[("flusso.toml", SOURCE)],
        &[
            ("FLUSSO_SKIP_BACKFILL", "1"),
            ("FLUSSO_LAG_POLL_SECS", "5"),
            ("FLUSSO_QUEUE_CAPACITY", ""),
        ],
        &Overrides::default(),
    );
    let [one] = findings(&loaded).findings() else {
        panic!()
    };
    assert_eq!(one.code, "W221");
    assert_eq!(
        one.message,
        "FLUSSO_SKIP_BACKFILL, FLUSSO_LAG_POLL_SECS no longer means anything"
    );
}
