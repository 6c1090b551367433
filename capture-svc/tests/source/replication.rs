//! Sessions: logging in, staying alive, being refused.

use std::time::Duration;

use capture_svc::replication::{
    Definite, Error, Frame, Patience, ReplicationStream, Session, Transient,
};
use capture_svc::slot;
use model::Lsn;
use runtime::postgres::{ChannelBinding, Postgres, RootCertificate, SslMode, Tls};

use crate::support::{
    Database, PATIENCE, confirm, need, slot_is_free, stack, union, with_database,
};

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, state text)";

/// A role with a password, which only this test has.
async fn role(database: &Database, password: &str) -> String {
    let role = database.name.clone();
    let statement = format!("CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{password}'");
    database
        .connect()
        .await
        .batch_execute(&statement)
        .await
        .unwrap();
    role
}

async fn drop_role(database: &Database, role: &str) {
    let client = database.connect().await;
    client
        .batch_execute(&format!("DROP ROLE {role}"))
        .await
        .unwrap();
}

fn encrypted() -> Tls {
    Tls {
        mode: SslMode::VerifyFull,
        root: RootCertificate::File(stack("STACK_POSTGRES_CA").into()),
        client: None,
    }
}

#[test]
fn a_session_logs_in_with_scram_and_bound_to_tls() {
    with_database(ORDERS, |database| async move {
        let role = role(&database, "pencil").await;
        for (tls, binding) in [
            (
                Tls {
                    mode: SslMode::Disable,
                    ..Tls::default()
                },
                ChannelBinding::Prefer,
            ),
            (encrypted(), ChannelBinding::Prefer),
            (encrypted(), ChannelBinding::Require),
        ] {
            let mut target = database.target(&role, "pencil", tls);
            target.channel_binding = binding;
            let postgres = Postgres::new(target).unwrap();
            let sql = postgres.connect("flusso-test").await.unwrap();
            let mut session = Session::open(&postgres, sql.route(), "flusso-capture")
                .await
                .unwrap();
            let system = session.identify_system().await.unwrap();
            assert_eq!(system.database, database.name);
            let identity = runtime::postgres::Identity::read(&*sql).await.unwrap();
            assert_eq!(system.system_identifier, identity.system_identifier);
            assert_eq!(Some(system.timeline), identity.timeline);
        }
        drop_role(&database, &role).await;
    });
}

#[test]
fn a_wrong_password_is_definite_and_says_so() {
    with_database(ORDERS, |database| async move {
        let role = role(&database, "pencil").await;
        let right = database.target(&role, "pencil", Tls::default());
        let sql = Postgres::new(right)
            .unwrap()
            .connect("flusso-test")
            .await
            .unwrap();
        let wrong = Postgres::new(database.target(&role, "crayon", Tls::default())).unwrap();
        let error = Session::open(&wrong, sql.route(), "flusso-capture")
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Definite(Definite::Refused(_))),
            "{error}"
        );
        assert!(
            error.to_string().contains("password authentication failed"),
            "{error}"
        );
        drop(sql);
        drop_role(&database, &role).await;
    });
}

#[test]
fn a_missing_slot_is_definite() {
    with_database(ORDERS, |database| async move {
        let error = database.stream(Lsn::INVALID).await.unwrap_err();
        assert!(
            matches!(error, Error::Definite(Definite::Missing(_))),
            "{error}"
        );
    });
}

#[test]
fn a_slot_in_use_is_transient_and_its_holder_has_a_name() {
    with_database(ORDERS, |database| async move {
        // GIVEN
        let capture = database
            .capture(&union(need("public.orders", &[], &[])))
            .await;
        // WHEN a second one wants it
        let error = database.stream(Lsn::INVALID).await.unwrap_err();
        // THEN
        assert!(
            matches!(error, Error::Transient(Transient::SlotBusy(_))),
            "{error}"
        );
        let client = database.connect().await;
        let holder = slot::read(&client, &database.name)
            .await
            .unwrap()
            .unwrap()
            .holder
            .unwrap();
        assert_eq!(holder.application_name, "flusso-capture");
        // and it can have it once the first one has gone
        drop(capture);
        slot_is_free(&database).await;
        database.stream(Lsn::INVALID).await.unwrap();
    });
}

