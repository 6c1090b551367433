use std::fmt::Write as _;
use std::io;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::deployment::{Index, Secret};
use crate::index::IndexDefinition;

/// Files in memory.
#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (path, content) in &self.0 {
            writeln!(f, "{path}:\n{}", String::from_utf8_lossy(content))?;
        }
        Ok(())
    }
}

impl Memory {
    fn new<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Self {
        Memory(
            files
                .iter()
                .map(|(path, content)| ((*path).to_owned(), content.as_ref().to_vec()))
                .collect(),
        )
    }

    fn put(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.0.insert(path.to_owned(), content.as_ref().to_vec());
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read_bytes(path)?)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0
            .get(path.to_str().unwrap())
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn built(files: &Memory) -> Lock {
    try_build(files, LiteralSecrets::Written).unwrap_or_else(|findings| panic!("{findings}"))
}

fn try_build(files: &Memory, literal: LiteralSecrets) -> Result<Lock, Diagnostics> {
    build(
        Path::new("flusso.toml"),
        files,
        &BTreeMap::new(),
        &Overrides::default(),
        literal,
    )
}

fn load_lock_of(
    files: &Memory,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    load_lock(
        Path::new("flusso.lock"),
        files,
        &variables(environment),
        overrides,
    )
}

/// Everything that a deployment says, but for the places in files. Literal secrets show.
fn said(deployment: &Deployment) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        deployment.prefix,
        deployment.source,
        deployment.broker,
        deployment.capture,
        deployment.worker,
        deployment.sinks,
        deployment.server,
        deployment.telemetry,
    );
    for Index {
        name,
        schema,
        enabled,
        on_error,
        sinks,
        aliases,
        overrides,
        definition,
        spans: _,
    } in &deployment.indexes
    {
        let json = definition.to_json();
        write!(
            text,
            "\n{name} {schema:?} {enabled} {on_error:?} {sinks:?} {aliases:?} {overrides:?} {json}"
        )
        .unwrap();
    }
    for (index, sink) in deployment.feeds() {
        let options = sink.index_options(&index.overrides);
        text.push_str(&definition_hash(&index.definition, &options));
    }
    let passwords = deployment
        .broker
        .kafka
        .iter()
        .map(|property| &property.value)
        .filter_map(Secret::literal);
    for literal in passwords {
        text.push_str(literal);
    }
    text
}

/// Builds the lock of `files` and loads both.
fn both(files: &mut Memory) -> (Deployment, Deployment, String) {
    let (from_files, _) = load(
        Path::new("flusso.toml"),
        files,
        &BTreeMap::new(),
        &Overrides::default(),
    )
    .unwrap_or_else(|findings| panic!("{findings}"));
    let lock = built(files);
    files.put("flusso.lock", &lock.text);
    let (from_lock, _) = load_lock_of(files, &[], &Overrides::default())
        .unwrap_or_else(|findings| panic!("{findings}\n{}", lock.text));
    (from_files, from_lock, lock.text)
}

/// The reference of the language, whose example is a whole deployment.
const PAGE: &str = include_str!("../../../../docs/config-language.md");

/// The first block of a language on the page.
fn example(language: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("\n```").unwrap().0
}

fn page() -> Memory {
    Memory::new(&[
        ("flusso.toml", example("toml")),
        ("shows.schema.yml", example("yaml")),
        ("certs/db-ca.pem", ""),
    ])
}

/// A deployment with as little as there can be.
const SMALL: &str = "[source]\ntype = \"postgres\"\n[[index]]\nname = \"a\"\nschema = \"a.yml\"\n";
const SCHEMA: &str = "version: 1\ntable: a\nfields: [ { long: id } ]\n";

fn small() -> Memory {
    Memory::new(&[("flusso.toml", SMALL), ("a.yml", SCHEMA)])
}

#[test]
fn the_lock_of_the_languages_example_is_this() {
    insta::assert_snapshot!(built(&page()).text);
}

