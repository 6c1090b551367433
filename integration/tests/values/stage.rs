//! A database and indexes of one test, and the product's own way from one to the other: files →
//! definition → SQL → documents → bulk.
//! Must not: stand in for a part of the product.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use definition::{Deployment, Files, IndexDefinition, IndexOptions, Overrides, load};
use integration::stack::{Stack, connect};
use model::{DocumentVersion, Incarnation, Ordinal};
use runtime::postgres::Session;
use serde_json::Value;
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use worker_svc::build::Built;
use worker_svc::bulk::{self, Bounds};
use worker_svc::compiled::{self, Compiled};
use worker_svc::outcome::{self, Answer, Outcome, Verdict};
use worker_svc::sink::{Made, Options, Sink};

/// A test's database and the prefix of its indexes.
pub(crate) struct Stage {
    name: String,
    stack: Stack,
    url: String,
    /// A session as the worker has it: its settings pinned.
    pub(crate) session: Session,
    sink: Sink,
}

/// A definition with the options that its index gets.
pub(crate) struct File {
    pub(crate) definition: IndexDefinition,
    pub(crate) options: IndexOptions,
}

/// The two files that describe one index.
struct Pair<'a> {
    configuration: String,
    schema: &'a str,
}

impl Files for Pair<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(self.configuration.clone()),
            Some("t.schema.yml") => Ok(self.schema.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn deployment(url: &str, schema: &str, sink: &str) -> Result<Deployment> {
    let files = Pair {
        configuration: format!(
            "[source]\ntype = \"postgres\"\nconnection_url = \"{url}\"\n\
             [sinks.search]\ntype = \"opensearch\"\nurl = \"http://unused\"\n{sink}\n\
             [[index]]\nname = \"t\"\nschema = \"t.schema.yml\"\n"
        ),
        schema,
    };
    let read = load(
        Path::new("flusso.toml"),
        &files,
        &BTreeMap::new(),
        &Overrides::default(),
    );
    read.map(|(deployment, _)| deployment)
        .map_err(|findings| anyhow!("{}", findings.render_human(false)))
}

impl Stage {
    /// A database made by `tables`.
    pub(crate) async fn new(test: &str, tables: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let name = testkit::unique(test);
        let admin = connect(&stack.postgres, NoTls).await?;
        // Whatever the database likes to write, the worker's session writes what the page says.
        admin
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
            ))
            .await?;
        admin
            .batch_execute(&format!(
                "ALTER DATABASE {name} SET TimeZone = 'Asia/Kathmandu'; ALTER DATABASE {name} SET DateStyle = 'German'; \
                 ALTER DATABASE {name} SET IntervalStyle = 'sql_standard'; ALTER DATABASE {name} SET bytea_output = 'escape'; \
                 ALTER DATABASE {name} SET extra_float_digits = -5; ALTER DATABASE {name} SET lc_monetary = 'C'"
            ))
            .await?;
        let (base, _) = stack
            .postgres
            .rsplit_once('/')
            .context("the URL names no database")?;
        let url = format!("{base}/{name}");
        let source = deployment(&url, "version: 1\ntable: t\nfields: []\n", "")?.source;
        let (postgres, _) = runtime::configured::postgres(&source, &BTreeMap::new())?;
        let session = postgres.connect("values").await?;
        let mut options = Options::for_url(&stack.opensearch);
        // A thousand variants make an index slowly when everything else is busy as well.
        options.timeout = Duration::from_mins(2);
        let stage = Self {
            sink: Sink::new(&options)?,
            name,
            stack,
            url,
            session,
        };
        stage.sql(tables).await?;
        Ok(stage)
    }

    /// Runs statements.
    pub(crate) async fn sql(&self, statements: &str) -> Result<()> {
        self.session
            .batch_execute(statements)
            .await
            .map_err(|error| anyhow!("{error:?} in {statements}"))
    }

    /// Reads a schema file, and settings of its sink.
    pub(crate) fn file(&self, schema: &str, sink: &str) -> Result<File> {
        let deployment = deployment(&self.url, schema, sink)?;
        let index = deployment.index("t").context("the index")?;
        let sink = deployment.sink("search").context("the sink")?;
        Ok(File {
            definition: index.definition.as_ref().clone(),
            options: sink.index_options(&index.overrides),
        })
    }

    /// Compiles a definition against the database as it is.
    pub(crate) async fn compile(&self, file: &File) -> Result<Compiled> {
        Ok(compiled::read(&self.session, &file.definition).await??)
    }

    /// Makes an index as a seed does, and gives its name.
    pub(crate) async fn index(&self, name: &str, body: &Value) -> Result<String> {
        let index = format!("{}_{name}", self.name);
        let made = self.sink.create_index(&index, body).await?;
        ensure!(made == Made::New, "{index} was there already");
        Ok(index)
    }

    /// Documents of some keys, by the statement of live batches.
    pub(crate) async fn built(&self, compiled: &Compiled, keys: &[&str]) -> Result<Built> {
        let parameters: [&(dyn ToSql + Sync); 1] = [&keys];
        let rows = self
            .session
            .query(&compiled.index.build_sql, &parameters)
            .await
            .map_err(|error| anyhow!("{error:?}"))?;
        let mut built = empty()?;
        for row in rows {
            let id: String = row.try_get("requested_id")?;
            let document: Option<&str> = row.try_get("document")?;
            built.push(id.clone(), vec![id], document.map(str::as_bytes));
        }
        Ok(built)
    }

    /// The documents of table `t`, by the statement of seeds.
    pub(crate) async fn scanned(&self, compiled: &Compiled) -> Result<Built> {
        let sql = compiled.index.chunk_sql(&compiled.index.root);
        let rows = self
            .session
            .query(&sql, &[&0_i64, &None::<i64>])
            .await
            .map_err(|error| anyhow!("{error:?}"))?;
        let mut built = empty()?;
        for row in rows {
            let id: String = row.try_get("row_id")?;
            let document: Option<&str> = row.try_get("document")?;
            built.push(id.clone(), vec![id], document.map(str::as_bytes));
        }
        Ok(built)
    }

    /// Writes documents by one bulk request and makes them searchable; the outcome of each.
    pub(crate) async fn write(&self, index: &str, built: &Built) -> Result<Vec<Outcome>> {
        let bounds = Bounds {
            actions: 1000,
            bytes: 50_000_000,
        };
        let actions = built
            .documents
            .iter()
            .map(|document| built.action(document));
        let mut outcomes = Vec::new();
        for body in bulk::bodies(actions, bounds) {
            let body = body?;
            let reply = self.sink.bulk(index, None, body.bytes).await?;
            let answer = Answer {
                status: reply.status,
                retry_after: None,
                body: &reply.body,
            };
            let verdict = outcome::of_request(&answer, body.items);
            let Verdict::Items(items) = verdict else {
                anyhow::bail!("{verdict:?}");
            };
            outcomes.extend(items);
        }
        self.sink.refresh(index).await?;
        Ok(outcomes)
    }

    /// Runs searches, each `{"query": …}` and more; their answers in order.
    pub(crate) async fn search(&self, index: &str, searches: &[Value]) -> Result<Vec<Value>> {
        let body: Vec<_> = searches
            .iter()
            .map(|search| format!("{{}}\n{search}\n"))
            .collect();
        let body = body.concat();
        let text = self
            .request(reqwest::Method::POST, &format!("{index}/_msearch"), body)
            .await?;
        let mut answer: Value = serde_json::from_str(&text)?;
        let answers = answer
            .pointer_mut("/responses")
            .and_then(Value::as_array_mut)
            .map(std::mem::take)
            .with_context(|| text.clone())?;
        ensure!(answers.len() == searches.len(), "answers are missing");
        Ok(answers)
    }

    /// Any request; the text of a success.
    pub(crate) async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        body: String,
    ) -> Result<String> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client
            .request(method, format!("{}/{path}", self.stack.opensearch))
            .header("content-type", "application/json")
            .body(Bytes::from(body))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(text)
    }

    /// Removes database and indexes.
    pub(crate) async fn remove(self) -> Result<()> {
        let path = format!("{}_*", self.name);
        self.request(reqwest::Method::DELETE, &path, String::new())
            .await?;
        drop(self.session);
        let admin = connect(&self.stack.postgres, NoTls).await?;
        admin
            .batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await?;
        Ok(())
    }
}

fn empty() -> Result<Built> {
    let version = DocumentVersion::new(Incarnation::new(1), Ordinal::new(1))?;
    Ok(Built::new(version, Instant::now()))
}

/// The text of a document; it is one JSON object.
pub(crate) fn text<'b>(built: &'b Built, id: &str) -> Result<&'b str> {
    let document = built
        .documents
        .iter()
        .find(|document| document.id == id)
        .with_context(|| format!("no document {id}"))?;
    let bytes = built.body(document).context("the document is a deletion")?;
    Ok(std::str::from_utf8(bytes)?)
}