#[test]
fn a_terminated_session_is_transient() {
    with_database(ORDERS, |database| async move {
        let mut capture = database
            .capture(&union(need("public.orders", &[], &[])))
            .await;
        let client = database.connect().await;
        let terminate = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1";
        client.execute(terminate, &[&database.name]).await.unwrap();
        let ended = async {
            loop {
                if let Err(error) = capture.stream.next().await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(PATIENCE, ended).await.unwrap();
        assert!(matches!(error, Error::Transient(_)), "{error}");
    });
}

#[test]
fn c1_an_idle_stream_is_kept_alive_by_pings_that_confirm_nothing() {
    with_database(ORDERS, |database| async move {
        let mut capture = database
            .capture(&union(need("public.orders", &[], &[])))
            .await;
        let client = database.connect().await;
        let before = slot::read(&client, &database.name)
            .await
            .unwrap()
            .unwrap()
            .confirmed;
        client
            .batch_execute("INSERT INTO orders VALUES (1)")
            .await
            .unwrap();
        capture.transaction().await;
        // WHEN keepalives have come in, answered by the session itself
        let pinged = async {
            for _ in 0..2 {
                while !matches!(
                    capture.stream.next().await.unwrap(),
                    Frame::Keepalive { .. }
                ) {}
            }
        };
        tokio::time::timeout(PATIENCE, pinged).await.unwrap();
        // THEN
        let after = slot::read(&client, &database.name)
            .await
            .unwrap()
            .unwrap()
            .confirmed;
        assert_eq!(after, before);
    });
}

#[test]
fn a_consumer_that_takes_no_rows_keeps_its_session_by_reporting() {
    with_database(ORDERS, |database| async move {
        // GIVEN a server that bears two seconds of silence
        let needed = union(need("public.orders", &[], &["state"]));
        let capture = database.capture(&needed).await;
        drop(capture.stream);
        slot_is_free(&database).await;
        let mut target = database.target("postgres", "", Tls::default());
        target.options = Some("-c wal_sender_timeout=2s".to_owned());
        let postgres = Postgres::new(target).unwrap();
        let client = database.connect().await;
        let mut session = Session::open(&postgres, client.route(), "flusso-capture")
            .await
            .unwrap();
        let timeout = session.wal_sender_timeout().await.unwrap();
        assert_eq!(timeout, Duration::from_secs(2));
        let patience = Patience::suited_to(timeout);
        let publication = database.settings().publication;
        let mut stream = session
            .start_replication(&database.name, &publication, Lsn::INVALID, patience)
            .await
            .unwrap();
        // WHEN more is waiting than any socket holds, and for three times that long nothing is read
        let rows =
            "INSERT INTO orders SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n";
        client.batch_execute(rows).await.unwrap();
        let mut due = tokio::time::interval(patience.report_every);
        for _ in 0..9 {
            due.tick().await;
            stream.report(confirm(Lsn::INVALID)).await.unwrap();
        }
        // THEN every row is still there
        let mut frames = 0;
        let read = async {
            while frames < 50_000 {
                if let Frame::Data { payload, .. } = stream.next().await.unwrap()
                    && payload.first() == Some(&b'I')
                {
                    frames += 1;
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
    });
}

#[test]
fn without_reports_the_same_server_hangs_up() {
    // The test above would prove nothing otherwise.
    with_database(ORDERS, |database| async move {
        let capture = database
            .capture(&union(need("public.orders", &[], &["state"])))
            .await;
        drop(capture.stream);
        slot_is_free(&database).await;
        let mut target = database.target("postgres", "", Tls::default());
        target.options = Some("-c wal_sender_timeout=1s".to_owned());
        let postgres = Postgres::new(target).unwrap();
        let client = database.connect().await;
        let session = Session::open(&postgres, client.route(), "flusso-capture")
            .await
            .unwrap();
        let publication = database.settings().publication;
        let stream = session
            .start_replication(
                &database.name,
                &publication,
                Lsn::INVALID,
                Patience::default(),
            )
            .await
            .unwrap();
        let rows =
            "INSERT INTO orders SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n";
        client.batch_execute(rows).await.unwrap();
        slot_is_free(&database).await;
        drop(stream);
    });
}