/// Every object of `value` has its keys in order.
fn assert_sorted(value: &serde_json::Value) {
    if let Some(object) = value.as_object() {
        assert!(object.keys().is_sorted(), "{object:?}");
    }
    let inside = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.values());
    inside
        .chain(value.as_array().into_iter().flatten())
        .for_each(assert_sorted);
}

#[test]
fn a_lock_loads_to_what_its_files_load_to() {
    let (from_files, from_lock, text) = both(&mut page());
    assert_eq!(said(&from_files), said(&from_lock));
    // Sorted keys: any JSON tool that sorts leaves it as it is.
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_sorted(&json);
    assert_eq!(json["format"], 2);
}

#[test]
fn what_sorting_and_json_numbers_would_lose_is_kept() {
    // GIVEN an order that counts, and numbers that JSON spells otherwise
    let mut files = Memory::new(&[
        (
            "flusso.toml",
            "[source]\ntype = \"postgres\"\n[broker.kafka]\nz = 0x10\nsocket.b = 1_0.50\nsocket.a = -0\n\
             [sinks.second]\ntype = \"opensearch\"\nurl = \"http://b\"\nheaders = { b = \"1\", a = \"2\" }\n\
             [sinks.first]\ntype = \"stdout\"\n\
             [[index]]\nname = \"a\"\nschema = \"a.yml\"\n[[index]]\nname = \"b\"\nschema = \"sub/~x.yml\"\n",
        ),
        (
            "a.yml",
            "version: 1\ntable: a\nfilters:\n  - { column: n, op: in, value: [.5, 1.50, .inf, .nan, 0x1F, 1e400, 99999999999999999999] }\n\
             fields:\n  - { constant: c, value: { z: 1, a: { y: .5, b: [] } } }\n  - { decimal: d, default: +07.0 }\n",
        ),
        (
            "sub/~x.yml",
            "version: 1\ntable: b\nfields: [ { constant: k, value: { b: 1, a: 2 } } ]\n",
        ),
    ]);
    // WHEN it goes through a lock
    let (from_files, from_lock, text) = both(&mut files);
    // THEN nothing has changed, the order of members included
    assert_eq!(said(&from_files), said(&from_lock));
    for part in [
        "\"/config/sinks\": [\n      \"second\",\n      \"first\"",
        "\"/schemas/sub~1~0x.yml/fields/0/value\"",
        "\"/schemas/a.yml/filters/0/value/0\": \".5\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn layout_and_comments_do_not_show_in_the_lock() {
    let plain = built(&small());
    let other = built(&Memory::new(&[
        (
            "flusso.toml",
            "# secret = \"hunter2\"\nindex = [ { schema = 'a.yml', name = \"a\" } ]\nsource.type = \"postgres\"\n",
        ),
        (
            "a.yml",
            "fields:\n# hunter2\n- long: id\ntable: \"a\"\nversion: 1\n",
        ),
    ]));
    assert_eq!(plain.text, other.text);
    assert!(!plain.text.contains("hunter2"));
}

#[test]
fn flags_and_variables_act_on_a_lock_as_on_files_and_never_go_in() {
    // GIVEN a lock that was built under other flags and variables
    let mut files = small();
    let environment = variables(&[
        ("FLUSSO_SLOT", "built"),
        ("DATABASE_URL", "postgres://built"),
    ]);
    let overrides = Overrides {
        index_prefix: Some("built_".to_owned()),
        ..Overrides::default()
    };
    let lock = build(
        Path::new("flusso.toml"),
        &files,
        &environment,
        &overrides,
        LiteralSecrets::Refused,
    )
    .unwrap();
    assert_eq!(lock.text, built(&files).text);
    files.put("flusso.lock", &lock.text);
    // WHEN it is loaded
    let overrides = Overrides {
        index_prefix: Some("run_".to_owned()),
        ..Overrides::default()
    };
    let (deployment, _) = load_lock_of(&files, &[("FLUSSO_SLOT", "run")], &overrides).unwrap();
    // THEN those of the run count
    assert_eq!(deployment.prefix, "run_");
    assert_eq!(deployment.source.slot, "run");
}

#[test]
fn relative_paths_start_at_the_directory_of_the_lock() {
    let mut files = Memory::new(&[
        (
            "flusso.toml",
            "[source]\ntype = \"postgres\"\nconnection_url = { file = \"secrets/url\" }\nsslrootcert = \"ca.pem\"\n",
        ),
        ("ca.pem", ""),
    ]);
    let lock = built(&files);
    files.put("/etc/flusso/flusso.lock", &lock.text);
    let (deployment, warnings) = load_lock(
        Path::new("/etc/flusso/flusso.lock"),
        &files,
        &BTreeMap::new(),
        &Overrides::default(),
    )
    .unwrap();
    let source = format!("{:?}", deployment.source);
    assert!(source.contains("/etc/flusso/secrets/url"), "{source}");
    assert!(source.contains("/etc/flusso/ca.pem"), "{source}");
    // The certificate lies elsewhere: said at its place in the lock.
    let text = warnings.to_string();
    assert!(
        text.contains("cannot read /etc/flusso/ca.pem: no such file")
            && text.contains("--> /etc/flusso/flusso.lock:"),
        "{text}"
    );
}

#[test]
fn each_literal_secret_has_a_warning_and_can_be_refused() {
    let mut files = Memory::new(&[(
        "flusso.toml",
        "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://u:hunter2@h/d\"\n\
         [broker.kafka]\n\"sasl.password\" = \"hunter3\"\n\"sasl.username\" = \"shop\"\n\
         [server]\nadmin_password = { env = \"PASSWORD\" }\nadmin_token = \"hunter4\"\n\
         [sinks.s]\ntype = \"opensearch\"\nurl = [\"https://a:1\", \"https://u:hunter5@a:1/\"]\n",
    )]);
    let codes = |findings: &Diagnostics| -> Vec<(&'static str, usize)> {
        findings
            .findings()
            .iter()
            .map(|finding| (finding.code, finding.place.as_ref().unwrap().line))
            .collect()
    };
    // GIVEN variables that win over the literals here
    let environment = variables(&[("DATABASE_URL", "postgres://here/d")]);
    let lock = build(
        Path::new("flusso.toml"),
        &files,
        &environment,
        &Overrides::default(),
        LiteralSecrets::Written,
    )
    .unwrap();
    // THEN the literals go in all the same, each with its warning
    assert_eq!(
        codes(&lock.warnings),
        [("W219", 3), ("W219", 5), ("W219", 9), ("W219", 12)]
    );
    assert!(lock.text.contains("hunter2") && lock.text.contains("hunter4"));
    let shown = lock.warnings.to_string();
    assert!(
        shown.contains("admin_token holds a literal secret, which goes into the lock"),
        "{shown}"
    );
    assert!(!shown.contains("hunter"), "{shown}");
    // WHEN they are refused
    let refused = try_build(&files, LiteralSecrets::Refused).unwrap_err();
    assert_eq!(
        codes(&refused),
        [("E219", 3), ("E219", 5), ("E219", 9), ("E219", 12)]
    );
    assert!(!refused.to_string().contains("hunter"));
    // AND a lock with them warns at their places, and shows none
    files.put("flusso.lock", &lock.text);
    let (_, warnings) = load_lock_of(&files, &[], &Overrides::default()).unwrap();
    assert_eq!(warnings.warnings(), 4);
    let shown = warnings.to_string();
    assert!(shown.contains("--> flusso.lock:"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn files_with_errors_make_no_lock() {
    let mut files = small();
    files.put(
        "a.yml",
        "version: 1\ntable: a\nfields: [ { long: id, colum: b } ]\n",
    );
    let findings = try_build(&files, LiteralSecrets::Written).unwrap_err();
    assert!(
        findings.to_string().contains("unknown key `colum`"),
        "{findings}"
    );
}

#[test]
fn what_is_no_lock_of_this_version_is_refused_by_name() {
    let good = built(&small()).text;
    let old = b"\x82\xaeformat_version\x01\xa6config\x80";
    let cases: [(&[u8], &str, &str); 12] = [
        (old, "E107", "flusso.lock was written by flusso 0.15"),
        (b"", "E100", "flusso.lock is no lock: the text ends before its value does"),
        (b"\x1f\x8b\x08\xff", "E100", "flusso.lock is no lock: it is not UTF-8"),
        (b"[source]\n", "E100", "flusso.lock is no lock: a JSON value should stand here"),
        (b"{}", "E100", "flusso.lock is no lock: it has no `format`"),
        (b"[]", "E100", "flusso.lock is no lock: it has no `format`"),
        (b"{\"format\": \"2\"}", "E100", "flusso.lock is no lock: its `format` is not 2"),
        (b"{\"format\": 1}", "E100", "flusso.lock is no lock: its `format` is not 2"),
        (
            b"{\"format\": 3, \"new\": 1}",
            "E107",
            "flusso.lock has format 3, this version of flusso reads 2",
        ),
        (b"{\"format\": 2}", "E110", "`config` is missing at top level"),
        (
            b"{\"config\": {}, \"definitions\": {}, \"format\": 2, \"order\": {\"/x\": []}, \"schemas\": {}}",
            "E106",
            "order: /x does not hold these members",
        ),
        (
            b"{\"config\": {}, \"definitions\": {}, \"format\": 2, \"schemas\": {}, \"spelling\": {\"/format\": \"x\"}}",
            "E106",
            "spelling: there is no number at /format",
        ),
    ];
    for (content, code, message) in cases {
        let files = Memory::new(&[("flusso.lock", content)]);
        let findings = load_lock_of(&files, &[], &Overrides::default()).unwrap_err();
        let first = findings.findings().first().unwrap();
        assert_eq!((first.code, first.message.as_str()), (code, message));
        if code != "E110" {
            assert!(first.help.as_deref().unwrap().contains("worker-svc build"));
        }
    }
    // A lock that was cut off anywhere is no lock; only the last line break may go.
    for end in (0..good.len().saturating_sub(1)).filter(|end| good.is_char_boundary(*end)) {
        let files = Memory::new(&[("flusso.lock", good.get(..end).unwrap())]);
        assert!(load_lock_of(&files, &[], &Overrides::default()).is_err());
    }
    let none = load_lock_of(&Memory::default(), &[], &Overrides::default()).unwrap_err();
    let first = none.findings().first().unwrap();
    assert_eq!(first.message, "cannot read flusso.lock: no such file");
}

#[test]
fn a_mistake_in_a_lock_is_shown_at_its_place_there() {
    // GIVEN a lock that was edited: an unknown key in a schema, a schema that is gone
    let text = built(&small()).text;
    let edited = text.replace("\"table\": \"a\"", "\"colum\": 1,\n      \"table\": \"a\"");
    let files = Memory::new(&[("flusso.lock", &edited)]);
    let findings = load_lock_of(&files, &[], &Overrides::default()).unwrap_err();
    let shown = findings.to_string();
    assert!(
        shown.contains("unknown key `colum` at top level") && shown.contains("--> flusso.lock:"),
        "{shown}"
    );
    let files = Memory::new(&[("flusso.lock", text.replace("\"a.yml\": {", "\"b.yml\": {"))]);
    let findings = load_lock_of(&files, &[], &Overrides::default()).unwrap_err();
    assert!(
        findings
            .to_string()
            .contains("cannot read a.yml: it is not in the lock"),
        "{findings}"
    );
}

#[test]
fn a_lock_whose_definitions_are_not_those_of_the_build_says_so() {
    let text = built(&small()).text;
    let edited = text.replace("\"table\": \"a\"", "\"table\": \"b\"");
    assert_ne!(text, edited);
    let files = Memory::new(&[("flusso.lock", &edited)]);
    let (_, warnings) = load_lock_of(&files, &[], &Overrides::default()).unwrap();
    let shown = warnings.to_string();
    assert!(shown.contains("warning[W224]"), "{shown}");
}

/// YAML of a scalar that a person may write.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[+-]?[0-9]{0,3}\\.?[0-9]{1,3}(e[+-]?[0-9]{1,3})?",
        "0x[0-9a-f]{1,4}",
        Just(".inf".to_owned()),
        Just("true".to_owned()),
        "[a-z]{1,6}",
        any::<String>().prop_map(|text| serde_json::Value::from(
            text.chars()
                .filter(|c| !c.is_control() && *c != '\u{feff}')
                .collect::<String>()
        )
        .to_string()),
    ]
}

fn field(name: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("  - keyword: f{name}\n")),
        scalar().prop_map(move |value| format!("  - {{ keyword: f{name}, default: {value} }}\n")),
        (scalar(), scalar()).prop_map(move |(a, b)| format!(
            "  - {{ constant: f{name}, value: {{ z: {a}, a: {b} }} }}\n"
        )),
        (scalar(), 1..9_u32).prop_map(move |(value, limit)| format!(
            "  - has_many: f{name}\n    table: t{name}\n    foreign_key: a\n    limit: {limit}\n    \
             filters: [ {{ column: c, op: gte, value: {value} }} ]\n    fields: [ {{ long: id }} ]\n"
        )),
    ]
}

