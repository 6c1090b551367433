//! Commands that need no broker and no sink, called as a person calls them: exit code, what is
//! data on standard output, what is told on standard error. `preview` needs the Postgres of
//! `deploy/up`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test finds its servers in the environment, and a helper of it may end it"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

const DEADLINE: Duration = Duration::from_mins(1);

const CONFIG: &str =
    "[source]\ntype = \"postgres\"\n[[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n";
const SCHEMA: &str = "version: 1\ntable: shows\nfields:\n  - long: id\n";

/// A command that has ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the worker in `folder` with nothing of flusso in its environment but these variables.
fn worker(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_worker-svc"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn folder(config: &str, schema: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flusso.toml"), config).unwrap();
    fs::write(folder.path().join("shows.schema.yml"), schema).unwrap();
    folder
}

#[test]
fn a_lock_takes_the_place_of_its_files() {
    // GIVEN a lock that was built beside its files
    let folder = folder(CONFIG, SCHEMA);
    let path = folder.path();
    let built = worker(path, &["build"], &[]);
    assert_eq!((built.code, built.err.as_str()), (Some(0), ""), "{built:?}");
    let lock = path.join("flusso.lock");
    let mode = fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = fs::read(&lock).unwrap();
    // WHEN it is built again, under other flags and variables
    let again = worker(
        path,
        &["build", "--out", "other.lock", "--index-prefix", "x_"],
        &[
            ("FLUSSO_TOPIC_PREFIX", "y"),
            ("DATABASE_URL", "postgres://h/d"),
        ],
    );
    assert_eq!(again.code, Some(0), "{again:?}");
    // THEN it has the same bytes
    assert_eq!(fs::read(path.join("other.lock")).unwrap(), first);
    // AND whether from the files, from the lock alone, or with --locked: the check says the same
    let check = ["check", "--offline", "--format", "json"];
    let from_files = worker(path, &check, &[]);
    assert_eq!(from_files.code, Some(0), "{from_files:?}");
    let locked = worker(path, &check, &[("FLUSSO_LOCKED", "yes")]);
    for name in ["flusso.toml", "shows.schema.yml"] {
        fs::remove_file(path.join(name)).unwrap();
    }
    let alone = worker(path, &check, &[("FLUSSO_LOCKED", "")]);
    for ended in [&locked, &alone] {
        assert_eq!(
            (ended.code, &ended.out),
            (Some(0), &from_files.out),
            "{ended:?}"
        );
    }
    let renamed = worker(
        path,
        &["check", "--offline", "--locked", "--index-prefix", "x_"],
        &[("FLUSSO_LOCK", "other.lock")],
    );
    assert_eq!(renamed.code, Some(0), "{renamed:?}");
    assert!(renamed.out.contains("x_shows"), "{renamed:?}");
}

#[test]
fn a_lock_that_is_older_than_its_files_counts_and_says_so() {
    let folder = folder(CONFIG, SCHEMA);
    let path = folder.path();
    assert_eq!(worker(path, &["build"], &[]).code, Some(0));
    fs::write(
        path.join("shows.schema.yml"),
        format!("{SCHEMA}  - text: title\n"),
    )
    .unwrap();
    let locked = worker(path, &["check", "--offline", "--locked"], &[]);
    assert_eq!(locked.code, Some(0), "{locked:?}");
    assert!(
        locked
            .out
            .contains("warning[W225]: flusso.toml or its schema files changed"),
        "{locked:?}"
    );
    assert!(!locked.out.contains("title"), "{locked:?}");
    let strict = worker(path, &["check", "--offline", "--locked", "--strict"], &[]);
    assert_eq!(strict.code, Some(3));
}

#[test]
fn no_command_takes_a_lock_it_cannot_read() {
    let folder = folder(CONFIG, SCHEMA);
    let path = folder.path();
    fs::write(
        path.join("old.lock"),
        b"\x82\xaeformat_version\x01\xa6config\x80",
    )
    .unwrap();
    fs::write(path.join("new.lock"), "{\"format\": 3}").unwrap();
    fs::write(path.join("cut.lock"), "{\"format\": 2, \"conf").unwrap();
    for (lock, message) in [
        (
            "old.lock",
            "error[E107]: old.lock was written by flusso 0.15\n = help: build it again: worker-svc build",
        ),
        (
            "new.lock",
            "error[E107]: new.lock has format 3, this version of flusso reads 2",
        ),
        (
            "cut.lock",
            "error[E100]: cut.lock is no lock: the text ends before its value does",
        ),
        (
            "none.lock",
            "error[E105]: cannot read none.lock: no such file",
        ),
    ] {
        for command in [
            vec!["run"],
            vec!["apply"],
            vec!["status"],
            vec!["preview", "shows", "1"],
        ] {
            let mut arguments = command.clone();
            arguments.extend(["--locked", "--lock", lock, "--log-filter", "off"]);
            let ended = worker(path, &arguments, &[]);
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
            assert!(ended.err.contains(message), "{ended:?}");
        }
    }
    // A configuration that was named by hand and is not there: no lock takes its place unasked.
    assert_eq!(worker(path, &["build"], &[]).code, Some(0));
    let typo = worker(path, &["run", "-c", "typo.toml"], &[]);
    assert_eq!(typo.code, Some(2));
    assert!(
        typo.err.contains("cannot read typo.toml") && typo.err.contains("--locked reads it"),
        "{typo:?}"
    );
}

