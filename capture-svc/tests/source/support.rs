//! A database per test, sessions on it, and a stream that is routed.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::time::Duration;

use capture_svc::needs::Union;
use capture_svc::pgoutput::decode;
use capture_svc::preflight::{Preflight, Prepared, Preparer, Settings};
use capture_svc::replication::{
    Error, Frame, LogicalStream, Patience, ReplicationStream, Session as Replication, Status,
};
use capture_svc::route::{Router, Skipped, Step};
use capture_svc::slot;
use definition::deployment::OnSlotLoss;
use futures_util::FutureExt;
use model::{Change, ColumnName, Epoch, Lsn, Needs, TableName, TableNeeds};
use runtime::postgres::{Parts, Postgres, Session, Stream, Target, Tls};
use runtime::secret::Secret;
use tokio_postgres::config::Host;

/// Longest wait for anything of a local server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The variable that `deploy/up` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands the servers over so"
)]
pub(crate) fn stack(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run deploy/up, then `. .stack/env`, or use deploy/test")
    })
}

/// A database of one test.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    parts: Parts,
}

impl Database {
    /// A maker of connections as the server's superuser, without TLS.
    pub(crate) fn postgres(&self) -> Postgres {
        Postgres::new(Target::from_parts(self.parts.clone(), Tls::default())).unwrap()
    }

    /// The same as another role.
    pub(crate) fn target(&self, user: &str, password: &str, tls: Tls) -> Target {
        let parts = Parts {
            user: user.to_owned(),
            password: Some(Secret::new(password)),
            ..self.parts.clone()
        };
        Target::from_parts(parts, tls)
    }

    pub(crate) async fn connect(&self) -> Session {
        self.postgres().connect("flusso-test").await.unwrap()
    }

    /// A publication whose name needs every kind of quoting.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            slot: self.name.clone(),
            slot_failover: false,
            on_slot_loss: OnSlotLoss::Stop,
            publication: "Flusso's".to_owned(),
            manage_publication: true,
            manage_replica_identity: true,
            allow_stale_parents: false,
            max_retained_wal: Some(10 << 30),
        }
    }

    /// Brings the database to what `needed` asks for, and makes the slot.
    pub(crate) async fn prepare(&self, needed: &Union) -> Prepared {
        let client = self.connect().await;
        let prepared = Preparer::new(self.settings())
            .prepare(&client, needed)
            .await
            .unwrap();
        slot::create(&client, &self.name, false).await.unwrap();
        prepared
    }

    pub(crate) async fn preflight(&self, needed: &Union) -> Preflight {
        let client = self.connect().await;
        Preflight::read(&client, self.settings(), needed.clone())
            .await
            .unwrap()
    }

    /// A stream of the slot from `from` on.
    pub(crate) async fn stream(&self, from: Lsn) -> Result<LogicalStream<Stream>, Error> {
        let postgres = self.postgres();
        let route = self.connect().await.route().clone();
        let session = Replication::open(&postgres, &route, "flusso-capture").await?;
        session
            .start_replication(&self.name, "Flusso's", from, Patience::default())
            .await
    }

    /// A routed stream for `needed`.
    pub(crate) async fn capture(&self, needed: &Union) -> Capture {
        let prepared = self.prepare(needed).await;
        let end = slot::log_end(&*self.connect().await).await.unwrap();
        let mut router = Router::new(Epoch::new(1), prepared.tables, end.xmax);
        router.set_needs(needed.needs.clone(), needed.scanning.clone());
        let stream = self.stream(Lsn::INVALID).await.unwrap();
        Capture { stream, router }
    }
}

/// What a table is needed for.
pub(crate) fn need(table: &str, routing: &[&str], used: &[&str]) -> Needs {
    let columns = |names: &[&str]| names.iter().map(|name| ColumnName::new(*name)).collect();
    let mut needs = TableNeeds {
        routing: columns(routing),
        used: columns(used),
        all_used: false,
    };
    needs.used.extend(needs.routing.clone());
    [(TableName::from_str(table).unwrap(), needs)]
        .into_iter()
        .collect()
}

