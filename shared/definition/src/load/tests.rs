use super::*;
use crate::deployment::OnError;

/// Files in memory.
struct Memory(BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0
            .get(path.to_str().unwrap())
            .map(|text| (*text).to_owned())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn load_files(
    files: &[(&'static str, &'static str)],
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    load(
        Path::new("flusso.toml"),
        &Memory(files.iter().copied().collect()),
        &BTreeMap::new(),
        &Overrides::default(),
    )
}

/// The reference of the language, whose example must load.
const PAGE: &str = include_str!("../../../../docs/config-language.md");

/// The first block of a language on the page.
fn example(language: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("\n```").unwrap().0
}

#[test]
fn the_languages_example_loads() {
    let (deployment, warnings) = load_files(&[
        ("flusso.toml", example("toml")),
        ("shows.schema.yml", example("yaml")),
        ("certs/db-ca.pem", ""),
    ])
    .unwrap_or_else(|findings| panic!("{findings}"));
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(deployment.prefix, "dev_");
    assert_eq!(
        deployment.broker.bootstrap_servers,
        ["kafka-1:9093", "kafka-2:9093"]
    );
    let index = deployment.index("shows").unwrap();
    assert_eq!(index.on_error, OnError::DeadLetter);
    assert_eq!(index.definition.fields.len(), 16);
    let feeds: Vec<(&str, &str)> = deployment
        .feeds()
        .map(|(index, sink)| (index.name.as_str(), sink.name.as_str()))
        .collect();
    assert_eq!(feeds, [("shows", "primary")]);
}

#[test]
fn mistakes_of_all_files_are_reported_together_in_order() {
    let findings = load_files(&[
        (
            "flusso.toml",
            "sink = 1\n[source]\ntype = \"postgres\"\n[[index]]\nname = \"a\"\nschema = \"a.yml\"\n[[index]]\nname = \"b\"\nschema = \"missing.yml\"\n",
        ),
        (
            "a.yml",
            "version: 1\ntable: shows\nfields:\n  - { timestamp: startsAt, colum: starts_at, required: true }\n  - { count: n, table: crm.Reviews, foreign_key: show_id }\n",
        ),
    ])
    .unwrap_err();
    insta::assert_snapshot!(findings.render_human(false));
    insta::assert_json_snapshot!(findings.to_json());
    assert!(findings.is_unreadable());
}

#[test]
fn a_report_shows_the_first_fifty_findings_and_counts_the_rest() {
    let mut findings = Diagnostics::new();
    for number in 0..60 {
        findings.push(Diagnostic::error("E999", format!("mistake {number:02}")));
    }
    findings.sort();
    let text = findings.render_human(false);
    assert_eq!(text.matches("E999").count(), 50);
    assert!(text.contains("... and 10 more"));
    let json = findings.to_json();
    assert_eq!(json["errors"], 60);
    assert_eq!(json["findings"].as_array().unwrap().len(), 50);
}

#[test]
fn a_missing_config_file_names_itself() {
    let findings = load_files(&[]).unwrap_err();
    let [one] = findings.findings() else { panic!() };
    assert_eq!(one.code, "E105");
    assert_eq!(one.message, "cannot read flusso.toml: no such file");
}

#[test]
fn several_indexes_share_one_schema_file() {
    let (deployment, _) = load_files(&[
        (
            "flusso.toml",
            "[source]\ntype = \"postgres\"\n[[index]]\nname = \"a\"\nschema = \"s.yml\"\n[[index]]\nname = \"b\"\nschema = \"s.yml\"\n",
        ),
        ("s.yml", "version: 1\ntable: t\nfields: [{long: id}]"),
    ])
    .unwrap();
    let [a, b] = deployment.indexes.as_slice() else {
        panic!()
    };
    assert!(Arc::ptr_eq(&a.definition, &b.definition));
}

#[test]
fn a_finding_of_a_later_step_is_rendered_at_its_place() {
    let (deployment, _) = load_files(&[
        (
            "flusso.toml",
            "[source]\ntype = \"postgres\"\n[[index]]\nname = \"a\"\nschema = \"s.yml\"\n",
        ),
        (
            "s.yml",
            "version: 1\ntable: shows\nfields:\n  - long: id\n  - has_many: orders\n    table: orders\n    foreign_key: show_id\n    fields:\n      - { keyword: email, column: e_mail }\n",
        ),
    ])
    .unwrap();
    let mut findings = Diagnostics::new();
    findings.push(
        Diagnostic::error("E302", "public.orders has no column e_mail")
            .help("did you mean email?")
            .at("orders.email", Some("column")),
    );
    findings.push(
        Diagnostic::warning(
            "W305",
            "no index on public.orders (show_id): every change of shows reads the whole table",
        )
        .sql("CREATE INDEX CONCURRENTLY ON public.orders (show_id);")
        .at("orders", Some("foreign_key")),
    );
    let index = deployment.index("a").unwrap();
    let mut findings = findings.locate(&index.name, &index.spans);
    findings.sort();
    insta::assert_snapshot!(findings.render_human(false));
    assert_eq!(findings.to_json()["findings"][0]["index"], "a");
}

#[test]
fn a_report_never_quotes_a_secret() {
    for file in [
        "[source]\ntype = \"postgres\"\nconnection_url = { host = \"h\", database = \"d\", password = \"hunter2\", prt = 1 }\n",
        "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://u:hunter2@h:x/d\"\n",
        "[source]\ntype = \"postgres\"\nconection_url = \"hunter2\"\n",
        "[source]\ntype = \"postgres\"\nconnection_url = \"hunter2\n",
        "[source]\ntype = \"postgres\"\n[broker]\nkafka = { \"sasl.password\" = \"hunter2\", acks = 1 }\n",
    ] {
        let findings = load_files(&[("flusso.toml", file)]).unwrap_err();
        let text = findings.render_human(false);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!findings.to_json().to_string().contains("hunter2"));
    }
}

#[test]
fn what_only_runs_later_is_read_and_checked_in_full() {
    let (deployment, warnings) = load_files(&[
        (
            "flusso.toml",
            "[source]\ntype = \"postgres\"\n[broker]\nschema_registry_url = \"http://r\"\n[telemetry]\notlp_endpoint = \"http://o\"\n[[index]]\nname = \"a\"\nschema = \"s.yml\"\n",
        ),
        (
            "s.yml",
            "version: 1\ntable: t\nfields:\n  - {object: o, fields: [{custom: a, postgres: inet, opensearch: {type: ip}}]}\n",
        ),
    ])
    .unwrap_or_else(|findings| panic!("{findings}"));
    assert!(warnings.is_empty(), "{warnings}");
    assert!(deployment.broker.schema_registry.is_some());
    assert!(deployment.telemetry.otlp_endpoint.is_some());
}