#[test]
fn literal_secrets_are_told_or_refused() {
    let config = format!("{CONFIG}[server]\nadmin_password = \"hunter2\"\n");
    let folder = folder(&config, SCHEMA);
    let path = folder.path();
    let refused = worker(path, &["build", "--deny-literal-secrets"], &[]);
    assert_eq!(
        (refused.code, refused.out.as_str()),
        (Some(2), ""),
        "{refused:?}"
    );
    assert!(
        refused.err.contains("error[E219]") && refused.err.contains("flusso.toml:7:"),
        "{refused:?}"
    );
    assert!(!path.join("flusso.lock").exists());
    let told = worker(path, &["build"], &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("warning[W219]"), "{told:?}");
    assert!(!format!("{refused:?}{told:?}").contains("hunter2"));
}

#[test]
fn the_schemas_for_editors_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (of, file) in [("config", "flusso"), ("index", "index")] {
        let ended = worker(folder.path(), &["schema", of], &[]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let stored = fs::read_to_string(root.join(format!("schemas/{file}.schema.json"))).unwrap();
        assert_eq!(ended.out, stored);
    }
    assert_eq!(
        worker(folder.path(), &["schema", "other"], &[]).code,
        Some(2)
    );
}

#[test]
fn version_tells_product_commit_librdkafka_and_rendering() {
    let folder = tempfile::tempdir().unwrap();
    let ended = worker(folder.path(), &["version", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["product", "commit", "librdkafka", "rendering"],
        "{ended:?}"
    );
    let human = worker(folder.path(), &["version"], &[]);
    assert_eq!(
        (human.code, human.out.lines().count()),
        (Some(0), 4),
        "{human:?}"
    );
}

fn url() -> String {
    std::env::var("STACK_POSTGRES_URL")
        .expect("STACK_POSTGRES_URL is not set: run deploy/up and source .stack/env")
}

/// A client, and the task that lives as long as it is held.
async fn connect() -> (Client, runtime::task::Task<()>) {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
    let connection = runtime::task::spawn("postgres", async move {
        drop(connection.await);
    });
    (client, connection)
}

/// Two indexes: `shows` over one integer key; `seats` over a key of two columns.
fn preview_folder(schema: &str) -> tempfile::TempDir {
    let config = format!(
        "[source]\ntype = \"postgres\"\nconnection_url = \"{}\"\n\
         [[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n\
         [[index]]\nname = \"seats\"\nschema = \"seats.schema.yml\"\n\
         [[index]]\nname = \"prices\"\nschema = \"prices.schema.yml\"\n",
        url()
    );
    let shows = format!(
        "version: 1\nschema: {schema}\ntable: shows\n\
         soft_delete: {{ column: withdrawn, when: [ {{ column: id, op: gt, value: 0 }} ] }}\n\
         filters:\n  - {{ column: state, op: neq, value: draft }}\n  - {{ raw: \"id < 100\" }}\n\
         fields: [ {{ long: id }}, {{ text: title }} ]\n"
    );
    let folder = folder(&config, &shows);
    for (table, field) in [("seats", "keyword: name"), ("prices", "decimal: amount")] {
        let text =
            format!("version: 1\nschema: {schema}\ntable: {table}\nfields: [ {{ {field} }} ]\n");
        fs::write(folder.path().join(format!("{table}.schema.yml")), text).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_shows_the_document_or_says_why_there_is_none() {
    tokio::time::timeout(DEADLINE, async {
        // GIVEN rows of every fate
        let schema = testkit::unique("preview");
        let (client, _connection) = connect().await;
        let long = "x".repeat(600);
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {schema}; SET search_path = {schema}; \
                 CREATE TABLE shows (id bigint PRIMARY KEY, title text, state text, withdrawn timestamptz); \
                 INSERT INTO shows VALUES (1, 'Night', 'on', NULL), (2, 'Gone', 'on', now()), \
                   (3, 'Draft', 'draft', NULL), (104, 'Far', 'draft', NULL), (5, 'Null', NULL, NULL); \
                 CREATE TABLE seats (hall text, name text, PRIMARY KEY (hall, name)) PARTITION BY HASH (hall); \
                 CREATE TABLE seats_0 PARTITION OF seats FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
                 CREATE TABLE seats_1 PARTITION OF seats FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
                 INSERT INTO seats VALUES ('a:b', 'c\\d'), ('{long}', 'far'); \
                 CREATE TABLE prices (amount numeric(8,2) PRIMARY KEY); \
                 INSERT INTO prices VALUES (7)"
            ))
            .await
            .unwrap();
        let digest: String = client
            .query_one(
                "SELECT 'sha256:' || encode(sha256(convert_to($1, 'UTF8')), 'hex')",
                &[&format!("{long}:far")],
            )
            .await
            .unwrap()
            .get(0);
        let nobody = format!("sha256:{}", "0".repeat(64));
        let folder = preview_folder(&schema);
        let by_key = format!("{long}:far");
        // WHEN each is previewed
        let cases: [(&[&str], i32, &str, &str); 17] = [
            (&["shows", "1"], 0, r#"{"id":1,"title":"Night"}"#, ""),
            (&["SHOWS", "001"], 0, r#"{"id":1,"title":"Night"}"#, "the id of this document is 1"),
            (&["shows", "9"], 0, "null", "shows has no row with the key 9"),
            (&["shows", "2"], 0, "null", "counts as deleted: withdrawn is set, and `when` is true"),
            (&["shows", "3"], 0, "null", "is outside the filters of the index: state neq \"draft\""),
            (&["shows", "104"], 0, "null", "the index: state neq \"draft\"; raw: id < 100"),
            (&["shows", "5"], 0, "null", "outside the filters of the index: state neq \"draft\""),
            (&["shows", "abc"], 2, "", "abc is no id of shows: the id does not fit the document key: invalid input syntax for type bigint"),
            (&["shwos", "1"], 2, "", "there is no index shwos in flusso.toml\nhelp: did you mean shows?"),
            (&["other", "1"], 2, "", "help: its indexes: shows, seats, prices"),
            (&["seats", r"a\:b:c\\d"], 0, r#"{"name":"c\\d"}"#, ""),
            (&["seats", "a:b:c"], 2, "", "a:b:c is no id of seats: the id has 3 parts, the document key 2 columns"),
            (&["seats", r"a\:b:c\d"], 2, "", "help: the parts of a key are joined by `:`"),
            (&["seats", &digest], 0, r#"{"name":"far"}"#, ""),
            (&["seats", &by_key], 0, r#"{"name":"far"}"#, "the id of this document is sha256:"),
            (&["seats", &nobody], 0, "null", "has no row with the key sha256:0000"),
            (&["prices", "7"], 0, r#"{"amount":7.00}"#, "the id of this document is 7.00"),
        ];
        let mut wrong = Vec::new();
        for (arguments, code, out, err) in cases {
            let mut all = vec!["preview"];
            all.extend(arguments);
            let ended = worker(folder.path(), &all, &[]);
            let is_right = ended.code == Some(code)
                && ended.out.trim_end() == out
                && ended.err.contains(err)
                && (!err.is_empty() || ended.err.is_empty());
            if !is_right {
                wrong.push(format!("{arguments:?}: {ended:?}"));
            }
        }
        let traced = worker(folder.path(), &["preview", "--sql", "shows", "1"], &[]);
        client
            .batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
            .await
            .unwrap();
        // THEN
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(traced.out, "{\"id\":1,\"title\":\"Night\"}\n");
        let lines: Vec<&str> = traced.err.lines().collect();
        assert!(
            lines[0].starts_with("SELECT ") && lines.contains(&"-- $1 = [\"1\"]") && traced.err.ends_with(" ms\n"),
            "{traced:?}"
        );
    })
    .await
    .expect("no end within a minute");
}

#[test]
fn preview_fails_when_nobody_answers() {
    let config = format!(
        "{}connection_url = \"postgres://127.0.0.1:1/d?connect_timeout=1\"\n[[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n",
        "[source]\ntype = \"postgres\"\n"
    );
    let folder = folder(&config, SCHEMA);
    let ended = worker(folder.path(), &["preview", "shows", "1"], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
}
