//! Bad set-ups: one clear message that says what, where and how to mend it, and an exit code.

use std::path::Path;

use anyhow::{Result, ensure};
use integration::service::{Kind, Outcome, command};
use integration::stack::{OwnServer, Stack, connect};
use tokio_postgres::NoTls;

use crate::shop;

/// Runs a command that must fail, and checks its code and words.
async fn expect(
    kind: Kind,
    arguments: &[&str],
    config: &Path,
    code: i32,
    words: &[&str],
) -> Result<()> {
    let Outcome {
        code: got,
        out,
        err,
    } = command(kind, arguments, config, &[]).await?;
    let said = format!("{out}{err}");
    ensure!(
        got == Some(code),
        "{kind:?} {arguments:?} ended with {got:?}, not {code}:\n{said}"
    );
    for word in words {
        ensure!(
            said.contains(word),
            "{kind:?} {arguments:?} does not say {word:?}:\n{said}"
        );
    }
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

/// Writes the sandbox's configuration with some text replaced; the path of the copy.
fn with(
    sandbox: &integration::sandbox::Sandbox,
    name: &str,
    replace: &[(&str, &str)],
) -> Result<std::path::PathBuf> {
    let mut text = std::fs::read_to_string(sandbox.folder().join("flusso.toml"))?;
    for (old, new) in replace {
        ensure!(text.contains(old), "{old:?} is not in the configuration");
        text = text.replace(old, new);
    }
    let path = sandbox.folder().join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_files_says_what_and_where_and_how_to_mend_it() -> Result<()> {
    let sandbox = shop::sandbox("setup").await?;
    // A mistake in a file: what, where, and what was meant.
    let path = with(
        &sandbox,
        "typo.toml",
        &[("bootstrap_servers", "bootstrap_server")],
    )?;
    for kind in [Kind::Capture, Kind::Worker] {
        expect(
            kind,
            &["check", "--offline"],
            &path,
            2,
            &[
                "E102",
                "bootstrap_server",
                "did you mean `bootstrap_servers`?",
                "typo.toml:",
            ],
        )
        .await?;
        expect(
            kind,
            &["run"],
            &path,
            2,
            &["E102", "did you mean `bootstrap_servers`?"],
        )
        .await?;
    }

    // A file that is not there.
    expect(
        Kind::Worker,
        &["check"],
        Path::new("/nowhere/flusso.toml"),
        2,
        &["/nowhere/flusso.toml", "no such file"],
    )
    .await?;

    // A column that is not there.
    let schema = shop::ORDERS.replace("- text: note", "- text: nota");
    std::fs::write(sandbox.folder().join("wrong.schema.yml"), schema)?;
    let path = with(
        &sandbox,
        "column.toml",
        &[("orders.schema.yml", "wrong.schema.yml")],
    )?;
    expect(
        Kind::Worker,
        &["check"],
        &path,
        3,
        &[
            "E302",
            "public.orders has no column nota",
            "did you mean note?",
        ],
    )
    .await?;

    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_and_an_address_that_is_taken_are_named() -> Result<()> {
    let sandbox = shop::sandbox("unreachable").await?;
    let stack = &sandbox.stack;
    let good = sandbox.folder().join("flusso.toml");

    // A broker that nobody serves.
    let path = with(
        &sandbox,
        "broker.toml",
        &[(stack.kafka.as_str(), "127.0.0.1:1")],
    )?;
    expect(
        Kind::Capture,
        &["check"],
        &path,
        1,
        &["127.0.0.1:1", "broker"],
    )
    .await?;
    expect(
        Kind::Worker,
        &["check"],
        &path,
        1,
        &["127.0.0.1:1", "broker"],
    )
    .await?;

    // An OpenSearch that nobody serves.
    let path = with(
        &sandbox,
        "search.toml",
        &[(stack.opensearch.as_str(), "http://127.0.0.1:1")],
    )?;
    expect(
        Kind::Worker,
        &["check"],
        &path,
        1,
        &["127.0.0.1:1", "OpenSearch"],
    )
    .await?;

    // A Postgres that nobody serves.
    let database = sandbox.database_url.as_str();
    let path = with(
        &sandbox,
        "postgres.toml",
        &[(database, "postgres://postgres@127.0.0.1:1/x")],
    )?;
    expect(
        Kind::Capture,
        &["check"],
        &path,
        1,
        &["127.0.0.1:1", "Postgres"],
    )
    .await?;

    // An address that is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for kind in [Kind::Capture, Kind::Worker] {
        expect(
            kind,
            &["run", "--public-address", &address],
            &good,
            1,
            &[&address, "in use", "public_address"],
        )
        .await?;
    }
    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_right_are_named() -> Result<()> {
    let sandbox = shop::sandbox("rights").await?;
    let role = format!("{}_role", sandbox.name);
    sandbox
        .sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'right'; GRANT SELECT ON countries TO {role}"
        ))
        .await?;
    let database = sandbox.database_url.as_str();
    let url = |password: &str| {
        database.replace(
            "postgres://postgres@",
            &format!("postgres://{role}:{password}@"),
        )
    };
    ensure!(url("x") != database, "the stack's URL is {database}");

    let path = with(&sandbox, "password.toml", &[(database, &url("wrong"))])?;
    for kind in [Kind::Capture, Kind::Worker] {
        expect(
            kind,
            &["check"],
            &path,
            1,
            &["password", &role, "connection_url"],
        )
        .await?;
    }
    let path = with(&sandbox, "right.toml", &[(database, &url("right"))])?;
    // Not a word of secrets anywhere.
    let Outcome { out, err, .. } = command(Kind::Capture, &["check"], &path, &[]).await?;
    ensure!(
        !format!("{out}{err}").contains(":right@"),
        "the password is printed: {out}{err}"
    );
    expect(
        Kind::Capture,
        &["check"],
        &path,
        3,
        &["REPLICATION", "ALTER ROLE"],
    )
    .await?;
    expect(
        Kind::Worker,
        &["check"],
        &path,
        3,
        &["GRANT SELECT ON", "public.orders"],
    )
    .await?;
    let admin = connect(&Stack::from_env()?.postgres, NoTls).await?;
    sandbox.remove().await?;
    admin.batch_execute(&format!("DROP ROLE {role}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_level_replica_is_refused_with_the_statement_that_mends_it() -> Result<()> {
    // GIVEN a server that writes no logical WAL.
    let own = OwnServer::start("postgres", "replica", &["-c", "wal_level=replica"]).await?;
    let mut stack = Stack::from_env()?;
    own.fact("POSTGRES_URL")?.clone_into(&mut stack.postgres);
    let indexes = vec![integration::sandbox::IndexFile::new("orders", shop::ORDERS)];
    let sandbox =
        integration::sandbox::Sandbox::new(&stack, "replica", shop::TABLES, indexes, "").await?;
    let path = sandbox.folder().join("flusso.toml");
    // WHEN it is checked or run, THEN the report says so.
    let words = ["wal_level", "replica", "ALTER SYSTEM SET wal_level"];
    expect(Kind::Capture, &["check"], &path, 3, &words).await?;
    let Outcome { code, out, err } = command(Kind::Capture, &["run"], &path, &[]).await?;
    ensure!(
        code.is_some_and(|code| code != 0),
        "run ended with {code:?}"
    );
    ensure!(
        words
            .iter()
            .all(|word| format!("{out}{err}").contains(word)),
        "{out}{err}"
    );
    Ok(())
}