pub(crate) fn union(needs: Needs) -> Union {
    Union::new(needs, Needs::new(), BTreeSet::new())
}

/// A stream with a router behind it.
pub(crate) struct Capture {
    pub(crate) stream: LogicalStream<Stream>,
    pub(crate) router: Router,
}

/// A transaction as it came out.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) changes: Vec<Change>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) commit_lsn: Lsn,
    pub(crate) end_lsn: Lsn,
}

impl Capture {
    /// The next whole transaction.
    pub(crate) async fn transaction(&mut self) -> Received {
        let next = self.read_transaction();
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("no transaction in time")
    }

    async fn read_transaction(&mut self) -> Received {
        let mut received = Received::default();
        loop {
            let Frame::Data { payload, .. } = self.stream.next().await.unwrap() else {
                continue;
            };
            match self.router.take(decode(payload).unwrap()).unwrap() {
                Step::Begun(transaction) => received.commit_lsn = transaction.commit_lsn,
                Step::Committed { end_lsn, .. } => {
                    received.end_lsn = end_lsn;
                    return received;
                }
                Step::Publish(change) => received.changes.push(*change),
                Step::PublishAll(changes) => received.changes.extend(changes),
                Step::Skip(why) => received.skipped.push(why),
                Step::Noticed(_) | Step::Nothing => {}
            }
        }
    }
}

/// A report that confirms exactly `lsn`.
pub(crate) fn confirm(lsn: Lsn) -> Status {
    Status {
        written: lsn,
        flushed: lsn,
        applied: lsn,
    }
}

/// Waits until nobody holds the slot: a session that was dropped takes a
/// moment to go.
pub(crate) async fn slot_is_free(database: &Database) {
    let client = database.connect().await;
    testkit::eventually(PATIENCE, "the slot is free", || async {
        let slot = slot::read(&client, &database.name).await.unwrap().unwrap();
        match slot.holder {
            None => Ok(()),
            Some(holder) => Err(holder),
        }
    })
    .await;
}

fn admin() -> Parts {
    let url = stack("STACK_POSTGRES_URL");
    let config: tokio_postgres::Config = url.parse().expect("STACK_POSTGRES_URL is no URL");
    let [Host::Tcp(host), ..] = config.get_hosts() else {
        panic!("STACK_POSTGRES_URL names no host");
    };
    Parts {
        host: host.clone(),
        port: config.get_ports().first().copied().unwrap_or(5432),
        user: config.get_user().unwrap_or("postgres").to_owned(),
        password: None,
        database: config.get_dbname().unwrap_or("postgres").to_owned(),
    }
}

/// Runs `test` with a database of its own, made with `schema`, and takes it
/// down however the test ends.
pub(crate) fn with_database<F, Running>(schema: &str, test: F)
where
    F: FnOnce(Database) -> Running,
    Running: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let parts = admin();
        let admin = Database {
            name: parts.database.clone(),
            parts: parts.clone(),
        };
        let admin = admin.connect().await;
        let name = testkit::unique("capture");
        admin
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"
            ))
            .await
            .unwrap();
        let database = Database {
            name: name.clone(),
            parts: Parts {
                database: name.clone(),
                ..parts
            },
        };
        let run = async {
            let client = database.connect().await;
            client.batch_execute(schema).await.unwrap();
            test(database).await;
        };
        let outcome = AssertUnwindSafe(run).catch_unwind().await;
        take_down(&admin, &name).await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

async fn take_down(admin: &Session, name: &str) {
    let of_ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    admin.execute(of_ours, &[&name]).await.unwrap();
    testkit::eventually(PATIENCE, "the slot is dropped", || async {
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                    WHERE database = $1";
        admin
            .execute(drop, &[&name])
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    admin
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}
