//! Reports and repairs on a real database.

use capture_svc::preflight::{Preflight, Preparer, Settings};
use definition::{Diagnostics, Severity};
use runtime::postgres::{Postgres, Tls};

use crate::support::{Database, need, union, with_database};

const SHOP: &str = "
CREATE TABLE orders (id int PRIMARY KEY, show_id int);
CREATE TABLE shows (id int PRIMARY KEY);
CREATE TABLE keyless (show_id int);
CREATE TABLE events (id int PRIMARY KEY, show_id int) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
";

fn needed() -> capture_svc::needs::Union {
    union(
        need("public.orders", &["show_id"], &[])
            .union(need("public.shows", &[], &[]))
            .union(need("public.keyless", &["show_id"], &[]))
            .union(need("public.events", &["show_id"], &[])),
    )
}

fn codes(report: &Diagnostics) -> Vec<&str> {
    report
        .findings()
        .iter()
        .map(|finding| finding.code)
        .collect()
}

/// A session of a role that owns nothing.
async fn stranger(database: &Database, attributes: &str) -> runtime::postgres::Session {
    let role = &database.name;
    let statement = format!("CREATE ROLE {role} LOGIN {attributes} PASSWORD 'pencil'");
    database
        .connect()
        .await
        .batch_execute(&statement)
        .await
        .unwrap();
    let target = database.target(role, "pencil", Tls::default());
    Postgres::new(target)
        .unwrap()
        .connect("flusso-test")
        .await
        .unwrap()
}

async fn drop_stranger(database: &Database) {
    let role = &database.name;
    database
        .connect()
        .await
        .batch_execute(&format!("DROP ROLE {role}"))
        .await
        .unwrap();
}

#[test]
fn what_capture_mends_itself_is_a_warning_and_is_gone_afterwards() {
    with_database(SHOP, |database| async move {
        // GIVEN
        let client = database.connect().await;
        let preflight = database.preflight(&needed()).await;
        let report = preflight.report();
        assert!(!report.has_errors(), "{report}");
        let sql: Vec<_> = report
            .findings()
            .iter()
            .filter_map(|finding| finding.sql.as_deref())
            .collect();
        assert_eq!(
            sql,
            [
                "CREATE PUBLICATION \"Flusso's\" FOR TABLE public.events, public.keyless, public.orders, public.shows WITH (publish_via_partition_root = true);",
                "ALTER TABLE public.events_1 REPLICA IDENTITY FULL;",
                "ALTER TABLE public.keyless REPLICA IDENTITY FULL;",
                "ALTER TABLE public.orders REPLICA IDENTITY FULL;",
            ]
        );
        // Looking changed nothing.
        assert_eq!(
            database.preflight(&needed()).await.facts(),
            preflight.facts()
        );
        // WHEN
        let mended = preflight.repairs().mend(&client).await.unwrap();
        // THEN
        assert!(mended.postponed.is_empty());
        let after = database.preflight(&needed()).await;
        assert_eq!(codes(&after.report()), [""; 0]);
        assert!(after.repairs().is_empty());
        // `shows` needs no more than DEFAULT, and was left alone.
        let shows = after
            .tables()
            .iter()
            .find(|table| table.name.name == "shows")
            .unwrap();
        assert_eq!(shows.leaves[0].identity.word(), "DEFAULT");
    });
}