fn small_deployment() -> impl Strategy<Value = Memory> {
    let fields = prop::collection::vec(0..4_usize, 1..5).prop_flat_map(|kinds| {
        kinds
            .iter()
            .enumerate()
            .map(|(name, _)| field(name).boxed())
            .collect::<Vec<_>>()
    });
    let sinks = prop::collection::hash_set("[a-z]{1,4}", 0..4);
    let properties = prop::collection::btree_map("[a-z]{1,5}", any::<i32>(), 0..4);
    (fields, sinks, properties, any::<bool>(), any::<f64>()).prop_map(
        |(fields, sinks, properties, enabled, ratio)| {
            let mut toml = format!(
                "[[index]]\nname = \"a\"\nschema = \"a.yml\"\nenabled = {enabled}\n\
                 [telemetry]\ntrace_ratio = {:?}\n[source]\ntype = \"postgres\"\n",
                ratio.abs().fract().max(0.0)
            );
            // A set without order: the sinks stand in any.
            for sink in &sinks {
                write!(
                    toml,
                    "[sinks.{sink}]\nurl = \"http://{sink}\"\ntype = \"opensearch\"\n"
                )
                .unwrap();
            }
            toml.push_str("[broker.kafka]\n");
            for (name, value) in properties.iter().rev() {
                writeln!(toml, "{name} = {value}").unwrap();
            }
            let schema = format!("version: 1\ntable: a\nfields:\n{}", fields.concat());
            Memory::new(&[("flusso.toml", toml), ("a.yml", schema)])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_files_that_load_give_the_same_through_a_lock(mut files in small_deployment()) {
        let loads = load(Path::new("flusso.toml"), &files, &BTreeMap::new(), &Overrides::default());
        prop_assume!(loads.is_ok());
        let (from_files, from_lock, text) = both(&mut files);
        prop_assert_eq!(said(&from_files), said(&from_lock));
        prop_assert_eq!(text, built(&files).text);
    }

    #[test]
    fn no_content_makes_it_panic(content in any::<Vec<u8>>()) {
        let files = Memory::new(&[("flusso.lock", content)]);
        let _ = load_lock_of(&files, &[], &Overrides::default());
    }

    #[test]
    fn a_damaged_lock_never_loads_to_a_panic(at in 0..1000_usize, byte in any::<u8>()) {
        static PAGE_LOCK: LazyLock<String> = LazyLock::new(|| built(&page()).text);
        let mut content = PAGE_LOCK.clone().into_bytes();
        let at = at % content.len();
        content[at] = byte;
        let files = Memory::new(&[("flusso.lock", content)]);
        let _ = load_lock_of(&files, &[], &Overrides::default());
    }
}

#[test]
fn a_definition_through_a_lock_has_its_members_in_the_files_order() {
    let (_, from_lock, _) = both(&mut page());
    let names = |definition: &IndexDefinition| -> Vec<String> {
        definition
            .fields
            .iter()
            .map(|field| field.name.clone())
            .collect()
    };
    let index = from_lock.index("shows").unwrap();
    assert_eq!(names(&index.definition).first().unwrap(), "id");
    assert_eq!(names(&index.definition).last().unwrap(), "artistIds");
}
