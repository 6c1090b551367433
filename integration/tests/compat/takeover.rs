//! A running flusso 0.15 is taken over: same slot, publication, alias and registry name
//! (docs/migrating.md is this test in words).

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use capture_svc::replication::{LogicalStream, Patience, Session};
use definition::Overrides;
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::{Kind, Service};
use integration::stack::Stack;
use model::Lsn;
use opensearch::http::Method;
use runtime::postgres::Stream;
use serde_json::{Value, json};
use testkit::eventually;

use super::file;

/// Longest wait for one step.
const DEADLINE: Duration = Duration::from_mins(1);

/// How flusso 0.15 shows in `pg_stat_activity`: the name that its replication library sets.
const HOLDER: &str = "pgwire-replication";

/// The hash in the names that 0.15 gave; any will do.
const HASH: &str = "1a2b3c4d";

/// Sends a request to the cluster and expects success.
async fn put(sandbox: &Sandbox, method: Method, path: &str, body: &Value) -> Result<Value> {
    let answer = sandbox
        .documents
        .send(
            method,
            path,
            opensearch::http::headers::HeaderMap::new(),
            None::<&()>,
            (!body.is_null()).then(|| body.to_string()),
            None,
        )
        .await?;
    let status = answer.status_code();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{path}: {status} {text}");
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// What 0.15 left in the cluster: an index with documents of its own making, its two aliases, and
/// an entry in a registry whose mapping grew by itself.
async fn as_0_15_left_it(sandbox: &Sandbox) -> Result<String> {
    let alias = sandbox.alias("plants");
    let old = format!("{alias}_{HASH}_1");
    put(
        sandbox,
        Method::Put,
        &format!("/{old}"),
        &json!({"aliases": {alias.as_str(): {}, (format!("{alias}_{HASH}")): {}}}),
    )
    .await?;
    for id in ["1", "gone"] {
        let document = json!({"id": 1, "name": "as it was"});
        put(
            sandbox,
            Method::Put,
            &format!("/{old}/_doc/{id}?refresh=true"),
            &document,
        )
        .await?;
    }
    let registry = format!("/{}", sandbox.alias("flusso_meta"));
    put(sandbox, Method::Put, &registry, &json!({})).await?;
    let entry = json!({"active_generation": 1, "seeded": true});
    put(
        sandbox,
        Method::Put,
        &format!("{registry}/_doc/{alias}_{HASH}?refresh=true"),
        &entry,
    )
    .await?;
    Ok(old)
}

/// The slot, held by another program.
async fn hold(sandbox: &Sandbox) -> Result<LogicalStream<Stream>> {
    let config = sandbox.folder().join("flusso.toml");
    let none = std::collections::BTreeMap::new();
    let (deployment, _) =
        definition::load(&config, &runtime::cli::Disk, &none, &Overrides::default())
            .map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let (postgres, _) = runtime::configured::postgres(&deployment.source, &none)?;
    let sql = postgres.connect(HOLDER).await?;
    let session = Session::open(&postgres, sql.route(), HOLDER).await?;
    let patience = Patience::suited_to(DEADLINE);
    let slot = &sandbox.name;
    Ok(session
        .start_replication(slot, slot, Lsn::INVALID, patience)
        .await?)
}

async fn identities(sandbox: &Sandbox) -> Result<String> {
    let sql = "SELECT string_agg(DISTINCT relreplident::text, '') FROM pg_class c \
               JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'herb' AND relkind = 'r'";
    Ok(sandbox.rows.query_one(sql, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one way, step by step")]
async fn a_running_flusso_0_15_is_taken_over() -> Result<()> {
    // GIVEN a database, an index, a publication and a slot as 0.15 left them,
    let indexes = vec![
        IndexFile::new("plants", &file("plants.schema.yml")?),
        IndexFile::new("harvests", &file("harvests.schema.yml")?),
    ];
    let tables = file("tables.sql")?;
    let mut sandbox = Sandbox::new(&Stack::from_env()?, "takeover", &tables, indexes, "").await?;
    let name = sandbox.name.clone();
    sandbox
        .sql(&format!(
            "CREATE PUBLICATION {name} FOR TABLE herb.plants, herb.beds, herb.harvests"
        ))
        .await?;
    sandbox
        .sql(&format!(
            "SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"
        ))
        .await?;
    let old = as_0_15_left_it(&sandbox).await?;
    // which still holds the slot,
    let holder = hold(&sandbox).await?;

    // WHEN capture is started too early,
    let mut capture = Service::spawn(Kind::Capture, "capture", sandbox.folder(), &[], &[])?;
    // THEN it names the program, is no standby, and touches nothing.
    eventually(DEADLINE, "capture names the holder", || async {
        let status = capture.status().await.map_err(|error| error.to_string())?;
        let error = status["last_error"].as_str().unwrap_or_default();
        if error.contains(HOLDER) && error.contains("another program") {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let status = capture.status().await?;
    ensure!(status["state"] == "waiting", "{status:#}");
    ensure!(!capture.answers("/readyz").await, "it counts as ready");
    ensure!(capture.answers("/healthz").await, "it counts as broken");
    ensure!(capture.is_running()?, "{}", capture.log_end());
    ensure!(
        identities(&sandbox).await? == "d",
        "an identity was changed"
    );
    let log = capture.log_text();
    ensure!(
        log.matches("another program holds the slot").count() == 1,
        "{log}"
    );
    // And `check` says so before anything is started.
    let check = integration::service::command(
        Kind::Capture,
        &["check"],
        &sandbox.folder().join("flusso.toml"),
        &[],
    )
    .await?;
    ensure!(
        check.code == Some(0)
            && check
                .out
                .contains("held by another program, pgwire-replication"),
        "{}",
        check.out
    );

    // WHEN rows change, the other program is stopped, and the workers start with the same files,
    sandbox
        .sql("UPDATE herb.harvests SET plant_id = 2 WHERE plant_id = 1; DELETE FROM herb.care WHERE plant_id = 3")
        .await?;
    drop(holder);
    eventually(DEADLINE, "capture takes the slot", || async {
        if capture.answers("/readyz").await {
            Ok(())
        } else {
            Err(capture.log_end())
        }
    })
    .await;
    let worker = sandbox.worker("worker").await?;

    // THEN every document is right, the alias has moved, and what 0.15 made is still there.
    sandbox.expect_equal(&worker, "plants").await?;
    sandbox.expect_equal(&worker, "harvests").await?;
    let alias = sandbox.alias("plants");
    let holders = put(
        &sandbox,
        Method::Get,
        &format!("/_alias/{alias}"),
        &Value::Null,
    )
    .await?;
    let behind: Vec<&String> = holders.as_object().context("no alias")?.keys().collect();
    ensure!(behind == [&format!("{alias}-g1")], "{holders:#}");
    let left = put(
        &sandbox,
        Method::Get,
        &format!("/{old}/_count"),
        &Value::Null,
    )
    .await?;
    ensure!(left["count"] == 2, "{left:#}");
    let kept = put(
        &sandbox,
        Method::Get,
        &format!("/_alias/{alias}_{HASH}"),
        &Value::Null,
    )
    .await?;
    ensure!(kept.get(&old).is_some(), "{kept:#}");
    let entry = format!("/{}/_doc/{alias}_{HASH}", sandbox.alias("flusso_meta"));
    let entry = put(&sandbox, Method::Get, &entry, &Value::Null).await?;
    ensure!(entry["_source"]["seeded"] == true, "{entry:#}");

    // And it goes on: former parents are mended, which takes the identities that capture has set.
    sandbox
        .sql("UPDATE herb.harvests SET plant_id = 5 WHERE plant_id = 2; DELETE FROM herb.signs WHERE plant_id = 5; UPDATE herb.beds SET open = NOT open")
        .await?;
    sandbox.expect_equal(&worker, "plants").await?;
    sandbox.expect_equal(&worker, "harvests").await?;
    if capture.log_text().matches(" ERROR ").count() > 1 {
        bail!("{}", capture.log_end());
    }
    worker.stop().await?;
    capture.stop().await?;
    sandbox.remove().await
}