#[test]
fn what_the_role_may_not_mend_is_an_error_with_the_statement() {
    with_database(SHOP, |database| async move {
        // GIVEN a publication that somebody else made
        let client = stranger(&database, "").await;
        database
            .connect()
            .await
            .batch_execute("CREATE PUBLICATION \"Flusso's\"")
            .await
            .unwrap();
        let needed = union(need("public.orders", &["show_id"], &[]));
        // WHEN
        let read = |settings| Preflight::read(&client, settings, needed.clone());
        let preflight = read(database.settings()).await.unwrap();
        // THEN
        let report = preflight.report();
        let role = &database.name;
        let errors: Vec<_> = report
            .findings()
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| {
                (
                    finding.code,
                    finding.message.clone(),
                    finding.help.clone().unwrap(),
                )
            })
            .collect();
        let expected = [
            (
                "E405",
                format!("role {role} has not the REPLICATION right"),
                format!("ALTER ROLE {role} REPLICATION;"),
            ),
            (
                "E402",
                format!("publication \"Flusso's\" lacks public.orders, and role {role} may not change it"),
                "ALTER PUBLICATION \"Flusso's\" ADD TABLE public.orders;".to_owned(),
            ),
            (
                "E401",
                "public.orders has replica identity DEFAULT, but the old show_id is needed to mend former parents".to_owned(),
                "ALTER TABLE public.orders REPLICA IDENTITY FULL; or allow_stale_parents = true".to_owned(),
            ),
        ];
        assert_eq!(errors, expected);
        assert!(preflight.repairs().is_empty());
        // allow_stale_parents lets the identity pass, and the table is listed
        let settings = Settings {
            allow_stale_parents: true,
            ..database.settings()
        };
        let preflight = read(settings).await.unwrap();
        assert_eq!(codes(&preflight.report()), ["E405", "E402", "W401"]);
        assert_eq!(preflight.stale_tables().len(), 1);
        drop(client);
        drop_stranger(&database).await;
    });
}

#[test]
fn a_lock_is_not_waited_for_and_a_table_without_identity_is_not_published() {
    with_database(SHOP, |database| async move {
        // GIVEN the application works on orders
        let mut application = database.connect().await;
        let work = application.transaction().await.unwrap();
        work.batch_execute("INSERT INTO orders VALUES (1, 7)")
            .await
            .unwrap();
        // WHEN
        let client = database.connect().await;
        let repairs = database.preflight(&needed()).await.repairs();
        let mended = repairs.mend(&client).await.unwrap();
        // THEN everything else is done, orders neither mended nor published
        let postponed: Vec<String> = mended.postponed.iter().map(ToString::to_string).collect();
        assert_eq!(
            postponed,
            [
                "ALTER TABLE \"public\".\"orders\" REPLICA IDENTITY FULL",
                "ALTER PUBLICATION \"Flusso's\" ADD TABLE \"public\".\"orders\";",
            ]
        );
        let orders = need("public.orders", &["show_id"], &[]);
        let shows = need("public.shows", &[], &[]);
        let preparer = Preparer::new(database.settings());
        let outcome = preparer.prepare(&client, &needed()).await.unwrap();
        assert_eq!(outcome.waiting_for(&orders).len(), 2, "{:?}", outcome.unmet);
        assert_eq!(outcome.waiting_for(&shows), [""; 0]);
        // and it goes on when the lock is gone
        work.commit().await.unwrap();
        let outcome = preparer.prepare(&client, &needed()).await.unwrap();
        assert_eq!(outcome.unmet, []);
    });
}

#[test]
fn a_publication_that_would_hide_changes_is_an_error() {
    with_database(SHOP, |database| async move {
        let client = database.connect().await;
        for (publication, expected) in [
            ("FOR TABLE orders WITH (publish = 'insert')", &["E415"][..]),
            ("FOR TABLE orders WHERE (id > 5)", &["E416"]),
            ("FOR TABLE orders (id)", &["E417"]),
            ("FOR TABLE orders (id, show_id)", &[]),
            ("FOR ALL TABLES", &[]),
            ("FOR TABLES IN SCHEMA public", &[]),
        ] {
            let statement = format!(
                "ALTER TABLE orders REPLICA IDENTITY FULL; CREATE PUBLICATION \"Flusso's\" {publication}"
            );
            client.batch_execute(&statement).await.unwrap();
            let preflight = database
                .preflight(&union(need("public.orders", &["show_id"], &[])))
                .await;
            assert_eq!(codes(&preflight.report()), expected, "{publication}");
            client
                .batch_execute("DROP PUBLICATION \"Flusso's\"")
                .await
                .unwrap();
        }
    });
}

#[test]
fn partitions_published_under_their_own_names_are_mended() {
    with_database(SHOP, |database| async move {
        let client = database.connect().await;
        client
            .batch_execute("CREATE PUBLICATION \"Flusso's\" FOR TABLE events")
            .await
            .unwrap();
        let needed = union(need("public.events", &["show_id"], &[]));
        let preflight = database.preflight(&needed).await;
        assert_eq!(codes(&preflight.report()), ["W415", "W401"]);
        preflight.repairs().mend(&client).await.unwrap();
        assert!(database.preflight(&needed).await.report().is_empty());
    });
}
